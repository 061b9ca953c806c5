"""A preamble in a stretch of samples, or in the first of many: found on any carrier, then measured as a single path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from calibration.acquisition import Detector, detect
from calibration.single_path import PathEstimate, estimate_path
from radio.interface import Samples
from radio.ofdm import OfdmConfig
from radio.preamble import preamble, preamble_len

MARGIN = 32  # samples on either side of a preamble that its estimate needs
SEARCH_FALSE_ALARM = 1e-10  # per sample: a search goes over millions
CHUNK_LEN = 1 << 15  # samples searched at once


@dataclass(frozen=True, kw_only=True)
class Searcher:
    """max_cfo_hz: how far a transmitter's carrier may lie from the receiver's."""

    ofdm: OfdmConfig
    max_cfo_hz: float

    def locate(self, heard: Samples, identity: int, false_alarm: float) -> PathEstimate | None:
        """Where in `heard` (num_samples,) the preamble of an identity begins, and on which carrier; None if it is not
        in there. false_alarm: per sample of noise."""
        rate_hz, reference = self.ofdm.sample_rate_hz, preamble(self.ofdm, identity)
        detector = Detector(
            reference=reference,
            sample_rate_hz=rate_hz,
            max_cfo_hz=self.max_cfo_hz,
            false_alarm=false_alarm,
        )
        found = detect(heard, detector)
        if not found.detected:
            return None
        first = max(found.start_index - MARGIN, 0)
        window = heard[first : found.start_index + len(reference) + MARGIN]
        path = estimate_path(window, reference, rate_hz, float(found.start_index - first), found.cfo_hz)
        return replace(path, delay_samples=first + path.delay_samples)

    def search(
        self, receive: Callable[[int, int], Samples], begin: int, length: int, identities: Sequence[int]
    ) -> PathEstimate | None:
        """The first preamble of any of these that begins within `length` samples of `begin`; its delay is an index.

        receive: (index, number of samples) to samples.
        """
        reach = preamble_len(self.ofdm) + 2 * MARGIN
        for first in range(begin, begin + length, CHUNK_LEN):
            heard = receive(first, CHUNK_LEN + reach)
            for identity in identities:
                path = self.locate(heard, identity, SEARCH_FALSE_ALARM)
                if path is not None and path.delay_samples < CHUNK_LEN + MARGIN:  # else whole in the next
                    return replace(path, delay_samples=first + path.delay_samples)
        return None
