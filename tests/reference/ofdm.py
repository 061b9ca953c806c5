"""OFDM as the textbook sums it: x[n] = (1/sqrt N) sum_k X_k exp(2 pi j k n / N), then the prefix in front."""

import numpy as np


def modulate(symbols, ofdm):
    n = np.arange(ofdm.fft_len)
    out = []
    for row in symbols:
        body = np.zeros(ofdm.fft_len, dtype=complex)
        for value, k in zip(row, ofdm.active_bins, strict=True):
            body += value * np.exp(2j * np.pi * k * n / ofdm.fft_len) / np.sqrt(ofdm.fft_len)
        out.append(np.concatenate([body[ofdm.fft_len - ofdm.prefix_len :], body]))
    return np.concatenate(out)
