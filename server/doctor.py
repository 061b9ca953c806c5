"""What is installed, what is reachable, what is wrong, and how to mend it."""

import importlib
import importlib.metadata
import os
import platform
import re
import socket
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "missing", "wrong"]
IIOD_PORT = 30431
MAX_CONTEXT_BYTES = 1 << 22  # of a radio's description of itself; a Pluto's has some 50,000


@dataclass(frozen=True)
class Finding:
    """One line of the examination. `needed_for`: what does not work without it; `remedy`: how to mend it."""

    name: str
    verdict: Verdict
    detail: str
    needed_for: str = ""
    remedy: str = ""


PIP_SETUP = "run 'make setup' in the source folder, or pip install 'airmeta[learning]'"
MODULES = (  # module, distribution, what needs it, remedy
    ("numpy", "numpy", "everything", PIP_SETUP),
    ("scipy", "scipy", "everything", PIP_SETUP),
    ("msgspec", "msgspec", "everything", PIP_SETUP),
    ("safetensors", "safetensors", "everything", PIP_SETUP),
    ("zmq", "pyzmq", "devices in processes of their own", PIP_SETUP),
    ("matplotlib", "matplotlib", "reports", PIP_SETUP),
    ("sigmf", "sigmf", "recordings", PIP_SETUP),
    ("torch", "torch", "devices (a server runs without it)", PIP_SETUP),
    (
        "gnuradio",
        "",
        'link.backend = "waveform"',
        "apt-get install gnuradio, and an environment with --system-site-packages",
    ),
    ("adi", "pyadi-iio", "radios on the bench", "pip install pyadi-iio 'pylibiio<1'"),
    ("iio", "pylibiio", "radios on the bench", "apt-get install libiio0, then pip install 'pylibiio<1'"),
)
SIMULATION_NEEDS = ("numpy", "scipy", "msgspec", "safetensors", "matplotlib", "torch", "gnuradio")


def examine(uris: tuple[str, ...] = (), with_lab: bool = False) -> list[Finding]:
    """Machine, libraries, the simulated air, and each radio named. with_lab: an inventory names radios as well."""
    findings = [
        Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Finding("processor", "ok", f"{len(os.sched_getaffinity(0))} cores usable"),
    ]
    findings += [_examine_module(*module) for module in MODULES]
    if not uris and not with_lab:
        findings.append(Finding("radios", "ok", "none named; --radio ip:192.168.2.1 examines one"))
    return findings + [examine_radio(uri) for uri in uris]


def can_simulate(findings: list[Finding]) -> bool:
    """Whether the simulated backend can run."""
    return all(finding.verdict == "ok" for finding in findings if finding.name in SIMULATION_NEEDS)


def examine_radio(uri: str, timeout_s: float = 3.0) -> Finding:
    """Whether a radio's daemon answers at "ip:HOST" or "ip:HOST:PORT"; one that was named must be there."""
    kind, _, address = uri.partition(":")
    if kind != "ip" or not address:
        return Finding(
            uri, "wrong", "not an address that can be examined", "this radio",
            "name it as ip:HOST; a radio on USB has a network address too, 192.168.2.1 from the factory",
        )  # fmt: skip
    host, _, port = address.partition(":")
    try:
        with socket.create_connection((host, int(port or IIOD_PORT)), timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(b"VERSION\r\n")
            answer = connection.recv(64).decode("ascii", "replace").strip()
    except (OSError, ValueError) as error:
        return Finding(
            uri, "missing", f"no answer from {host} on port {port or IIOD_PORT}: {error}", "this radio",
            f"check power, cable and address: ping {host}",
        )  # fmt: skip
    return Finding(uri, "ok", f"libiio daemon {answer}")


def ask_serial(uri: str, timeout_s: float = 3.0) -> str:
    """The serial number that a radio's daemon tells, of "ip:HOST" or "ip:HOST:PORT". OSError, ValueError."""
    host, _, port = uri.removeprefix("ip:").partition(":")
    with socket.create_connection((host, int(port or IIOD_PORT)), timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(b"PRINT\r\n")
        with connection.makefile("rb") as answer:
            length = int(answer.readline(32))
            if not 0 < length <= MAX_CONTEXT_BYTES:
                raise ValueError(f"it describes itself in {length} bytes")
            context = answer.read(length).decode("utf-8", "replace")
    found = re.search(r'<context-attribute name="hw_serial" value="([^"]*)"', context)
    if found is None:
        raise ValueError("it tells no serial number")
    return found[1]


def why_no_gnuradio() -> str | None:
    """Why GNU Radio's channel blocks cannot be used, in a few words; None if they can."""
    try:
        importlib.import_module("gnuradio.gr")
        importlib.import_module("gnuradio.channels")
    except ImportError as error:
        return str(error).splitlines()[0]
    return None


def _examine_module(module: str, distribution: str, needed_for: str, remedy: str) -> Finding:
    reason = why_no_gnuradio() if module == "gnuradio" else _why_not_importable(module)
    if reason is None:
        return Finding(module, "ok", _module_version(module, distribution))
    absent = reason.startswith("No module named")
    return Finding(module, "missing" if absent else "wrong", reason, needed_for, remedy)


def _why_not_importable(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:  # pylibiio raises OSError where the C library is absent
        return str(error).splitlines()[0]
    return None


def _module_version(module: str, distribution: str) -> str:
    if distribution:
        return importlib.metadata.version(distribution)
    return str(importlib.import_module("gnuradio.gr").version())
