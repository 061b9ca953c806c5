import dataclasses
import math
import re

import pytest

from server.config import ConfigError, Experiment
from server.config_file import build, load_arms
from server.planning import power_budgets
from server.toml_tables import to_tables, to_toml


def write(tmp_path, text):
    path = tmp_path / "experiment.toml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_defaults(tmp_path):
    (arm,) = load_arms(write(tmp_path, ""))
    assert (arm.name, arm.experiment) == ("", Experiment())


def test_settings_change_the_base_and_an_arms_own_lie_on_top(tmp_path):
    path = write(
        tmp_path, '[link]\nsnr_db = 5.0\n[[arm]]\nname = "a"\n[[arm]]\nname = "b"\nlink = {snr_db = 7.0}\n'
    )
    a, b = load_arms(path, ["link.snr_db=6", "task.path=folder/file.zip", "run.rounds=3"])
    assert (a.experiment.link.snr_db, b.experiment.link.snr_db) == (6.0, 7.0)
    assert a.experiment.task.path == ("folder/file.zip",)
    assert b.experiment.run.rounds == 3


def test_several_paths_are_a_list(tmp_path):
    (arm,) = load_arms(write(tmp_path, ""), ['task.path=["a.zip", "b"]'])
    assert arm.experiment.task.path == ("a.zip", "b")


def test_the_resolved_configuration_read_again_is_the_same_experiment(tmp_path):
    text = 'task = {name = "omniglot", path = "a \\"b\\"\\\\c.zip"}\n'
    text += 'link = {scheme = "inversion", threshold = 0.25}\n'
    text += "air = {tap_delays_samples = [0, 3], tap_powers_db = [0.0, -3.0]}\n"
    (arm,) = load_arms(write(tmp_path, text))
    (again,) = load_arms(write(tmp_path, to_toml(to_tables(arm.experiment))))
    assert again.experiment == arm.experiment
    tables = to_tables(arm.experiment)
    assert list(tables["run"]) == [
        field.name for field in dataclasses.fields(arm.experiment.run)
    ]  # defaults too


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("run.roundz=3", "unknown key run.roundz; known: rounds, seed"),
        ("runs.rounds=3", "unknown table runs; known: run, task"),
        ("run.rounds=many", "run.rounds = 'many': expected int, got str"),
        ("run.rounds=2.5", "run.rounds = 2.5: expected int, got float"),
        ("run.rounds=0", "run.rounds = 0: expected int >= 1"),
        ("run.rounds=true", "run.rounds = True: expected int, got bool"),
        ("link.snr_db=nan", "link.snr_db = nan is not a finite number"),
        ("learning.inner_rate=inf", "learning.inner_rate = inf is not a finite number"),
        ("update.keep=0", r"update.keep = 0: expected float > 0.0"),
        ("update.keep=1.5", r"update.keep = 1.5: expected float <= 1.0"),
        ("update.measurements=0.5", "update.measurements = 0.5: expected float < 0.5"),
        ("update.support=ours", "update.support = 'ours': .*choose one of: own"),
        (
            "link.threshold=-1",
            "link.threshold = -1: expected float >= 0.0; choose a number or one of: optimal",
        ),
        ("link.threshold=best", "link.threshold = 'best': .*; choose a number or one of: optimal"),
        ("link.power_rule=mean", "link.power_rule = 'mean': .*; choose one of: realised, average"),
        (
            "link.power_rule=average",
            'not known with link.scheme = "phase"; set link.scheme = "inversion", or link',
        ),
        (
            "fleet.power_db=[0.0, 1.0]",
            "fleet.power_db lists 2 budgets, fleet.devices = 10; list one for each device",
        ),
        ("fleet.power_db=41", "fleet.power_db = 41: "),
        ("fleet.power_db=[0, -41]", r"fleet.power_db = \[0, -41\]: "),
        ("link.value_bits=1", "link.value_bits = 1: expected int >= 2"),
        ("link.backend=telepathy", "link.backend = 'telepathy': .*choose one of: ideal, symbol, waveform"),
        ("fleet.active=11", "fleet.active = 11 exceeds fleet.devices = 10; lower it to at most 10"),
        ("fleet.quorum=11", "fleet.quorum = 11 exceeds the 10 active devices"),
        ("task.ways=21", "task.ways = 21 exceeds fleet.classes_per_device = 20"),
        ("link.scheme=ideal", 'link.scheme = "ideal" is error-free by definition'),
        ("radio.active=300", r"radio: number of active subcarriers must be even and in \[2, 254\], got 300"),
        ("link.gap_s=0", "link.gap_s = 0 is shorter than the 0.000512 s"),
        ("air.start_offset_samples=5000", r"air.start_offset_samples must be in \[0, 1024\], got 5000"),
        ("air.tap_delays_samples=[16]", "air.tap_delays_samples reaches 16, the limit is below 16"),
        ("air.scenario=space", "air.scenario = 'space': .*"),
        ("air.doppler_hz=3000", r"air.doppler_hz must be in \[0, 2000\], got 3000"),
        ("air.adc_bits=11.5", "air.adc_bits = 11.5: expected int, got float"),
        ("air.fading=nakagami", "air.fading = 'nakagami': .*; choose one of: none, rayleigh, rician"),
        ("air.profile=hilly", "air.profile = 'hilly': .*; choose one of: epa, eva, tdl-a, exponential"),
        (
            "air.scenario=free",
            'air.scenario = "free" has free-running clocks, but radio.reference = "shared"',
        ),
        ("task.path=[1]", r"task.path = \[1\]: expected str, got int"),
        ("rounds=3", "--set 'rounds=3' is not of the form table.key=value"),
        ("run.rounds", "--set 'run.rounds' is not of the form"),
    ],
)
def test_each_bad_setting_is_refused_in_one_line_that_names_it(setting, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        load_arms(write(tmp_path, ""), [setting])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run = 3", r"run = 3 is not a table; write \[run\]"),
        ("[run\n", "not TOML"),
        ('[[arm]]\nname = "a/b"', "arm name 'a/b' cannot name a folder"),
        ("[[arm]]\n", "arm name None cannot name a folder"),
        ('[[arm]]\nname = "a"\n[[arm]]\nname = "a"', "arm names must differ, got a, a"),
        ('[arm]\nname = "a"', "arm must be an array of tables"),
        ('[[arm]]\nname = "a"\nrun = {rounds = 0}', "arm 'a': run.rounds = 0: expected int >= 1"),
    ],
)
def test_a_bad_file_is_refused(text, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        load_arms(write(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory; give the path of a TOML file"):
        load_arms(tmp_path / "nothing.toml")


def test_a_scenario_has_its_own_fading_and_paths():
    for tables in (
        {"link": {"fading": "rayleigh"}, "air": {"scenario": "bench"}},
        {"air": {"scenario": "indoor", "tap_delays_samples": [0, 1], "tap_powers_db": [0.0, -3.0]}},
    ):
        with pytest.raises(ConfigError, match="which has its own"):
            build(tables)
    build({"air": {"scenario": "harsh"}, "radio": {"reference": "free"}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "ideal"}, 'link.backend = "ideal"; set link.backend = "symbol"'),
        ({"fading": "none"}, 'link.fading = "none"; set link.fading = "rayleigh"'),
        (
            {"threshold": 0.0},
            "link.threshold = 0, where that mean is infinite; set one above 0, or link.power_rule",
        ),
    ],
)
def test_a_mean_power_over_fading_needs_fading_that_is_known(changes, message):
    link = {"scheme": "inversion", "fading": "rayleigh", "power_rule": "average", "threshold": 1}
    assert build({"link": link}).link.threshold == 1.0
    with pytest.raises(ConfigError, match=re.escape(message)):
        build({"link": link | changes})
    with pytest.raises(ConfigError, match=re.escape("air.tap_delays_samples = [0, 2]; set [0], or")):
        build({"link": link, "air": {"tap_delays_samples": [0, 2], "tap_powers_db": [0.0, -3.0]}})


def test_the_average_rule_counts_with_updates_that_travel_whole():
    link = {"scheme": "inversion", "fading": "rayleigh", "power_rule": "average", "threshold": 1}
    with pytest.raises(
        ConfigError, match=r'update.support = "shared-vote", where .*; set update.support = "own"'
    ):
        build({"link": link, "update": {"support": "shared-vote"}})


def test_bits_need_a_channel_with_noise_to_cost_anything():
    link = {"scheme": "digital", "backend": "symbol"}
    assert build({"link": link}).scheme_options().value_bits == 8
    with pytest.raises(
        ConfigError, match=r'link.backend = "ideal" has none; set link.backend = "symbol", or'
    ) as caught:
        build({"link": link | {"backend": "ideal"}})
    assert "\n" not in str(caught.value)


def test_budgets_of_each_device_survive_the_resolved_configuration():
    experiment = build({"fleet": {"devices": 3, "power_db": [0, -6.5, 3]}})
    assert experiment.fleet.power_db == (0.0, -6.5, 3.0)
    assert build(to_tables(experiment)) == experiment
    assert power_budgets(experiment) == pytest.approx({0: 1.0, 1: 0.2239, 2: 1.9953}, rel=1e-3)
    assert power_budgets(build({"fleet": {"devices": 2, "power_db": -10}})) == pytest.approx({0: 0.1, 1: 0.1})


def test_build_leaves_the_tables_it_is_given_alone():
    tables = {"task": {"path": "a"}}
    build(tables)
    assert tables == {"task": {"path": "a"}}


def test_no_default_is_out_of_its_own_range():
    assert build(to_tables(Experiment())) == Experiment()
    assert all(
        math.isfinite(v) for t in to_tables(Experiment()).values() for v in t.values() if isinstance(v, float)
    )
