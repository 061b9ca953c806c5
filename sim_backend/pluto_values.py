"""How the kernel reads and writes an attribute's text. Whatever it cannot read is EINVAL, as a client sees it."""

import errno
import re
from decimal import Decimal
from typing import TypeVar

N = TypeVar("N", int, Decimal)
_FIXED = re.compile(r"[+-]?\d+(\.\d*)?( dB)?")
_WHOLE = re.compile(r"[+-]?\d+")


def refuse(what: str, code: int = errno.EINVAL) -> OSError:
    """To be raised; the text is for the log, a client sees the number."""
    return OSError(code, what)


def parse_whole(text: str, low: int, high: int) -> int:
    """A decimal integer, as kstrtoll takes it: no fraction, no exponent."""
    if not _WHOLE.fullmatch(text.strip()) or len(text) > 32:
        raise refuse(f"{text[:32]!r} is no whole number")
    return _within(int(text), low, high)


def parse_fixed(text: str, low: Decimal | int, high: Decimal | int) -> Decimal:
    """A decimal number of at most six places, the rest cut off; " dB" may follow."""
    if not _FIXED.fullmatch(text.strip()) or len(text) > 32:
        raise refuse(f"{text[:32]!r} is no number")
    value = Decimal(text.strip().removesuffix(" dB"))
    return _within(value.quantize(Decimal("0.000001"), rounding="ROUND_DOWN"), low, high)


def parse_bool(text: str) -> bool:
    """As kstrtobool takes it."""
    first = text.strip().lower()[:2]
    if first[:1] in ("1", "y", "t") or first == "on":
        return True
    if first[:1] in ("0", "n", "f") or first == "of":
        return False
    raise refuse(f"{text[:32]!r} is no truth value")


def parse_choice(text: str, choices: str) -> str:
    """One of the words of `choices`."""
    if text.strip() not in choices.split():
        raise refuse(f"{text[:32]!r} is not one of {choices}")
    return text.strip()


def show_db(value: float) -> str:
    """Six places and the unit."""
    return f"{value:.6f} dB"


def show_bool(value: bool) -> str:
    """0 or 1."""
    return str(int(value))


def _within(value: N, low: Decimal | int, high: Decimal | int) -> N:
    if not low <= value <= high:
        raise refuse(f"{value} is not within {low} to {high}")
    return value
