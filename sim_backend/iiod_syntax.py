"""Words of a command line, as iiod's lexer and parser take them; whatever they do not is EINVAL."""

import errno
import re

from sim_backend.iiod_target import Device, Place

WORD = rb"(?:[A-Za-z]+,|iio:)?[-_.A-Za-z0-9]+"
LINE = re.compile(rb"[ \t]*(?:%s(?:[ \t]+%s)*[ \t]*)?" % (WORD, WORD))
MASK = re.compile("[0-9a-fA-F]+")
KINDS = {"DEBUG": "debug", "BUFFER": "buffer", "INPUT": "input", "OUTPUT": "output"}
HELP = b"""Available commands:

\tHELP
\t\tPrint this help message
\tEXIT
\t\tClose the current session
\tPRINT
\t\tDisplays a XML string corresponding to the current IIO context
\tVERSION
\t\tGet the version of libiio in use
\tTIMEOUT <timeout_ms>
\t\tSet the timeout (in ms) for I/O operations
\tOPEN <device> <samples_count> <mask> [CYCLIC]
\t\tOpen the specified device with the given mask of channels
\tCLOSE <device>
\t\tClose the specified device
\tREAD <device> DEBUG|BUFFER|[INPUT|OUTPUT <channel>] [<attribute>]
\t\tRead the value of an attribute
\tWRITE <device> DEBUG|BUFFER|[INPUT|OUTPUT <channel>] [<attribute>] <bytes_count>
\t\tSet the value of an attribute
\tREADBUF <device> <bytes_count>
\t\tRead raw data from the specified device
\tWRITEBUF <device> <bytes_count>
\t\tWrite raw data to the specified device
\tGETTRIG <device>
\t\tGet the name of the trigger used by the specified device
\tSETTRIG <device> [<trigger>]
\t\tSet the trigger to use for the specified device
\tSET <device> BUFFERS_COUNT <count>
\t\tSet the number of kernel buffers for the specified device
"""


def split_words(line: bytes) -> list[str]:
    """Words of a line; none of an empty one."""
    expect(LINE.fullmatch(line) is not None)
    return line.decode("ascii").split()


def expect(condition: bool) -> None:
    """EINVAL unless it holds."""
    if not condition:
        raise OSError(errno.EINVAL, "syntax")


def exactly(words: list[str], count: int) -> list[str]:
    """All of them, if there are that many."""
    expect(len(words) == count)
    return words


def keyword(word: str) -> str:
    """In upper case. All letters of a keyword are upper case or all are lower case; anything else is as it came."""
    return word.upper() if word.islower() else word


def natural(word: str) -> int:
    """A decimal number, 0 to 2^31 - 1."""
    expect(word.isdigit() and len(word) <= 10)
    number = int(word)
    expect(number < 1 << 31)
    return number


def channel_mask(word: str, device: Device) -> int:
    """32-bit words of hexadecimal digits, the highest first. Bit i is the scan element at place i in order of index."""
    expect(len(word) == 8 * device.num_words and MASK.fullmatch(word) is not None)
    mask = int(word, 16)
    expect(mask != 0 and not mask >> len(device.sizes))
    return mask


def show_mask(mask: int, device: Device) -> bytes:
    """`channel_mask` the other way round."""
    return b"%0*x" % (8 * device.num_words, mask)


def locate(device: Device, words: list[str]) -> tuple[Place, list[str]]:
    """Where the words behind a device point to, and those that are left. ENXIO for a channel that is not there."""
    kind = KINDS.get(keyword(words[0])) if words else None
    if kind is None:
        return Place(device.id, "device"), words
    if kind in ("debug", "buffer"):
        return Place(device.id, kind), words[1:]
    expect(len(words) > 1)
    channel = device.channels.get((kind, words[1]))
    if channel is None:
        raise OSError(errno.ENXIO, words[1])
    return Place(device.id, kind, channel), words[2:]
