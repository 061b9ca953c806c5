"""What the filters of a virtual Pluto do to a band, programmed as pyadi-iio programs them for a sample rate."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_backend.pluto_fir import parse_fir
from sim_backend.pluto_settings import Fir
from sim_backend.pluto_station import rx_taps, tx_taps
from sim_backend.selection import path_filter


class _Listener:
    """In the place of a radio: keeps the filters that pyadi-iio writes when a sample rate is set."""

    def __init__(self) -> None:
        self.filters = ""

    def _get_iio_attr(self, *_: Any) -> int:
        return 0  # neither a rate nor a filter is on yet

    def _get_iio_dev_attr_str(self, *_: Any) -> str:
        return "BBPLL:1 DAC:16 T2:1 T1:1 TF:1 TXSAMP:1"  # time for filters of any length

    def _set_iio_attr(self, *_: Any) -> None: ...

    def _set_iio_dev_attr_str(self, name: str, text: str) -> None:
        if name == "filter_fir_config":
            self.filters = text


def passband(freqs_hz: NDArray[np.float64], sample_rate_hz: float) -> NDArray[np.complex128]:
    """(num_freqs,) response, at frequencies from the carrier, through transmitter and receiver.

    The analog bandwidth is the sample rate, as `radio/pluto_settings.py` sets it. Raises ImportError without pyadi-iio.
    """
    fir = _programmed(round(sample_rate_hz))
    response = np.ones(len(freqs_hz), dtype=np.complex128)
    for programmed in (tx_taps(fir, fir.interpolation), rx_taps(fir, fir.decimation)):
        taps = path_filter(sample_rate_hz, sample_rate_hz, programmed)
        steps = np.arange(len(taps)) - len(taps) // 2
        response *= np.exp(-2j * np.pi * np.outer(freqs_hz / sample_rate_hz, steps)) @ taps
    return response


@lru_cache(maxsize=8)
def _programmed(rate_hz: int) -> Fir:
    import adi

    listener = _Listener()
    adi.ad9364.sample_rate.fset(listener, rate_hz)
    return replace(parse_fir(listener.filters, Fir()), rx_enabled=True, tx_enabled=True)
