"""Composition root of a calibration's verdict: trials on the air that a profile remakes, and one over the radios."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from calibration.profile import Profile, read_profile
from radio.air_config import AirConfig
from radio.impairments import NEVER_DB
from radio.interface import RadioError
from radio.measured_air import MeasuredAir, MeasuredDevice
from server.compose_measured import with_measured_air
from server.compose_plutos import radio_setup
from server.compose_trial import run_trial, with_scheme
from server.config import Experiment
from server.profile_use import with_profile
from server.verdict import Appraisal, Hold, Verdict, appraise, recommend

DIMENSION = 2000
NUM_ROUNDS = 6
SHARE = 0.25  # of the entries that travel on a shared support
SCHEMES = {
    "phase": "own",
    "inversion": "shared-random",
    "mmse": "shared-random",
    "reed": "shared-random",
    "fsk_mv": "own",
    "digital": "own",
}
ROOM_S = 1.0  # of a round's period, whatever its sounding takes
CONVERTER_BITS = 12  # of a Pluto, to the air and from it


def give_verdict(experiment: Experiment, profile: Path, tell: Callable[[str], None]) -> Verdict:
    """Predict, recommend, say why it is no better, and try. Raises ConfigError."""
    gap_s = gap_of(experiment)
    remade = on_remade_air(experiment, profile, gap_s)
    predicted = []
    for scheme in SCHEMES:
        tell(f"predicting {scheme}")
        predicted.append(_appraised(remade, scheme))
    recommended, why = recommend(predicted)
    tell("what stands in its way")
    budget = error_budget(_chosen(remade, recommended))
    tell(f"trying {recommended} over the radios")
    tried = replace(experiment, link=replace(experiment.link, gap_s=gap_s))
    measured, corrected, untried = None, None, ""
    try:
        measured = _appraised(tried, recommended)
        tell(f"trying {recommended} over the radios, corrected")
        through = replace(tried, radio=replace(tried.radio, profile=str(profile)))
        corrected = (
            _appraised(_corrected(remade, profile), recommended),
            _appraised(through, recommended),
        )
    except RadioError as error:  # what was measured and predicted is not lost by that
        untried = str(error)
    return Verdict(
        predicted=tuple(predicted),
        recommended=recommended,
        why=why,
        budget=budget,
        gap_s=gap_s,
        measured=measured,
        untried=untried,
        corrected=corrected,
        hold=hold_of(read_profile(profile)),
    )


def hold_of(profile: Profile) -> Hold | None:
    """Of the device whose phase wanders most."""
    known = [
        Hold(each.device, each.longest_burst_s.value, each.longest_burst_s.bound == "lower")
        for each in profile.devices
        if each.longest_burst_s is not None
    ]
    return min(known, key=lambda each: each.burst_s, default=None)


def gap_of(experiment: Experiment) -> float:
    """From a sounding's end to the payload on these radios."""
    if experiment.link.backend != "pluto":
        return experiment.link.gap_s
    shape = radio_setup(experiment).shape
    return shape.lead_s + (shape.tx_blocks + shape.rx_blocks + 1) * shape.block_s


def on_remade_air(experiment: Experiment, profile: Path, gap_s: float) -> Experiment:
    """The same fleet over an air in this process, made from a profile. ConfigError."""
    link = replace(
        experiment.link,
        backend="waveform",
        noise="figure",
        fading="none",
        gap_s=gap_s,
        round_s=ROOM_S + 2.0 * gap_s,
    )
    radio = replace(experiment.radio, uris=())
    remade = replace(experiment, link=link, radio=radio, air=AirConfig(profile=str(profile)), measured=None)
    known = with_measured_air(remade)
    assert known.measured is not None
    if experiment.link.backend == "pluto":
        known = replace(known, measured=_with_converters(known.measured))
    return known


def _corrected(remade: Experiment, profile: Path) -> Experiment:
    """Radios that are made from a profile, with what it corrects."""
    known = with_profile(replace(remade, radio=replace(remade.radio, profile=str(profile))))
    assert known.applied is not None
    applied = replace(known.applied, for_any_radio=True)
    return replace(known, applied=applied, radio=remade.radio)


def error_budget(known: Experiment) -> dict[str, float]:
    """Linear shares of the error that each cause makes, alone on the same channels."""
    air = known.measured
    assert air is not None
    errors = {name: _error(replace(known, measured=variant)) for name, variant in variants(air)}
    base = errors["timing"]
    parts = {
        name: max(error - base, 0.0) for name, error in errors.items() if name not in ("timing", "unequal")
    }
    return {"timing": base, **parts, "power mismatch": max(errors["unequal"] - errors["noise"], 0.0)}


def variants(air: MeasuredAir) -> Iterator[tuple[str, MeasuredAir]]:
    """The same air with one thing in the way at a time. "unequal": noise, with the gains as they are."""
    still = tuple(_still(device) for device in air.devices)
    quiet = replace(air, devices=still, noise_variance=0.0, rx_image=0j, rx_dc=0j, adc_bits=0)
    mean_db = sum(device.gain_db for device in still) / len(still)
    even = tuple(replace(device, gain_db=mean_db) for device in still)

    def each(*names: str) -> tuple[MeasuredDevice, ...]:
        pairs = zip(still, air.devices, strict=True)
        return tuple(replace(one, **{name: getattr(full, name) for name in names}) for one, full in pairs)

    yield "timing", quiet
    yield "noise", replace(quiet, devices=even, noise_variance=air.noise_variance)
    yield "unequal", replace(quiet, noise_variance=air.noise_variance)
    yield "phase", replace(quiet, devices=each("phase_noise_deg", "phase_noise_corner_hz"))
    yield (
        "frequency",
        replace(quiet, devices=each("clock_offset_ppm", "sample_clock_offset_ppm", "drift_hz_per_root_s")),
    )
    yield "channel ageing", replace(quiet, devices=each("fading", "rician_k_db", "doppler_hz"))
    yield (
        "mixers",
        replace(quiet, devices=each("image", "lo_leakage"), rx_image=air.rx_image, rx_dc=air.rx_dc),
    )
    yield "amplifiers", replace(quiet, devices=each("saturation_db", "rapp_smoothness"))
    yield "quantisation", replace(quiet, devices=each("dac_bits"), adc_bits=air.adc_bits)


def _still(device: MeasuredDevice) -> MeasuredDevice:
    """Its path, and nothing of its radio."""
    return replace(
        device,
        fading="none",
        doppler_hz=0.0,
        clock_offset_ppm=0.0,
        sample_clock_offset_ppm=None,
        drift_hz_per_root_s=0.0,
        phase_noise_deg=0.0,
        image=0j,
        lo_leakage=0j,
        saturation_db=NEVER_DB,
        dac_bits=0,
    )


def _with_converters(air: MeasuredAir) -> MeasuredAir:
    devices = tuple(replace(device, dac_bits=CONVERTER_BITS) for device in air.devices)
    return replace(air, devices=devices, adc_bits=CONVERTER_BITS, adc_full_scale_db=0.0)


def _chosen(experiment: Experiment, scheme: str) -> Experiment:
    support = SCHEMES[scheme]
    return with_scheme(experiment, scheme, support=support, **({"keep": SHARE} if support != "own" else {}))


def _appraised(experiment: Experiment, scheme: str) -> Appraisal:
    return appraise(scheme, SCHEMES[scheme], run_trial(_chosen(experiment, scheme), NUM_ROUNDS, DIMENSION))


def _error(experiment: Experiment) -> float:
    records = run_trial(experiment, NUM_ROUNDS, DIMENSION)
    errors = [record["nmse"] for record in records if record.get("nmse") is not None]
    return sum(errors) / len(errors) if errors else 1.0
