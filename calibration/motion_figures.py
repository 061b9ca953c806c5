"""Figures of what moves and what bends: phase structure functions, amplifiers."""

from collections.abc import Iterator, Mapping

import numpy as np

from calibration.analysis import ofdm_of, ramp_estimates, soundings_of, symbols_of, together_estimates
from calibration.clock import estimate_clock
from calibration.figure_style import add_legend, make_logarithmic, new_figure, style, tidy
from calibration.shown import Shown, label_of
from calibration.soundings import remove_drift
from calibration.structure import estimate_structure
from radio.capture import Capture

ENOUGH = 5.0  # degrees of freedom, below which an interval is a guess
LEAST_DEG = 1e-3


def moving_figures(captures: Mapping[str, Capture]) -> Iterator[Shown]:
    """Those that captures exist for."""
    if "together" in captures:
        yield _structure(captures["together"])
    if "ramp" in captures:
        yield _amplifiers(captures["ramp"])


def _structure(capture: Capture) -> Shown:
    together, ofdm = together_estimates(capture), ofdm_of(capture)
    soundings = soundings_of(together, ofdm)
    undone = [together.corrections[device] for device in together.devices]
    clock = estimate_clock(soundings, capture.config.center_hz, undone)
    symbols = remove_drift(symbols_of(together, ofdm), clock.residual_cfo_hz, clock.delay_rate)
    found = estimate_structure(symbols)
    figure = new_figure()
    axes = figure.add_subplot()
    lags_ms = 1e3 * found.lags_s
    for index, device in enumerate(together.devices):
        degrees = np.degrees(np.sqrt(np.maximum(found.devices_rad2[index], 0.0)))
        low, high = np.degrees(np.sqrt(np.maximum(found.devices_interval_rad2[index].T, 0.0)))
        shown = degrees > 0.0
        colour = style(index).colour
        axes.loglog(lags_ms[shown], degrees[shown], color=colour, linewidth=1.3, label=label_of(device))
        sure = found.quality[index] >= ENOUGH
        low, high = np.maximum(low[sure], LEAST_DEG), np.maximum(high[sure], LEAST_DEG)
        axes.fill_between(lags_ms[sure], low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_ylim(bottom=max(1e-2, axes.get_ylim()[0]))
    make_logarithmic(axes)
    axes.set_xlabel("lag (ms)")
    axes.set_ylabel("phase turned by (degrees rms)")
    tidy(axes)
    add_legend(figure, axes)
    caption = (
        "How far a phase wanders within a lag: the root of its structure function, measurement noise removed, with "
        "95 % intervals where enough was seen. Read it at the gap between sounding and payload."
    )
    return Shown("structure", "Structure function of the phase", caption, figure)


def _amplifiers(capture: Capture) -> Shown:
    figure = new_figure(4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for index, (device, found) in enumerate(ramp_estimates(capture)):
        colour = style(index).colour
        upper.errorbar(
            found.levels_db, found.gains_db, 1.96 * found.gain_stds_db, color=colour, linewidth=1.2, elinewidth=0.7,
            label=label_of(device),
        )  # fmt: skip
        lower.errorbar(
            found.levels_db, np.degrees(found.phases_rad), np.degrees(1.96 * found.phase_stds_rad), color=colour,
            linewidth=1.2, elinewidth=0.7,
        )  # fmt: skip
    upper.axhline(-1.0, color="#888888", linewidth=0.8, linestyle=":")
    upper.set_ylabel("gain (dB)")
    lower.set_ylabel("phase (degrees)")
    lower.set_xlabel("level of a tone (dBFS)")
    for axes in (upper, lower):
        tidy(axes)
    add_legend(figure, upper)
    caption = (
        "AM/AM and AM/PM against small signals. Where a curve crosses the dotted line is the 1 dB point; a payload's "
        "peaks should stay below."
    )
    return Shown("amplifiers", "Amplifiers", caption, figure)
