"""What an inventory says against what is there: radios and whose they are, keys, the server's port."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from devices.wire.keys import KeyFileError, read_allowed, read_device_keys, read_server_keys
from server.addresses import AddressError, check_free, is_of_this_machine, listener
from server.config import ConfigError
from server.doctor import Finding, ask_serial, examine_radio
from server.knock import Answer, knock
from server.lab import SERVER, Lab, Share
from server.lab_use import share_of

NEEDED = ("numpy", "scipy", "msgspec", "safetensors", "zmq")


class LabFindings(NamedTuple):
    """here: names of the processes that were examined; needed: modules that they need."""

    findings: list[Finding]
    here: tuple[str, ...]
    needed: frozenset[str]


def shares_here(lab: Lab, name: str | None) -> list[Share]:
    """Of a name, or of all processes whose host is this machine. ConfigError if there is none."""
    if name is not None:
        return [share_of(lab, name)]
    here = [share for share in lab.shares() if _is_here(share)]
    if not here:
        hosts = ", ".join(dict.fromkeys(share.host for share in lab.shares()))
        raise ConfigError(
            f"{lab.path} has no process on this machine, none of whose addresses is one of {hosts}; name a process "
            "with --id, or mend host"
        )
    return here


def examine_lab(lab: Lab, name: str | None) -> LabFindings:
    """All that this host has to do with, or one process, as if this were its host. ConfigError."""
    here = shares_here(lab, name)
    names = tuple(share.name for share in here)
    elsewhere = {share.host for share in lab.shares() if share not in here} if name is None else ()
    also = f"; to be examined there too: {', '.join(sorted(elsewhere))}" if elsewhere else ""
    findings = [Finding("lab", "ok", f"{lab.path}: examined here are {', '.join(names)}{also}")]
    for share in here:
        findings.append(_examine_keys(lab, share.name))
        findings.append(_examine_port(lab) if share.name == SERVER else _examine_server(lab, share.name))
        if share.radio:
            findings.append(_examine_radio(lab, share))
    needed = set(NEEDED) | ({"adi", "iio"} if any(share.radio for share in here) else set())
    needed |= ({"matplotlib"} if SERVER in names else set()) | ({"torch"} if set(names) - {SERVER} else set())
    return LabFindings(findings, names, frozenset(needed))


def is_ready(examined: LabFindings, findings: Sequence[Finding]) -> bool:
    """Whether all can start here. findings: of libraries."""
    missing = any(finding.name in examined.needed and finding.verdict != "ok" for finding in findings)
    return not missing and all(finding.verdict == "ok" for finding in examined.findings)


def _is_here(share: Share) -> bool:
    try:
        return is_of_this_machine(share.host)
    except AddressError:
        return False


def _examine_radio(lab: Lab, share: Share) -> Finding:
    title, uri = f"{share.name} radio", share.radio
    answering = examine_radio(uri)
    if answering.verdict != "ok":
        return replace(answering, name=title, detail=f"{uri}: {answering.detail}")
    try:
        serial = ask_serial(uri)
    except (OSError, ValueError) as error:
        return Finding(title, "wrong", f"{uri} answers, but {error}", share.name, "power it off and on")
    detail = f"{uri}: {answering.detail}, serial {serial}"
    if not share.serial:
        return Finding(title, "ok", f"{detail}, which {lab.path} does not state")
    if serial == share.serial:
        return Finding(title, "ok", detail)
    owner = next((other.name for other in lab.shares() if other.serial == serial), None)
    remedy = (
        f"that is the radio of {owner}: they are swapped; swap their cables, or their lines in {lab.path}"
        if owner
        else f"{lab.path} knows no such radio; see what is plugged in there, or state its serial"
    )
    return Finding(
        title, "wrong", f"{uri} has serial {serial}, {lab.path} states {share.serial}", share.name, remedy
    )


def _examine_keys(lab: Lab, name: str) -> Finding:
    title, folder = f"{name} keys", lab.keys
    if folder is None:
        return Finding(title, "ok", "none: the server listens to this machine alone")
    try:
        if name == SERVER:
            return _examine_allowed(lab, folder, title)
        read_device_keys(folder, name)
    except (KeyFileError, OSError) as error:
        detail, _, remedy = str(error).rpartition("; ")
        return Finding(title, "wrong", detail or str(error), name, remedy)
    return Finding(title, "ok", f"{folder}/{name}.key and server.pub")


def _examine_allowed(lab: Lab, folder: Path, title: str) -> Finding:
    read_server_keys(folder)
    allowed = set(read_allowed(folder).values())
    missing = [entry.name for entry in lab.devices if entry.name not in allowed]
    if missing:
        return Finding(
            title, "missing", f"{folder}/allowed does not list {', '.join(missing)}", ", ".join(missing),
            f"airmeta keys {folder} --lab {lab.path}",
        )  # fmt: skip
    strangers = sorted(allowed - {entry.name for entry in lab.devices})
    more = f"; it also lets in {', '.join(strangers)}" if strangers else ""
    return Finding(title, "ok", f"{folder}/allowed lists all {len(lab.devices)}{more}")


def _examine_port(lab: Lab) -> Finding:
    title, parts = f"{SERVER} port", urlsplit(lab.bind)
    host, port = parts.hostname or "", parts.port or 0
    host = "0.0.0.0" if host == "*" else host
    try:
        check_free((host,), port)
    except AddressError as error:
        found = listener(host, port)
        if found is not None and SERVER in found[1].split():
            return Finding(title, "ok", f"{lab.bind}: the server listens already, process {found[0]}")
        detail, _, _ = str(error).partition(";")
        return Finding(title, "wrong", detail, SERVER, f"mend server.bind of {lab.path}, or free the port")
    return Finding(title, "ok", f"{lab.bind} can be listened at")


def _examine_server(lab: Lab, name: str) -> Finding:
    title, url = f"{name} to server", lab.server.url
    try:
        answer = knock(url, name, lab.keys)
    except KeyFileError:
        return Finding(title, "wrong", f"{url} was not asked, without keys", name, "mend the keys first")
    except AddressError as error:
        return Finding(title, "wrong", str(error), name, f"mend server.url of {lab.path}")
    detail, remedy = _say(answer, lab, name)
    return Finding(title, "ok" if remedy == "" else "wrong", f"{url}: {detail}", name, remedy)


def _say(answer: Answer, lab: Lab, name: str) -> tuple[str, str]:
    """What is so, and what to do, if anything."""
    said = {
        "let in": ("the server is there and lets it in", ""),
        "nobody": ("its host is there; no server listens yet, or a firewall refuses", ""),
        "not let in": (
            "the server does not let it in",
            f"its key is not in the server's {lab.keys}/allowed: copy {name}.key from where it was made",
        ),
        "other key": (
            "the server has another key",
            f"copy server.pub from the server's folder to {lab.keys}"
            if lab.keys
            else f"it asks for keys: state server.keys in {lab.path}",
        ),
        "mute": ("somebody listens who is no server", f"see what has that port, or mend server.url of {lab.path}"),
        "silence": ("no answer", "see cable, address, route and firewall: ping its host"),
    }  # fmt: skip
    return said[answer]
