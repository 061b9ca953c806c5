"""A recorded round decoded again, by the code that decoded it live, beside what was found then."""

from collections.abc import Sequence
from dataclasses import replace

from radio.capture import Capture
from radio.correction import Correction
from radio.interface import OverrunError, Samples
from radio.recording import Recording, RecordingError
from radio.replay_radio import ReplayRadio
from radio.schemes.registry import load_scheme
from radio.uplink import Reception, Sounding, SyncError
from server.receiver import RadioUplink
from server.replay import Replayed, Row, compare, differing_versions
from server.round_facts import (
    AcquisitionFacts,
    Found,
    PayloadFacts,
    RoundFacts,
    SoundingFacts,
    Step,
    digest,
    found_reception,
    found_sounding,
    found_turns,
    from_json,
    with_mean_powers,
)

FAILED = "failed"


class ReplayedUplink(RadioUplink):
    """Over a recording. Slots and plans mean clocks whose origins were others from step to step: `begin` tells."""

    def __init__(self, captures: Sequence[Capture], facts: RoundFacts) -> None:
        super().__init__(ReplayRadio(captures), {}, facts.schedule, facts.backoff_db, facts.center_hz)
        self._base = 0

    def begin(self, origin: int) -> None:
        """A step. origin: receiver's index at which its clock reads 0."""
        self._base = origin

    @property
    def origin(self) -> int:
        """Of the step."""
        return self._base

    def _receive(self, at: int, num_samples: int) -> Samples:
        return super()._receive(at + self._base, num_samples)


def replay_round(recording: Recording) -> Replayed:
    """RecordingError for facts that are not a round's."""
    try:
        facts = from_json(recording.about.facts)
        scheme = load_scheme(facts.scheme, facts.scheme_options)
    except ValueError as error:
        raise RecordingError(
            f"{recording.path} is no round that this version can decode: {error}; replay it with the version and the "
            "scheme that recorded it"
        ) from error
    uplink = ReplayedUplink(recording.captures, facts)
    rows, notes, sounding = list[Row](), differing_versions(facts.versions), None
    if acquisition := facts.acquisition:
        rows += compare("acquisition", _live(acquisition), _replay_acquisition(uplink, acquisition))
    if sounded := facts.sounding:
        found, sounding = _replay_sounding(uplink, sounded)
        rows += compare("sounding", _live(sounded), found)
    if payload := facts.payload:
        found, reception = _replay_payload(uplink, payload)
        rows += compare("payload", _live(payload), found)
        if reception is not None and sounding is not None and facts.estimate:
            channels = with_mean_powers(sounding, payload.mean_powers)
            plan = replace(payload.plan, devices=payload.transmitters)
            estimate = scheme.decode(replace(reception, channels=channels), plan)
            rows += compare("decoded", {"estimate": facts.estimate}, {"estimate": digest(estimate)})
    elif facts.estimate:
        notes.append(f'scheme "{facts.scheme}" sends bits, which are not on the air: no payload was recorded')
    if facts.failed:
        notes.append(f"the round failed: {facts.failed}")
    if not recording.is_complete:
        notes.append("the recording was cut off: what is missing was not compared")
    return Replayed(recording.about.description, rows, notes)


def _replay_acquisition(uplink: ReplayedUplink, step: AcquisitionFacts) -> Found:
    uplink.begin(step.origin)
    corrections: dict[int, Correction] = {}
    for turn, device in enumerate(step.slot.devices):
        if device in step.slot.sounding and (track := uplink.find(step.slot, turn)) is not None:
            corrections[device] = track.correction
    if step.failed and not corrections:  # which is what it failed of
        return {FAILED: step.failed}
    return found_turns(corrections)


def _replay_sounding(uplink: ReplayedUplink, step: SoundingFacts) -> tuple[Found, Sounding | None]:
    uplink.begin(step.origin)
    try:
        outcome = uplink.sound(step.slot, dict.fromkeys(step.sounded, ()))
    except (SyncError, OverrunError) as error:
        return {FAILED: str(error)}, None
    assert isinstance(outcome, Sounding)
    return found_sounding(outcome), outcome


def _replay_payload(uplink: ReplayedUplink, step: PayloadFacts) -> tuple[Found, Reception | None]:
    uplink.begin(step.origin)
    try:
        reception = uplink.collect(step.plan, dict.fromkeys(step.transmitters, ()))
    except (SyncError, OverrunError) as error:
        return {FAILED: str(error)}, None
    return found_reception(reception, reception.start_index + step.origin), reception


def _live(step: Step) -> Found:
    return {FAILED: step.failed} if step.failed else step.found
