"""One arm of an experiment as frozen tables; what no single key can say is in `server/config_checks.py`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from devices.messages import Count, LearningSettings, MemoryKind, ModelSettings, TaskSettings
from radio.air_config import AirConfig
from radio.impairments import FadingLaw
from radio.measured_air import AirLaw, MeasuredAir
from radio.ofdm import OfdmConfig
from radio.safety import SafetyLimits
from radio.scheme_options import SchemeOptions
from radio.uplink import Estimator, Normalise, Support
from server.applied_profile import AppliedProfile

Backend = Literal["ideal", "symbol", "waveform", "pluto"]
ON_AIR: tuple[Backend, ...] = ("waveform", "pluto")  # where devices make samples
PowerDb = Annotated[float, Meta(ge=-40.0, le=40.0)]
Ratio = Annotated[float, Meta(gt=0.0, le=1.0)]


NO_TABLE = "no table"  # metadata of a field that no file states


class ConfigError(ValueError):
    """A configuration that cannot be run; the message is one line: value, limit, remedy."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The `run` table. threads: workers, 0 for one a core; does not change the bits. record: which rounds leave a
    recording of what was received, where radios receive: none, those that fail, or every record_every-th too."""

    rounds: Count = 100
    seed: Annotated[int, Meta(ge=0)] = 0
    threads: Annotated[int, Meta(ge=0)] = 0
    evaluate_every: Count = 20
    test_tasks: Annotated[int, Meta(ge=2)] = 200
    progress_tasks: Annotated[int, Meta(ge=2)] = 60
    probe_tasks: Count = 1
    checkpoint_every: Count = 10
    record: Literal["none", "failed", "rounds"] = "none"
    record_every: Count = 1


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """The `fleet` table. active: devices a round, 0 for all; quorum: fewest that make a round count; repeats: how often
    a round is begun again that lost its quorum; power_db: mean power of a resource element that a device may use, one
    for all or one each.

    Of device processes alone: beat_s, between signs of life; lost_s, without one, after which a process is given up for
    the round; reply_s, for an answer; return_s, for lost ones where everybody is needed: at the start, and to
    evaluate."""

    devices: Count = 10
    active: Annotated[int, Meta(ge=0)] = 0
    power_db: PowerDb | tuple[PowerDb, ...] = 0.0
    classes_per_device: Annotated[int, Meta(ge=2)] = 20
    held_out: Count = 4
    quorum: Count = 1
    repeats: Annotated[int, Meta(ge=0, le=1000)] = 3
    beat_s: Annotated[float, Meta(ge=0.01, le=60.0)] = 1.0
    lost_s: Annotated[float, Meta(ge=0.05, le=600.0)] = 10.0
    reply_s: Annotated[float, Meta(ge=0.1, le=86400.0)] = 300.0
    return_s: Annotated[float, Meta(ge=0.0, le=86400.0)] = 60.0


@dataclass(frozen=True, kw_only=True)
class UpdateSettings:
    """The `update` table. keep: k/d; measurements: M/d; block: entries that a shared vote chooses together."""

    keep: Ratio = 0.04
    measurements: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.4
    memory: MemoryKind = "long"
    support: Support = "own"
    block: Count = 32
    estimator: Estimator = "oamp"


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """The `link` table. noise: whether snr_db sets the receiver's noise, or the noise figure of the air's receiver.

    Of scheme "inversion" alone: threshold, on |h|^2 over the mean power of the channels; power_rule, whether a device's
    power is limited in every round or in the mean over fading; normalise, by whom the sum on an element is divided.
    Of "reed" alone: chips, pairs of elements a parameter. Of "fsk_mv" alone: abstain, the magnitude over the rms of its
    update up to which a device does not vote; vote_step, what a vote moves, over the rms of the devices' updates.
    Of "digital" alone: value_bits, of a value; code_gap_db, by which its code misses capacity."""

    backend: Backend = "waveform"
    scheme: str = "phase"
    threshold: Annotated[float, Meta(ge=0.0)] | Literal["optimal"] = "optimal"
    power_rule: Literal["realised", "average"] = "realised"
    normalise: Normalise = "devices"
    chips: Annotated[int, Meta(ge=1, le=1024)] = 1
    abstain: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.0
    vote_step: Annotated[float, Meta(gt=0.0, le=100.0)] = 0.1
    value_bits: Annotated[int, Meta(ge=2, le=24)] = 8
    code_gap_db: Annotated[float, Meta(ge=0.0, le=20.0)] = 3.0
    noise: Literal["snr", "figure"] = "snr"
    snr_db: Annotated[float, Meta(ge=-30.0, le=100.0)] = 20.0
    fading: FadingLaw = "none"
    rician_k_db: Annotated[float, Meta(ge=-30.0, le=60.0)] = 6.0
    max_residual_rad: Annotated[float, Meta(gt=0.0)] = 1.0
    gap_s: Annotated[float, Meta(ge=0.0)] = 1e-3
    round_s: Annotated[float, Meta(gt=0.0)] = 0.1
    backoff_db: Annotated[float, Meta(ge=0.0, le=60.0)] = 15.0
    precoding: bool = False


@dataclass(frozen=True, kw_only=True)
class RadioSettings:
    """The `radio` table. preset: numerology that stands in for keys a file does not give. active: subcarriers in use,
    half on either side of the empty DC bin; pilots of them carry the comb. reference: whether the radios share one, or
    run free within crystal_ppm of each other. profile: of a calibration, whose corrections radios apply;
    profile_max_age_s: how old it may be, 0 as it says itself.

    Of Plutos alone: uris, the receiver's and then the devices' in order, none for virtual ones that the run starts;
    trigger: whether an edge on a line that all share releases their bursts;
    tx_gain_db, below full output; block_s, lead_s: of `radio.pluto_timeline.StreamShape`; meeting_s: within which a
    device is heard that was asked to send."""

    preset: Literal["", "1M", "2M", "4M", "20M"] = ""
    sample_rate_hz: Annotated[float, Meta(gt=0.0)] = 4e6
    center_hz: Annotated[float, Meta(gt=0.0)] = 915e6
    fft_len: int = 256
    prefix_len: int = 64
    active: int = 192
    pilots: int = 0
    interleave: bool = True
    reference: Literal["shared", "free"] = "shared"
    crystal_ppm: Annotated[float, Meta(gt=0.0, le=50.0)] = 20.0
    uris: tuple[str, ...] = ()
    trigger: Literal["none", "external"] = "none"
    tx_gain_db: Annotated[float, Meta(ge=-89.75, le=0.0)] = -30.0
    rx_gain_db: Annotated[float, Meta(ge=-3.0, le=71.0)] = 3.0
    block_s: Annotated[float, Meta(ge=1e-4, le=0.5)] = 0.01
    lead_s: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.1
    meeting_s: Annotated[float, Meta(gt=0.0, le=10.0)] = 1.0
    profile: str = ""
    profile_max_age_s: Annotated[float, Meta(ge=0.0)] = 0.0

    @property
    def is_loopback(self) -> bool:
        """Whether one radio is both the receiver and the only device."""
        return len(self.uris) == 2 and self.uris[0] == self.uris[1]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One arm: every table, resolved. measured, applied: no tables, but what the files hold that air.profile and
    radio.profile name, once read."""

    run: RunSettings = field(default_factory=RunSettings)
    task: TaskSettings = field(default_factory=TaskSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    update: UpdateSettings = field(default_factory=UpdateSettings)
    link: LinkSettings = field(default_factory=LinkSettings)
    radio: RadioSettings = field(default_factory=RadioSettings)
    safety: SafetyLimits = field(default_factory=SafetyLimits)
    air: AirConfig = field(default_factory=AirConfig)
    measured: MeasuredAir | None = field(default=None, metadata={NO_TABLE: True})
    applied: AppliedProfile | None = field(default=None, metadata={NO_TABLE: True})

    @property
    def num_active(self) -> int:
        """Devices a round."""
        return self.fleet.active or self.fleet.devices

    @property
    def is_simulated(self) -> bool:
        """Whether there is an air, and it is not the one between real radios."""
        return self.link.backend != "ideal" and not self.radio.uris

    @property
    def profile(self) -> str:
        """Path of the profile that radios apply; empty where none is named, or there are no radios."""
        return self.radio.profile if self.link.backend in ON_AIR else ""

    def law(self) -> AirLaw:
        """What the simulated air is made from. ValueError for a measured one that was not read."""
        return self.air.impairments() if self.measured is None else self.measured

    def scheme_options(self) -> SchemeOptions:
        """What devices and server have to know of the scheme, apart from its name."""
        return SchemeOptions(
            keep=self.update.keep,
            support=self.update.support,
            value_bits=self.link.value_bits,
            chips=self.link.chips,
            abstain=self.link.abstain,
        )

    def ofdm(self) -> OfdmConfig:
        """The numerology, and how a payload lies on it. Raises ValueError for one that cannot be."""
        radio = self.radio
        return OfdmConfig(
            fft_len=radio.fft_len,
            prefix_len=radio.prefix_len,
            num_active=radio.active,
            sample_rate_hz=radio.sample_rate_hz,
            num_pilots=radio.pilots,
            interleave=radio.interleave,
            precoding=self.link.precoding,
        )


@dataclass(frozen=True)
class Arm:
    """A named variant; the name is that of its folder, empty where a file has no arms."""

    name: str
    experiment: Experiment
