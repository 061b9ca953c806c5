"""Estimators against the Cramer-Rao bound: offset, delay and gain of a single path, and the channel of L taps.

The path: start, carrier and phase unknown, found by `detect`, refined by `estimate_path`. The received signal is made
by the sampling theorem's sum itself, not by the estimator's transform.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.acquisition import Detector, detect
from calibration.bounds import channel_bound, path_bounds
from calibration.channel import estimate_channels
from calibration.figure_style import make_logarithmic, new_figure, style, tidy
from calibration.single_path import estimate_path
from radio.ofdm import OfdmConfig
from radio.preamble import preamble
from radio.zadoff_chu import JointSounding, separate_joint, sounding_amplitudes

OFDM = OfdmConfig()
MAX_CFO_HZ = 20e-6 * 2.45e9
MARGIN = 32  # samples kept on both sides of the burst for the estimator
LEAD, SPAN = 64, 128  # a burst starts LEAD to SPAN samples into what is searched
NUM_TAPS = 32
PATH_SNRS_DB = (-18, -16, -14, -12, -10, -8, -6, -3, 0, 5, 10, 15, 20, 25, 30)
CHANNEL_SNRS_DB = (0, 5, 10, 15, 20, 25, 30)
ESTIMATORS = ("least squares", "estimate_channels", "separate_joint")
QUANTITIES = {"cfo": "CFO (Hz)", "delay": "delay (samples)", "gain": "gain (relative)"}


def white(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Complex noise of variance 1."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


def brief(values: np.ndarray) -> list[float]:
    """Four digits are enough for a figure."""
    return [float(f"{value:.4g}") for value in values]


def path_errors(reference: np.ndarray, detector: Detector, snr_db: float, rng: np.random.Generator) -> tuple:
    """(offset, delay, |gain| errors) of one trial of unit gain."""
    rate, length = OFDM.sample_rate_hz, len(reference)
    num_samples = length + SPAN + LEAD
    delay, cfo_hz = rng.uniform(LEAD, SPAN), rng.uniform(-MAX_CFO_HZ, MAX_CFO_HZ)
    gain = np.exp(2j * np.pi * rng.random())
    clean = np.convolve(np.sinc(np.arange(1 - length, num_samples) - delay), reference, mode="valid")
    turns = np.exp(2j * np.pi * cfo_hz / rate * np.arange(num_samples))
    received = gain * clean * turns + 10.0 ** (-snr_db / 20.0) * white(rng, num_samples)
    received = received.astype(np.complex64)
    found = detect(received, detector)
    first = min(max(found.start_index - MARGIN, 0), num_samples - length - 2 * MARGIN)
    window = received[first : first + length + 2 * MARGIN]
    estimate = estimate_path(window, reference, rate, found.start_index - first, found.cfo_hz)
    centre = first + (len(window) - 1) / 2.0
    truth = gain * np.exp(2j * np.pi * cfo_hz / rate * centre)
    return (
        estimate.cfo_hz - cfo_hz,
        first + estimate.delay_samples - delay,
        abs(estimate.gain - truth),
    )


def prove_path(trials: int, seed: int) -> list[dict]:
    """One record a point: rms errors, bounds, and by how many decibels the error's power exceeds the bound's."""
    burst = preamble(OFDM)
    reference = (burst / np.sqrt(np.mean(np.abs(burst) ** 2))).astype(np.complex64)
    detector = Detector(reference=reference, sample_rate_hz=OFDM.sample_rate_hz, max_cfo_hz=MAX_CFO_HZ)
    points = []
    for index, snr_db in enumerate(PATH_SNRS_DB):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
        errors = np.array([path_errors(reference, detector, snr_db, rng) for _ in range(trials)])
        bounds = path_bounds(
            reference, len(reference) + 2 * MARGIN, OFDM.sample_rate_hz, 10.0 ** (-snr_db / 10.0)
        )
        limits = (bounds.cfo_std_hz, bounds.delay_std_samples, bounds.gain_std)
        point: dict = {"snr_db": snr_db, "trials": trials}
        for name, error, limit in zip(QUANTITIES, errors.T, limits, strict=True):
            rms = float(np.sqrt(np.mean(error**2)))
            point[name] = {"rms": rms, "bound": limit, "excess_db": float(20.0 * np.log10(rms / limit))}
        points.append(point)
        report_progress("single path", index + 1, len(PATH_SNRS_DB))
    return points


def prove_channel(trials: int, seed: int) -> list[dict]:
    """One record a point: mean squared error of each subcarrier's gain, random channels that fill all taps."""
    bound = channel_bound(OFDM, NUM_TAPS, 0, 1.0)
    responses = np.exp(-2j * np.pi * np.outer(np.arange(NUM_TAPS), OFDM.active_bins) / OFDM.fft_len)
    basis, _ = np.linalg.qr(responses.T)
    sounding = JointSounding(
        num_devices=1, num_symbols=1, num_covers=1, shift_samples=64, num_taps=NUM_TAPS, ofdm=OFDM
    )
    sequence = sounding_amplitudes(sounding, 0)
    points = []
    for index, snr_db in enumerate(CHANNEL_SNRS_DB):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1000 + index,)))
        truth = white(rng, trials, NUM_TAPS) @ responses / np.sqrt(NUM_TAPS)
        noise_variance = 10.0 ** (-snr_db / 10.0)
        observed = truth + np.sqrt(noise_variance) * white(rng, *truth.shape)
        plain = observed @ basis.conj() @ basis.T
        subspace = estimate_channels(observed, OFDM, NUM_TAPS, 0).gains
        joint = np.concatenate([separate_joint(row * sequence, sounding).gains for row in observed])
        point: dict = {"snr_db": snr_db, "trials": trials, "bound": brief(noise_variance * bound)}
        for name, gains in zip(ESTIMATORS, (plain, subspace, joint), strict=True):
            error = np.mean(np.abs(gains - truth) ** 2, axis=0)
            excess_db = 10.0 * np.log10(error.mean() / (noise_variance * bound.mean()))
            point[name] = {"mse": brief(error), "excess_db": float(excess_db)}
        points.append(point)
        report_progress("channel", index + 1, len(CHANNEL_SNRS_DB))
    return points


def draw_path(points: list[dict]) -> Figure:
    """Errors and bounds, and by how much the errors exceed them."""
    figure = new_figure(10.0)
    panels = figure.subplots(len(QUANTITIES) + 1, 1, sharex=True)
    snrs_db = [point["snr_db"] for point in points]
    excess = panels[-1]
    for index, (name, label) in enumerate(QUANTITIES.items()):
        axes, look = panels[index], style(index)
        rms, bound, excess_db = (
            [point[name][key] for point in points] for key in ("rms", "bound", "excess_db")
        )
        axes.semilogy(snrs_db, bound, color="#444444", label="joint Cramér-Rao bound")
        axes.semilogy(snrs_db, rms, look.marker, color=look.colour, markersize=5, label="measured, rms error")
        axes.set_ylabel(label, fontsize=9)
        axes.legend(frameon=False, fontsize=9)
        excess.plot(snrs_db, excess_db, look.marker, color=look.colour, markersize=5, label=name)
    excess.axhspan(0.0, 1.0, color="#eeeeee")
    excess.axhline(0.0, color="#444444")
    excess.set_ylim(-1.0, 3.0)
    excess.set_ylabel("error over bound (dB)", fontsize=9)
    excess.set_xlabel("SNR per sample (dB)")
    excess.legend(frameon=False, fontsize=9, ncols=3)
    for axes in panels:
        tidy(axes)
    return figure


def draw_channel(points: list[dict]) -> Figure:
    """Error of each subcarrier at 10 dB, and the mean over subcarriers at every SNR."""
    figure = new_figure(6.5)
    above, below = figure.subplots(2, 1)
    shown = points[2]
    bins = np.where(OFDM.active_bins > OFDM.fft_len // 2, OFDM.active_bins - OFDM.fft_len, OFDM.active_bins)
    above.semilogy(bins, shown["bound"], color="#444444", label=f"bound, {NUM_TAPS} taps")
    for index, name in enumerate(ESTIMATORS):
        look = style(index)
        above.semilogy(bins, shown[name]["mse"], look.marker, color=look.colour, markersize=2.5, label=name)
        below.plot(
            [point["snr_db"] for point in points], [point[name]["excess_db"] for point in points],
            look.marker + "-", color=look.colour, label=name,
        )  # fmt: skip
    above.set_xlabel("subcarrier")
    above.set_ylabel(f"mean squared error at {shown['snr_db']} dB", fontsize=9)
    below.axhline(0.0, color="#444444")
    below.set_ylim(-2.0, 1.0)
    below.set_xlabel("SNR per subcarrier (dB)")
    below.set_ylabel("mean error over bound (dB)", fontsize=9)
    above.legend(frameon=False, fontsize=9)
    below.legend(frameon=False, fontsize=9, loc="lower right")
    make_logarithmic(above)
    tidy(above)
    tidy(below)
    return figure


def main() -> None:
    """Run both proofs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000, help="trials a point")
    parser.add_argument("--seed", type=int, default=3, help="of all draws")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    channel = prove_channel(arguments.trials, arguments.seed)
    save("channel_bound", {"seed": arguments.seed, "points": channel}, draw_channel(channel), arguments.out)
    path = prove_path(arguments.trials, arguments.seed)
    save("path_bound", {"seed": arguments.seed, "points": path}, draw_path(path), arguments.out)
    for point in path:
        excesses = ", ".join(f"{name} {point[name]['excess_db']:+.2f} dB" for name in QUANTITIES)
        print(f"{point['snr_db']:>4} dB: {excesses}")


if __name__ == "__main__":
    main()
