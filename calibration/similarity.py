"""How alike two profiles are: a score for each quantity, and which entries differ by more than both are uncertain.

Positive quantities score 1 - |a - b| / (|a| + |b|), levels as powers and not in dB; vectors |<a, b>| / (|a| |b|): a
response over its subcarriers, what has a sign or a phase over the devices. A quantity's score is the mean over devices,
the overall score the mean over quantities. Scores leave out entries that neither profile could tell from nothing: both
upper bounds, or both so near 0 as noise is with 95 % in all entries of the quantity. Left out altogether is what a
start decides: its wait, delays of radios that start by themselves, and their phases, and phases on free clocks.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from calibration.channel import tap_subspace
from calibration.profile import ComplexEntry, Entry, Profile, ResponseEntry, entries
from radio.decibel import from_db
from radio.pilot_layout import num_channel_taps

LEVELS = ("_db", "_dbfs")  # endings of names of powers
SIGNED, PHASES = ("cfo_hz", "sro_ppm"), ("phase_rad",)
COMPLEX_95 = math.sqrt(
    -math.log(0.05)
)  # times the deviation of a circular normal law is a circle that holds 95 %
Z95 = 1.959964
TINY = 1e-300
Complex = NDArray[np.complex128]
AnyEntry = Entry | ComplexEntry | ResponseEntry
Pair = tuple[AnyEntry, AnyEntry]


@dataclass(frozen=True)
class Score:
    """In [0, 1], with what the 95 % intervals of the entries leave to it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """scores: by quantity, such as "gain_db" or "receiver noise_dbfs". num_entries: that both have and that can be
    compared; differing: names of those that differ by more than the 95 % interval of the difference."""

    overall: Score
    scores: dict[str, Score]
    num_entries: int
    differing: tuple[str, ...]

    @property
    def share_agreeing(self) -> float:
        """Of the entries; 1 if there are none."""
        return 1.0 - len(self.differing) / max(self.num_entries, 1)


def compare_profiles(first: Profile, second: Profile) -> Similarity:
    """Of devices and entries that both have; the order does not matter. Overall 1 where there is nothing to compare."""
    freedom = _freedom(first)
    pairs = dict(_pairs(first, second))
    differing = tuple(name for name, pair in pairs.items() if not _agree(name, pair, freedom))
    by_quantity: dict[str, list[Pair]] = {}
    for name, pair in pairs.items():
        by_quantity.setdefault(_quantity(name), []).append(pair)
    told = {quantity: _told(quantity, both) for quantity, both in by_quantity.items()}
    scores = {quantity: _score(quantity, both) for quantity, both in told.items() if both}
    overall = _mean(scores.values()) if scores else Score(1.0, 1.0, 1.0)
    return Similarity(overall=overall, scores=scores, num_entries=len(pairs), differing=differing)


def _pairs(first: Profile, second: Profile) -> Iterator[tuple[str, Pair]]:
    left_out = {"start_s", "start_jitter_s"}
    if not (first.shared_start and second.shared_start):
        left_out |= {"delay_s", *PHASES}
    if not (first.shared_clock and second.shared_clock):
        left_out |= {*PHASES}
    others = dict(entries(second))
    for name, entry in entries(first):
        if name in others and _quantity(name) not in left_out:
            yield name, (entry, others[name])


def _quantity(name: str) -> str:
    """ "device 3 gain_db" is one of the gain_db; the receiver's keep their owner."""
    return name.rpartition(" ")[2] if name.startswith("device") else name


def _freedom(profile: Profile) -> int:
    """Degrees of freedom of a response's errors."""
    ofdm = profile.numerology.ofdm
    return int(tap_subspace(ofdm, num_channel_taps(ofdm), 0).shape[1])


def _agree(name: str, pair: Pair, freedom: int) -> bool:
    apart, reach = _apart(name, pair, freedom)
    return apart <= reach


def _apart(name: str, pair: Pair, freedom: int) -> tuple[float, float]:
    """How far entries lie apart, and how far those of one truth lie apart at most in 95 of 100 cases."""
    match pair:
        case Entry() as a, Entry() as b:
            apart = b.value - a.value
            if name.endswith(PHASES):
                apart = math.remainder(apart, 2.0 * math.pi)
            return abs(apart), _reach(a, b) if apart >= 0.0 else _reach(b, a)
        case ComplexEntry() as a, ComplexEntry() as b:
            return abs(a.value - b.value), COMPLEX_95 * math.hypot(a.std, b.std)
        case ResponseEntry() as a, ResponseEntry() as b:
            apart = float(np.linalg.norm(_gains(a) - _turned_to(_gains(a), _gains(b))) / math.sqrt(len(a.re)))
            widest = math.sqrt(float(chi2.ppf(0.95, 2 * freedom)) / (2 * freedom))
            return apart, widest * math.hypot(a.std, b.std)
    raise TypeError(f"{name}: {type(pair[0]).__name__} and {type(pair[1]).__name__} cannot be compared")


def _reach(lower: Entry, upper: Entry) -> float:
    """By how much the upper entry may lie above the lower one; a bound may lie anywhere on its open side."""
    if lower.bound == "lower" or upper.bound == "upper":
        return math.inf
    return math.hypot(lower.high - lower.value, upper.value - upper.low)


def _told(quantity: str, pairs: Sequence[Pair]) -> list[Pair]:
    """From nothing, by one of the two at least: no noise of what is not there is like another."""
    chance = 0.05 / (2 * len(pairs))  # of each entry, so that 5 % of what is nothing is scored

    def is_told(entry: AnyEntry) -> bool:
        match entry:
            case ComplexEntry():
                return abs(entry.value) > math.sqrt(-math.log(chance)) * entry.std
            case Entry() if quantity in SIGNED:
                return abs(entry.value) > float(norm.isf(chance / 2.0)) * entry.std
            case Entry():
                return entry.bound != "upper"
        return True

    return [pair for pair in pairs if any(map(is_told, pair))]


def _score(quantity: str, pairs: Sequence[Pair]) -> Score:
    responses = [(a, b) for a, b in pairs if isinstance(a, ResponseEntry) and isinstance(b, ResponseEntry)]
    if responses:
        return _mean([_of_vectors(_gains(a), _gains(b), _response_reach(a, b)) for a, b in responses])
    numbers = [(a, b) for a, b in pairs if isinstance(a, ComplexEntry) and isinstance(b, ComplexEntry)]
    if numbers:
        return _of_signed(numbers, COMPLEX_95)
    scalars = [(a, b) for a, b in pairs if isinstance(a, Entry) and isinstance(b, Entry)]
    if quantity in SIGNED:
        return _of_signed(scalars, Z95)
    if quantity in PHASES:
        first, second = (np.exp(1j * np.array([pair[side].value for pair in scalars])) for side in (0, 1))
        return _of_vectors(first, second, Z95 * _norm_of_stds(scalars))
    return _mean([_of_positive(quantity, a, b) for a, b in scalars])


def _of_positive(quantity: str, first: Entry, second: Entry) -> Score:
    powers = quantity.endswith(LEVELS)
    (a, *a_ends), (b, *b_ends) = (
        [from_db(value) if powers else value for value in (each.value, each.low, each.high)]
        for each in (first, second)
    )
    if first.bound and not second.bound:  # a bound stands for what on its open side is nearest
        a = _nearest(a, first, b)
    elif second.bound and not first.bound:
        b = _nearest(b, second, a)
    scale = max(abs(a) + abs(b), TINY)
    if first.bound and first.bound == second.bound:  # as alike as what can be said
        return Score(*[1.0 - abs(a - b) / scale] * 3)
    reach = math.hypot(max(abs(end - a) for end in a_ends), max(abs(end - b) for end in b_ends))
    return _within(1.0 - abs(a - b) / scale, min(reach / scale, 1.0))


def _nearest(bound: float, entry: Entry, value: float) -> float:
    return min(bound, value) if entry.bound == "upper" else max(bound, value)


def _of_signed(
    pairs: Sequence[tuple[Entry, Entry]] | Sequence[tuple[ComplexEntry, ComplexEntry]], sigmas: float
) -> Score:
    """Over the devices."""
    first, second = (np.array([pair[side].value for pair in pairs], dtype=np.complex128) for side in (0, 1))
    return _of_vectors(first, second, sigmas * _norm_of_stds(pairs))


def _norm_of_stds(
    pairs: Sequence[tuple[Entry, Entry]] | Sequence[tuple[ComplexEntry, ComplexEntry]],
) -> float:
    return math.hypot(*(each.std for pair in pairs for each in pair))


def _of_vectors(first: Complex, second: Complex, reach: float) -> Score:
    """reach: of the norm of the difference. A vector that is off by that much has turned by so much at most."""
    norms = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    cosine = min(abs(complex(np.vdot(first, second))) / max(norms[0] * norms[1], TINY), 1.0)
    turn, wider = math.acos(cosine), math.asin(min(reach / max(*norms, TINY), 1.0))
    return Score(
        cosine, max(math.cos(min(turn + wider, math.pi / 2.0)), 0.0), math.cos(max(turn - wider, 0.0))
    )


def _response_reach(first: ResponseEntry, second: ResponseEntry) -> float:
    return math.hypot(first.std, second.std) * math.sqrt(len(first.re))


def _mean(scores: Iterable[Score]) -> Score:
    """Of independent ones."""
    held = list(scores)
    value = sum(score.value for score in held) / len(held)
    below = math.hypot(*(score.value - score.low for score in held)) / len(held)
    above = math.hypot(*(score.high - score.value for score in held)) / len(held)
    return Score(value, value - below, value + above)


def _within(value: float, reach: float) -> Score:
    return Score(value, max(value - reach, 0.0), min(value + reach, 1.0))


def _gains(entry: ResponseEntry) -> Complex:
    return np.array(entry.re) + 1j * np.array(entry.im)


def _turned_to(first: Complex, second: Complex) -> Complex:
    """The second with the phase and the delay that bring it closest to the first: these are entries of their own, and a
    delay's error, which both ends of the band show together, is no noise of the subcarriers."""
    places = np.arange(len(first)) - (len(first) - 1) / 2.0
    for _ in range(2):
        second = second * np.exp(-1j * np.angle(np.vdot(first, second)))
        products = first.conj() * second
        weights = np.abs(products)
        centred = places - np.sum(weights * places) / max(float(weights.sum()), TINY)
        slope = float(products.imag @ centred) / max(float(weights @ centred**2), TINY)
        second = second * np.exp(-1j * slope * centred)
    return np.asarray(second)
