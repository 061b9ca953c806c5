"""What no single key of a configuration can say: rules between keys and between tables."""

from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.scenarios import scenario
from server.config import ConfigError, Experiment


def check(experiment: Experiment) -> None:
    """What no single key can say. Raises ConfigError."""
    fleet, link = experiment.fleet, experiment.link
    if fleet.active > fleet.devices:
        raise ConfigError(
            f"fleet.active = {fleet.active} exceeds fleet.devices = {fleet.devices}; "
            f"lower it to at most {fleet.devices}, or 0 for all"
        )
    if fleet.quorum > experiment.num_active:
        raise ConfigError(
            f"fleet.quorum = {fleet.quorum} exceeds the {experiment.num_active} active devices; lower fleet.quorum"
        )
    task = experiment.task
    if task.ways > fleet.classes_per_device:
        raise ConfigError(
            f"task.ways = {task.ways} exceeds fleet.classes_per_device = {fleet.classes_per_device}; "
            "a task's classes come from one device: lower task.ways or raise fleet.classes_per_device"
        )
    if link.scheme == "ideal" and link.backend != "ideal":
        raise ConfigError(
            f'link.scheme = "ideal" is error-free by definition, but link.backend = "{link.backend}"; '
            'set link.backend = "ideal", or link.scheme = "phase"'
        )
    _check_scenario(experiment)
    try:
        ofdm = experiment.radio.ofdm()
    except ValueError as error:
        raise ConfigError(f"radio: {error}") from error
    longest = max(experiment.air.tap_delays_samples)
    if longest >= max(1, ofdm.prefix_len // 4):
        raise ConfigError(
            f"air.tap_delays_samples reaches {longest}, the limit is below {max(1, ofdm.prefix_len // 4)}, a quarter "
            "of radio.prefix_len; raise radio.prefix_len"
        )
    search_s = 2 * MAX_START_OFFSET_SAMPLES / ofdm.sample_rate_hz
    if link.backend == "waveform" and link.gap_s < search_s:
        raise ConfigError(
            f"link.gap_s = {link.gap_s:g} is shorter than the {search_s:.3g} s that the receiver needs to search "
            f"for the sounding slot; raise link.gap_s to at least {search_s:.3g}"
        )


def _check_scenario(experiment: Experiment) -> None:
    air, link, radio = experiment.air, experiment.link, experiment.radio
    if air.scenario == "identity" or link.backend == "ideal":
        return
    if link.fading != "none":
        raise ConfigError(
            f'link.fading = "{link.fading}" and air.scenario = "{air.scenario}", which has its own fading; '
            'set link.fading = "none" or air.scenario = "identity"'
        )
    if air.tap_delays_samples != (0,):
        raise ConfigError(
            f'air.tap_delays_samples and air.scenario = "{air.scenario}", which has its own paths; leave one out'
        )
    if scenario(air.scenario).clock == "free" and radio.reference == "shared":
        raise ConfigError(
            f'air.scenario = "{air.scenario}" has free-running clocks, but radio.reference = "shared"; '
            'set radio.reference = "free"'
        )
