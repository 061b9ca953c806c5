"""What a calibration's report shows: figures of its captures and of what was made of them."""

from collections.abc import Iterator, Mapping

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from calibration.analysis import Together, alone_estimates, ofdm_of, together_estimates
from calibration.burst import BurstEstimate
from calibration.delay import centred_bins, estimate_mean_delay, remove_delay
from calibration.figure_style import add_legend, new_figure, style, tidy
from calibration.frequency import remove_cfo
from calibration.motion_figures import moving_figures
from calibration.shown import Shown, label_of
from radio.capture import Capture, SentBurst
from radio.ofdm import OfdmConfig, demodulate
from radio.preamble import preamble_len

MOST_POINTS = 1200  # of a constellation, of one device
FLOOR_DB = -60.0
Probe = tuple[SentBurst, BurstEstimate]


def figures_of(captures: Mapping[str, Capture]) -> Iterator[Shown]:
    """In the order of the report; those that captures exist for."""
    yield _spectrum(captures)
    if "alone" in captures:
        capture = captures["alone"]
        probes = list(alone_estimates(capture))
        yield _waterfall(capture)
        yield _constellations(capture, probes)
        yield _channels(probes, ofdm_of(capture))
        yield _impulse_responses(probes, ofdm_of(capture))
    if "together" in captures:
        together, ofdm = together_estimates(captures["together"]), ofdm_of(captures["together"])
        yield _phases(together)
        yield _alignment(together, ofdm)
    yield from moving_figures(captures)


def _spectrum(captures: Mapping[str, Capture]) -> Shown:
    figure = new_figure()
    axes = figure.add_subplot()
    silence = captures["silence"]
    rate_hz = ofdm_of(silence).sample_rate_hz
    axes.plot(*_density(silence.samples, rate_hz), color="#444444", linewidth=1.0, label="nobody sends")
    if "alone" in captures:
        for index, sent in enumerate(captures["alone"].sent):
            first = sent.start_index - captures["alone"].start_index
            samples = captures["alone"].samples[first : first + sent.num_samples]
            axes.plot(
                *_density(samples, rate_hz),
                color=style(index).colour,
                linewidth=1.0,
                label=label_of(sent.device),
            )
    axes.set_xlabel("frequency from the carrier (MHz)")
    axes.set_ylabel("power density (dBFS/Hz)")
    tidy(axes)
    add_legend(figure, axes)
    caption = (
        "Each device's band should be flat to a few dB and stand clear of the noise. A line in the grey curve is "
        "somebody else, or the receiver's own offset at 0."
    )
    return Shown("spectrum", "Spectrum", caption, figure)


def _density(samples: NDArray[np.complex64], rate_hz: float) -> tuple[NDArray, NDArray]:
    frequencies, density = scipy.signal.welch(
        samples, rate_hz, nperseg=min(512, len(samples)), return_onesided=False, detrend=False
    )
    order = np.argsort(frequencies)
    return frequencies[order] / 1e6, 10.0 * np.log10(np.maximum(density[order], 1e-30))


def _waterfall(capture: Capture) -> Shown:
    figure = new_figure()
    axes = figure.add_subplot()
    rate_hz = ofdm_of(capture).sample_rate_hz
    _, times, power = scipy.signal.spectrogram(
        capture.samples, rate_hz, nperseg=256, noverlap=0, return_onesided=False, detrend=False
    )
    levels = 10.0 * np.log10(np.maximum(np.fft.fftshift(power, axes=0), 1e-30))
    top = float(np.percentile(levels, 99.5))
    image = axes.imshow(
        levels, aspect="auto", origin="lower", cmap="viridis", vmin=top - 50.0, vmax=top, interpolation="none",
        extent=(0.0, 1e3 * times[-1], -rate_hz / 2e6, rate_hz / 2e6),
    )  # fmt: skip
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("frequency (MHz)")
    figure.colorbar(image, ax=axes, label="dBFS/Hz", shrink=0.9)
    caption = "Each device's turn, one after the other, and silence between them."
    return Shown("waterfall", "Every device in its turn", caption, figure)


def _constellations(capture: Capture, probes: list[Probe]) -> Shown:
    figure = new_figure(2.9)
    before, after = figure.subplots(1, 2)
    ofdm, num_symbols = ofdm_of(capture), int(capture.facts["num_symbols"])
    for index, (sent, burst) in enumerate(probes):
        first = burst.start + preamble_len(ofdm)
        samples = capture.samples[first : first + num_symbols * ofdm.symbol_len]
        raw = demodulate(samples, ofdm) / sent.level
        still = remove_cfo(
            samples, burst.cfo_hz, ofdm.sample_rate_hz, preamble_len(ofdm) - round(burst.middle - burst.start)
        )
        equal = demodulate(still, ofdm) / sent.level / burst.response
        for axes, points in ((before, raw / np.sqrt(np.mean(np.abs(raw) ** 2))), (after, equal)):
            few = points.ravel()[:: max(1, points.size // MOST_POINTS)]
            axes.plot(
                few.real, few.imag, ".", markersize=1.5, alpha=0.5, color=style(index).colour, rasterized=True
            )  # fmt: skip
        after.plot([], [], "o", color=style(index).colour, label=label_of(sent.device))
    for axes, title in ((before, "as received"), (after, "channel and offset undone")):
        axes.set_title(title, fontsize=10)
        axes.set_aspect("equal")
        axes.set_xlim(-2.0, 2.0)
        axes.set_ylim(-2.0, 2.0)
        tidy(axes)
    add_legend(figure, after)
    caption = (
        "Training symbols of every device. On the right four points: their width is noise, phase noise and what the "
        "mixers do; a ring is a clock that was not followed, an ellipse an image."
    )
    return Shown("constellation", "Constellation, before and after", caption, figure)


def _channels(probes: list[Probe], ofdm: OfdmConfig) -> Shown:
    figure = new_figure(4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    frequencies = centred_bins(ofdm) * ofdm.sample_rate_hz / ofdm.fft_len / 1e6
    for index, (sent, burst) in enumerate(probes):
        colour = style(index).colour
        magnitude = 20.0 * np.log10(np.maximum(np.abs(burst.response), 1e-12))
        upper.plot(frequencies, magnitude, color=colour, linewidth=1.3, label=label_of(sent.device))
        flat = remove_delay(burst.response, burst.delay_samples, ofdm)
        lower.plot(frequencies, np.degrees(np.angle(flat)), ".", markersize=2.0, color=colour)
    upper.set_ylabel("gain (dB)")
    lower.set_ylabel("phase (degrees)")
    lower.set_xlabel("frequency from the carrier (MHz)")
    for axes in (upper, lower):
        tidy(axes)
    add_legend(figure, upper)
    caption = (
        "Gains from full scale to full scale. Deep notches are what truncation and mmse have to leave out."
    )
    return Shown("channel", "Channel of every subcarrier", caption, figure)


def _impulse_responses(probes: list[Probe], ofdm: OfdmConfig) -> Shown:
    figure = new_figure()
    axes = figure.add_subplot()
    fine = 8
    for index, (sent, burst) in enumerate(probes):
        spectrum = np.zeros(fine * ofdm.fft_len, dtype=np.complex128)
        window = np.hanning(ofdm.num_active + 2)[1:-1]  # or the guard bands' edges would ring
        centred = remove_delay(burst.response, burst.delay_samples, ofdm) * window
        half = len(centred) // 2
        spectrum[centred_bins(ofdm)] = centred
        spectrum[0] = (centred[half - 1] + centred[half]) / 2.0  # nothing was sent there
        impulse = np.abs(np.fft.fftshift(np.fft.ifft(spectrum)))
        delays = (np.arange(len(impulse)) - len(impulse) // 2) / fine / ofdm.sample_rate_hz * 1e6
        shown = np.abs(delays) <= ofdm.prefix_len / 2.0 / ofdm.sample_rate_hz * 1e6
        levels = np.maximum(20.0 * np.log10(impulse / impulse.max()), FLOOR_DB)
        axes.plot(
            delays[shown],
            levels[shown],
            color=style(index).colour,
            linewidth=1.2,
            label=label_of(sent.device),
        )
    axes.set_xlabel("delay from the mean (us)")
    axes.set_ylabel("relative to the peak (dB)")
    tidy(axes)
    add_legend(figure, axes)
    caption = (
        "Paths that lie within the prefix do no harm; the width of the peak is what the bandwidth resolves."
    )
    return Shown("impulse", "Impulse response", caption, figure)


def _phases(together: Together) -> Shown:
    figure = new_figure()
    axes = figure.add_subplot()
    turned = np.einsum("bik,ik->bi", together.gains, together.gains[0].conj())
    phases = np.unwrap(np.angle(turned), axis=0)
    times = together.instants_s - together.instants_s[0]
    for index, device in enumerate(together.devices):
        slope, start = np.polyfit(times, phases[:, index], 1)
        left = np.degrees(phases[:, index] - slope * times - start)
        axes.plot(times, left, color=style(index).colour, linewidth=1.0, label=label_of(device))
    axes.set_xlabel("time (s)")
    axes.set_ylabel("phase (degrees)")
    tidy(axes)
    add_legend(figure, axes)
    caption = (
        "All devices sound together, aligned, their mean frequencies removed. Within a few degrees over the gap "
        "between sounding and payload is good; curves that run together are the receiver's own clock."
    )
    return Shown("phase", "Phase over time", caption, figure)


def _alignment(together: Together, ofdm: OfdmConfig) -> Shown:
    figure = new_figure()
    axes = figure.add_subplot()
    delays = np.asarray(estimate_mean_delay(together.gains, ofdm)) - ofdm.prefix_len // 4
    times = together.instants_s - together.instants_s[0]
    for index, device in enumerate(together.devices):
        axes.plot(times, delays[:, index], color=style(index).colour, linewidth=1.0, label=label_of(device))
    axes.set_xlabel("time (s)")
    axes.set_ylabel("arrival (samples)")
    tidy(axes)
    add_legend(figure, axes)
    caption = (
        "Arrival from where it was meant. With its correction every device should stay within a fraction of a sample; "
        "a slope is a sample clock."
    )
    return Shown("alignment", "Alignment of all devices", caption, figure)
