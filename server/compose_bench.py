"""Composition root of a bench: the radios of a configuration, real or not, to be measured, either way."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibration.bench import Bench, Terms
from calibration.search import Searcher
from radio.air_config import Fading
from radio.capture import Capture
from radio.interface import Radio
from server.compose_plutos import open_radios, receiver_first, virtual_bench
from server.compose_simulated import RECEIVER_PORT, simulated_radios
from server.config import Experiment

if TYPE_CHECKING:
    from sim_backend.air import Air

OnCapture = Callable[[Capture], None]


@dataclass(frozen=True)
class Site:
    """Where radios can be opened, time and again. uris: the receiver's first; of Plutos. air: of simulated radios."""

    experiment: Experiment
    uris: tuple[str, ...] = ()
    air: "Air | None" = None

    @property
    def is_simulated(self) -> bool:
        """Whether nothing is sent into the world."""
        return not self.experiment.radio.uris

    @property
    def always_both_ways(self) -> bool:
        """Whether the receiver may send unasked, and devices can hear it: those of one process only keep one time."""
        return self.is_simulated and (self.air is None or self.experiment.radio.reference == "shared")

    @contextmanager
    def bench(self, on_capture: OnCapture, back: int | None = None) -> Iterator[Bench]:
        """Radios on, and off again whatever happens. RadioError if one cannot be had.

        back: a device; it hears then, and the receiver sends in its place.
        """
        experiment, radio = self.experiment, self.experiment.radio
        with ExitStack() as opened:
            receiver, transmitters = self._simulated(back) if self.air else self._plutos(opened, back)
            bench = Bench(
                receiver,
                transmitters,
                Searcher(ofdm=experiment.ofdm(), max_cfo_hz=1e-6 * radio.crystal_ppm * radio.center_hz),
                Terms(
                    backoff_db=experiment.link.backoff_db,
                    meeting_s=radio.meeting_s,
                    shared_clock=radio.reference == "shared",
                    shared_start=self.air is not None and not experiment.air.start_offset_samples,
                    uris=self.uris,
                    **_gain_steps(experiment),
                ),
                on_capture,
            )
            opened.callback(bench.close)
            yield bench

    def _plutos(self, opened: ExitStack, back: int | None) -> tuple[Radio, Mapping[int, Radio]]:
        receiver, devices = self.uris[0], dict(enumerate(self.uris[1:]))
        if back is not None:
            receiver, devices = devices[back], {back: receiver}
        return open_radios(self.experiment, opened, receiver, devices, self.is_simulated)

    def _simulated(self, back: int | None) -> tuple[Radio, Mapping[int, Radio]]:
        assert self.air is not None
        if back is None:
            return simulated_radios(self.experiment, self.air)
        return simulated_radios(self.experiment, self.air, back, {back: RECEIVER_PORT})


@contextmanager
def open_site(experiment: Experiment) -> Iterator[Site]:
    """With the virtual Plutos that it needs, where it names none."""
    if experiment.link.backend != "pluto":
        yield Site(experiment, air=_air(experiment))
    elif experiment.radio.uris:
        yield Site(experiment, tuple(experiment.radio.uris))
    else:
        with virtual_bench(experiment) as air:
            yield Site(experiment, receiver_first(air.uris))


@contextmanager
def open_bench(experiment: Experiment, on_capture: OnCapture = lambda capture: None) -> Iterator[Bench]:
    """Of a site of its own, as its configuration says who sends."""
    with open_site(experiment) as site, site.bench(on_capture) as bench:
        yield bench


def _gain_steps(experiment: Experiment) -> dict[str, float]:
    """Of the transmitters' gain settings; simulated radios have none."""
    if experiment.link.backend != "pluto":
        return {}
    from radio.pluto_settings import MUTED_DB, TX_GAIN_STEP_DB

    return {"tx_gain_step_db": TX_GAIN_STEP_DB, "lowest_tx_gain_db": MUTED_DB}


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
