"""One calibration of virtual Plutos, and by how much each of its entries misses the truth."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.known_truth import Truth, Witness, truths
from benchmarks.random_airs import NUM_DEVICES, draw_fading, draw_static, experiment_of
from calibration.analysis import alone_estimates
from calibration.bench import Bench, Terms
from calibration.findings import find_out
from calibration.procedure import align, aside, listen, meet, ramps, together
from calibration.profile import ComplexEntry, DeviceProfile, Entry
from calibration.search import Searcher
from calibration.similarity import COMPLEX_95
from calibration.turns import alone
from calibration.verification import Verification
from radio.capture import Capture
from server.compose_plutos import open_radios, receiver_first, virtual_bench

STATIC_SPAN_S, FADING_SPAN_S = 0.5, 1.0
SIGNED = ("gain_db", "snr_db", "phase_rad", "cfo_hz", "sro_ppm", "compression_db")
COMPLEX = ("image", "leakage")
Record = dict[str, Any]


def trial(seed: int, is_fading: bool) -> list[Record]:
    """A record a device: what it was drawn with, and of each quantity `error`, `std`, `covered`, and what it is a
    `bound` of, if it is one."""
    law, is_free = (draw_fading if is_fading else draw_static)(seed)
    known = experiment_of(law, seed, is_free)
    ofdm, radio = known.ofdm(), known.radio
    with ExitStack() as opened:
        air = opened.enter_context(virtual_bench(known))
        witness = Witness(air, receiver=NUM_DEVICES)
        receiver_uri, *uris = receiver_first(air.uris)
        receiver, transmitters = open_radios(known, opened, receiver_uri, dict(enumerate(uris)), True)
        bench = Bench(
            receiver,
            transmitters,
            Searcher(ofdm=ofdm, max_cfo_hz=1e-6 * radio.crystal_ppm * radio.center_hz),
            Terms(backoff_db=known.link.backoff_db, meeting_s=radio.meeting_s, shared_clock=not is_free),
        )
        opened.callback(bench.close)
        captures = _fading_steps(bench) if is_fading else _static_steps(bench)
    middles = {sent.device: burst.middle for sent, burst in alone_estimates(captures["alone"])}
    found = truths(witness, law, known.run.seed, captures, middles)
    profile = find_out(captures)
    records = []
    for each in profile.devices:
        drawn, true = law.devices[each.device], found[each.device]
        record: Record = {
            "seed": seed,
            "device": each.device,
            "drawn_snr_db": true.snr_db,
            "is_free": is_free,
            "is_pure": not (drawn.drift_hz_per_root_s or drawn.phase_noise_deg),
            "is_separate": drawn.sample_clock_offset_ppm is not None,
            "drawn_image_db": 20.0 * math.log10(abs(drawn.image)),
        }
        if not is_fading:
            record["cfo_bounds_hz"] = true.cfo_bounds_hz
        record |= dict(_moving(each, true) if is_fading else _still(each, true))
        records.append(record)
    return records


def _static_steps(bench: Bench) -> dict[str, Capture]:
    captures = _first_steps(bench, STATIC_SPAN_S)
    captures["aside"] = aside(bench, "aside")
    Verification(bench).correct_mixers(captures)  # amplifiers are seen through that
    _meet_all(bench)
    captures["ramp"] = ramps(bench)
    return captures


def _fading_steps(bench: Bench) -> dict[str, Capture]:
    return _first_steps(bench, FADING_SPAN_S)


def _first_steps(bench: Bench, span_s: float) -> dict[str, Capture]:
    captures = {"silence": listen(bench)}
    _meet_all(bench)
    captures["alone"] = alone(bench, "alone")
    align(bench, captures["alone"])
    captures["together"] = together(bench, span_s)
    return captures


def _meet_all(bench: Bench) -> None:
    if missing := meet(bench, bench.devices, lambda step: None):
        raise LookupError("; ".join(missing.values()))


def _still(found: DeviceProfile, true: Truth) -> Iterator[tuple[str, Record]]:
    for name in SIGNED:
        entry = getattr(found, name)
        if entry is not None:
            error = entry.value - getattr(true, name)
            record = _of_entry(entry, math.remainder(error, math.tau) if name == "phase_rad" else error)
            if name == "cfo_hz":
                record |= {"over_bound": error / true.cfo_bounds_hz[0]}
            yield name, record
    if found.delay_s is not None:
        yield "delay_samples", _of_entry(found.delay_s, found.delay_s.value - true.delay_s, true.rate_hz)
    for name in COMPLEX:
        entry = getattr(found, name)
        if entry is not None:
            yield name, _of_number(entry, getattr(true, name))
    if found.response is not None:
        gains = np.array(found.response.re) + 1j * np.array(found.response.im)
        yield (
            "response",
            {
                "error": float(np.linalg.norm(gains - true.response) / np.linalg.norm(true.response)),
                "std": found.response.std * math.sqrt(len(gains)) / float(np.linalg.norm(true.response)),
            },
        )
    if true.phase_noise_deg > 0.0 and found.phase_noise_deg is not None:
        yield "phase_noise", _of_ratio(found.phase_noise_deg, true.phase_noise_deg)


def _moving(found: DeviceProfile, true: Truth) -> Iterator[tuple[str, Record]]:
    if found.coherence_time_s is not None:
        record = _of_ratio(found.coherence_time_s, true.coherence_time_s)
        yield "coherence_time", record | {"times": FADING_SPAN_S / true.coherence_time_s}


def _of_entry(entry: Entry, error: float, scale: float = 1.0) -> Record:
    return {
        "error": error * scale,
        "std": entry.std * scale,
        "covered": entry.low <= entry.value - error <= entry.high,
        "bound": entry.bound,
    }


def _of_ratio(entry: Entry, truth: float) -> Record:
    """Of a positive quantity, relative to the truth."""
    return {
        "error": entry.value / truth - 1.0,
        "std": entry.std / truth,
        "covered": entry.low <= truth <= entry.high,
        "bound": entry.bound,
    }


def _of_number(entry: ComplexEntry, truth: complex) -> Record:
    """error: along the truth and across it; change_db: of the magnitude."""
    error = (entry.value - truth) * truth.conjugate() / abs(truth)
    return {
        "error": error.real,
        "across": error.imag,
        "change_db": 20.0 * math.log10(abs(entry.value / truth)),
        "std": entry.std,
        "covered": abs(error) <= COMPLEX_95 * entry.std,
        "bound": "",
    }
