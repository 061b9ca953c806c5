"""Objects that people bring along, named in a configuration as "package.module:object"."""

import importlib
from typing import Any


class PluginError(ValueError):
    """A reference that does not lead to an object. One line: the reference, what was found, what to do."""


def is_reference(name: str) -> bool:
    """Whether `name` is meant as "package.module:object" rather than as the name of something built in."""
    return ":" in name


def load_object(reference: str) -> Any:
    """Import the object that `reference` names.

    reference: "package.module:object"; the object may be dotted ("module:Class.method").
    Raises PluginError if the text has another form, if the module is not found or fails while it is imported,
    or if it has no such attribute.
    """
    module_name, colon, path = reference.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module_name.split("."), *path.split(".")]):
        raise PluginError(f"{reference!r} names no object; write it as 'package.module:object'")
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise PluginError(
                f"{reference!r}: module {module_name!r} needs {error.name!r}; install it"
            ) from error
        raise PluginError(
            f"{reference!r}: no module {error.name!r}; install it, or put its folder on PYTHONPATH"
        ) from error
    except Exception as error:  # whatever the file does when it is imported; the cause stays attached
        raise PluginError(
            f"{reference!r}: importing {module_name!r} failed ({type(error).__name__}: {error}); mend that file"
        ) from error
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            known = (
                ", ".join(sorted(name for name in vars(found) if not name.startswith("_")))
                or "nothing public"
            )
            raise PluginError(f"{reference!r}: {module_name!r} has no {attribute!r}; it has {known}")
        found = getattr(found, attribute)
    return found
