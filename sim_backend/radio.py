"""`SimRadio`: the Radio protocol over an air. Its virtual time advances only when somebody receives."""

from dataclasses import fields, replace
from fractions import Fraction
from typing import NamedTuple

from radio.interface import (
    EPOCH_LEN,
    EpochError,
    FullScaleError,
    LateError,
    RadioConfig,
    RadioError,
    RadioStatus,
    Samples,
    check_full_scale,
)
from sim_backend.air import Air
from sim_backend.bands import Band
from sim_backend.front_end import FrontEnd

RATES_HZ = (520e3, 61.44e6)
CENTERS_HZ = (70e6, 6e9)


class Anatomy(NamedTuple):
    """Summands of the samples before the receiver's own mixer and converter; by_sender: one a radio's port."""

    by_sender: dict[int, Samples]
    noise: Samples
    interference: Samples


class SimRadio:
    """One radio on an air. Its clock reads `clock_offset` when the air's reads 0, in the first epoch.

    A new rate or frequency begins a new epoch, whose indices start at a multiple of EPOCH_LEN. seed: that its hardware
    is drawn from, so that another radio has another serial number.
    """

    def __init__(
        self,
        air: Air,
        port: int,
        config: RadioConfig,
        front_end: FrontEnd,
        clock_offset: int = 0,
        *,
        seed: int = 0,
    ) -> None:
        self._air, self._port, self._config, self._front_end = air, port, config, front_end
        self._epoch, self._origin = 0, clock_offset  # index at which the air's time is 0
        self._begin = clock_offset  # first index of the epoch
        self._serial = f"sim-{port}@{seed}" if seed else f"sim-{port}"
        self._overflows = 0
        self._open = True

    @property
    def config(self) -> RadioConfig:
        """What was accepted."""
        return self._config

    def configure(self, **settings: float) -> RadioConfig:
        """Rate and frequency may change; the front end has unit gain and no crystal correction."""
        self._check_open()
        known = {field.name for field in fields(RadioConfig)}
        for name, value in settings.items():
            if name not in known:
                raise RadioError(f"unknown radio setting {name!r}; known: {', '.join(sorted(known))}")
            limits = {"sample_rate_hz": RATES_HZ, "center_hz": CENTERS_HZ}.get(name)
            if limits and not limits[0] <= value <= limits[1]:
                raise RadioError(
                    f"simulated radio {self._port}: {name} must be in [{limits[0]:g}, {limits[1]:g}], "
                    f"asked for {value:g}"
                )
            if not limits and value != getattr(self._config, name):
                raise RadioError(
                    f"simulated radio {self._port}: {name} is fixed at {getattr(self._config, name)}, asked for {value}"
                )
        config = replace(self._config, **settings)
        if self._band(config) != self._band(self._config):
            self._config = config
            self._epoch += 1
            self._origin = self._epoch * EPOCH_LEN
            self._begin = self._origin + self._air.index(self._band(config))
        return self._config

    def status(self) -> RadioStatus:
        """overflows: receptions that saturated the converter."""
        return RadioStatus(
            epoch=self._epoch,
            serial=self._serial,
            firmware="airmeta simulated radio",
            overflows=self._overflows,
        )

    def now(self) -> int:
        """Earliest index that can still be scheduled."""
        return self._air.earliest(self._port, self._band(self._config)) + self._origin

    def transmit(self, samples: Samples, at: int) -> None:
        """Raises LateError, EpochError, FullScaleError; RadioError for overlapping bursts or a closed radio."""
        self._check_open()
        check_full_scale(samples)
        self._check_epoch(at)
        if at < self.now():
            raise LateError(
                f"simulated radio {self._port}: burst at {at} is late, the clock reads {self.now()}"
            )
        self._air.transmit(self._port, self._band(self._config), samples, at - self._origin)

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """Virtual time passes to the last sample, or by `deadline_s`: then TimeoutError.

        FullScaleError if the converter saturated: what it gave is not what arrived. Time has passed all the same, and
        other receptions are not affected.
        """
        self._check_open()
        self._check_epoch(at)
        if at < self._begin:
            raise RadioError(
                f"simulated radio {self._port}: index {at} lies before the epoch's start {self._begin}"
            )
        if not self._air.keeps_time(self._port):
            raise RadioError(
                f"simulated radio {self._port} transmits on a free clock and cannot receive; "
                "receive at a port below 0, or set the clock to shared"
            )
        band = self._band(self._config)
        start = at - self._origin
        latest = self._air.now + Fraction(deadline_s).limit_denominator(10**9)  # 0.002 s as written
        end = Fraction(start + num_samples) / Fraction(band.sample_rate_hz)
        if end > latest:
            self._air.advance(latest)
            raise TimeoutError(
                f"simulated radio {self._port}: the samples end {float(end - latest):.3g} s after the deadline "
                f"of {deadline_s:g} s"
            )
        arriving = self._air.receive(self._port, band, start, num_samples)
        heard, num_saturated = self._front_end.receive(arriving, start)
        if num_saturated:
            self._overflows += 1
            raise FullScaleError(
                f"simulated radio {self._port}: {num_saturated} of {num_samples} samples from {at} exceed the "
                f"converter's full scale of {self._front_end.full_scale:.3g}; raise link.backoff_db or "
                "adc_full_scale_db"
            )
        return heard

    def dissect(self, at: int, num_samples: int) -> Anatomy:
        """What a reception consists of, for judging it; within the reach of `receive`."""
        band, start = self._band(self._config), at - self._origin
        return Anatomy(
            self._air.receive_apart(self._port, band, start, num_samples),
            self._front_end.noise(start, num_samples),
            self._front_end.interference(start, num_samples),
        )

    def close(self) -> None:
        """Stop transmitting, whatever happened before; twice is as good as once."""
        if self._open:
            self._open = False
            self._air.silence(self._port)

    def _band(self, config: RadioConfig) -> Band:
        return Band(config.sample_rate_hz, config.center_hz)

    def _check_open(self) -> None:
        if not self._open:
            raise RadioError(f"simulated radio {self._port} is closed")

    def _check_epoch(self, at: int) -> None:
        """Indices of the first epoch may be below 0, where a clock offset puts them."""
        epoch = max(at // EPOCH_LEN, 0)
        if epoch != self._epoch:
            raise EpochError(
                f"simulated radio {self._port}: index {at} belongs to epoch {epoch}, this is epoch {self._epoch}; "
                "ask now() and sound again"
            )
