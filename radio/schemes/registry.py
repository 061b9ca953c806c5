"""From a scheme's name to its pair of functions, and what a scheme says of itself."""

import pkgutil
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from radio.rice import Bits
from radio.scheme_options import SchemeOptions
from radio.schemes import aligned, ideal, inversion, mmse, phase
from radio.schemes.digital import Digital
from radio.schemes.fsk_mv import FskMv
from radio.schemes.on_support import OnSupport
from radio.schemes.reed import Reed
from radio.uplink import Plan, Scheme

NAMES = ("phase", "inversion", "mmse", "reed", "fsk_mv", "digital", "ideal")
NEEDED = ("num_elements", "encode", "decode")


def load_scheme(name: str, options: SchemeOptions | None = None) -> Scheme:
    """A built-in scheme, or "package.module:object" for a module or object with the functions of `Scheme`; on the
    shared support, if the options ask for one.

    Raises ValueError for a name that leads nowhere or to something that is no scheme.
    """
    options = options or SchemeOptions()
    scheme = _built_in(name, options) if name in NAMES else _imported(name)
    return OnSupport(scheme, options.keep) if options.support != "own" else scheme


def _built_in(name: str, options: SchemeOptions) -> Scheme:
    schemes: dict[str, Any] = {
        "phase": phase if options.support == "own" else aligned,
        "inversion": inversion,
        "mmse": mmse,
        "reed": Reed(options.chips),
        "fsk_mv": FskMv(options.abstain),
        "digital": Digital(options.value_bits),
        "ideal": ideal,
    }
    return cast(Scheme, schemes[name])


def _imported(name: str) -> Scheme:
    if ":" not in name:
        raise ValueError(
            f"link.scheme = {name!r} is unknown; known: {', '.join(NAMES)}, or package.module:object"
        )
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"link.scheme = {name!r} cannot be loaded: {error}; check the spelling and that Python finds the package"
        ) from error
    if missing := [part for part in NEEDED if not callable(getattr(found, part, None))]:
        raise ValueError(
            f"link.scheme = {name!r} has no function {missing[0]!r}; a scheme needs {', '.join(NEEDED)}"
        )
    return cast(Scheme, found)


def inverts(scheme: Scheme) -> bool:
    """Whether devices undo the magnitudes of their channels too, which a scheme says by INVERTS = True."""
    return bool(getattr(scheme, "INVERTS", False))


def truncates(scheme: Scheme) -> bool:
    """Whether devices leave weak elements empty, by a threshold of the plan: what inverts and has no other aim."""
    return inverts(scheme) and not aims(scheme)


def aims(scheme: Scheme) -> bool:
    """Whether devices control their power by an aim that the plan has to name: AIMS = True."""
    return bool(getattr(scheme, "AIMS", False))


def is_coherent(scheme: Scheme) -> bool:
    """Whether what devices send has to meet in phase; if not, COHERENT = False, energies are compared."""
    return bool(getattr(scheme, "COHERENT", True))


def estimates_mean(scheme: Scheme) -> bool:
    """Whether decoding estimates the mean of what was sent; if not, ESTIMATES_MEAN = False."""
    return bool(getattr(scheme, "ESTIMATES_MEAN", True))


def is_on_air(scheme: Scheme) -> bool:
    """Whether payloads are transmitted; if not, ON_AIR = False, they travel as bits and are accounted for."""
    return bool(getattr(scheme, "ON_AIR", True))


def pack_bits(scheme: Scheme, update: NDArray[np.floating], plan: Plan) -> Bits:
    """What travels of an update by a scheme that is not on the air."""
    return cast(Any, scheme).pack(update, plan)
