"""Figures of the link: a received frame's amplitudes and spectrum, the devices' gains and phases."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.signal import welch

from calibration.figure_style import add_legend, make_logarithmic, new_figure, style, tidy
from server.recorder import Record
from server.run_reader import ArmRun

BINS = 61
HELD_SHARE = 0.998  # of the amplitudes, those surely inside the picture
MAX_PANELS = 6  # of arms; with more, the first ones stand for all
SEGMENT_LEN = 512  # samples of one Welch segment


def amplitude_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Density of the received amplitudes in the complex plane, a panel an arm."""
    shown = [(index, arm) for index, arm in enumerate(arms) if arm.frame is not None][:MAX_PANELS]
    if not shown:
        return None
    columns = min(2, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(rows * (2.8 if columns == 2 else 4.2))
    reach = max(_reach(arm.frame.amplitudes) for _, arm in shown if arm.frame is not None)
    for place, (index, arm) in enumerate(shown, start=1):
        assert arm.frame is not None
        axes = figure.add_subplot(rows, columns, place)
        _draw_density(axes, arm.frame.amplitudes, reach, style(index).colour)
        axes.set_title(arm.name, fontsize=10, color=style(index).colour)
        axes.set_xlabel("in phase", fontsize=9)
        if (place - 1) % columns == 0:
            axes.set_ylabel("quadrature", fontsize=9)
    return figure


def spectrum_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Welch's power spectral density of the received frame over the offset from the carrier."""
    shown = [(i, arm) for i, arm in enumerate(arms) if arm.frame is not None and arm.frame.samples.size]
    if not shown:
        return None
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    rates_hz = [float(arm.setting("radio", "sample_rate_hz") or 1.0) for _, arm in shown]
    unit, hz = ("MHz", 1e6) if max(rates_hz) >= 2e6 else ("kHz", 1e3)
    for (index, arm), rate_hz in zip(shown, rates_hz, strict=True):
        assert arm.frame is not None
        frequency_hz, density = spectrum(arm.frame.samples, rate_hz)
        look = style(index)
        axes.plot(
            frequency_hz / hz, 10.0 * np.log10(np.maximum(density, 1e-30)),
            color=look.colour, linestyle=look.line, linewidth=1.2, label=arm.name,
        )  # fmt: skip
    if edge_hz := _band_edge_hz(shown[0][1]):
        for side in (-edge_hz, edge_hz):
            axes.axvline(side / hz, color="#888888", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlabel(f"offset from the carrier ({unit})")
    axes.set_ylabel("power density (dBFS/Hz)")
    add_legend(figure, axes)
    return figure


def spectrum(
    samples: NDArray[np.complex64], sample_rate_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(frequency_hz, density in 1/Hz of full scale squared), rising from -rate/2. samples: (num_samples,)."""
    segment_len = min(SEGMENT_LEN, len(samples))
    frequency_hz, density = welch(
        samples.astype(np.complex128),
        sample_rate_hz,
        "hann",
        segment_len,
        detrend=False,
        return_onesided=False,
    )
    return np.fft.fftshift(frequency_hz), np.fft.fftshift(density)


def gain_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Channel gain in dB, devices over rounds, a panel an arm; arms whose channel never varies are left out."""
    tables = [(index, arm, by_device(arm.rounds, "gain_db")) for index, arm in enumerate(arms)]
    shown = [entry for entry in tables if _varies(entry[2])][:MAX_PANELS]
    if not shown:
        return None
    known = np.concatenate([table[np.isfinite(table)] for *_, table in shown])
    low, high = np.percentile(known, [2.0, 98.0])
    norm = Normalize(float(low), float(high) if high > low else float(low) + 1.0)
    figure = new_figure(1.0 + 2.2 * len(shown))
    panels = []
    for place, (index, arm, table) in enumerate(shown, start=1):
        axes = figure.add_subplot(len(shown), 1, place)
        axes.set_facecolor("#ececec")  # shines through where a device was not active
        extent = (0.5, table.shape[1] + 0.5, table.shape[0] - 0.5, -0.5)
        image = axes.imshow(
            table, aspect="auto", interpolation="nearest", cmap="viridis", norm=norm, extent=extent
        )
        axes.set_title(arm.name, fontsize=10, loc="left", color=style(index).colour)
        axes.set_ylabel("device")
        axes.tick_params(labelsize=9)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True, min_n_ticks=1))
        panels.append(axes)
    panels[-1].set_xlabel("round")
    bar = figure.colorbar(image, ax=panels[0], extend="both", pad=0.02)
    bar.set_label("channel gain (dB)")
    bar.ax.tick_params(labelsize=9)
    return figure


def phase_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Phase error left by the sounding, in degrees: each device's median over rounds, and its 10 to 90 % range."""
    tables = [(i, arm, np.degrees(by_device(arm.rounds, "phase_residual_rad"))) for i, arm in enumerate(arms)]
    shown = [(i, arm, table) for i, arm, table in tables if np.any(table[np.isfinite(table)] > 0.0)]
    if not shown:
        return None
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    for turn, (index, arm, table) in enumerate(shown):
        heard = [device for device in range(len(table)) if np.isfinite(table[device]).any()]
        low, middle, high = np.array([np.nanpercentile(table[d], [10.0, 50.0, 90.0]) for d in heard]).T
        beside = (turn - (len(shown) - 1) / 2) * 0.6 / len(shown)
        axes.errorbar(
            np.array(heard) + beside, middle, yerr=[middle - low, high - middle], fmt=style(index).marker,
            color=style(index).colour, markersize=4.5, elinewidth=1.3, capsize=2, label=arm.name,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    make_logarithmic(axes)
    axes.set_xlabel("device")
    axes.set_ylabel("predicted phase error (degrees rms)")
    add_legend(figure, axes)
    return figure


def by_device(rounds: Sequence[Record], key: str) -> NDArray[np.float64]:
    """(num_devices, num_rounds): a record's list, which goes with its list of devices; nan where not active."""
    told = [(record["round"], record["devices"], record[key]) for record in rounds if record.get(key)]
    if not told:
        return np.zeros((0, 0))
    num_devices = 1 + max(max(devices) for _, devices, _ in told)
    table = np.full((num_devices, 1 + max(index for index, _, _ in told)), np.nan)
    for index, devices, values in told:
        table[devices, index] = values
    return table


def _reach(amplitudes: NDArray[np.complex64]) -> float:
    """Half the side of a square that holds nearly all, so that a few far ones do not shrink the cloud."""
    largest = np.maximum(np.abs(amplitudes.real), np.abs(amplitudes.imag))
    return max(1.1 * float(np.percentile(largest, 100.0 * HELD_SHARE)), 1e-12)


def _draw_density(axes: Axes, amplitudes: NDArray[np.complex64], reach: float, colour: str) -> None:
    edges = np.linspace(-reach, reach, BINS + 1).tolist()
    counts, _, _ = np.histogram2d(amplitudes.real, amplitudes.imag, bins=[edges, edges])
    shades = LinearSegmentedColormap.from_list("shades", ["#e8e8e8", colour, "#101010"])
    axes.pcolormesh(
        edges,
        edges,
        np.where(counts.T > 0, counts.T, np.nan),
        cmap=shades,
        norm=LogNorm(1, max(2.0, counts.max())),
    )
    tidy(axes)
    axes.set_aspect("equal")


def _band_edge_hz(arm: ArmRun) -> float | None:
    """Half of the occupied bandwidth, if the configuration tells it."""
    rate_hz, fft_len, active = (arm.setting("radio", key) for key in ("sample_rate_hz", "fft_len", "active"))
    return (active / 2 + 0.5) * rate_hz / fft_len if rate_hz and fft_len and active else None


def _varies(table: NDArray[np.float64]) -> bool:
    known = table[np.isfinite(table)]
    return known.size > 0 and float(np.ptp(known)) > 1e-9
