"""radio.profile: what is refused, in one line, before anything is sent; and what a run gains by it."""

import hashlib
import json
from dataclasses import replace

import msgspec
import pytest
from typer.testing import CliRunner

from calibration.before_after import before_after_section, summary
from calibration.findings import find_out
from calibration.procedure import Extent, calibrate
from calibration.profile import read_profile, write_profile
from calibration.verification import Verification
from server.__main__ import app
from server.compose_bench import open_bench
from server.config import ConfigError
from server.config_file import build, load_arms
from server.profile_use import with_profile
from tests.calibration.made_profile import AT_S, device_profile, profile_of
from tests.server.known_profile import known_profile, write_known_profile

WAVEFORM = {
    "run": {"rounds": 3, "seed": 3, "test_tasks": 2, "progress_tasks": 2, "evaluate_every": 100},
    "task": {"ways": 3, "shots": 2, "queries": 2},
    "model": {"name": "mlp", "width": 16},
    "fleet": {"devices": 3, "held_out": 1},
    "link": {"backend": "waveform", "snr_db": 60.0, "gap_s": 0.002},
    "air": {
        "scenario": "identity", "random_phase": True, "near_far_db": 6.0, "image_db": -20.0,
        "lo_leakage_db": -20.0, "saturation_db": -6.0, "rx_image_db": -20.0, "rx_dc_db": -30.0,
    },
}  # fmt: skip


def experiment_of(**radio):
    return build(WAVEFORM | {"radio": radio})


def changed(profile, **fields):
    return msgspec.convert(msgspec.to_builtins(profile) | fields, type(profile))


def refusal(tmp_path, profile, now_s=AT_S, **radio):
    write_profile(tmp_path / "profile.json", profile)
    experiment = experiment_of(profile=str(tmp_path / "profile.json"), **radio)
    with pytest.raises(ConfigError) as caught:
        with_profile(experiment, now_s)
    assert "\n" not in str(caught.value)
    assert "profile.json" in str(caught.value)
    return str(caught.value)


def three(**fields):
    """Of the defaults' numerology, which the run has."""
    return profile_of(*(device_profile(d, -1.0 * d, image=0.1) for d in range(3)), **fields)


def test_a_file_that_is_not_there_or_is_no_profile_is_refused(tmp_path):
    for content, message in (
        (None, "No such file or directory; give the profile.json of airmeta calibrate"),
        ("{}", "version None of the profile, this build reads 1; calibrate again"),
        ('{"version": 7}', "version 7 of the profile, this build reads 1"),
        ('{"version": 1}', "is no profile (Object missing required field"),
        ("[run]", "is no profile ("),
    ):
        path = tmp_path / "profile.json"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError) as caught:
            with_profile(experiment_of(profile=str(path)))
        assert str(caught.value).startswith(f"radio.profile: {path}")
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_fewer_devices_than_the_fleet_are_refused(tmp_path):
    two = profile_of(device_profile(0, 0.0), device_profile(1, 0.0))
    found = refusal(tmp_path, two)
    assert (
        "holds 2 devices, fleet.devices = 3 and device 2 is not among them; lower fleet.devices to 2" in found
    )


@pytest.mark.parametrize(
    ("radio", "message"),
    [
        ({"sample_rate_hz": 2e6}, "radio.sample_rate_hz = 4000000, this run has 2000000; calibrate with the settings"),
        ({"center_hz": 868e6}, "radio.center_hz = 915000000, this run has 868000000"),
        ({"fft_len": 512}, "radio.fft_len = 256, this run has 512"),
        ({"active": 96}, "radio.active = 192, this run has 96"),
    ],
)  # fmt: skip
def test_other_settings_than_the_calibrations_are_refused(radio, message, tmp_path):
    assert f"was made with {message}" in refusal(tmp_path, three(), **radio)


def test_other_gains_of_radios_than_the_calibrations_are_refused(tmp_path):
    tables = WAVEFORM | {"link": {"backend": "pluto"}, "radio": {"tx_gain_db": -20.0, "rx_gain_db": 10.0}}
    plutos = build(tables)
    profile = known_profile(plutos, AT_S)
    path = tmp_path / "profile.json"
    write_profile(path, profile)
    named = replace(plutos, radio=replace(plutos.radio, profile=str(path)))
    with_profile(named, AT_S)
    for key, value in (("tx_gain_db", -30.0), ("rx_gain_db", 20.0)):
        other = replace(named, radio=replace(named.radio, **{key: value}))
        with pytest.raises(
            ConfigError, match=rf"radio\.{key} = -?\d+, this run has {value:g}; calibrate with"
        ):
            with_profile(other, AT_S)


def test_what_is_too_old_is_named_with_its_age_and_a_limit_of_ones_own_overrules_it(tmp_path):
    assert "is too old: device 0 gain_db expired 1.5e+01 s ago" not in refusal(
        tmp_path, three(), AT_S + 615.0
    )
    found = refusal(tmp_path, three(), AT_S + 615.0)  # a path holds for ten minutes
    assert (
        "is too old: device 0 gain_db expired 15 s ago; calibrate again, or say with radio.profile_max"
        in found
    )
    assert "gain_db expired 2.83 hours ago" in refusal(tmp_path, three(), AT_S + 600.0 + 10_200.0)
    path = str(tmp_path / "profile.json")
    day_s = 86400.0
    applied = with_profile(experiment_of(profile=path, profile_max_age_s=2 * day_s), AT_S + day_s).applied
    assert applied.devices[2].transmit.image == pytest.approx(0.1)
    found = refusal(tmp_path, three(), AT_S + day_s, profile_max_age_s=3600.0)
    assert "gain_db expired 23 hours ago" in found


def test_only_what_is_used_can_be_too_old(tmp_path):
    alike = profile_of(*(device_profile(d, 0.0, image=0.1) for d in range(3)))  # nobody is levelled
    write_profile(tmp_path / "profile.json", alike)
    experiment = experiment_of(profile=str(tmp_path / "profile.json"))
    with_profile(experiment, AT_S + 86400.0)
    with pytest.raises(ConfigError, match="is too old: device 0 image expired 2 days ago"):
        with_profile(experiment, AT_S + 32 * 86400.0)


def test_a_backend_without_radios_reads_no_profile():
    tables = WAVEFORM | {"link": {"backend": "symbol"}, "radio": {"profile": "nowhere.json"}}
    experiment = build(tables)
    assert with_profile(experiment) is experiment


def write_config(folder, **radio):
    text = "".join(
        f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for table, keys in (WAVEFORM | {"radio": radio}).items()
    )
    path = folder / "config.toml"
    path.write_text(text)
    return path


def airmeta(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def run(folder, config, *words):
    done = airmeta("run", config, "--out", folder, *words)
    assert done.exit_code == 0, done.output
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize(
    ("serials", "message"),
    [
        ({0: "sim-1@3", 1: "sim-0@3"}, "device 0 has radio sim-0@3, which {source} knows as device 1, and sim-1@3 as"),
        ({2: "sim-2@4"}, "device 2 has radio sim-2@3, {source} was made with sim-2@4 there; bring that one back, or"),
        ({-1: "sim-0@3", 0: "sim--1@3"}, "receiver has radio sim--1@3, which {source} knows as device 0"),
    ],
)  # fmt: skip
def test_a_profile_of_other_radios_is_refused_by_their_names(serials, message, tmp_path):
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    path = tmp_path / "profile.json"
    profile = known_profile(build(WAVEFORM))
    devices = [
        msgspec.to_builtins(each) | {"serial": serials.get(each.device, each.serial)}
        for each in profile.devices
    ]
    receiver = msgspec.to_builtins(profile.receiver)
    receiver["serial"] = serials.get(-1, receiver["serial"])
    write_profile(path, changed(profile, devices=devices, receiver=receiver))
    done = airmeta("run", write_config(tmp_path, profile=str(path)), "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert message.format(source=f'radio.profile = "{path}"') in done.stderr
    assert ("they are swapped; exchange them" in done.stderr) == (len(serials) == 2)


def test_a_run_with_the_profile_of_its_radios_has_neither_their_faults_nor_their_spread(tmp_path):
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    path = tmp_path / "profile.json"
    experiment = load_arms(write_config(tmp_path))[0].experiment
    profile = write_known_profile(path, experiment)
    without = run(tmp_path / "without", write_config(tmp_path))
    config = write_config(tmp_path, profile=str(path))
    corrected = run(tmp_path / "corrected", config)
    # three images of -20 dB: the receiver's and each device's of its own signal, and what is compressed on top
    assert without["nmse_amplitude_db"] > -18.0
    assert (
        corrected["nmse_amplitude_db"] < -45.0
    )  # what the noise of 60 dB and the peaks beyond full scale leave
    assert corrected["error_budget_db"]["hardware"] < without["error_budget_db"]["hardware"] - 25.0
    assert corrected["error_budget_db"]["fading"] < without["error_budget_db"]["fading"] - 25.0
    facts = json.loads((tmp_path / "corrected" / "manifest.json").read_text())["profile"]
    assert facts["path"] == str(path)
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    gains_db = [each.gain_db.value for each in profile.devices]
    assert list(facts["levels_db"].values()) == pytest.approx(
        [min(gains_db) - gain for gain in gains_db], abs=1e-3
    )
    assert json.loads((tmp_path / "without" / "manifest.json").read_text())["profile"] is None
    assert (tmp_path / "corrected" / "profile.json").read_bytes() == path.read_bytes()
    write_profile(path, changed(read_profile(path), made_at_s=0.0))
    again = airmeta("run", config, "--out", tmp_path / "corrected", "--resume")
    assert again.exit_code == 2
    assert f'radio.profile = "{path}" is another file than the one that the run' in again.stderr


def test_a_calibration_measures_what_its_corrections_are_worth(tmp_path):
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    experiment = load_arms(write_config(tmp_path), ["link.snr_db=30"])[0].experiment
    with open_bench(experiment) as bench:
        verification = Verification(bench)
        captures, missing = calibrate(bench, Extent(span_s=0.1), lambda step: None, verification)
    profile = verification.profile(captures)
    assert missing == {}
    assert find_out(captures) == profile  # by the captures alone
    truth = known_profile(experiment)
    gains_db = [each.gain_db.value for each in truth.devices]
    assert profile.gain_spread_db == pytest.approx(max(gains_db) - min(gains_db), abs=0.2)
    assert profile.gain_spread_after_db < 0.2
    for each, known in zip(profile.devices, truth.devices, strict=True):
        for name in ("image", "leakage"):
            value, after = getattr(each, name).value, getattr(each.after, name).value
            assert value == pytest.approx(getattr(known, name).value, abs=0.01)
            assert abs(after) < 0.1 * abs(value)  # 20 dB
        # seen through the mixer's correction, the amplifier is what it is
        assert each.saturation_db.value == pytest.approx(-6.0, abs=0.1)
        assert each.smoothness.value == pytest.approx(3.0, abs=0.3)
        assert each.after.evm_db.value < each.evm_db.value - 8.0
        assert each.after.level_db <= 0.0
    assert abs(profile.receiver.after.image.value) < 0.005
    assert abs(profile.receiver.after.dc.value) < 0.003
    line = f"gain spread {profile.gain_spread_db:.1f} to {profile.gain_spread_after_db:.1f} dB, image -"
    assert line in summary(profile)
    page = "".join(before_after_section(profile))
    assert page.count("<tr>") == 1 + 3 + 1  # heading, devices, receiver
    assert summary(truth) == ""
    assert before_after_section(truth) == ()
