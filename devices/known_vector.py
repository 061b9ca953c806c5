"""A device that learns nothing: its update is a vector that everybody knows, for trials of the way to the server."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from devices import messages
from devices.messages import Reply, Request
from devices.sender import Sender
from radio.channel_state import ChannelState
from radio.seeds import Use, stream


@dataclass
class KnownVector:
    """seed, dimension: of its vectors, standard normal, a new one each round."""

    sender: Sender
    seed: int
    dimension: int
    _channel: ChannelState | None = field(init=False, default=None)

    def handle(self, request: Request) -> Reply:
        """One reply a request, of those that a round has. Raises ValueError for a request out of turn."""
        match request:
            case messages.Initialise():
                return messages.Initial(np.zeros(self.dimension, dtype=np.float32))
            case messages.Train(index):
                update = self.update(index)
                return messages.Trained(float(np.dot(update, update)), update)
            case messages.Sound(slot):
                return messages.Sent(self.sender.sounding(slot))
            case messages.Prepare(draft, channel):
                self._channel = channel
                return self.sender.prepare(draft, self.update(draft.round), channel)
            case messages.Transmit(plan):
                if self._channel is None:
                    raise ValueError(f"no channel is known in round {plan.round}; prepare first")
                return self.sender.transmit(plan, self.update(plan.round), self._channel)[0]
            case messages.Acknowledge():
                self._channel = None
                return messages.Done()
            case _:
                raise ValueError(f"a known vector has no answer to {type(request).__name__}")

    def update(self, index: int) -> NDArray[np.float32]:
        """(dimension,) of a round."""
        rng = stream(self.seed, Use.KNOWN_VECTOR, self.sender.device, index)
        return rng.standard_normal(self.dimension, dtype=np.float32)
