"""Arrays that are made and freed again and again cost page faults the first time only."""

import os
import platform
import subprocess
import sys

import pytest

ARRAYS = """
import resource, sys
import numpy as np
from radio.heap import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def make():
    return [np.ones(1 << 17) for _ in range(8)]  # 1 MiB each
for _ in range(3):
    make()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    make()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how, **environment):
    words = [sys.executable, "-c", ARRAYS, how]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | environment)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, which alone has the setting")
def test_memory_is_taken_once():
    pages = 20 * 8 * (1 << 20) // 4096  # of all arrays, each of which would otherwise be taken anew
    assert faults("keep") < 0.01 * pages
    assert faults("as it is") > 0.3 * pages  # or the setting would be of no use any more


def test_what_the_user_has_set_holds():
    assert faults("keep", MALLOC_MMAP_THRESHOLD_="100000") > 1000  # every array is a mapping of its own
