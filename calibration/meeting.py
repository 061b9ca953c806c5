"""What is said of a device that was asked to send its preamble and whose preamble did not come."""

import numpy as np

from radio.decibel import to_db
from radio.interface import RadioError, Samples

LOUD = 4.0  # times the noise: over hundreds of samples no noise is so strong


class NotHeard(RadioError):
    """A device that was asked to send was not heard."""


def not_heard(device: int, loudest: float, quiet: float, meeting_s: float) -> NotHeard:
    """loudest: power of what came within `meeting_s`; quiet: of a sample while nobody sends, 0 if that is not known."""
    if quiet > 0.0 and loudest > LOUD * quiet:
        return NotHeard(
            f"device {device} was asked to send, and what came, {to_db(loudest / quiet):.0f} dB over the "
            "noise, is not its preamble; see that it has the receiver's sample_rate_hz and center_hz and its own "
            "place in radio.uris, or lower its tx_gain_db"
        )
    return NotHeard(
        f"device {device} was not heard within {meeting_s:g} s of being asked to send; check its "
        "cable or antenna, its tx_gain_db, the receiver's rx_gain_db, and that both are tuned alike"
    )


def loudest_part(samples: Samples, length: int) -> float:
    """Highest mean power of `length` samples in a row, to half of them."""
    step = length // 2
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    powers = np.mean(np.abs(blocks) ** 2, axis=1)
    return float(np.max((powers[1:] + powers[:-1]) / 2.0))
