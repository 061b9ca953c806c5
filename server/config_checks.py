"""What no single key of a configuration can say: rules between keys and between tables."""

from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.pluto_timeline import StreamShape
from server.air_checks import check_air
from server.config import ConfigError, Experiment


def check(experiment: Experiment) -> None:
    """What no single key can say. Raises ConfigError."""
    fleet, link = experiment.fleet, experiment.link
    if fleet.active > fleet.devices:
        raise ConfigError(
            f"fleet.active = {fleet.active} exceeds fleet.devices = {fleet.devices}; "
            f"lower it to at most {fleet.devices}, or 0 for all"
        )
    if isinstance(fleet.power_db, tuple) and len(fleet.power_db) != fleet.devices:
        raise ConfigError(
            f"fleet.power_db lists {len(fleet.power_db)} budgets, fleet.devices = {fleet.devices}; list one for each "
            "device, or give one number for all"
        )
    if fleet.quorum > experiment.num_active:
        raise ConfigError(
            f"fleet.quorum = {fleet.quorum} exceeds the {experiment.num_active} active devices; lower fleet.quorum"
        )
    if fleet.lost_s < 3.0 * fleet.beat_s:
        raise ConfigError(
            f"fleet.lost_s = {fleet.lost_s:g} is shorter than three beats of fleet.beat_s = {fleet.beat_s:g}; raise "
            f"it to at least {3.0 * fleet.beat_s:g}, or lower fleet.beat_s"
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
    if link.scheme == "digital" and link.backend == "ideal":
        raise ConfigError(
            'link.scheme = "digital" counts what bits cost over noise, and link.backend = "ideal" has none; '
            'set link.backend = "symbol", or link.scheme = "ideal"'
        )
    try:
        ofdm = experiment.ofdm()
    except ValueError as error:
        raise ConfigError(f"radio: {error}") from error
    if link.power_rule == "average":
        _check_average_power(experiment)
    if link.backend == "pluto":
        _check_plutos(experiment)
    if experiment.is_simulated:
        check_air(experiment, ofdm)
    search_s = 2 * MAX_START_OFFSET_SAMPLES / ofdm.sample_rate_hz
    if link.backend == "waveform" and link.gap_s < search_s:
        raise ConfigError(
            f"link.gap_s = {link.gap_s:g} is shorter than the {search_s:.3g} s that the receiver needs to search "
            f"for the sounding slot; raise link.gap_s to at least {search_s:.3g}"
        )


def _check_average_power(experiment: Experiment) -> None:
    """A mean over fading is known where one law holds for every element."""
    link, air = experiment.link, experiment.air
    needed = (
        (link.scheme == "inversion", f'link.scheme = "{link.scheme}"', 'link.scheme = "inversion"'),
        (
            link.backend in ("symbol", "waveform"),
            f'link.backend = "{link.backend}"',
            'link.backend = "symbol"',
        ),
        (
            experiment.update.support == "own",
            f'update.support = "{experiment.update.support}", where not all entries travel',
            'update.support = "own"',
        ),
        (link.fading == "rayleigh", f'link.fading = "{link.fading}"', 'link.fading = "rayleigh"'),
        (air.tap_delays_samples == (0,), f"air.tap_delays_samples = {list(air.tap_delays_samples)}", "[0]"),
        (link.threshold != 0.0, "link.threshold = 0, where that mean is infinite", "one above 0"),
    )
    for holds, found, remedy in needed:
        if not holds:
            raise ConfigError(
                'link.power_rule = "average" limits the mean power over Rayleigh fading, which is not known with '
                f'{found}; set {remedy}, or link.power_rule = "realised"'
            )


def _check_plutos(experiment: Experiment) -> None:
    radio, num_radios = experiment.radio, experiment.fleet.devices + 1
    if radio.trigger == "external" and radio.reference == "free":
        raise ConfigError(
            'radio.trigger = "external" needs radio.reference = "shared": an edge starts clocks together, and only one '
            'reference keeps them so from edge to edge; set it, or radio.trigger = "none"'
        )
    waiting_s = StreamShape().rx_blocks * radio.block_s
    if radio.lead_s < waiting_s:
        raise ConfigError(
            f"radio.lead_s = {radio.lead_s:g} is shorter than the {StreamShape().rx_blocks} receive blocks of "
            f"radio.block_s = {radio.block_s:g} that may wait meanwhile; raise radio.lead_s to {waiting_s:g}, or lower "
            "radio.block_s"
        )
    if radio.uris:
        if len(radio.uris) not in (1, num_radios):  # the receiver alone where device processes bring theirs
            raise wrong_number_of_uris(experiment)
        if len(set(radio.uris)) < len(radio.uris) and not radio.is_loopback:
            raise ConfigError(
                "radio.uris names a radio twice; every device and the receiver need one of their own, but for a single "
                "device, whose radio may hear itself"
            )
        if radio.is_loopback and radio.trigger == "external":
            raise ConfigError(
                f'radio.trigger = "external" and {radio.uris[0]} for both ends: a radio that hears itself needs no '
                'trigger; set radio.trigger = "none"'
            )


def wrong_number_of_uris(experiment: Experiment) -> ConfigError:
    """What to say where a run that opens all radios is not told of all."""
    found, devices = len(experiment.radio.uris), experiment.fleet.devices
    return ConfigError(
        f"radio.uris names {found} radios, {devices + 1} are needed: the receiver and then one for each of "
        f"fleet.devices = {devices}; list that many, or none for virtual ones"
    )
