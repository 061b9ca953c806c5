"""What the driver needs of pyadi-iio and libiio: one connection to a board, its attributes, its sample buffers.

libiio's hazards end here. A buffer must be destroyed before its context, or the process dies in libiio's own code; an
exception's traceback can keep either alive. So both are destroyed by hand, and what libiio raises is turned into a
`RadioError` that does not refer to it. After a time-out a late answer would be taken for the next one's: any failure
of the transport therefore ends the link.
"""

import errno
import threading
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from radio.interface import RadioError

T = TypeVar("T")
Frames = NDArray[np.int16]  # (num_samples, 2 num_channels): I and Q of each channel in turn
Direction = Literal["transmit", "receive"]

TX_FULL_SCALE = 2**15 - 1  # le:S16/16>>0, the top 12 bits reach the converter
RX_FULL_SCALE = 2**11  # le:S12/16>>0, sign-extended into int16
STATUS_REGISTER = 0x8000_0088  # of a data device's FPGA core; a bit is cleared by writing 1
STATUS_BITS = {"transmit": 1 << 0, "receive": 1 << 2}  # underflow, overflow
REFUSALS = frozenset({errno.EINVAL, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ERANGE, errno.EOPNOTSUPP,
                      errno.ENOSYS, errno.EBUSY, errno.ENXIO})  # fmt: skip
TDD_DEVICE = "iio-axi-tdd-0"


class LinkError(RadioError):
    """The connection to a radio is lost, or was never there."""


class SampleBuffer:
    """Kernel blocks of one direction. destroy: libiio's own function, on the pointer."""

    def __init__(
        self, link: "Link", direction: Direction, buffer: Any, destroy: Callable[[Any], None]
    ) -> None:
        self._link, self._direction, self._buffer, self._destroy = link, direction, buffer, destroy

    def push(self, frames: Frames) -> None:
        """Waits for a free block, at most the link's time-out. LinkError."""
        self._call(
            "no room for a block",
            lambda: (self._buffer.write(frames.data.cast("B")), self._buffer.push()),
        )

    def refill(self) -> Frames:
        """Waits for a block, at most the link's time-out. LinkError."""
        data = self._call("no block", lambda: (self._buffer.refill(), self._buffer.read())[1])
        return np.frombuffer(data, dtype="<i2").reshape(-1, 2 * self._link.num_channels)

    def cancel(self) -> None:
        """Ends a push or refill in another thread, now."""
        if self._buffer._buffer is not None:
            self._buffer.cancel()

    def destroy(self) -> None:
        """Stops the stream. No other thread may use the buffer. Twice is as good as once."""
        pointer, self._buffer._buffer = self._buffer._buffer, None
        if pointer is not None:
            self._destroy(pointer)

    def abandon(self) -> None:
        """Never destroyed, not by the garbage collector either."""
        self._buffer._buffer = None

    def _call(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except OSError as error:
            said = _say(error)
        raise LinkError(
            f"{self._link.uri}: {self._direction} stream broke ({what} within {self._link.timeout_s:g} s: {said}); "
            "see that the radio is there, then configure() connects anew"
        )


class Link:
    """sdr: an `adi.Pluto` or `adi.ad9361`. Everything but `close` may be called from any thread until it was closed."""

    def __init__(self, sdr: Any, libiio: Any, uri: str, num_channels: int, timeout_s: float) -> None:
        self._sdr, self._libiio = sdr, libiio
        self.uri, self.num_channels, self.timeout_s = uri, num_channels, timeout_s
        self._lock = threading.Lock()
        self._buffers: list[SampleBuffer] = []
        self.attributes: dict[str, str] = dict(sdr.ctx.attrs)

    def get(self, name: str) -> Any:
        """A property of pyadi-iio by name, or one of `EXTRAS`."""
        return self._ask(name, EXTRAS[name][0] if name in EXTRAS else lambda sdr: getattr(sdr, name))

    def set(self, name: str, value: Any) -> None:
        """RadioError if the board refuses the value, LinkError if it does not answer."""
        if name in EXTRAS:
            self._ask(f"{name} = {value}", lambda sdr: EXTRAS[name][1](sdr, value))
        else:
            self._ask(f"{name} = {value}", lambda sdr: setattr(sdr, name, value))

    def open_buffer(self, direction: Direction, block_len: int, num_blocks: int) -> SampleBuffer:
        """Every channel takes part. RadioError if another program has the buffer."""

        def opening(sdr: Any) -> Any:
            device = sdr._txdac if direction == "transmit" else sdr._rxadc
            names = sdr._tx_channel_names if direction == "transmit" else sdr._rx_channel_names
            for name in names:
                device.find_channel(name, direction == "transmit").enabled = True
            if device.set_kernel_buffers_count(num_blocks) < 0:
                raise OSError(errno.EBUSY, f"{num_blocks} kernel buffers refused")
            return self._libiio.Buffer(device, block_len, False)

        raw = self._ask(f"opening the {direction} buffer", opening)
        buffer = SampleBuffer(self, direction, raw, self._libiio._buffer_destroy)
        self._buffers.append(buffer)
        return buffer

    def take_flag(self, direction: Direction) -> bool:
        """Whether samples were missing (transmit) or lost (receive) since the last look; clears it."""

        def taking(sdr: Any) -> bool:
            device = sdr._txdac if direction == "transmit" else sdr._rxadc
            if not device.reg_read(STATUS_REGISTER) & STATUS_BITS[direction]:
                return False
            device.reg_write(STATUS_REGISTER, STATUS_BITS[direction])
            return True

        return self._ask(f"the {direction} status register", taking)

    def has_trigger(self) -> bool:
        """Whether the firmware has the frame engine."""
        return bool(self._ask("the frame engine", lambda sdr: sdr.ctx.find_device(TDD_DEVICE) is not None))

    def write_trigger(self, channel: str | None, name: str, value: int) -> None:
        """An attribute of the frame engine or of one of its channels.

        Not through `adi.tddn`: that opens a context of its own, and keeps its channels in a list that all instances
        share, so that the second radio's would be the first one's.
        """

        def writing(sdr: Any) -> None:
            device = sdr.ctx.find_device(TDD_DEVICE)
            attributes = device.attrs if channel is None else device.find_channel(channel, True).attrs
            attributes[name].value = str(value)

        self._ask(f"{TDD_DEVICE} {channel or ''} {name} = {value}", writing)

    def close(self) -> None:
        """Buffers first, then the context; threads that use them must have ended. Twice is as good as once."""
        for buffer in self._buffers:
            buffer.destroy()
        with self._lock:
            sdr, self._sdr = self._sdr, None
        if sdr is None:
            return
        context = sdr.ctx
        pointer, context._context = context._context, None
        self._libiio._destroy(pointer)

    def abandon(self) -> None:
        """Where a thread is stuck in libiio: nothing is freed under it. The connection ends with the process."""
        for buffer in self._buffers:
            buffer.abandon()
        with self._lock:
            sdr, self._sdr = self._sdr, None
        if sdr is not None:
            sdr.ctx._context = None

    def _ask(self, what: str, call: Callable[[Any], T]) -> T:
        with self._lock:
            if self._sdr is None:
                raise LinkError(f"{self.uri}: the connection is closed")
            try:
                return call(self._sdr)
            except OSError as error:
                said, refused = _say(error), error.errno in REFUSALS
            except (KeyError, AttributeError, ValueError, IndexError) as error:
                said, refused = f"{type(error).__name__}: {error}", True
        if refused:
            raise RadioError(f"{self.uri}: refuses {what} ({said})")
        raise LinkError(
            f"{self.uri}: no answer to {what} within {self.timeout_s:g} s ({said}); see that the radio is there, then "
            "configure() connects anew"
        )


def _set_powerdown(channel: str) -> Callable[[Any, Any], None]:
    return lambda sdr, value: sdr._set_iio_attr(channel, "powerdown", True, int(value))


EXTRAS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    "tx_lo_powerdown": (
        lambda sdr: sdr._get_iio_attr("altvoltage1", "powerdown", True),
        _set_powerdown("altvoltage1"),
    ),
    "xo_correction": (
        lambda sdr: sdr._get_iio_dev_attr("xo_correction"),
        lambda sdr, value: sdr._set_iio_dev_attr("xo_correction", int(value)),
    ),
    "ensm_mode": (
        lambda sdr: sdr._get_iio_dev_attr_str("ensm_mode"),
        lambda sdr, value: sdr._set_iio_dev_attr_str("ensm_mode", value),
    ),
    "dds_scales": (
        lambda sdr: max(float(scale) for scale in sdr.dds_scales),
        lambda sdr, value: setattr(sdr, "dds_scales", [value] * len(sdr.dds_scales)),
    ),
    "dds_enabled": (
        lambda sdr: max(int(raw) for raw in sdr.dds_enabled),
        lambda sdr, value: setattr(sdr, "dds_enabled", [value] * len(sdr.dds_enabled)),
    ),
    "rx_stream_rate": (
        lambda sdr: sdr._get_iio_attr("voltage0", "sampling_frequency", False, sdr._rxadc),
        lambda sdr, value: sdr._set_iio_attr("voltage0", "sampling_frequency", False, int(value), sdr._rxadc),
    ),
    "tx_stream_rate": (
        lambda sdr: sdr._get_iio_attr("voltage0", "sampling_frequency", True, sdr._txdac),
        lambda sdr, value: sdr._set_iio_attr("voltage0", "sampling_frequency", True, int(value), sdr._txdac),
    ),
    "temperature": (lambda sdr: sdr._get_iio_attr("temp0", "input", False) / 1e3, lambda sdr, value: None),
}  # what pyadi-iio has no property for: how to read and how to write it


def connect(uri: str, num_channels: int, timeout_s: float) -> Link:
    """LinkError if nothing answers there; RadioError if pyadi-iio or libiio is not installed.

    num_channels: 1 opens an `adi.Pluto`, 2 an `adi.ad9361`.
    """
    try:
        import adi
        import iio
    except (ImportError, OSError, AttributeError) as error:  # pylibiio without libiio: an AttributeError
        raise RadioError(
            f"a Pluto needs pyadi-iio and libiio ({error}); pip install 'airmeta[radio]' and apt-get install libiio0"
        ) from None
    failure = ""
    try:
        sdr = (adi.Pluto if num_channels == 1 else adi.ad9361)(uri)
        sdr.ctx.set_timeout(round(1e3 * timeout_s))
    except Exception as error:  # pyadi-iio raises nothing finer
        failure = str(error)
    if failure:
        raise LinkError(
            f"no Pluto answers at {uri} ({failure}); see that it is plugged in and that iio_info -u {uri} lists it"
        )
    return Link(sdr, iio, uri, num_channels, timeout_s)


def _say(error: OSError) -> str:
    return f"{error.strerror or error} [{errno.errorcode.get(error.errno or 0, error.errno)}]"
