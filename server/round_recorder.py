"""Rounds to recordings: RUN_DIR/recordings/round-000012.sigmf-meta and .sigmf-data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.wire.provenance import commit, system, versions
from radio.frame import element_level
from radio.recording import write_recording
from radio.recording_fields import About, describe
from radio.schedule import Schedule
from radio.sounding import AcquisitionSlot, SoundingSlot
from radio.tee_radio import TeeRadio
from radio.uplink import Sounding
from server.checkpoint import storing
from server.config import Experiment
from server.round_facts import (
    KIND,
    AcquisitionFacts,
    PayloadFacts,
    RoundFacts,
    SoundingFacts,
    digest,
    found_reception,
    found_sounding,
    found_turns,
    to_json,
)
from server.round_marks import Marked, Marker
from server.taped_uplink import TapedPayload, TapedSlot, TapedUplink

FOLDER = "recordings"


def recording_path(folder: Path, round_index: int) -> Path:
    """Of a round, without the suffixes of its two files. folder: of the arm."""
    return folder / FOLDER / f"round-{round_index:06d}"


def is_due(experiment: Experiment, record: dict[str, Any]) -> bool:
    """Whether a round is to be recorded, by its line of the record."""
    run = experiment.run
    if "failed" in record:
        return run.record != "none"
    return run.record == "rounds" and record["round"] % run.record_every == 0


class RoundRecorder:
    """folder: of the arm. radios, hosts: what the manifest says of them."""

    def __init__(
        self,
        experiment: Experiment,
        schedule: Schedule,
        taped: TapedUplink,
        receiver: TeeRadio,
        folder: Path,
        radios: Sequence[dict[str, Any]],
        hosts: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self._experiment, self._schedule, self._taped = experiment, schedule, taped
        self._receiver, self._folder, self._radios = receiver, folder, tuple(radios)
        self._hosts = hosts
        made_by = "ADALM-PLUTO, " if experiment.link.backend == "pluto" else ""
        self._hardware = made_by + describe(receiver.status())
        self._versions = versions() | system() | {"commit": commit()}

    def keep(self, record: dict[str, Any], estimate: NDArray[np.floating] | None) -> None:
        """Write the round that has just ended, if it is to be recorded and anything of it was heard. StorageError.

        estimate: what was decoded."""
        if is_due(self._experiment, record):
            self._write(record, estimate)
        self._taped.forget()

    def _write(self, record: dict[str, Any], estimate: NDArray[np.floating] | None) -> None:
        slots, payload, marked = self._heard()
        if not marked:
            return
        about = About(
            kind=KIND,
            description=self._describe(record),
            hardware=self._hardware,
            facts=to_json(self._facts(record, estimate, slots, payload)),
        )
        captures = [capture for step in marked for capture in step.captures]
        frames = [frame for step in marked for frame in step.frames]
        path = recording_path(self._folder, record["round"])
        with storing(path):
            write_recording(path, about, captures, frames)

    def _heard(self) -> tuple[list[TapedSlot], TapedPayload | None, list[Marked]]:
        """Steps of which samples were kept, and what they are: a failed search may have led nowhere."""
        experiment, ofdm = self._experiment, self._schedule.ofdm
        marker = Marker(
            ofdm=ofdm,
            config=self._receiver.config,
            tx_gain_db=experiment.radio.tx_gain_db if experiment.link.backend == "pluto" else 0.0,
            level=element_level(experiment.link.backoff_db, ofdm),
        )
        found = [(taped, marker.slot(taped)) for taped in self._taped.slots]
        slots = [(taped, marked) for taped, marked in found if marked.captures]
        payload, marked = self._taped.payload, [marked for _, marked in slots]
        if payload is not None:
            last = marker.payload(payload)
            payload = payload if last.captures else None
            marked += [last] if last.captures else []
        return [taped for taped, _ in slots], payload, marked

    def _describe(self, record: dict[str, Any]) -> str:
        link = self._experiment.link
        said = (
            f"round {record['round']} of over-the-air federated meta-learning: {len(record['active'])} devices, "
            f'scheme "{link.scheme}", backend "{link.backend}"'
        )
        return said + (f"; failed: {record['failed']}" if "failed" in record else "")

    def _facts(
        self,
        record: dict[str, Any],
        estimate: NDArray[np.floating] | None,
        slots: Sequence[TapedSlot],
        payload: TapedPayload | None,
    ) -> RoundFacts:
        link, by_kind = self._experiment.link, {type(taped.slot): taped for taped in slots}
        acquired, sounded = by_kind.get(AcquisitionSlot), by_kind.get(SoundingSlot)
        return RoundFacts(
            round=record["round"],
            backend=link.backend,
            scheme=link.scheme,
            scheme_options=self._experiment.scheme_options(),
            schedule=self._schedule,
            backoff_db=link.backoff_db,
            center_hz=self._experiment.radio.center_hz,
            acquisition=acquired and _acquisition_facts(acquired),
            sounding=sounded and _sounding_facts(sounded),
            payload=payload and _payload_facts(payload, sounded),
            estimate={} if estimate is None else digest(estimate),
            failed=record.get("failed", ""),
            versions=self._versions,
            radios=self._radios,
            hosts=self._hosts() if self._hosts else {},
        )


def _acquisition_facts(taped: TapedSlot) -> AcquisitionFacts:
    slot, found = taped.slot, {}
    assert isinstance(slot, AcquisitionSlot)
    if isinstance(
        taped.outcome, SoundingSlot
    ):  # which names those that sound, the others being found for later
        known = taped.outcome.corrections
        found = found_turns({d: known[d] for d in slot.devices if d in slot.sounding and d in known})
    return AcquisitionFacts(slot=slot, origin=taped.origin, found=found, failed=taped.failed)


def _sounding_facts(taped: TapedSlot) -> SoundingFacts:
    assert isinstance(taped.slot, SoundingSlot)
    found = found_sounding(taped.outcome) if isinstance(taped.outcome, Sounding) else {}
    return SoundingFacts(
        slot=taped.slot, sounded=taped.sent, origin=taped.origin, found=found, failed=taped.failed
    )


def _payload_facts(taped: TapedPayload, sounded: TapedSlot | None) -> PayloadFacts:
    reception = taped.reception
    sounding = sounded.outcome if sounded else None
    channels = sounding.channels if isinstance(sounding, Sounding) else {}
    return PayloadFacts(
        plan=taped.plan,
        transmitters=taped.sent,
        mean_powers={device: channel.mean_power for device, channel in channels.items()},
        origin=taped.origin,
        found=found_reception(reception, reception.start_index) if reception else {},
        failed=taped.failed,
    )
