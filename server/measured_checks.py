"""Whether a measured air fits the fleet, the link, the radio and what the receiver can follow."""

from dataclasses import replace

from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.decibel import from_db, to_db
from radio.frame import element_level
from radio.impairments import NEVER_DB
from radio.interface import peak_amplitude
from radio.measured_air import MeasuredAir
from radio.ofdm import OfdmConfig
from radio.pilot_layout import num_channel_taps
from radio.preamble import preamble
from server.air_checks import LOWEST_SNR_DB
from server.config import ConfigError, Experiment
from server.link_noise import mean_snr_db
from server.receive_window import window_lead


def fleet_of(experiment: Experiment, measured: MeasuredAir) -> MeasuredAir:
    """The air of an experiment's devices alone, which are the first ones. ConfigError if there are fewer."""
    found, needed = len(measured.devices), experiment.fleet.devices
    if found < needed:
        raise ConfigError(
            f"{experiment.air.origin} holds {found} devices, fleet.devices = {needed}; lower fleet.devices to {found}, "
            "or calibrate as many"
        )
    return replace(measured, devices=measured.devices[:needed])


def check_measured(experiment: Experiment, measured: MeasuredAir) -> None:
    """Of an experiment that knows its air. Raises ConfigError that names air.profile, and the device."""
    ofdm = experiment.ofdm()
    _check_noise(experiment)
    _check_clocks(experiment, measured)
    if experiment.link.backend == "waveform":
        _check_crystals(experiment, measured)
        _check_prefix(experiment, measured, ofdm)
        _check_search(experiment, measured, ofdm)
        _check_full_scale(experiment, measured, ofdm)


def _check_noise(experiment: Experiment) -> None:
    snr_db = mean_snr_db(experiment)
    if experiment.link.noise == "figure" and snr_db is not None and snr_db < LOWEST_SNR_DB:
        raise ConfigError(
            f"{experiment.air.origin} with link.backoff_db = {experiment.link.backoff_db:g} makes an SNR of "
            f'{snr_db:.1f} dB, the lowest is {LOWEST_SNR_DB:g}; lower link.backoff_db or set link.noise = "snr"'
        )


def _check_clocks(experiment: Experiment, measured: MeasuredAir) -> None:
    for number, device in enumerate(measured.devices):
        if device.law.clock == "free" and experiment.radio.reference == "shared":
            raise ConfigError(
                f"{experiment.air.origin} has free-running clocks, device {number} is {device.clock_offset_ppm:g} ppm "
                f"off and drifts by {device.drift_hz_per_root_s:g} Hz per root second, but radio.reference = "
                '"shared"; set radio.reference = "free"'
            )


def _check_crystals(experiment: Experiment, measured: MeasuredAir) -> None:
    known_ppm = experiment.radio.crystal_ppm
    for number, device in enumerate(measured.devices):
        if abs(device.clock_offset_ppm) > known_ppm:
            raise ConfigError(
                f"{experiment.air.origin} has device {number} {device.clock_offset_ppm:g} ppm off, beyond "
                f"radio.crystal_ppm = {known_ppm:g}, within which the receiver looks for a carrier; raise "
                "radio.crystal_ppm"
            )


def _check_prefix(experiment: Experiment, measured: MeasuredAir, ofdm: OfdmConfig) -> None:
    """Everything that arrives has to lie within the channel model. Devices acquired one by one arrive together."""
    ends_s = [device.delay_s + device.tap_delays_s[-1] for device in measured.devices]
    if experiment.radio.reference == "free":
        spread_s = max(device.tap_delays_s[-1] for device in measured.devices)
    else:
        spread_s = max(ends_s) - min(device.delay_s for device in measured.devices)
    limit = num_channel_taps(ofdm) - window_lead(ofdm) - 1
    if spread_s * ofdm.sample_rate_hz > limit:
        raise ConfigError(
            f"{experiment.air.origin} spreads arrivals over {spread_s * ofdm.sample_rate_hz:.4g} samples, the limit is "
            f"{limit}, what the receiver grants of radio.prefix_len = {ofdm.prefix_len}; lower radio.sample_rate_hz, "
            "or raise radio.prefix_len"
        )


def _check_search(experiment: Experiment, measured: MeasuredAir, ofdm: OfdmConfig) -> None:
    """As of drawn airs: nothing may drift out of the window in which the receiver looks for a slot."""
    free = experiment.radio.reference == "free"
    limit = MAX_START_OFFSET_SAMPLES * (2 if free else 1)
    ppm = max(abs(device.sample_clock_offset_ppm or 0.0) for device in measured.devices)
    num_rounds = 1 if free else experiment.run.rounds
    drift = 1e-6 * ppm * num_rounds * experiment.link.round_s * ofdm.sample_rate_hz
    delay = max(device.delay_s + device.tap_delays_s[-1] for device in measured.devices) * ofdm.sample_rate_hz
    if experiment.air.start_offset_samples + delay + drift > limit:
        raise ConfigError(
            f"{experiment.air.origin} with delays of {delay:.4g} samples and a sample clock that is {ppm:g} ppm off "
            f"for {num_rounds} rounds, {drift:.4g} samples, and air.start_offset_samples = "
            f"{experiment.air.start_offset_samples} exceed the {limit} in which the receiver looks for a slot; lower "
            "air.start_offset_samples, run.rounds or link.round_s"
        )


def _check_full_scale(experiment: Experiment, measured: MeasuredAir, ofdm: OfdmConfig) -> None:
    """The preamble that all devices send in phase is the highest that arrives: the receiver must not clip it."""
    if measured.adc_full_scale_db >= NEVER_DB:
        return
    level = element_level(experiment.link.backoff_db, ofdm) * peak_amplitude(preamble(ofdm))
    gains = sorted((from_db(device.gain_db / 2.0) for device in measured.devices), reverse=True)
    reached_db = to_db((sum(gains[: experiment.num_active]) * level) ** 2)
    if reached_db > measured.adc_full_scale_db:
        raise ConfigError(
            f"{experiment.num_active} devices in phase reach {reached_db:.1f} dB at the receiver, which saturates at "
            f"{measured.adc_full_scale_db:g} dB by {experiment.air.origin}; raise link.backoff_db by "
            f"{reached_db - measured.adc_full_scale_db:.1f} dB or lower fleet.active"
        )
