"""Detection of the preamble at -3 dB per sample with unknown carrier, delay and phase; false alarms in noise alone."""

import argparse
from pathlib import Path

import numpy as np
import scipy.fft
from matplotlib.figure import Figure
from scipy.stats import ncf

from benchmarks.proof_output import FIGURES, clopper_pearson, report_progress, save
from calibration.acquisition import Detector, detect, explained_share
from calibration.bounds import path_bounds
from calibration.figure_style import new_figure, style, tidy
from calibration.single_path import estimate_path
from radio.ofdm import OfdmConfig
from radio.preamble import preamble

OFDM = OfdmConfig()
MAX_CFO_HZ = 20e-6 * 2.45e9
SEARCHED = 2048  # samples of a capture
FIRST, LAST = 64, 1400  # where in it a burst may start
MARGIN = 32
BLOCK = 8192
BLOCKS = 16  # of noise searched at once
DESIGNED = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # false-alarm rates per sample whose thresholds are tried
CURVE_DB = (-15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5)
SNR_DB = -3.0


def unit_preamble() -> np.ndarray:
    """The common preamble at mean power 1."""
    burst = preamble(OFDM)
    return (burst / np.sqrt(np.mean(np.abs(burst) ** 2))).astype(np.complex64)


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Complex64 of variance 1."""
    parts = rng.standard_normal((*shape[:-1], 2 * shape[-1]), dtype=np.float32) * np.float32(np.sqrt(0.5))
    return parts.view(np.complex64)


def search_burst(
    detector: Detector, snr_db: float, rng: np.random.Generator
) -> tuple[bool, float, float] | None:
    """One trial: (found at its sample and carrier, offset error, delay error); None if not detected."""
    delay, cfo_hz = rng.uniform(FIRST, LAST), rng.uniform(-MAX_CFO_HZ, MAX_CFO_HZ)
    rate, reference = detector.sample_rate_hz, detector.reference
    spectrum = scipy.fft.fft(reference, 2 * SEARCHED)
    ramp = np.exp(-2j * np.pi * np.fft.fftfreq(2 * SEARCHED) * delay)
    turns = np.exp(2j * np.pi * (cfo_hz / rate * np.arange(SEARCHED) + rng.random()))
    clean = scipy.fft.ifft(spectrum * ramp)[:SEARCHED] * turns
    received = (10.0 ** (snr_db / 20.0) * clean + noise(rng, SEARCHED)).astype(np.complex64)
    found = detect(received, detector)
    if not found.detected:
        return None
    right = abs(found.start_index - delay) <= 1.0 and abs(found.cfo_hz - cfo_hz) <= rate / len(reference)
    first = min(max(found.start_index - MARGIN, 0), SEARCHED - len(reference) - 2 * MARGIN)
    window = received[first : first + len(reference) + 2 * MARGIN]
    path = estimate_path(window, reference, rate, found.start_index - first, found.cfo_hz)
    return right, path.cfo_hz - cfo_hz, first + path.delay_samples - delay


def prove_detection(
    detector: Detector, snr_db: float, trials: int, rng: np.random.Generator, progress: bool
) -> dict:
    """Count bursts that were detected at the right place, and what refinement made of them."""
    detected, right, errors = 0, 0, []
    for trial in range(trials):
        result = search_burst(detector, snr_db, rng)
        if result is not None:
            detected += 1
            right += result[0]
            errors.append(result[1:])
        if progress and (trial + 1) % 500 == 0:
            report_progress(f"detection at {snr_db:g} dB", trial + 1, trials)
    outcome: dict = {"snr_db": snr_db, "trials": trials, "detected": detected, "right": right}
    outcome["right_low"], outcome["right_high"] = clopper_pearson(right, trials)
    if errors:
        cfo_rms, delay_rms = np.sqrt(np.mean(np.square(errors), axis=0))
        bounds = path_bounds(
            detector.reference,
            len(detector.reference) + 2 * MARGIN,
            detector.sample_rate_hz,
            10.0 ** (-snr_db / 10.0),
        )
        outcome["cfo_rms_hz"], outcome["cfo_bound_hz"] = float(cfo_rms), bounds.cfo_std_hz
        outcome["delay_rms_samples"] = float(delay_rms)
        outcome["delay_bound_samples"] = bounds.delay_std_samples
    return outcome


def prove_silence(reference: np.ndarray, num_samples: int, rng: np.random.Generator) -> list[dict]:
    """Starts in white noise that pass, for the threshold of each designed rate."""
    detectors = [
        Detector(
            reference=reference, sample_rate_hz=OFDM.sample_rate_hz, max_cfo_hz=MAX_CFO_HZ, false_alarm=rate
        )
        for rate in DESIGNED
    ]
    thresholds = np.array([detector.threshold for detector in detectors])
    counts, searched = np.zeros(len(thresholds), dtype=int), 0
    while searched < num_samples:
        share = explained_share(noise(rng, BLOCKS, BLOCK), detectors[0])
        passed = share[share > thresholds[0]]
        counts += np.count_nonzero(passed[:, None] > thresholds, axis=0)
        searched += share.size
        report_progress("noise alone", searched, num_samples)
    alarms = []
    for designed, threshold, count in zip(DESIGNED, thresholds, counts, strict=True):
        low, high = clopper_pearson(int(count), searched)
        alarms.append(
            {"designed": designed, "threshold": float(threshold), "samples": searched, "alarms": int(count),
             "rate": int(count) / searched, "low": low, "high": high}
        )  # fmt: skip
    return alarms


def grid_losses() -> np.ndarray:
    """Share of the correlation's energy that is left, for carriers and starts spread evenly between grid points."""
    cycles = (np.arange(10) + 0.5) / 10 / 4  # over the preamble, up to half of half a cycle
    delays = (np.arange(10) + 0.5) / 10 / 2  # up to half a sample, of a spectrum as wide as the active band
    share = OFDM.num_active / OFDM.fft_len
    return np.multiply.outer(np.sinc(cycles) ** 2, np.sinc(share * delays) ** 2).ravel()


def draw(detector: Detector, curve: list[dict], alarms: list[dict]) -> Figure:
    """Detection over SNR, and measured over designed false alarms."""
    figure = new_figure(7.0)
    above, below = figure.subplots(2, 1)
    look, length = style(0), len(detector.reference)
    snrs_db = np.linspace(-16.0, SNR_DB, 80)
    ratio = detector.threshold / (1.0 - detector.threshold) * (length - 1)
    # share = X / (X + Y): X of 2 degrees of freedom about the signal, Y of the 2 (length - 1) that it does not reach
    powers = 2.0 * length * 10.0 ** (snrs_db / 10.0)
    ideal = ncf.sf(ratio, 2, 2 * (length - 1), powers)
    above.plot(snrs_db, ideal, color="#444444", label="theory, burst on the grid")
    between = np.mean([ncf.sf(ratio, 2, 2 * (length - 1), powers * kept) for kept in grid_losses()], axis=0)
    above.plot(snrs_db, between, color="#444444", linestyle="--", label="theory, mean over places between")
    rates = np.array([point["right"] / point["trials"] for point in curve])
    spans = np.array([[point["right_low"], point["right_high"]] for point in curve]).T
    above.errorbar(
        [point["snr_db"] for point in curve], rates, np.abs(spans - rates), fmt=look.marker, color=look.colour,
        markersize=4, capsize=2, label="measured, found at its sample",
    )  # fmt: skip
    above.set_xlabel("SNR per sample (dB)")
    above.set_ylabel("probability of detection", fontsize=9)
    above.legend(frameon=False, fontsize=9, loc="lower right")
    designed = np.array([alarm["designed"] for alarm in alarms])
    measured = np.array([alarm["rate"] for alarm in alarms])
    ends = np.array([[alarm["low"], alarm["high"]] for alarm in alarms]).T
    look = style(1)
    below.loglog(designed, designed, color="#444444", label="as designed (union bound)")
    below.errorbar(
        designed, measured, np.abs(ends - measured), fmt=look.marker, color=look.colour, markersize=4, capsize=2,
        label="measured, Clopper-Pearson 95 %",
    )  # fmt: skip
    below.axhline(1e-6, color="#888888", linestyle="--", label="limit 1e-6 per sample")
    below.set_xlabel("designed false-alarm rate per sample")
    below.set_ylabel("measured rate per sample", fontsize=9)
    below.legend(frameon=False, fontsize=9)
    tidy(above)
    tidy(below)
    return figure


def main() -> None:
    """Run all three parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20_000, help="bursts at -3 dB per sample")
    parser.add_argument("--curve-trials", type=int, default=1000, help="bursts at each lower SNR")
    parser.add_argument("--noise-samples", type=float, default=1e8, help="samples of noise to search")
    parser.add_argument("--seed", type=int, default=4, help="of all draws")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    streams = np.random.SeedSequence(arguments.seed).spawn(len(CURVE_DB) + 2)
    rngs = [np.random.default_rng(sequence) for sequence in streams]
    reference = unit_preamble()
    detector = Detector(reference=reference, sample_rate_hz=OFDM.sample_rate_hz, max_cfo_hz=MAX_CFO_HZ)
    alarms = prove_silence(reference, int(arguments.noise_samples), rngs[-1])
    curve = []
    for index, (snr_db, rng) in enumerate(zip(CURVE_DB, rngs, strict=False)):
        curve.append(prove_detection(detector, snr_db, arguments.curve_trials, rng, progress=False))
        report_progress("detection below -3 dB", index + 1, len(CURVE_DB))
    curve.append(prove_detection(detector, SNR_DB, arguments.trials, rngs[-2], progress=True))
    results = {
        "seed": arguments.seed,
        "carriers": len(detector.carriers_hz),
        "detection": curve,
        "alarms": alarms,
    }
    save("detection", results, draw(detector, curve, alarms), arguments.out)
    print(curve[-1])
    for alarm in alarms:
        print(alarm)


if __name__ == "__main__":
    main()
