"""What stands behind a virtual Pluto's antenna: the Protocol, and an engine in memory without air or time."""

import threading
from collections import deque
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sim_backend.iiod_target import Buffer
from sim_backend.pluto_settings import PlutoSettings

Frames = NDArray[np.int16]  # (num_samples, elements): I and Q of each channel in turn


class Flags(NamedTuple):
    """What the status registers show until it is cleared."""

    underflow: bool = False
    overflow: bool = False


class Engine(Protocol):
    """Samples as the converters have them: int16, rx within +-2048, tx MSB-aligned (the lower 4 bits do not count).

    Called from many threads. `elements` are the scan elements that take part, in order: 0 is I, 1 is Q of the first
    channel, 2 and 3 of the second. Buffers move bytes of such frames, little-endian.
    """

    def configure(self, settings: PlutoSettings) -> None:
        """Before anything else, and after each change. OSError refuses the change."""
        ...

    def open_rx(self, num_samples: int, elements: tuple[int, ...], num_blocks: int) -> Buffer:
        """Start to receive into a ring of `num_blocks` blocks of `num_samples` frames."""
        ...

    def open_tx(self, num_samples: int, elements: tuple[int, ...], num_blocks: int, cyclic: bool) -> Buffer:
        """cyclic: the one block that is written repeats until the buffer is closed."""
        ...

    def trigger(self) -> None:
        """A software pulse at the frame engine's sync."""
        ...

    def is_running(self) -> bool:
        """Whether frames run: a pulse has come since the frame engine was enabled, and they have not ended."""
        ...

    def flags(self) -> Flags:
        """Since the last `clear`."""
        ...

    def clear(self, flags: Flags) -> None:
        """Those that are set in `flags`."""
        ...

    def temperature_c(self) -> float:
        """Of the transceiver."""
        ...

    def rssi_db(self, channel: int) -> float:
        """As the chip shows it: dB below full scale at the antenna, larger is weaker."""
        ...

    def rx_gain_db(self, channel: int) -> float:
        """What the gain control has chosen, where it is not manual."""
        ...


class MemoryEngine:
    """A cable inside the chip: with loopback 1 what is sent is received, bit by bit; otherwise zeros, or a ramp.

    Time passes only as samples are received; a block that does not fit the queue pushes the oldest one out.
    """

    def __init__(self, ramp: bool = False) -> None:
        self._ramp = ramp
        self._lock = threading.Lock()
        self._settings: PlutoSettings | None = None
        self._queue: deque[Frames] = deque()
        self._cyclic = False
        self._sending = False
        self._offset = 0  # of the next frame to be sent in the first block
        self._received = 0
        self._flags = Flags()
        self._running = False
        self.triggers = 0

    def configure(self, settings: PlutoSettings) -> None:
        """Only the loopback matters here, and whether frames are enabled."""
        self._running &= settings.tdd.enabled
        self._settings = settings

    def open_rx(self, num_samples: int, elements: tuple[int, ...], num_blocks: int) -> Buffer:
        """Never waits."""
        return _MemoryRx(self, elements)

    def open_tx(self, num_samples: int, elements: tuple[int, ...], num_blocks: int, cyclic: bool) -> Buffer:
        """Never waits."""
        with self._lock:
            self._queue, self._offset, self._cyclic = deque(maxlen=1 if cyclic else num_blocks), 0, cyclic
        return _MemoryTx(self, elements)

    def trigger(self) -> None:
        """Counted."""
        self.triggers += 1
        self._running = True

    def is_running(self) -> bool:
        """Frames never end."""
        return self._running

    def flags(self) -> Flags:
        """Underflow: more was received than had been sent."""
        return self._flags

    def clear(self, flags: Flags) -> None:
        """Those that are set in `flags`."""
        kept = (mine and not cleared for mine, cleared in zip(self._flags, flags, strict=True))
        self._flags = Flags(*kept)

    def temperature_c(self) -> float:
        """A bench at rest."""
        return 36.842

    def rssi_db(self, channel: int) -> float:
        """Nothing is heard."""
        return 115.0

    def rx_gain_db(self, channel: int) -> float:
        """With nothing to hear the gain control is at its end."""
        return 77.0

    def push(self, frames: Frames) -> None:
        """Queue a block."""
        with self._lock:
            if len(self._queue) == self._queue.maxlen:
                self._offset = 0
            self._queue.append(frames)
            self._sending = True

    def stop(self) -> None:
        """What was queued is gone."""
        with self._lock:
            self._queue.clear()
            self._sending = False

    def pull(self, num_samples: int, elements: tuple[int, ...]) -> Frames:
        """The next frames at the receiver."""
        with self._lock:
            if self._settings is not None and self._settings.loopback == 1:
                return (self._sent(num_samples) >> 4)[:, elements]
            frames = np.zeros((num_samples, len(elements)), dtype="<i2")
            if self._ramp:
                counts = np.arange(self._received, self._received + num_samples)
                frames += (counts % 4096 - 2048).astype(np.int16)[:, None]
                self._received += num_samples
            return frames

    def _sent(self, num_samples: int) -> Frames:
        frames = np.zeros((num_samples, 4), dtype="<i2")
        have = 0
        while have < num_samples and self._queue:
            block = self._queue[0][self._offset :][: num_samples - have]
            frames[have : have + len(block)] = block
            have += len(block)
            self._offset += len(block)
            if self._offset == len(self._queue[0]):
                self._offset = 0
                if not self._cyclic:
                    self._queue.popleft()
        if self._sending and have < num_samples:
            self._flags = self._flags._replace(underflow=True)
        return frames


class _MemoryRx:
    def __init__(self, engine: MemoryEngine, elements: tuple[int, ...]) -> None:
        self._engine, self._elements = engine, elements

    def read(self, num_bytes: int, timeout_s: float) -> memoryview:
        frames = self._engine.pull(num_bytes // (2 * len(self._elements)), self._elements)
        return np.ascontiguousarray(frames).data.cast("B")

    def write(self, block: bytearray, timeout_s: float) -> None:
        raise OSError(9, "a receiver")

    def close(self) -> None:
        return


class _MemoryTx:
    def __init__(self, engine: MemoryEngine, elements: tuple[int, ...]) -> None:
        self._engine, self._elements = engine, elements

    def read(self, num_bytes: int, timeout_s: float) -> memoryview:
        raise OSError(9, "a transmitter")

    def write(self, block: bytearray, timeout_s: float) -> None:
        given = np.frombuffer(block[: len(block) - len(block) % (2 * len(self._elements))], dtype="<i2")
        frames = np.zeros((len(given) // len(self._elements), 4), dtype="<i2")
        frames[:, self._elements] = given.reshape(-1, len(self._elements))
        self._engine.push(frames)

    def close(self) -> None:
        self._engine.stop()
