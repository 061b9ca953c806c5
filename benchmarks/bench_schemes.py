"""Encoding and decoding of every scheme at the size of conv4, against one FFT of that length, one core."""

import time

import numpy as np
import scipy.fft

from benchmarks.scheme_work import VARIANTS, work_of
from benchmarks.turns import in_turns, show

DIMENSION = 113_221


def test_schemes_against_one_fft():
    signal = np.random.default_rng(0).normal(size=2 * DIMENSION).view(complex)
    rivals = {"one FFT": lambda: scipy.fft.fft(signal)}
    for name, support in VARIANTS:
        rivals[f"{name}, {support}"] = work_of(name, support, DIMENSION).both
    seconds = in_turns(rivals, 15, clock=time.process_time)
    show(f"encode one update and decode the sum of ten, d = {DIMENSION:,}", seconds, "one FFT")
