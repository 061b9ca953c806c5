"""A wait that signals may interrupt at any instant, beside a thread that rings without a pause."""

import signal
import threading
import time

import pytest
import typer

from server.bell import Bell
from server.terminal import reporting_failure

INTERRUPTS = 2000


def test_a_ring_ends_one_wait_and_rings_do_not_add_up():
    bell = Bell()
    bell.ring()
    bell.ring()
    began_s = time.monotonic()
    bell.wait(20.0)
    assert time.monotonic() - began_s < 10.0
    bell.wait(0.05)  # nobody rang again
    assert time.monotonic() - began_s >= 0.05


def test_an_interrupted_wait_raises_nothing_else(rng):
    """With a `threading.Condition` one in some hundred ends with a RuntimeError."""
    bell, is_over, others = Bell(), threading.Event(), []

    def ring():
        while not is_over.is_set():
            bell.ring()
            time.sleep(0)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    ringer = threading.Thread(target=ring, daemon=True)
    ringer.start()
    try:
        for pause_s in rng.uniform(1e-4, 5e-4, INTERRUPTS):
            try:
                signal.setitimer(signal.ITIMER_REAL, pause_s)
                while True:
                    bell.wait(1.0)
            except KeyboardInterrupt:
                pass
            except RuntimeError as error:
                others.append(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        is_over.set()
        ringer.join()
    assert not others


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
