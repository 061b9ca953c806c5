"""Bursts that an edge releases: the frame engine of firmware 0.39 and later holds the transmit DMA back until it comes.

One line from a common source goes to every radio's trigger input, and all of them start at the same edge to within a
sample. Index 0 of an epoch is that edge, so each edge needs an epoch of its own: `configure()` begins one, `transmit`
arms it. Whether the edge has come the radio cannot tell; the receiver hears it.
"""

from radio.interface import LateError, RadioError
from radio.pluto_link import TDD_DEVICE, Frames, Link, SampleBuffer
from radio.pluto_timeline import ALIGNMENT, Timeline
from radio.pluto_tx import TxSchedule

TX_GATE = "channel2"  # of the frame engine: the transmit DMA's start; channel1 is the receive DMA's
GATE_CYCLES = 10  # how long the gate is open: the DMA starts at its rise
TAIL = ALIGNMENT  # zeros at the end: the converter repeats the last sample


class TriggeredTx:
    """Stands where `TxFeed` stands. One burst a channel and epoch."""

    def __init__(self, link: Link, timeline: Timeline, first: int) -> None:
        if not link.has_trigger():
            raise RadioError(
                f"{link.uri}: the firmware ({link.attributes.get('fw_version', 'unknown')}) has no {TDD_DEVICE}, so "
                'trigger = "external" is not possible; install firmware 0.39 or later, or set trigger = "none"'
            )
        self._link, self._timeline = link, timeline
        self._buffer: SampleBuffer | None = None
        self.next = self.begin = first
        self.ready = True
        self.underflows = 0  # the DMA ends after its burst: dry is what it is meant to be
        timeline.watch(self._begin_epoch)

    @property
    def earliest(self) -> int:
        """The edge."""
        return self.begin

    def check(self, channel: int, start: int, num_samples: int) -> None:
        """LateError, or RadioError if this epoch's burst is armed already."""
        name, index = self._timeline.name, self._timeline.index
        if start < self.begin:
            raise LateError(f"{name}: burst at {index(start)} is late, the edge is {index(self.begin)}")
        if self._buffer is not None:
            raise RadioError(
                f"{name}: the burst of epoch {self._timeline.epoch} is armed; configure() begins the next"
            )

    def add(self, channel: int, start: int, words: Frames) -> None:
        """Arm: from here on the next edge releases the burst."""
        offset = start - self.begin
        length = -(-(offset + len(words) + TAIL) // ALIGNMENT) * ALIGNMENT
        schedule = TxSchedule(self._link.num_channels)
        schedule.add(channel, offset, words)
        write = self._link.write_trigger
        write(None, "enable", 0)
        for name, value in (("frame_length_raw", length + GATE_CYCLES), ("burst_count", 1), ("startup_delay_raw", 0),
                            ("sync_internal", 0), ("sync_external", 1)):  # fmt: skip
            write(None, name, value)
        for name, value in (("polarity", 0), ("on_raw", 0), ("off_raw", GATE_CYCLES), ("enable", 1)):
            write(TX_GATE, name, value)
        write(None, "enable", 1)  # before the samples: the gate is shut when they arrive
        self._buffer = self._link.open_buffer("transmit", length, 2)
        self._buffer.push(schedule.render(0, length))

    def cancel(self, channel: int) -> None:
        """Disarm."""
        self._disarm()

    def flush(self, at: int, deadline_s: float) -> None:
        """Nothing says when an edge has come."""
        raise RadioError(f"{self._timeline.name}: with an external trigger a radio cannot tell what has left")

    def stop(self) -> None:
        """Twice is as good as once."""
        self._disarm()

    def _disarm(self) -> None:
        if self._buffer is None:
            return
        buffer, self._buffer = self._buffer, None
        buffer.cancel()
        buffer.destroy()
        self._link.write_trigger(None, "enable", 0)

    def _begin_epoch(self) -> None:
        self._disarm()
