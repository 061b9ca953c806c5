"""OAMP at the size of conv4 against nothing but the FFTs that it contains, one core."""

import numpy as np
import scipy.fft

from benchmarks.turns import in_turns, show
from radio import oamp
from radio.sketch import draw_sketch

DIMENSION = 113_221


def test_oamp_against_its_ffts():
    rng = np.random.default_rng(0)
    sketch = draw_sketch(DIMENSION, round(0.4 * DIMENSION), 0, 0)
    summed = np.zeros(DIMENSION)
    for _ in range(10):
        summed[rng.permutation(DIMENSION)[: round(0.04 * DIMENSION)]] += rng.normal(
            size=round(0.04 * DIMENSION)
        )
    clean = sketch.forward(summed)
    noise_variance = float(np.mean(np.abs(clean) ** 2)) / 100
    noise = rng.normal(size=(2, sketch.num_rows)) * np.sqrt(noise_variance / 2)
    received = clean + noise[0] + 1j * noise[1]

    transforms = 0

    def counted(transform):
        def run(*args, **kwargs):
            nonlocal transforms
            transforms += 1
            return transform(*args, **kwargs)

        return run

    real = scipy.fft.rfft, scipy.fft.irfft
    scipy.fft.rfft, scipy.fft.irfft = map(counted, real)
    try:
        estimate = oamp.recover(received, noise_variance, sketch)
    finally:
        scipy.fft.rfft, scipy.fft.irfft = real
    error_db = 20 * np.log10(np.linalg.norm(estimate - summed) / np.linalg.norm(summed))
    assert error_db < -20  # it did the work

    signal = np.zeros(sketch.transform_len)

    def only_transforms():
        for _ in range(transforms // 2):
            spectrum = scipy.fft.rfft(signal, norm="ortho")
            scipy.fft.irfft(spectrum, sketch.transform_len, norm="ortho", overwrite_x=True)

    seconds = in_turns(
        {"OAMP": lambda: oamp.recover(received, noise_variance, sketch), "its FFTs": only_transforms}, 15
    )
    show(f"OAMP, d = {DIMENSION:,}, {transforms} FFTs, {error_db:.1f} dB", seconds, "its FFTs", "at most 3")
