"""Composition root of `airmeta calibrate`: the radios of a configuration, real or not, to be measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from calibration.bench import Bench, Terms
from calibration.search import Searcher
from radio.air_config import Fading
from radio.capture import Capture
from radio.interface import Radio
from server.compose_plutos import open_radios, receiver_first, virtual_bench
from server.compose_simulated import simulated_radios
from server.config import Experiment

if TYPE_CHECKING:
    from sim_backend.air import Air


@contextmanager
def open_calibration(experiment: Experiment, on_capture: Callable[[Capture], None]) -> Iterator[Bench]:
    """Radios on, and off again whatever happens. RadioError if one cannot be had."""
    ofdm, radio = experiment.ofdm(), experiment.radio
    with ExitStack() as opened:
        receiver: Radio
        uris: Sequence[str] = ()
        transmitters: Mapping[int, Radio]
        if experiment.link.backend == "pluto":
            air = None if radio.uris else opened.enter_context(virtual_bench(experiment))
            uris = receiver_first(air.uris) if air else radio.uris
            receiver, transmitters = open_radios(experiment, opened, uris, air is not None)
        else:
            receiver, transmitters = simulated_radios(experiment, _air(experiment))
        bench = Bench(
            receiver,
            transmitters,
            Searcher(ofdm=ofdm, max_cfo_hz=1e-6 * radio.crystal_ppm * radio.center_hz),
            Terms(
                backoff_db=experiment.link.backoff_db,
                meeting_s=radio.meeting_s,
                shared_clock=radio.reference == "shared",
                uris=tuple(uris),
            ),
            on_capture,
        )
        opened.callback(bench.close)
        yield bench


def _air(experiment: Experiment) -> "Air":
    from sim_backend.air import Air
    from sim_backend.channel import BlockChannel
    from sim_backend.medium import BlockMedium, Medium, PathMedium

    link, air, seed = experiment.link, experiment.air, experiment.run.seed
    medium: Medium
    if air.has_paths:
        medium = PathMedium(experiment.law(), seed)
    else:
        block_len = round(link.round_s * experiment.radio.sample_rate_hz)
        medium = BlockMedium(
            BlockChannel(Fading(law=link.fading, rician_k_db=link.rician_k_db), air, seed, block_len)
        )
    return Air(medium, memory_s=1.0)
