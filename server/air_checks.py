"""Whether the air that is asked for fits the link, the radio and what the receiver can follow."""

import math

from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.decibel import to_db
from radio.frame import element_level
from radio.impairments import Impairments
from radio.interface import peak_amplitude
from radio.ofdm import OfdmConfig
from radio.pilot_layout import num_channel_taps
from radio.preamble import preamble
from server.config import ConfigError, Experiment
from server.link_noise import mean_snr_db
from server.receive_window import window_lead

LOWEST_SNR_DB = -30.0


def check_air(experiment: Experiment, ofdm: OfdmConfig) -> None:
    """Raises ConfigError. Not for the ideal backend, which has no air. What the file of a measured air holds is checked
    when it is read, by `measured_checks`."""
    _check_noise(experiment)
    if not experiment.air.has_paths:
        _check_block_taps(experiment, ofdm)
        return
    _check_link(experiment)
    if experiment.air.measured is None and experiment.link.backend == "waveform":
        impairments = experiment.air.impairments()
        _check_crystals(experiment, impairments)
        _check_prefix(experiment, impairments, ofdm)
        _check_search(experiment, impairments, ofdm)
        _check_full_scale(experiment, impairments, ofdm)


def _check_noise(experiment: Experiment) -> None:
    air = experiment.air
    if experiment.link.noise == "snr":
        unused = {
            "noise_figure_db": air.parts.get("noise_figure_db"),
            "full_scale_dbm": air.full_scale_dbm or None,
        }
        for key, value in unused.items():
            if value is not None:
                raise ConfigError(
                    f'air.{key} = {value:g} has no effect while link.noise = "snr", where link.snr_db sets the noise; '
                    f'set link.noise = "figure" or leave air.{key} out'
                )
        return
    if air.measured is not None:
        if air.full_scale_dbm:
            raise ConfigError(
                f"air.full_scale_dbm = {air.full_scale_dbm:g} has no effect on {air.origin}, which states its noise; "
                "leave one of them out"
            )
        return
    parts, backoff_db = air.impairments(), experiment.link.backoff_db
    snr_db = mean_snr_db(experiment)
    if snr_db is not None and snr_db < LOWEST_SNR_DB:
        raise ConfigError(
            f"air.full_scale_dbm = {air.full_scale_dbm:g}, link.backoff_db = {backoff_db:g}, air.path_loss_db = "
            f"{parts.path_loss_db:g} and air.noise_figure_db = {parts.noise_figure_db:g} make an SNR of "
            f"{snr_db:.1f} dB, the lowest is {LOWEST_SNR_DB:g}; raise the power or lower the loss"
        )


def _check_block_taps(experiment: Experiment, ofdm: OfdmConfig) -> None:
    longest, limit = max(experiment.air.tap_delays_samples), max(1, ofdm.prefix_len // 4)
    if longest >= limit:
        raise ConfigError(
            f"air.tap_delays_samples reaches {longest}, the limit is below {limit}, a quarter "
            "of radio.prefix_len; raise radio.prefix_len"
        )


def _check_link(experiment: Experiment) -> None:
    air, link = experiment.air, experiment.link
    if link.fading != "none":
        raise ConfigError(
            f'link.fading = "{link.fading}" and {air.origin}, which has its own fading; set link.fading = "none" '
            'and air.fading as wanted, or air.scenario = "identity" and nothing else'
        )
    if air.tap_delays_samples != (0,):
        raise ConfigError(
            f"air.tap_delays_samples and {air.origin}, which has its own paths; leave one out, "
            "or state the paths in seconds as air.tap_delays_s"
        )
    if air.measured is None and air.impairments().clock == "free" and experiment.radio.reference == "shared":
        origin = air.origin if "clock" not in air.parts else 'air.clock = "free"'
        raise ConfigError(
            f'{origin} has free-running clocks, but radio.reference = "shared"; set radio.reference = "free"'
        )


def _check_crystals(experiment: Experiment, impairments: Impairments) -> None:
    offset_ppm, known_ppm = impairments.max_clock_offset_ppm, experiment.radio.crystal_ppm
    if offset_ppm > known_ppm:
        raise ConfigError(
            f"air.max_clock_offset_ppm = {offset_ppm:g} exceeds radio.crystal_ppm = {known_ppm:g}, within which the "
            "receiver looks for a carrier; raise radio.crystal_ppm or lower air.max_clock_offset_ppm"
        )


def _check_prefix(experiment: Experiment, impairments: Impairments, ofdm: OfdmConfig) -> None:
    """Everything that arrives has to lie within the channel model. Devices acquired one by one arrive together."""
    together = experiment.radio.reference == "free"
    device_s = 0.0 if together else impairments.max_delay_s
    longest_s = max(impairments.tap_delays_s)
    limit = num_channel_taps(ofdm) - window_lead(ofdm) - 1
    spread = (device_s + longest_s) * ofdm.sample_rate_hz
    if spread > limit:
        stated = f"the longest tap delay, {longest_s:.4g} s,"
        if device_s:
            stated = f"air.max_delay_s = {device_s:.4g} and {stated}"
        raise ConfigError(
            f"{stated} spread arrivals over {spread:.4g} samples, the limit is {limit}, what the receiver grants of "
            f"radio.prefix_len = {ofdm.prefix_len}; lower the delays or radio.sample_rate_hz, or raise radio.prefix_len"
        )


def _check_search(experiment: Experiment, impairments: Impairments, ofdm: OfdmConfig) -> None:
    """Nothing may drift out of the window around a slot's nominal instant in which the receiver looks for it.

    With one crystal a free clock is followed by its carrier; a sample clock of its own is met anew in every round.
    """
    air, run, rate_hz = experiment.air, experiment.run, ofdm.sample_rate_hz
    free = experiment.radio.reference == "free"
    limit = MAX_START_OFFSET_SAMPLES * (2 if free else 1)
    ppm = abs(impairments.sample_clock_offset_ppm) if impairments.separate_sample_clock else 0.0
    num_rounds = 1 if free else run.rounds
    drift = 1e-6 * ppm * num_rounds * experiment.link.round_s * rate_hz
    delay = (impairments.max_delay_s + max(impairments.tap_delays_s)) * rate_hz
    if air.start_offset_samples + delay + drift > limit:
        raise ConfigError(
            f"air.start_offset_samples = {air.start_offset_samples}, delays of {delay:.4g} samples and a sample clock "
            f"that is {ppm:g} ppm off for {num_rounds} rounds, {drift:.4g} samples, exceed the {limit} in which the "
            "receiver looks for a slot; lower one of them, run.rounds or link.round_s"
        )


def _check_full_scale(experiment: Experiment, impairments: Impairments, ofdm: OfdmConfig) -> None:
    """The preamble that all devices send in phase is the highest that arrives: the receiver must not clip it."""
    if not impairments.adc_bits:
        return
    level = element_level(experiment.link.backoff_db, ofdm) * peak_amplitude(preamble(ofdm))
    reached_db = to_db((experiment.num_active * level) ** 2) - impairments.path_loss_db
    if reached_db > impairments.adc_full_scale_db:
        raise ConfigError(
            f"{experiment.num_active} devices in phase reach {reached_db:.1f} dB at the receiver, which saturates at "
            f"air.adc_full_scale_db = {impairments.adc_full_scale_db:g}; raise it to "
            f"{math.ceil(reached_db) + 1}, raise link.backoff_db or lower fleet.active"
        )
