"""Joint sounding: what sharing symbols costs over sounding alone, and what carrier offsets leak."""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.figure_style import new_figure, style, tidy
from radio.ofdm import OfdmConfig, demodulate, modulate
from radio.zadoff_chu import JointSounding, separate_joint, sounding_amplitudes

LAYOUTS = (  # num_devices, num_symbols, shift_samples, num_taps, fft_len
    (8, 4, 64, 32, 256), (8, 2, 64, 32, 256), (32, 8, 64, 32, 256), (32, 4, 32, 16, 256), (32, 5, 32, 24, 256),
    (32, 2, 16, 8, 256), (32, 1, 16, 8, 512),
)  # fmt: skip
SNRS_DB = (0, 10, 20, 30)
OFFSETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05)  # of the subcarrier spacing
OFFSET_SYMBOLS = (1, 2, 4)


def layout(
    num_devices: int, num_symbols: int, shift_samples: int, num_taps: int, fft_len: int
) -> JointSounding:
    """Three quarters of the band active, prefix a quarter, as in the default numerology."""
    ofdm = OfdmConfig(fft_len=fft_len, prefix_len=fft_len // 4, num_active=3 * fft_len // 4)
    return JointSounding(
        num_devices=num_devices,
        num_symbols=num_symbols,
        num_covers=min(num_devices, num_symbols),
        shift_samples=shift_samples,
        num_taps=num_taps,
        ofdm=ofdm,
    )


def white(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Complex noise of variance 1."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


def excess_db(sounding: JointSounding, snr_db: float, trials: int, rng: np.random.Generator) -> float:
    """Error of a gain over a lone device's. Three Rayleigh paths each, between samples, in the window's middle."""
    half, num_taps = sounding.ofdm.num_active // 2, sounding.num_taps
    bins = np.r_[-half:0, 1 : half + 1]
    sent = np.stack([sounding_amplitudes(sounding, device) for device in range(sounding.num_devices)])
    noise_variance, squares = 10.0 ** (-snr_db / 10.0), []
    for _ in range(trials):
        delays = rng.uniform(num_taps / 8, 7 * num_taps / 8 - 1, size=(sounding.num_devices, 3))
        paths = white(rng, *delays.shape) / np.sqrt(3.0)
        turns = np.exp(-2j * np.pi * delays[..., None] * bins / sounding.ofdm.fft_len)
        channels = np.einsum("dt,dtk->dk", paths, turns)
        received = np.einsum("isk,ik->sk", sent, channels)
        received = received + np.sqrt(noise_variance) * white(rng, *received.shape)
        squares.append(np.mean(np.abs(separate_joint(received, sounding).gains - channels) ** 2))
    alone = noise_variance * num_taps / sounding.ofdm.num_active / sounding.num_symbols
    return float(10.0 * np.log10(np.mean(squares) / alone))


def leakage_db(num_symbols: int, offset: float, trials: int, rng: np.random.Generator) -> float:
    """Error of flat channels of 8 devices of random phase, each off by +-offset of the spacing.

    The truth is the channel at the mean instant of the symbols' bodies.
    """
    sounding = layout(8, num_symbols, 32, 16, 256)
    ofdm, squares = sounding.ofdm, []
    bursts = np.stack([modulate(sounding_amplitudes(sounding, device), ofdm) for device in range(8)])
    bodies = np.arange(bursts.shape[1]).reshape(num_symbols, -1)[:, ofdm.prefix_len :]
    centred = np.arange(bursts.shape[1]) - bodies.mean()
    for _ in range(trials):
        signs, channels = rng.choice([-1.0, 1.0], size=8), np.exp(2j * np.pi * rng.random(8))
        turns = np.exp(2j * np.pi * offset / ofdm.fft_len * np.outer(signs, centred))
        received = np.einsum("i,in->n", channels, bursts * turns)
        gains = separate_joint(demodulate(received, ofdm), sounding).gains
        squares.append(np.mean(np.abs(gains - channels[:, None]) ** 2))
    return float(10.0 * np.log10(np.mean(squares)))


def draw(layouts: list[dict], leaks: list[dict]) -> Figure:
    """Cost of sharing over SNR; leakage over the offset."""
    figure = new_figure(8.0)
    above, below = figure.subplots(2, 1)
    for index, record in enumerate(layouts):
        look = style(index)
        numbers = record["layout"]
        label = (
            f"{numbers[0]} devices, {numbers[1]} x {numbers[4]} points, shift {numbers[2]}, taps {numbers[3]}"
        )
        above.plot(
            SNRS_DB,
            record["excess_db"],
            look.line,
            marker=look.marker,
            color=look.colour,
            markersize=5,
            label=label,
        )
    for index, record in enumerate(leaks):
        look = style(index)
        below.plot(
            100.0 * np.array(OFFSETS), record["leakage_db"], look.line, marker=look.marker, color=look.colour,
            markersize=5, label=f"8 devices, symbols: {record['num_symbols']}",
        )  # fmt: skip
    below.axvline(2.0, color="#888888", linestyle="--", label="limit")
    above.set_xlabel("SNR per subcarrier (dB)")
    above.set_ylabel("error over a lone device's (dB)", fontsize=9)
    below.set_xlabel("carrier offset (% of the subcarrier spacing)")
    below.set_ylabel("error without noise (dB)", fontsize=9)
    above.legend(frameon=False, fontsize=8)
    below.legend(frameon=False, fontsize=9)
    tidy(above)
    tidy(below)
    return figure


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100, help="slots a point")
    parser.add_argument("--seed", type=int, default=5, help="of all draws")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    layouts = []
    for numbers in LAYOUTS:
        sounding = layout(*numbers)
        costs = [excess_db(sounding, snr_db, arguments.trials, rng) for snr_db in SNRS_DB]
        layouts.append({"layout": numbers, "snr_db": SNRS_DB, "excess_db": costs})
        report_progress("layouts", len(layouts), len(LAYOUTS))
    leaks = [
        {"num_symbols": n, "offset": OFFSETS,
         "leakage_db": [leakage_db(n, offset, arguments.trials, rng) for offset in OFFSETS]}
        for n in OFFSET_SYMBOLS
    ]  # fmt: skip
    save(
        "joint_sounding",
        {"seed": arguments.seed, "layouts": layouts, "leakage": leaks},
        draw(layouts, leaks),
        arguments.out,
    )
    for record in (*layouts, *leaks):
        print(record)


if __name__ == "__main__":
    main()
