"""True gains between virtual radios, for judging a round that went over them."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from radio.measured_air import AirLaw
from radio.ofdm import OfdmConfig
from radio.resource_map import element_subcarriers
from radio.uplink import Plan, Reception, Sounding
from sim_backend.bands import Band
from sim_backend.elements import LevelledElements, PathElements
from sim_backend.levels import adc_amplitude
from sim_backend.path import Path, draw_path
from sim_backend.selection import path_filter
from sim_backend.station_settings import StationSettings, of_channel


class StreamTruth:
    """Device d has radio d, and the receiver hears as `USUAL_RECEIVER` does. settings_of: what a radio is set to.
    levels: as of `LevelledElements`.

    Gains are those at `plan.start_index` of a receiver's clock that started with the air: a fading channel's are only
    as right as that is.
    """

    def __init__(
        self,
        air: AirLaw,
        seed: int,
        ofdm: OfdmConfig,
        center_hz: float,
        *,
        receiver: int,
        settings_of: Callable[[int], StationSettings],
        levels: Mapping[int, float] | None = None,
    ) -> None:
        self._ofdm, self._receiver, self._settings_of = ofdm, receiver, settings_of
        self._elements = LevelledElements(PathElements(_Paths(air, seed), ofdm, center_hz), levels or {})

    def gains(self, plan: Plan, device: int) -> NDArray[np.complex128]:
        """(num_elements,) path, attenuation, receiver gain and filters; the filters' delay apart."""
        path = self._elements.elements(device, plan.start_index, plan.num_elements)
        hardware = self._hardware(device)[element_subcarriers(plan.num_elements, self._ofdm)]
        return np.asarray(path * hardware)

    def disturbances(
        self,
        plan: Plan,
        unturned: Mapping[int, NDArray[np.complexfloating]],
        sounding: Sounding,
        reception: Reception,
    ) -> None:
        """A stream is not taken apart."""

    def _hardware(self, device: int) -> NDArray[np.float64]:
        """(num_active,) amplitude from converter to converter, path apart."""
        sender, receiver = self._settings_of(device), self._settings_of(self._receiver)
        rate_hz = self._ofdm.sample_rate_hz
        gain = adc_amplitude(of_channel(receiver.rx_gain_db, 0) - of_channel(sender.tx_attenuation_db, 0))
        filters = (
            path_filter(sender.tx_bandwidth_hz, rate_hz, sender.tx_fir),
            path_filter(receiver.rx_bandwidth_hz, rate_hz, receiver.rx_fir),
        )
        responses = [np.fft.fft(_wrapped(taps, self._ofdm.fft_len)) for taps in filters]
        return np.asarray(gain * np.abs(responses[0] * responses[1])[self._ofdm.active_bins])


class _Paths:
    """As `PathElements` asks for them."""

    def __init__(self, air: AirLaw, seed: int) -> None:
        self._air, self._seed = air, seed
        self._paths: dict[int, Path] = {}

    def path(self, port: int, receiver: int, band: Band) -> Path:
        if port not in self._paths:
            self._paths[port] = draw_path(self._air, self._seed, port, *band, receiver)
        return self._paths[port]


def _wrapped(taps: NDArray[np.floating], length: int) -> NDArray[np.floating]:
    """Taps at their places modulo the transform's length: the response at its bins, however long the filter."""
    padded = np.zeros(-(-len(taps) // length) * length)
    padded[: len(taps)] = taps
    return np.asarray(padded.reshape(-1, length).sum(axis=0))
