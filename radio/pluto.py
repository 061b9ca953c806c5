"""`PlutoRadio`: the Radio protocol over pyadi-iio, for ADALM-PLUTO and AD9361 boards, real or virtual.

Indices. A radio's transmit and receive streams each count their samples from their own opening, gaplessly within an
epoch; epoch e owns the indices from e * EPOCH_LEN. Stock firmware has no timestamps, so what transmit index arrives
at what receive index nobody can read off: a caller sounds. It transmits a known burst at transmit index a, finds it at
receive index b, and from then on index a + n arrives at b + n (1 + ppm of the two crystals) until an epoch ends. The
difference stays the same because neither stream ever has a gap; under- and overflow, retuning and a lost link end
the epoch for both.

Lead. A burst leaves the antenna after the blocks that were handed to the kernel before it: `tx_blocks` times
`block_s`, 80 ms by default, behind the sample that is assembled now. `now()` is a further `lead_s` ahead, 100 ms: so
long a caller may take between `now()` and `transmit()`.

Amplitudes: 1.0 is full scale of the transmitter (2^15 - 1) and of the receiver (2^11) alike.
"""

from types import TracebackType

import numpy as np

from radio.interface import FullScaleError, RadioConfig, RadioError, RadioStatus, Samples, check_full_scale
from radio.pluto_board import Board
from radio.pluto_link import RX_FULL_SCALE, TX_FULL_SCALE, connect
from radio.pluto_streams import Trigger
from radio.pluto_timeline import StreamShape
from radio.safety import SafetyLimits

TIMEOUT_S = 5.0
"""How long a board may leave a request or a block unanswered before the link counts as lost."""


class PlutoRadio:
    """One channel of a board; `open_pluto` and `open_ad9361` make it. Use it in a `with` block.

    `config.tx_gain_db` is minus the transmit attenuation (0 to -89.75, step 0.25), `rx_gain_db` the receiver's gain
    (step 1; always by hand), `xo_correction_hz` what the crystal is taken for (0: as the board has it).
    Every method raises LinkError (a RadioError) once the link is lost; `configure()` connects anew.
    """

    def __init__(self, board: Board, channel: int = 0, others: tuple["PlutoRadio", ...] = ()) -> None:
        self._board, self._channel, self._others = board, channel, others
        self._open = True

    @property
    def config(self) -> RadioConfig:
        """What the board holds, read back."""
        return self._board.configs[self._channel]

    def configure(self, **settings: float) -> RadioConfig:
        """Write settings, read back, compare. RadioError, SafetyError; the settings from before then hold.

        Gains change at once. Rate, carrier and crystal are the board's, so of both channels, and begin a new epoch,
        in which nothing is scheduled. On a lost link: connect anew, with the settings there were, in a new epoch. With
        an external trigger: begin the epoch of the next edge.
        """
        self._check_open()
        return self._board.configure(self._channel, settings)

    def status(self) -> RadioStatus:
        """Health. The counts are of both streams since opening."""
        self._check_open()
        return self._board.status()

    def now(self) -> int:
        """Earliest index at which a burst leaves if it is given within `lead_s`.

        Of a radio that does not transmit: `latest()`. With an external trigger: the edge.
        """
        self._check_open()
        return self._board.streams.now()

    def latest(self) -> int:
        """Receive index behind the newest sample: `receive(latest(), n, s)` waits for the next n."""
        self._check_open()
        return self._board.streams.latest()

    def transmit(self, samples: Samples, at: int) -> None:
        """Weave a burst into the stream; returns at once. Nothing is kept of what is refused.

        LateError, EpochError, FullScaleError, SafetyError (duty), RadioError for an overlap. An underflow later on
        voids it: `flush` raises then, and indices of its epoch are refused.
        """
        self._check_open()
        check_full_scale(samples)
        words = np.rint(samples.view(np.float32).reshape(-1, 2) * np.float32(TX_FULL_SCALE)).astype("<i2")
        self._board.streams.transmit(self._channel, words, at)

    def flush(self, at: int, deadline_s: float) -> None:
        """Wait until all samples before transmit index `at` have left, with nothing missing.

        EpochError if something was, TimeoutError. deadline_s: of wall time.
        """
        self._check_open()
        self._board.streams.flush(at, deadline_s)

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """Samples without a hole from receive index `at`; deadline_s: of wall time.

        TimeoutError, EpochError, OverrunError, FullScaleError if the converter saturated. While somebody waits here,
        virtual radios' time passes as fast as it can: schedule bursts first.
        """
        self._check_open()
        frames = self._board.streams.read(at, num_samples, deadline_s)
        words = frames[:, 2 * self._channel : 2 * self._channel + 2]
        clipped = int(np.count_nonzero((np.abs(words) >= RX_FULL_SCALE - 1).any(axis=1)))
        if clipped:
            raise FullScaleError(
                f"{self._board.name}: {clipped} of {num_samples} samples from {at} reach the converter's full scale; "
                f"lower rx_gain_db from {self.config.rx_gain_db:g}, or the power that arrives"
            )
        return (words.astype(np.float32) / np.float32(RX_FULL_SCALE)).view(np.complex64)[:, 0]

    def close(self) -> None:
        """Silent; twice is as good as once. The last channel's closing ends the connection.

        RadioError if the radio could not be made silent: see `python -m radio.silence`.
        """
        if not self._open:
            return
        self._open = False
        if any(other._open for other in self._others):
            self._board.close_channel(self._channel)
        else:
            self._board.close()

    def __enter__(self) -> "PlutoRadio":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if not self._open:
            raise RadioError(f"{self._board.name} is closed; open it again")
        self._board.check_open()


def open_pluto(
    uri: str,
    config: RadioConfig,
    limits: SafetyLimits | None = None,
    *,
    transmits: bool = True,
    receives: bool = True,
    trigger: Trigger = "none",
    shape: StreamShape | None = None,
    timeout_s: float = TIMEOUT_S,
) -> PlutoRadio:
    """A Pluto at a libiio URI such as "ip:192.168.2.1", silent until the first burst.

    limits: None allows nothing, so only receiving. Raises SafetyError, LinkError, RadioError; then it is closed.
    """
    board = Board(
        lambda: connect(uri, 1, timeout_s),
        uri,
        (config,),
        limits or SafetyLimits(),
        transmits=transmits,
        receives=receives,
        trigger=trigger,
        shape=shape or StreamShape(),
        timeout_s=timeout_s,
    )
    return PlutoRadio(board)


def open_ad9361(
    uri: str,
    configs: tuple[RadioConfig, RadioConfig],
    limits: SafetyLimits | None = None,
    *,
    transmits: bool = True,
    receives: bool = True,
    shape: StreamShape | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[PlutoRadio, PlutoRadio]:
    """The two coherent channels of an AD9361 as two radios on one clock: their indices mean the same instants.

    configs may differ in gains only. Each is closed by itself. Raises as `open_pluto`.
    """
    first, second = configs
    for name in ("sample_rate_hz", "center_hz", "xo_correction_hz"):
        if getattr(first, name) != getattr(second, name):
            raise ValueError(
                f"{uri}: both channels of an AD9361 have one {name}; got {getattr(first, name):g} and "
                f"{getattr(second, name):g}"
            )
    board = Board(
        lambda: connect(uri, 2, timeout_s),
        uri,
        configs,
        limits or SafetyLimits(),
        transmits=transmits,
        receives=receives,
        trigger="none",
        shape=shape or StreamShape(),
        timeout_s=timeout_s,
    )
    one, two = PlutoRadio(board, 0), PlutoRadio(board, 1)
    one._others, two._others = (two,), (one,)
    return one, two
