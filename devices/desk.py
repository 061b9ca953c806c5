"""Requests to the devices of a process: worked off in the order they came, each device's one at a time, each once."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from devices.messages import Acknowledge, Failed, Reply
from devices.proxy import Handler
from devices.wire.envelope import NO_ROUND, Answer, Ask, seal
from devices.wire.json_log import about, event
from devices.wire.packing import Buffer, WireError, pack, unpack
from devices.wire.thinning import thin

_log = logging.getLogger(__name__)
Frames = list[Buffer]


@dataclass
class _Line:
    """Of one device. number: of the newest request; answer: to it, once there is one."""

    waiting: deque[tuple[Ask, Sequence[Buffer]]] = field(default_factory=deque)
    number: int = -1
    answer: Frames | None = None
    busy: bool = False


class Desk:
    """handlers: by device, guarded. on_answer: told of frames to send, from any worker."""

    def __init__(
        self, handlers: Mapping[int, Handler], pool: Executor, on_answer: Callable[[Frames], None]
    ) -> None:
        self._handlers, self._pool, self._on_answer = handlers, pool, on_answer
        self._lines = {device: _Line() for device in handlers}
        self._lock = threading.Lock()
        self._open = True

    def take(self, ask: Ask, arrays: Sequence[Buffer]) -> bool:
        """A request, or one again: its answer is then repeated and nothing done twice. False for one that is older
        than the newest, or to somebody else."""
        with self._lock:
            line = self._lines.get(ask.device)
            if line is None or ask.number < line.number:
                return False
            if ask.number == line.number:
                if line.answer is not None:
                    self._on_answer(line.answer)
                return True
            line.number, line.answer = ask.number, None
            line.waiting.append((ask, arrays))
            if not line.busy:
                line.busy = True
                self._pool.submit(self._work, line)
            return True

    @property
    def is_busy(self) -> bool:
        """Whether a device is at work."""
        with self._lock:
            return any(line.busy for line in self._lines.values())

    def close(self) -> None:
        """What waits is not begun, and what is begun is not answered any more."""
        with self._lock:
            self._open = False
            for line in self._lines.values():
                line.waiting.clear()

    def _work(self, line: _Line) -> None:
        while True:
            with self._lock:
                if not line.waiting:
                    line.busy = False
                    return
                ask, arrays = line.waiting.popleft()
            with about(round=None if ask.round == NO_ROUND else ask.round, device=ask.device):
                reply = self._reply(ask, arrays)
                if isinstance(reply, Failed):
                    _log.warning("%s", reply.reason, extra=event("device failed"))
            parcel, frames = pack(thin(reply))
            answer = seal(Answer(ask.run, ask.device, ask.number, ask.round, parcel), frames)
            with self._lock:
                if ask.number == line.number:
                    line.answer = answer
                if self._open:
                    self._on_answer(answer)

    def _reply(self, ask: Ask, arrays: Sequence[Buffer]) -> Reply:
        try:
            request = unpack(ask.parcel, arrays)
            if isinstance(request, Acknowledge):
                what = "delivered" if request.delivered else "not delivered"
                _log.info(what, extra=event("acknowledged", aloud=False, delivered=request.delivered))
            return self._handlers[ask.device](request)  # type: ignore[arg-type]
        except WireError as error:
            return Failed(f"device {ask.device}: a request that cannot be read: {error}")
        except Exception as error:  # a bug; the server is not to wait for its deadline to hear of it
            _log.exception("a bug", extra=event("bug"))
            return Failed(f"device {ask.device}, {ask.parcel.kind}: {type(error).__name__}: {error}")
