"""radio.preset stands in for what a file does not say, and for nothing else."""

import pytest

from radio.numerologies import PRESETS
from radio.ofdm import OfdmConfig
from server.config import ConfigError, Experiment
from server.config_file import build, load_arms
from server.toml_tables import to_tables, to_toml


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_gives_a_legal_numerology_at_its_rate(name):
    ofdm = build({"radio": {"preset": name}, "link": {"gap_s": 0.003}}).ofdm()
    assert ofdm.sample_rate_hz == float(name.removesuffix("M")) * 1e6
    assert ofdm.prefix_len / ofdm.sample_rate_hz > 8e-6  # 3 us of unknown delay within 3/8 of the prefix
    assert 0.02 * ofdm.sample_rate_hz / ofdm.fft_len > 150.0  # wider than a free crystal's residual
    assert ofdm.num_active / ofdm.fft_len == 0.75


def test_the_preset_at_4_msamples_is_the_default():
    assert build({"radio": {"preset": "4M"}}).ofdm() == Experiment().ofdm() == OfdmConfig()


def test_what_the_file_gives_wins_over_the_preset(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text(
        '[radio]\npreset = "20M"\nprefix_len = 200\n[[arm]]\nname = "a"\nradio = {active = 600}\n'
    )
    (arm,) = load_arms(path)
    expected = OfdmConfig(**{**PRESETS_20M, "prefix_len": 200, "num_active": 600})
    assert arm.experiment.ofdm() == expected


PRESETS_20M = {"sample_rate_hz": 20e6, "fft_len": 1024, "prefix_len": 256, "num_active": 768}


def test_the_resolved_configuration_of_a_preset_loads_to_the_same_experiment(tmp_path):
    experiment = build({"radio": {"preset": "20M", "pilots": 8}, "link": {"precoding": True}})
    path = tmp_path / "config.toml"
    path.write_text(to_toml(to_tables(experiment)))
    (arm,) = load_arms(path)
    assert arm.experiment == experiment
    assert to_tables(experiment)["radio"]["fft_len"] == 1024


@pytest.mark.parametrize(
    ("radio", "message"),
    [
        ({"preset": "3M"}, "radio.preset = '3M': .*choose one of: , 1M, 2M, 4M, 20M"),
        ({"pilots": 7}, r"radio: number of pilot subcarriers must be even and in \[0, 96\].*got 7; lower"),
        ({"preset": "1M"}, "link.gap_s = 0.001 is shorter than the 0.00205 s"),
    ],
)
def test_what_cannot_be_is_refused(radio, message):
    with pytest.raises(ConfigError, match=message):
        build({"radio": radio})


def test_every_key_reaches_the_waveform():
    ofdm = build({"radio": {"pilots": 8, "interleave": False}, "link": {"precoding": True}}).ofdm()
    assert (ofdm.num_pilots, ofdm.interleave, ofdm.precoding) == (8, False, True)
