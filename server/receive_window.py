"""Where the demodulator's window lies: checks of what is asked for know it without a receiver."""

from radio.ofdm import OfdmConfig


def window_lead(ofdm: OfdmConfig) -> int:
    """Samples by which the demodulator's window is early, so that a path found late stays inside the prefix."""
    return ofdm.prefix_len // 4
