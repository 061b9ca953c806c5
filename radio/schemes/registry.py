"""From a scheme's name to its pair of functions."""

import pkgutil
from typing import cast

from radio.schemes import ideal, inversion, phase
from radio.uplink import Scheme

BUILT_IN = {"phase": phase, "inversion": inversion, "ideal": ideal}
NEEDED = ("num_elements", "encode", "decode")


def load_scheme(name: str) -> Scheme:
    """A built-in scheme, or "package.module:object" for a module or object with the functions of `Scheme`.

    Raises ValueError for a name that leads nowhere or to something that is no scheme.
    """
    if name in BUILT_IN:
        return cast(Scheme, BUILT_IN[name])
    if ":" not in name:
        raise ValueError(
            f"link.scheme = {name!r} is unknown; known: {', '.join(BUILT_IN)}, or package.module:object"
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
