"""What a device sent, on its way to the server: the entries that are not 0, where these are few.

A sparsified update has 4 % of them. The bits are those of the whole: a negative zero counts as an entry.
"""

from dataclasses import replace

import numpy as np

from devices.messages import Reply, Sent

WORTH = 3  # an entry with its place takes two words or three, and to find it takes time


def thin(reply: Reply) -> Reply:
    """The same reply, `sent` by its entries alone where that is shorter."""
    if not isinstance(reply, Sent) or reply.sent is None or reply.places is not None:
        return reply
    bits = reply.sent.view(np.uint32 if reply.sent.itemsize == 4 else np.uint64)
    places = np.flatnonzero(bits).astype(np.int32)
    if WORTH * len(places) > len(reply.sent):
        return reply
    return replace(reply, sent=reply.sent[places], places=places)


def whole(reply: Reply, dimension: int) -> Reply:
    """Inverse of `thin`. dimension: of `sent`; its places were checked before."""
    if not isinstance(reply, Sent) or reply.sent is None or reply.places is None:
        return reply
    sent = np.zeros(dimension, dtype=reply.sent.dtype)
    sent[reply.places] = reply.sent
    return replace(reply, sent=sent, places=None)
