"""One TOML file in, one frozen, checked experiment out. An unknown key is an error that names the known ones."""

import copy
import dataclasses
import math
import re
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from devices.messages import Count, LearningSettings, MemoryKind, ModelSettings, TaskSettings
from radio.air_config import MAX_START_OFFSET_SAMPLES, AirConfig, FadingLaw
from radio.ofdm import OfdmConfig
from radio.scenarios import scenario
from radio.uplink import Estimator

Table = dict[str, Any]
Backend = Literal["ideal", "symbol", "waveform"]
Ratio = Annotated[float, Meta(gt=0.0, le=1.0)]


class ConfigError(ValueError):
    """A configuration that cannot be run; the message is one line: value, limit, remedy."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The `run` table. threads: workers, 0 for one a core; does not change the bits."""

    rounds: Count = 100
    seed: Annotated[int, Meta(ge=0)] = 0
    threads: Annotated[int, Meta(ge=0)] = 0
    evaluate_every: Count = 20
    test_tasks: Annotated[int, Meta(ge=2)] = 200
    progress_tasks: Annotated[int, Meta(ge=2)] = 60
    probe_tasks: Count = 1
    checkpoint_every: Count = 10


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """The `fleet` table. active: devices a round, 0 for all; quorum: fewest that make a round count."""

    devices: Count = 10
    active: Annotated[int, Meta(ge=0)] = 0
    classes_per_device: Annotated[int, Meta(ge=2)] = 20
    held_out: Count = 4
    quorum: Count = 1


@dataclass(frozen=True, kw_only=True)
class UpdateSettings:
    """The `update` table. keep: k/d; measurements: M/d."""

    keep: Ratio = 0.04
    measurements: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.4
    memory: MemoryKind = "long"
    support: Literal["own"] = "own"
    estimator: Estimator = "oamp"


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """The `link` table."""

    backend: Backend = "waveform"
    scheme: str = "phase"
    snr_db: Annotated[float, Meta(ge=-30.0, le=100.0)] = 20.0
    fading: FadingLaw = "none"
    rician_k_db: Annotated[float, Meta(ge=-30.0, le=60.0)] = 6.0
    max_residual_rad: Annotated[float, Meta(gt=0.0)] = 1.0
    gap_s: Annotated[float, Meta(ge=0.0)] = 1e-3
    round_s: Annotated[float, Meta(gt=0.0)] = 0.1
    backoff_db: Annotated[float, Meta(ge=0.0, le=60.0)] = 15.0


@dataclass(frozen=True, kw_only=True)
class RadioSettings:
    """The `radio` table. active: subcarriers in use, half on either side of the empty DC bin. reference: whether
    the radios share one, or run free within crystal_ppm of each other."""

    sample_rate_hz: Annotated[float, Meta(gt=0.0)] = 4e6
    center_hz: Annotated[float, Meta(gt=0.0)] = 915e6
    fft_len: int = 256
    prefix_len: int = 64
    active: int = 192
    reference: Literal["shared", "free"] = "shared"
    crystal_ppm: Annotated[float, Meta(gt=0.0, le=50.0)] = 20.0

    def ofdm(self) -> OfdmConfig:
        """The numerology."""
        return OfdmConfig(
            fft_len=self.fft_len,
            prefix_len=self.prefix_len,
            num_active=self.active,
            sample_rate_hz=self.sample_rate_hz,
        )


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One arm: every table, resolved."""

    run: RunSettings = field(default_factory=RunSettings)
    task: TaskSettings = field(default_factory=TaskSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    update: UpdateSettings = field(default_factory=UpdateSettings)
    link: LinkSettings = field(default_factory=LinkSettings)
    radio: RadioSettings = field(default_factory=RadioSettings)
    air: AirConfig = field(default_factory=AirConfig)

    @property
    def num_active(self) -> int:
        """Devices a round."""
        return self.fleet.active or self.fleet.devices


@dataclass(frozen=True)
class Arm:
    """A named variant; the name is that of its folder, empty where a file has no arms."""

    name: str
    experiment: Experiment


def load_arms(path: Path, overrides: typing.Sequence[str] = ()) -> list[Arm]:
    """Arms of a TOML file: `overrides` ("table.key=value") change the base tables, an arm's own lie on top.

    Raises ConfigError.
    """
    try:
        base = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    arm_tables = base.pop("arm", [])
    for override in overrides:
        _merge(base, _parse_override(override))
    if not arm_tables:
        return [Arm("", build(base))]
    return [_build_arm(base, table, arm_tables) for table in _checked_arms(arm_tables)]


def build(tables: Table) -> Experiment:
    """A checked experiment from nested tables. Raises ConfigError."""
    tables = copy.deepcopy(tables)
    _refuse_unknown_keys(tables, Experiment, "")
    _refuse_non_finite(tables, "")
    task = tables.get("task", {})
    for key in ("path", "test_path"):
        if isinstance(task.get(key), str):  # one path or several
            task[key] = [task[key]] if task[key] else []
    try:
        experiment = msgspec.convert(tables, Experiment)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(error, tables)) from error
    check(experiment)
    return experiment


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


def to_tables(experiment: Experiment) -> Table:
    """The resolved configuration as nested tables of TOML values; inverse of `build`."""
    return typing.cast(Table, _listed(dataclasses.asdict(experiment)))


def to_toml(tables: Table) -> str:
    """Nested tables of numbers, strings and lists of them, as TOML."""
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def _listed(value: Any) -> Any:
    """Lists for tuples, as TOML has them."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()  # TOML's basic strings are JSON's
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return repr(value)


def _checked_arms(arm_tables: Any) -> list[Table]:
    if not isinstance(arm_tables, list) or not all(isinstance(table, dict) for table in arm_tables):
        raise ConfigError("arm must be an array of tables; write [[arm]]")
    names = [table.get("name") for table in arm_tables]
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ConfigError(f"arm name {name!r} cannot name a folder; use letters, digits, '.', '_', '-'")
    if len(set(names)) < len(names):
        raise ConfigError(f"arm names must differ, got {', '.join(map(str, names))}")
    return arm_tables


def _build_arm(base: Table, arm_table: Table, arm_tables: list[Table]) -> Arm:
    name = arm_table["name"]
    merged = copy.deepcopy(base)
    _merge(merged, {key: value for key, value in arm_table.items() if key != "name"})
    try:
        return Arm(name, build(merged))
    except ConfigError as error:
        raise ConfigError(f"arm {name!r}: {error}") from error


def _parse_override(text: str) -> Table:
    key, equals, value = text.partition("=")
    if not equals or key.count(".") != 1 or not all(key.split(".")):
        raise ConfigError(f"--set {text!r} is not of the form table.key=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word or a path needs no quotes
    table, name = key.split(".")
    return {table.strip(): {name.strip(): parsed}}


def _merge(base: Table, over: Table) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value


def _refuse_unknown_keys(table: Any, kind: Any, where: str) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} = {table!r} is not a table; write [{where}] and its keys below")
    known = {f.name: f.type for f in dataclasses.fields(kind)}
    for key, value in table.items():
        if key not in known:
            place, what = (f"{where}.{key}", "key") if where else (key, "table")
            raise ConfigError(f"unknown {what} {place}; known: {', '.join(known)}")
        if dataclasses.is_dataclass(known[key]):
            _refuse_unknown_keys(value, known[key], key)


def _refuse_non_finite(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} = {value} is not a finite number; give one")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_non_finite(item, f"{where}.{key}" if where else key)
    if isinstance(value, list):
        for item in value:
            _refuse_non_finite(item, where)


def _explain(error: msgspec.ValidationError, tables: Table) -> str:
    """msgspec's finding with the key spelt as in the file and the value that was found."""
    text = str(error)
    match = re.search(r" - at `\$\.([\w.]+)(?:\[[^\]]*\])?`$", text)
    if not match:
        return text.replace("`", "")
    key, value = match[1], tables
    for step in key.split("."):
        value = value[step] if isinstance(value, dict) and step in value else value
    finding = text[: match.start()].replace("`", "")
    if choices := _choices(key):
        finding += f"; choose one of: {', '.join(choices)}"
    return f"{key} = {value!r}: {finding[0].lower()}{finding[1:]}; see docs/configuration.md"


def _choices(key: str) -> tuple[str, ...]:
    """What a key of fixed words can be; empty for other keys."""
    table, _, name = key.partition(".")
    kind = typing.get_type_hints(typing.get_type_hints(Experiment)[table]).get(name)
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
