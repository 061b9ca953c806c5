"""What is drawn is what was recorded: the artists of the figures hold the numbers of the folder."""

import numpy as np
import pytest

from server.figures import accuracy_figure, error_figure, gradient_figure, loss_figure, smoothed
from server.link_figures import by_device, gain_figure, phase_figure, spectrum, spectrum_figure
from server.run_reader import read_run
from tests.server.run_folder import write_arm, write_joint


def lines_of(axes):
    """(x, y) of each line with a legend entry, by its label."""
    return {line.get_label(): line.get_xydata() for line in axes.get_lines() if line.get_label()[0] != "_"}


@pytest.fixture
def arms(tmp_path):
    write_joint(tmp_path / "run", ideal={"backend": "ideal", "scheme": "ideal"}, phase={})
    return read_run(tmp_path / "run")


def test_accuracy_starts_untrained_and_then_follows_the_evaluations(arms):
    lines = lines_of(accuracy_figure(arms).axes[0])
    assert list(lines) == ["ideal", "phase"]
    np.testing.assert_allclose(lines["phase"], [[0, 0.6], [2, 0.62], [4, 0.64], [6, 0.66]])


def test_the_band_is_the_recorded_interval(arms):
    band = accuracy_figure(arms).axes[0].collections[0].get_paths()[0].vertices
    for at, low, high in ((0, 0.55, 0.65), (6, 0.64, 0.68)):
        heights = band[band[:, 0] == at, 1]
        assert heights.min() == pytest.approx(low)
        assert heights.max() == pytest.approx(high)


def test_loss_and_gradient_show_their_own_columns(arms):
    np.testing.assert_allclose(lines_of(loss_figure(arms).axes[0])["ideal"][:, 1], [1, 1 / 3, 1 / 5, 1 / 7])
    norm, loss = gradient_figure(arms).axes
    assert norm.get_yscale() == "log"
    np.testing.assert_allclose(lines_of(norm)["phase"][:, 1], [8, 8 / 3, 8 / 5, 8 / 7])
    np.testing.assert_allclose(lines_of(loss)["phase"][:, 1], [2, 2 / 3, 2 / 5, 2 / 7])


def test_an_arm_has_one_colour_in_every_figure_even_where_others_are_missing(arms):
    figures = [accuracy_figure(arms), spectrum_figure(arms)]  # no waveform in the first arm
    colours = [
        line.get_color()
        for sheet in figures
        for line in sheet.axes[0].get_lines()
        if line.get_label() == "phase"
    ]
    assert len(colours) == 2
    assert len(set(colours)) == 1


def test_errors_are_drawn_in_decibels_and_nulls_are_skipped(tmp_path):
    unknown = {"round": 1, "devices": [0], "nmse": None}
    failed = {"round": 2, "failed": "no quorum"}
    write_arm(tmp_path / "run", changes={1: unknown, 2: failed})
    axes = error_figure(read_run(tmp_path / "run"), [("nmse", "decoded")]).axes[0]
    dots = next(line for line in axes.get_lines() if line.get_marker() == ".").get_xydata()
    np.testing.assert_allclose(dots[~np.isnan(dots[:, 1])], [[1, -10], [4, -10], [5, -10], [6, -10]])


def test_an_error_that_is_rounding_only_does_not_squeeze_the_axis(tmp_path):
    exact = {index: {"round": index, "devices": [0], "nmse": 1e-32} for index in range(6)}
    write_joint(tmp_path / "run", ideal={"changes": exact}, phase={})
    axes = error_figure(read_run(tmp_path / "run"), [("nmse", "decoded")]).axes[0]
    assert list(lines_of(axes)) == ["phase"]
    assert axes.get_ylim()[0] > -20


def test_a_run_without_errors_has_no_figure_of_them(tmp_path):
    write_arm(tmp_path / "run", rounds=1, changes={0: {"round": 0, "failed": "no quorum"}})
    assert error_figure(read_run(tmp_path / "run"), [("nmse", "decoded")]) is None


def test_the_sliding_mean_is_linear_and_passes_over_gaps():
    # by hand, three wide: (1+2)/2, (1+2)/2, (2+6)/2, 6
    np.testing.assert_allclose(smoothed(np.array([1.0, 2.0, np.nan, 6.0]), 3), [1.5, 1.5, 4.0, 6.0])
    assert np.isnan(smoothed(np.array([np.nan, np.nan]), 3)).all()
    np.testing.assert_allclose(smoothed(np.array([4.0]), 5), [4.0])  # a window wider than the run


def test_gains_land_at_their_device_and_round(tmp_path):
    table = by_device(
        [
            {"round": 0, "devices": [2, 0], "gain_db": [-3.0, 1.0]},
            {"round": 2, "devices": [1], "gain_db": [5.0]},
        ],
        "gain_db",
    )
    nan = np.nan
    np.testing.assert_array_equal(table, [[1, nan, nan], [nan, nan, 5], [-3, nan, nan]])


def test_the_heat_map_shows_devices_over_rounds(arms):
    axes = gain_figure(arms[1:]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), np.repeat([[0.0], [-1.0], [-2.0]], 6, axis=1))


def test_phase_errors_are_in_degrees(arms):
    axes = phase_figure(arms[1:]).axes[0]
    np.testing.assert_allclose(axes.containers[0][0].get_ydata(), [1, 2, 3])


def test_the_spectrum_has_the_power_of_its_samples_and_their_frequency():
    rate_hz, tone_hz, amplitude = 1e6, 125e3, 0.5
    samples = amplitude * np.exp(2j * np.pi * tone_hz / rate_hz * np.arange(8192))
    frequency_hz, density = spectrum(samples, rate_hz)
    assert frequency_hz[np.argmax(density)] == tone_hz
    assert density.sum() * (frequency_hz[1] - frequency_hz[0]) == pytest.approx(amplitude**2, rel=1e-6)
