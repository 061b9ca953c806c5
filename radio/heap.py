"""Freed memory stays with the process that freed it.

glibc gives large blocks back to the kernel as soon as they are free, and takes them anew for the next array of that
size, a page fault every 4 KiB: of a conv4 round, some 24 MiB for each device, a sixth of its time.
"""

import ctypes
import os
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
KEPT_BYTES = 1 << 29  # at the end of the heap
LARGEST_BYTES = 1 << 25  # block that is taken from the heap; glibc allows no more


def keep_freed_memory() -> None:
    """Of this process, from now on. Nothing where the C library has no such setting, or the user has set it."""
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
