"""A wait that signals may interrupt at any instant, beside a thread that rings without a pause."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import typer

from server.bell import Bell
from server.terminal import reporting_failure

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import random, signal, threading, time
from server.bell import Bell

def ring():
    while True:
        bell.ring()
        time.sleep(0)

def interrupt(number, frame):
    raise KeyboardInterrupt

bell, interrupts = Bell(), 0
signal.signal(signal.SIGALRM, interrupt)
threading.Thread(target=ring, daemon=True).start()
while interrupts < 2000:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 5e-4))
        while True:
            bell.wait(1.0)
    except KeyboardInterrupt:
        interrupts += 1
print(interrupts, "interrupts")
"""


def test_a_ring_ends_one_wait_and_rings_do_not_add_up():
    bell = Bell()
    bell.ring()
    bell.ring()
    began_s = time.monotonic()
    bell.wait(20.0)
    assert time.monotonic() - began_s < 10.0
    bell.wait(0.05)  # nobody rang again
    assert time.monotonic() - began_s >= 0.05


def test_an_interrupted_wait_raises_nothing_else():
    """With a `threading.Condition` one in some hundred ends with a RuntimeError. In a process of its own, not traced:
    what traces takes locks, too."""
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=untraced, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2000", "interrupts"]


def test_an_interrupt_that_a_lock_hides_is_told_as_one(capsys):
    changed = threading.Condition()

    def interrupted():
        with reporting_failure("what was done is kept"), changed:
            changed.release()  # as a wait that is interrupted in its first instants leaves it
            raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ending:
        interrupted()
    assert ending.value.exit_code == 1
    assert capsys.readouterr().err == "interrupted; what was done is kept\n"


def test_another_runtime_error_is_a_bug_and_shows_it():
    with pytest.raises(RuntimeError, match="a bug"), reporting_failure():
        raise RuntimeError("a bug")
