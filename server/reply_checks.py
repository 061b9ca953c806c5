"""Whether a reply from another process can be one to its request: kind, lengths, and nothing that is no number."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from devices import messages
from devices.messages import Reply, Request

REPLIES: dict[type, type] = {
    messages.Initialise: messages.Initial,
    messages.Train: messages.Trained,
    messages.Sound: messages.Sent,
    messages.Prepare: messages.Prepared,
    messages.Transmit: messages.Sent,
    messages.Acknowledge: messages.Done,
    messages.Probe: messages.Probed,
    messages.Evaluate: messages.Scores,
    messages.Save: messages.Memory,
    messages.Memory: messages.Done,
}
NO_ROUND = -1


def round_of(request: Request) -> int:
    """The round that a request belongs to, NO_ROUND for none."""
    match request:
        case messages.Train() | messages.Acknowledge():
            return request.round
        case messages.Sound(slot):
            return slot.round
        case messages.Prepare(draft, _):
            return draft.round
        case messages.Transmit(plan):
            return plan.round
        case _:
            return NO_ROUND


def fault_of(request: Request, reply: Reply) -> str | None:
    """What is wrong with a reply, in a few words; None for one that can be used. Failed is a proper reply."""
    if isinstance(reply, messages.Failed):
        return None
    wanted = REPLIES[type(request)]
    if type(reply) is not wanted:
        return f"answered with {type(reply).__name__}, {wanted.__name__} is due"
    return next((fault for fault in _faults(request, reply) if fault is not None), None)


def _faults(request: Request, reply: Reply) -> Iterator[str | None]:
    match request, reply:
        case messages.Train(), messages.Trained():
            yield _number("its norm", reply.update_norm2)
            if reply.update is None and reply.kept is None:
                yield "gives neither its update nor what it keeps"
            for name, values in (("its update", reply.update), ("what it keeps", reply.kept)):
                yield _array(name, values, len(request.theta))
        case messages.Sound(), messages.Sent():
            for burst in reply.emitted:
                yield _array("a burst", burst.samples)
        case messages.Prepare(), messages.Prepared():
            yield _number("its power", reply.power)
            yield _number("its peak", reply.peak)
            yield _number("its energy", reply.sent_norm2)
        case messages.Transmit(plan), messages.Sent():
            for burst in reply.emitted:
                yield _array("a burst", burst.samples)
            yield _array("its amplitudes", reply.amplitudes, plan.num_elements)
            yield _places(reply, plan.dimension)
            yield _array(
                "what it sent", reply.sent, plan.dimension if reply.places is None else len(reply.places)
            )
            yield _array("what it leaves", reply.left, plan.dimension)
            if reply.left is None and reply.sent is None:
                yield "says neither what it sent nor what it leaves"
            num_packed = 8 * len(reply.bits) if reply.bits is not None else 0
            if not 0 <= reply.num_bits <= num_packed:
                yield f"says {reply.num_bits} bits where {num_packed} came"
            if plan.num_elements == 0 and reply.bits is None:
                yield "sends no bits where nothing is on the air"
        case messages.Probe(), messages.Probed():
            yield _array("its gradient", reply.gradient, len(request.theta))
            yield None if math.isfinite(reply.loss) else "its loss is no number"
        case messages.Evaluate(), messages.Scores():
            columns = (reply.loss_before, reply.loss_after, reply.accuracy_before, reply.accuracy_after)
            if {len(column) for column in columns} != {len(request.tasks)}:
                yield f"scores {[len(column) for column in columns]} tasks, {len(request.tasks)} are due"
            if not all(0.0 <= value <= 1.0 for column in columns[2:] for value in column):
                yield "gives an accuracy outside 0 to 1"
        case _, messages.Initial(values) | messages.Memory(values):
            yield _array("its parameters", values)


def _places(reply: messages.Sent, dimension: int) -> str | None:
    places = reply.places
    if places is None or len(places) == 0:
        return None
    if places.ndim != 1 or (np.diff(places) <= 0).any() or not 0 <= places[0] <= places[-1] < dimension:
        return f"what it sent lies at places that do not rise within {dimension}"
    return None


def _number(name: str, value: float) -> str | None:
    return None if 0.0 <= value < math.inf else f"{name} is {value}"


def _array(name: str, values: Any, length: int | None = None) -> str | None:
    if values is None:
        return None
    if values.ndim != 1 or (length is not None and len(values) != length):
        return f"{name} has shape {values.shape}, ({'any' if length is None else length},) is due"
    return None if np.isfinite(values).all() else f"{name} holds what is no number"
