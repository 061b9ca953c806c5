"""What lies between radios: who hears a burst how, as the air asks it. Two kinds: drawn paths, and block-flat gains."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from radio.impairments import Impairments
from radio.interface import RadioError, Samples
from radio.measured_air import AirLaw, known
from sim_backend.bands import Band
from sim_backend.chain import Burst, Heard, carry
from sim_backend.channel import BlockChannel
from sim_backend.interpolate import HALF
from sim_backend.link import propagate
from sim_backend.path import Path, draw_path

IN_STEP = {
    "clock": "shared",
    "max_clock_offset_ppm": 0.0,
    "drift_hz_per_root_s": 0.0,
    "separate_sample_clock": False,
    "sample_clock_offset_ppm": 0.0,
}


class Sent(NamedTuple):
    """A burst from index `start` of the clock of the radio at `port`; ports below 0 keep the air's own time.

    leg: what a medium of streams has to know of the settings under which it was sent.
    """

    port: int
    band: Band
    start: int
    samples: Samples
    leg: object = None


class Medium(Protocol):
    """Indices of senders count on their clocks, those of receivers on the air's, both at the sender's rate."""

    def margin(self, band: Band) -> int:
        """Samples that a burst must be ahead of the air's time, for no part of it to arrive in the past."""
        ...

    def clock(self, port: int, band: Band, index: int) -> int:
        """Reading of a radio's clock at the air's index, rounded up."""
        ...

    def keeps_time(self, port: int) -> bool:
        """Whether a radio's clock is the air's."""
        ...

    def check(self, sent: Sent) -> None:
        """Raise RadioError for a burst that cannot be."""
        ...

    def span(self, sent: Sent, receiver: int) -> tuple[int, int]:
        """First sample and one past the last that a receiver hears of a burst."""
        ...

    def carry(self, bursts: Sequence[Sent], receiver: int) -> list[Heard]:
        """What a receiver hears of each burst."""
        ...


class PathMedium:
    """Every pair of radios has its path, drawn or given."""

    def __init__(self, air: AirLaw, seed: int) -> None:
        self._air, self._seed = air, seed
        self._paths: dict[tuple[int, int, Band], Path] = {}

    def path(self, port: int, receiver: int, band: Band) -> Path:
        """From one radio to another; drawn once, always the same."""
        key = port, receiver, band
        if key not in self._paths:
            air = self._air
            if port < 0 and isinstance(air, Impairments):
                air = air.changed(**IN_STEP)
            self._paths[key] = draw_path(air, self._seed, port, *band, receiver)
        return self._paths[key]

    def margin(self, band: Band) -> int:
        """Half the interpolator's kernel, for each of the two that may ring, unless nothing is interpolated."""
        return 0 if self._air == Impairments() else 2 * HALF + 1

    def clock(self, port: int, band: Band, index: int) -> int:
        crystal = self.path(port, -1, band).crystal
        if crystal.keeps_time:
            return index
        return index + int(-(-crystal.leads(index, 1, band.sample_rate_hz)[0] // 1))

    def keeps_time(self, port: int) -> bool:
        _, impairments = known(self._air, port)
        return port < 0 or (impairments.clock == "shared" and impairments.sample_clock_offset_ppm == 0.0)

    def check(self, sent: Sent) -> None:
        """Any burst may be."""

    def span(self, sent: Sent, receiver: int) -> tuple[int, int]:
        return self.path(sent.port, receiver, sent.band).span(sent.start, len(sent.samples))

    def carry(self, bursts: Sequence[Sent], receiver: int) -> list[Heard]:
        return carry([Burst(self.path(b.port, receiver, b.band), b.samples, b.start) for b in bursts])


class BlockMedium:
    """Block-flat gain times a fixed profile, of a device to every receiver and back; perfect radios."""

    def __init__(self, channel: BlockChannel) -> None:
        self._channel = channel

    def margin(self, band: Band) -> int:
        """Nothing arrives early."""
        return 0

    def clock(self, port: int, band: Band, index: int) -> int:
        return index

    def keeps_time(self, port: int) -> bool:
        return True

    def check(self, sent: Sent) -> None:
        block = self._channel.block_len
        if sent.start // block != (sent.start + len(sent.samples) - 1) // block:
            raise RadioError(
                f"burst of device {sent.port} of {len(sent.samples)} samples from {sent.start} crosses a fading block "
                f"of {block}; raise link.round_s"
            )

    def span(self, sent: Sent, receiver: int) -> tuple[int, int]:
        return sent.start, sent.start + len(sent.samples) + len(
            self._channel.taps(_device(sent, receiver))
        ) - 1

    def carry(self, bursts: Sequence[Sent], receiver: int) -> list[Heard]:
        responses = [
            self._channel.gain(device, b.start // self._channel.block_len) * self._channel.taps(device)
            for b, device in ((b, _device(b, receiver)) for b in bursts)
        ]
        outputs = propagate([b.samples for b in bursts], responses)
        return [Heard(b.start, output) for b, output in zip(bursts, outputs, strict=True)]


def _device(sent: Sent, receiver: int) -> int:
    """Whose channel it is: the sender's, or the listener's where a receiver sends."""
    return sent.port if sent.port >= 0 else max(receiver, 0)
