"""The light part of a calibration again and again: how levels, clocks and paths drift while somebody watches."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from calibration.analysis import alone_estimates, ofdm_of, silence_report
from calibration.bench import Bench
from calibration.meeting import NotHeard
from calibration.procedure import listen
from calibration.turns import alone
from calibration.waveforms import SHORT_SYMBOLS
from radio.capture import Capture
from radio.decibel import to_db
from radio.interface import RadioError


class Sight(NamedTuple):
    """A device at one look. phase_rad, delay_samples: against where the clocks of the first look put it; a phase only
    where all radios share a reference. gain_db: full scale to full scale."""

    at_s: float
    snr_db: float
    gain_db: float
    cfo_hz: float
    phase_rad: float
    delay_samples: float


def look_again(bench: Bench, ignore_busy: bool = False) -> Iterator[dict[int, Sight]]:
    """For ever: who is heard, and how. Those that were lost are met anew at each look.

    Raises BandBusy before anything is sent, NotHeard if nobody is heard at first, and what radios raise.
    """
    noise = silence_report(listen(bench, ignore_busy)).noise.variance
    _meet(bench)
    if not bench.clocks:
        raise NotHeard("no device was heard; check cables, tx_gain_db, rx_gain_db and center_hz")
    base: dict[int, tuple[float, float]] = {}
    while True:
        yield _look(bench, noise, base)
        _meet(bench)


def _meet(bench: Bench) -> None:
    for device in bench.devices:
        if device not in bench.clocks:
            try:
                bench.meet(device)
            except NotHeard:
                continue


def _look(bench: Bench, noise: float, base: dict[int, tuple[float, float]]) -> dict[int, Sight]:
    capture = alone(bench, "watch", SHORT_SYMBOLS)
    heard: dict[int, Sight] = {}
    for device in list(bench.clocks):
        try:
            heard[device] = _sight(capture, device, noise)
        except RadioError:
            bench.clocks.pop(device)
            base.pop(device, None)
    for device, seen in heard.items():
        phase, delay = base.setdefault(device, (seen.phase_rad, seen.delay_samples))
        heard[device] = seen._replace(
            phase_rad=math.remainder(seen.phase_rad - phase, math.tau),
            delay_samples=seen.delay_samples - delay,
        )
    return heard


def _sight(capture: Capture, device: int, noise: float) -> Sight:
    """RadioError if it is not there."""
    ofdm, only = ofdm_of(capture), _of_device(capture, device)
    ((sent, burst),) = alone_estimates(only)
    power = max(float(np.mean(np.abs(burst.response) ** 2)) - burst.error_variance, burst.error_variance)
    arrival = float(only.facts["arrivals"][0])
    return Sight(
        at_s=capture.start_index / ofdm.sample_rate_hz + burst.middle / ofdm.sample_rate_hz,
        snr_db=to_db(power * sent.level**2 / noise),
        gain_db=to_db(power),
        cfo_hz=burst.cfo_hz,
        phase_rad=burst.phase_rad,
        delay_samples=burst.start + burst.delay_samples - arrival,
    )


def _of_device(capture: Capture, device: int) -> Capture:
    """The same capture, of which one device's burst alone is known."""
    place = next(number for number, sent in enumerate(capture.sent) if sent.device == device)
    facts: Mapping[str, object] = {**capture.facts, "arrivals": [capture.facts["arrivals"][place]]}
    return Capture(
        samples=capture.samples,
        start_index=capture.start_index,
        config=capture.config,
        step=capture.step,
        sent=(capture.sent[place],),
        facts=facts,
        unix_s=capture.unix_s,
    )
