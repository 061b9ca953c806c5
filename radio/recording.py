"""SigMF recordings: PATH.sigmf-data holds the samples of captures one after the other, bit by bit as they were
received, PATH.sigmf-meta says what they are.

Whatever is written, the standard's own library has checked; it is imported late.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from radio.capture import Capture
from radio.interface import Samples
from radio.recording_fields import (
    COMPLETE,
    FACTS,
    NUM_SAMPLES,
    SAMPLE_RATE,
    SAMPLE_START,
    SHA512,
    About,
    Annotation,
    Fields,
    about_fields,
    annotation_fields,
    capture_fields,
    device_annotation,
    read_about,
    read_capture,
)

SAMPLE_BYTES = 8
DATATYPE = "cf32_le"
SUFFIXES = (".sigmf-meta", ".sigmf-data")


class RecordingError(ValueError):
    """A recording that cannot be written or read; one line with the remedy."""


class Paths(NamedTuple):
    """The two files of a recording."""

    meta: Path
    data: Path


@dataclass(frozen=True, eq=False)
class Recording:
    """path: of the metadata. captures: in the order in which they were recorded; their samples are read from the file
    as they are looked at. is_complete: whether it was closed in order."""

    path: Path
    about: About
    captures: tuple[Capture, ...]
    is_complete: bool

    def of(self, step: str) -> tuple[Capture, ...]:
        """The captures of a step."""
        return tuple(capture for capture in self.captures if capture.step == step)


def recording_paths(path: Path) -> Paths:
    """path: of a recording, or of one of its files."""
    base = path.with_suffix("") if path.suffix in SUFFIXES else path
    meta, data = (base.with_name(base.name + suffix) for suffix in SUFFIXES)
    return Paths(meta, data)


class RecordingWriter:
    """Adds captures of one receiver to a recording; use it in a `with` block.

    After each `write` the recording can be read, whatever becomes of the process; `close` adds the checksum. Until
    there is a capture there are no files. An old recording of that path is replaced. OSError where files cannot be
    written.
    """

    def __init__(self, path: Path, about: About) -> None:
        self._paths, self._about = recording_paths(path), about
        self._global: Fields = {}
        self._captures: list[str] = []  # as JSON, which is not to be made anew with every capture
        self._annotations: list[str] = []
        self._hash = hashlib.sha512()
        self._num_samples = 0

    def write(self, capture: Capture, annotations: Iterable[Annotation] = ()) -> None:
        """Append. Devices are annotated by themselves, `annotations` are what else there is to point at.

        RecordingError for an empty capture, another sample rate than the first one's, or facts that are no JSON.
        """
        self._check(capture)
        described = _to_json({SAMPLE_START: self._num_samples} | capture_fields(capture))
        if not self._captures:
            self._begin(capture.config.sample_rate_hz)
        content = np.ascontiguousarray(capture.samples, dtype="<c8").view(np.uint8).data
        with self._paths.data.open("ab") as out:
            out.write(content)
        self._hash.update(content)
        self._captures.append(described)
        marks = [*annotations, *map(device_annotation, capture.sent)]
        places = [annotation_fields(mark, capture, self._num_samples) for mark in marks]
        rising = sorted((place for place in places if place), key=lambda place: place[SAMPLE_START])
        self._annotations += map(_to_json, rising)
        self._num_samples += len(capture.samples)
        self._put(to_disk=False)

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Of the recording as a whole, known only once captures were made: beside those of `about`, or in their place.

        RecordingError for what is no JSON."""
        added = json.loads(_to_json(dict(facts)))
        self._about = replace(self._about, facts={**self._about.facts, **added})
        if self._captures:
            self._global[FACTS] = json.loads(_to_json(dict(self._about.facts)))
            self._put(to_disk=False)

    def close(self, complete: bool = True) -> None:
        """Add the checksum, see both files to the disk. complete: whether everything was recorded that was to be."""
        if not self._captures:
            return
        self._global |= {SHA512: self._hash.hexdigest(), COMPLETE: complete}
        _check_standard(self._text())
        with self._paths.data.open("rb") as out:
            os.fsync(out.fileno())
        self._put(to_disk=True)

    def __enter__(self) -> "RecordingWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    def _check(self, capture: Capture) -> None:
        if not len(capture.samples) or capture.samples.dtype != np.complex64:
            raise RecordingError(
                f"a capture of {len(capture.samples)} samples of {capture.samples.dtype}, step {capture.step!r}; "
                "record at least one, of complex64"
            )
        rate_hz, first_hz = capture.config.sample_rate_hz, self._global.get(SAMPLE_RATE)
        if first_hz not in (None, rate_hz):
            raise RecordingError(
                f"a capture at {rate_hz:g} samples/s in a recording at {first_hz:g}; SigMF has one rate a recording, "
                "begin another one"
            )

    def _begin(self, sample_rate_hz: float) -> None:
        import sigmf

        head = {"core:version": sigmf.__specification__, "core:datatype": DATATYPE, COMPLETE: False}
        overall = head | {SAMPLE_RATE: sample_rate_hz} | about_fields(self._about)
        self._global = json.loads(_to_json(overall))
        self._paths.meta.parent.mkdir(parents=True, exist_ok=True)
        self._paths.meta.unlink(missing_ok=True)  # first: samples without a description mislead nobody
        self._paths.data.unlink(missing_ok=True)  # not cut to nothing: whoever still reads it has it mapped

    def _text(self) -> str:
        """The metadata: a line for each capture and each annotation."""
        parts = [f'"global": {json.dumps(self._global, indent=1)}']
        for name, items in (("captures", self._captures), ("annotations", self._annotations)):
            parts.append(f'"{name}": [\n' + ",\n".join(items) + "\n]")
        return "{\n" + ",\n".join(parts) + "\n}\n"

    def _put(self, to_disk: bool) -> None:
        """Replace the metadata as a whole."""
        beside = self._paths.meta.with_name(self._paths.meta.name + ".new")
        try:
            with beside.open("w", encoding="utf-8") as out:
                out.write(self._text())
                if to_disk:
                    out.flush()
                    os.fsync(out.fileno())
            os.replace(beside, self._paths.meta)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def write_recording(
    path: Path, about: About, captures: Sequence[Capture], annotations: Sequence[Annotation] = ()
) -> Path:
    """All captures at once, each with those of the annotations that reach into it; returns the metadata's path.

    RecordingError as of `RecordingWriter.write`, OSError."""
    with RecordingWriter(path, about) as writer:
        for capture in captures:
            writer.write(capture, annotations)
    return recording_paths(path).meta


def read_recording(path: Path) -> Recording:
    """path: of the recording, or of one of its files. Raises RecordingError for what is no recording of airmeta's, cut
    off or altered. The memory needed does not grow with the samples."""
    paths = recording_paths(path)
    fields = _read_metadata(paths)
    try:
        overall, segments = fields["global"], fields["captures"]
        datatype, sha512 = overall["core:datatype"], overall.get(SHA512)
        num_samples = sum(segment[NUM_SAMPLES] for segment in segments)
        about, is_complete = read_about(overall), bool(overall[COMPLETE])
        if datatype != DATATYPE or num_samples < 1:
            raise ValueError(f"{num_samples} samples of {datatype}")
        samples = _open_samples(paths, num_samples, sha512)
        captures = []
        for segment in segments:
            first = segment[SAMPLE_START]
            captures.append(read_capture(segment, samples[first : first + segment[NUM_SAMPLES]]))
    except RecordingError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordingError(
            f"{paths.meta} is not as airmeta records ({type(error).__name__}: {error}); give a recording of airmeta's"
        ) from error
    return Recording(paths.meta, about, tuple(captures), is_complete)


def _read_metadata(paths: Paths) -> Any:
    try:
        return json.loads(paths.meta.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordingError(
            f"{paths.meta} cannot be read: {error.strerror}; give the path of a recording, with or without "
            f"{' or '.join(SUFFIXES)}"
        ) from error
    except ValueError as error:
        raise RecordingError(f"{paths.meta} is not JSON: {error}; restore it or record again") from error


def _open_samples(paths: Paths, num_samples: int, sha512: str | None) -> Samples:
    """A memory map of the samples, once they are those that the metadata mean."""
    try:
        num_bytes = paths.data.stat().st_size
        if num_bytes < num_samples * SAMPLE_BYTES:
            raise RecordingError(
                f"{paths.data} has {num_bytes} bytes, {num_samples * SAMPLE_BYTES} were recorded; copy the whole file"
            )
        if sha512 is not None:
            with paths.data.open("rb") as content:
                if hashlib.file_digest(content, "sha512").hexdigest() != sha512:
                    raise RecordingError(
                        f"{paths.data} is not what was recorded: its SHA-512 is not {SHA512} of {paths.meta.name}; "
                        "restore it or record again"
                    )
        return np.asarray(np.memmap(paths.data, dtype="<c8", mode="r", shape=(num_samples,)))
    except OSError as error:
        raise RecordingError(
            f"{paths.data} cannot be read: {error.strerror}; it belongs beside {paths.meta.name}"
        ) from error


def _to_json(fields: Fields) -> str:
    try:
        return json.dumps(fields, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise RecordingError(f"facts of a recording are no JSON: {error}") from error


def _check_standard(text: str) -> None:
    """The reference library's judgement of metadata; its exception would be a bug of this module."""
    import sigmf

    sigmf.SigMFFile(metadata=text).validate()
