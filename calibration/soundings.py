"""What periodic joint soundings give: responses of all devices, again and again, at unequal distances in time."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.delay import centred_bins
from radio.ofdm import OfdmConfig


@dataclass(frozen=True, eq=False, kw_only=True)
class Soundings:
    """gains: (num_instants, num_devices, num_active) complex. instants_s: (num_instants,) rising, on the receiver's
    clock, of the middles of what was averaged. error_variances: (num_devices,) expected |error|^2 of a gain.

    num_taps: degrees of freedom of a response's errors. A response fitted to that many taps has its errors in their
    space: along the response's own direction there is a num_taps-th of them. None: each gain has errors of its own.
    """

    gains: NDArray[np.complexfloating]
    instants_s: NDArray[np.float64]
    error_variances: NDArray[np.float64]
    ofdm: OfdmConfig
    num_taps: int | None = None

    def __post_init__(self) -> None:
        if self.gains.ndim != 3 or self.gains.shape[2] != self.ofdm.num_active:
            raise ValueError(
                f"gains must have shape (num_instants, num_devices, {self.ofdm.num_active}), got {self.gains.shape}"
            )
        if self.instants_s.shape != self.gains.shape[:1]:
            raise ValueError(
                f"instants_s must have shape {self.gains.shape[:1]} as gains, got {self.instants_s.shape}"
            )
        if self.error_variances.shape != self.gains.shape[1:2]:
            raise ValueError(
                f"error_variances must have shape {self.gains.shape[1:2]}, one a device, got "
                f"{self.error_variances.shape}"
            )
        if len(self.instants_s) > 1 and not np.min(np.diff(self.instants_s)) > 0.0:
            raise ValueError(
                f"instants_s must rise, but instant {int(np.argmin(np.diff(self.instants_s))) + 1} is not after the "
                "one before it; sort and merge soundings"
            )
        if not np.all(np.isfinite(self.gains)):
            raise ValueError("gains must be finite; leave out soundings in which a device was not heard")
        if not np.all(self.error_variances >= 0.0):  # nan fails
            raise ValueError(f"error_variances must be at least 0, got {self.error_variances.min():g}")
        if self.num_taps is not None and not 1 <= self.num_taps <= self.ofdm.num_active:
            raise ValueError(
                f"num_taps must be in [1, {self.ofdm.num_active}] (num_active), got {self.num_taps}"
            )

    @property
    def span_s(self) -> float:
        """From the first instant to the last."""
        return float(self.instants_s[-1] - self.instants_s[0])

    @property
    def freedom(self) -> int:
        """Degrees of freedom of a response's errors."""
        return self.ofdm.num_active if self.num_taps is None else self.num_taps

    @property
    def noise_variances(self) -> NDArray[np.float64]:
        """(num_devices,) variance of the error along any unit vector that a channel can point to."""
        return self.error_variances * (self.ofdm.num_active / self.freedom)

    @property
    def powers(self) -> NDArray[np.float64]:
        """(num_devices,) mean |gain|^2, the errors' share removed; at least 0."""
        heard = np.mean(np.abs(self.gains) ** 2, axis=(0, 2))
        return np.asarray(np.maximum(heard - self.error_variances, 0.0))


def apply_drift(
    soundings: Soundings, cfo_hz: NDArray[np.float64], delay_rate: NDArray[np.float64]
) -> Soundings:
    """Soundings of devices whose carriers turn, and whose delays grow, evenly from the first instant on.

    cfo_hz: (num_devices,). delay_rate: (num_devices,) samples a second.
    """
    after_s = soundings.instants_s - soundings.instants_s[0]
    bins = centred_bins(soundings.ofdm) / soundings.ofdm.fft_len
    gains = np.empty(soundings.gains.shape, dtype=np.complex128)
    for device, (turning_hz, moving) in enumerate(zip(cfo_hz, delay_rate, strict=True)):
        cycles = turning_hz * after_s
        turned = np.exp(2j * np.pi * (cycles - np.round(cycles)))[:, None]
        gains[:, device] = (
            soundings.gains[:, device] * turned * np.exp(-2j * np.pi * np.outer(moving * after_s, bins))
        )
    return replace(soundings, gains=gains)


def remove_drift(
    soundings: Soundings, cfo_hz: NDArray[np.float64], delay_rate: NDArray[np.float64]
) -> Soundings:
    """Inverse of `apply_drift`."""
    return apply_drift(soundings, -cfo_hz, -delay_rate)
