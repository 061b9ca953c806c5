"""The air: bursts of many transmitters, each through its own link, superposed at a receiver with its noise.

    y[n] = sum_i (h_i * x_i)[n] + w[n]

Indices here count samples of the air's own clock, which starts at 0 and advances only when someone receives.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.interface import LateError, OverrunError, RadioError, Samples, check_full_scale
from radio.seeds import Use, stream
from sim_backend.channel import BlockChannel
from sim_backend.link import propagate

NOISE_BLOCK = 1 << 14  # noise is drawn in blocks of this many samples, each from its own stream


@dataclass
class _Burst:
    device: int
    start: int
    samples: Samples
    received: Samples | None = None  # after the link; computed when first heard


class Air:
    """One shared medium. noise_variance: E|w|^2 of a received sample, full scale = 1.

    memory_samples: how far back a receiver may ask.
    """

    def __init__(self, channel: BlockChannel, noise_variance: float, seed: int, memory_samples: int) -> None:
        self._channel, self._seed = channel, seed
        self._noise_scale = np.float32(np.sqrt(noise_variance / 2.0))
        self._memory = memory_samples
        self._bursts: list[_Burst] = []
        self.now = 0

    def transmit(self, device: int, samples: Samples, at: int) -> None:
        """Put a burst of a device on the air from index `at`."""
        check_full_scale(samples)
        if at < self.now:
            raise LateError(f"burst of device {device} was to start at {at}, the air is at {self.now}")
        block = self._channel.block_len
        if at // block != (at + len(samples) - 1) // block:
            raise RadioError(
                f"burst of device {device} of {len(samples)} samples from {at} crosses a fading block of {block}; "
                "raise link.round_s"
            )
        for other in self._bursts:
            if (
                other.device == device
                and at < other.start + len(other.samples)
                and other.start < at + len(samples)
            ):
                raise RadioError(f"burst of device {device} at {at} overlaps its burst at {other.start}")
        self._bursts.append(_Burst(device, at, samples))

    def receive(self, at: int, num_samples: int) -> Samples:
        """What the receiver hears in [at, at + num_samples); time advances to the end of it."""
        if at < self.now - self._memory:
            raise OverrunError(
                f"samples from {at} are gone: the ring reaches back to {self.now - self._memory}"
            )
        end = at + num_samples
        self.now = max(self.now, end)
        self._bursts = [b for b in self._bursts if b.start + self._extent(b) > self.now - self._memory]
        heard = [b for b in self._bursts if b.start < end and at < b.start + self._extent(b)]
        heard.sort(key=lambda burst: (burst.device, burst.start))
        self._pass_through_links([burst for burst in heard if burst.received is None])
        total = self._noise(at, num_samples)
        for burst in heard:
            assert burst.received is not None
            first, last = max(at, burst.start), min(end, burst.start + len(burst.received))
            total[first - at : last - at] += burst.received[first - burst.start : last - burst.start]
        return total

    def _extent(self, burst: _Burst) -> int:
        return len(burst.samples) + len(self._channel.taps(burst.device)) - 1

    def _pass_through_links(self, bursts: list[_Burst]) -> None:
        if not bursts:
            return
        responses: list[NDArray[np.complexfloating]] = [
            self._channel.gain(burst.device, burst.start // self._channel.block_len)
            * self._channel.taps(burst.device)
            for burst in bursts
        ]
        for burst, received in zip(bursts, propagate([b.samples for b in bursts], responses), strict=True):
            burst.received = received

    def _noise(self, at: int, num_samples: int) -> Samples:
        """White noise as a function of absolute time: the same index gives the same sample whenever it is asked."""
        if self._noise_scale == 0.0:
            return np.zeros(num_samples, dtype=np.complex64)
        first, last = at // NOISE_BLOCK, (at + num_samples - 1) // NOISE_BLOCK
        drawn = [
            stream(self._seed, Use.RECEIVER_NOISE, block).standard_normal(2 * NOISE_BLOCK, dtype=np.float32)
            for block in range(first, last + 1)
        ]
        offset = at - first * NOISE_BLOCK
        noise = np.concatenate(drawn).view(np.complex64)[offset : offset + num_samples]
        return noise * self._noise_scale
