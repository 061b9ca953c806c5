"""What each device remembers, as its server knows it: so a device process that was lost begins where it was.

A device states what its memory will be before the server decides: `kept` with its update, `left` with what it sent. The
decision, `Acknowledge`, makes one of them the memory, whether or not the device hears of it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from devices import messages
from devices.messages import Reply, Request

Memory = NDArray[np.float32]


@dataclass
class _Pending:
    """A device's round in hand."""

    round: int
    kept: Memory
    left: Memory | None = None


@dataclass
class Ledger:
    """Of all training devices. Memories that nobody wrote yet are zero, which a fresh device's are too."""

    memories: dict[int, Memory] = field(default_factory=dict)
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _dimension: int | None = None

    def memory(self, device: int) -> Memory | None:
        """What it remembers, whether or not it is there to say so; None as long as nobody knows how long that is."""
        if device in self.memories or self._dimension is None:
            return self.memories.get(device)
        return np.zeros(self._dimension, np.float32)

    def asked(self, device: int, request: Request) -> None:
        """Before a request goes out: an acknowledgement holds from then on, and so does a memory that is restored."""
        match request:
            case messages.Acknowledge(index, delivered):
                pending = self._pending.pop(device, None)
                if pending is not None and pending.round == index:
                    keep_sent = delivered and pending.left is not None
                    self.memories[device] = pending.left if keep_sent else pending.kept  # type: ignore[assignment]
            case messages.Memory(values):
                self._pending.pop(device, None)
                self.memories[device] = values

    def answered(self, device: int, request: Request, reply: Reply) -> None:
        """After a reply that was accepted."""
        match request, reply:
            case messages.Initialise(), messages.Initial(theta):
                self._dimension = len(theta)
            case messages.Train(), messages.Trained(_, update, kept):
                outcome = update if kept is None else kept
                assert outcome is not None  # or it had not been accepted
                self._pending[device] = _Pending(request.round, outcome.astype(np.float32))
            case messages.Transmit(plan), messages.Sent(sent=sent, left=left):
                pending = self._pending.get(device)
                if pending is not None and pending.round == plan.round:
                    if (
                        left is None and sent is not None
                    ):  # the update is kept, so the device leaves the same bits
                        left = (pending.kept - sent).astype(np.float32)
                    pending.left = left
            case messages.Save(), messages.Memory(values):
                self.memories[device] = values
