"""Devices that have radios of their own: what their agents would put on the air leaves there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from devices.messages import Reply, Request, Sent, Sound
from devices.proxy import Handler
from radio.interface import Burst, LateError, Radio, Samples
from radio.rebased import RebasedRadio
from radio.sounding import MeetingSlot

MEETING_TRIES = 3  # the clock that a meeting starts goes on while its burst is on the way to the radio


class OnAir:
    """handle: the agent's. A reply that nothing could be sent for is an exception of the radio's."""

    def __init__(self, handle: Handler, radio: Radio) -> None:
        self._handle, self._radio = handle, RebasedRadio(radio)

    def __call__(self, request: Request) -> Reply:
        """One reply a request, without samples: these are on the air, or will be at their instant. RadioError."""
        reply = self._handle(request)
        if not isinstance(reply, Sent):
            return reply
        if isinstance(request, Sound) and isinstance(request.slot, MeetingSlot):
            self._meet(reply)
        else:
            for burst in reply.emitted:
                self._radio.transmit(burst.samples, burst.start_index)
        return replace(reply, emitted=())

    def _meet(self, reply: Sent) -> None:
        self._radio.configure()  # a link that was lost is set up anew
        for last in (*[False] * (MEETING_TRIES - 1), True):
            self._radio.restart()
            try:
                for burst in reply.emitted:
                    self._radio.transmit(burst.samples, burst.start_index)
                return
            except LateError:
                if last:
                    raise


class OnEdge:
    """As `OnAir`, with a radio that an edge releases: what a reply has to send is armed, all of it for the next one."""

    def __init__(self, handle: Handler, radio: Radio) -> None:
        self._handle, self._radio = handle, radio

    def __call__(self, request: Request) -> Reply:
        """One reply a request, without samples. RadioError."""
        reply = self._handle(request)
        if not isinstance(reply, Sent) or not reply.emitted:
            return reply
        self._radio.configure()  # which begins the next edge's epoch, over a new link if the last was lost
        self._radio.transmit(joined(reply.emitted), self._radio.now())
        return replace(reply, emitted=())


def joined(bursts: Sequence[Burst]) -> Samples:
    """Bursts as one, from index 0 on, with silence between them."""
    samples = np.zeros(max(burst.start_index + len(burst.samples) for burst in bursts), dtype=np.complex64)
    for burst in bursts:
        samples[burst.start_index : burst.start_index + len(burst.samples)] = burst.samples
    return samples
