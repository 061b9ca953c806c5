import itertools

import pytest

from sim_backend.frames import RX_CHANNEL, TX_CHANNEL, gate
from sim_backend.pluto_settings import Tdd, TddChannel

LIMIT = 400  # cycles that are looked at


def levels(tdd, channel, start):
    """Output of the engine, cycle by cycle: counters as the hardware has them."""
    own, out = tdd.channels[channel], []
    frame_at, left, pulse_in = None, 0, 0
    for cycle in range(LIMIT):
        pulse = False
        if start is not None and cycle >= start:
            pulse = cycle == start or bool(tdd.sync_internal and tdd.period_cycles and pulse_in == 0)
            pulse_in = (pulse_in - 1 if not pulse else tdd.period_cycles - 1) if tdd.period_cycles else 0
        if pulse and (frame_at is None or tdd.sync_reset):
            frame_at, left = 0, tdd.burst_count
        level = False
        if frame_at is not None:
            on, off = own.on_cycles, own.off_cycles
            level = on <= frame_at < off if on <= off else not off <= frame_at < on
            frame_at += 1
            if frame_at == tdd.frame_cycles:
                left -= 1
                frame_at = None if tdd.burst_count and left == 0 else 0
        out.append((level and own.enabled) != own.inverted)
    return out


CASES = [
    Tdd(enabled=True, frame_cycles=frame, burst_count=count, period_cycles=period, sync_internal=bool(period),
        sync_reset=reset, channels=(TddChannel(), channel, TddChannel()))
    for frame, count, (period, reset), channel in itertools.product(
        (10, 37), (0, 1, 3), ((0, False), (25, False), (50, True), (120, False)),
        (TddChannel(enabled=True, off_cycles=10), TddChannel(enabled=True, on_cycles=3, off_cycles=4),
         TddChannel(enabled=True, on_cycles=8, off_cycles=2), TddChannel(enabled=True, inverted=True, off_cycles=5),
         TddChannel(off_cycles=10), TddChannel(inverted=True)),
    )
]  # fmt: skip


@pytest.mark.parametrize("divider", [1, 8])
@pytest.mark.parametrize("start", [None, 13])
def test_gates_open_where_the_counters_say(start, divider):
    for tdd in CASES:
        cycles = levels(tdd, RX_CHANNEL, start)
        samples = [any(cycles[divider * n : divider * n + divider]) for n in range(LIMIT // divider)]
        found = gate(tdd, RX_CHANNEL, start, divider)
        assert found is not None
        for index in range(LIMIT // (2 * divider)):
            expected = next((n for n in range(index, len(samples)) if samples[n]), None)
            opens = found.next_open(index)
            assert opens == expected or (expected is None and (opens is None or opens >= len(samples))), tdd


def test_without_the_engine_there_is_no_gate():
    assert gate(Tdd(), TX_CHANNEL, None, 1) is None


def test_an_open_gate_stays_open_over_frames_and_a_pulse_does_not():
    wide, narrow = TddChannel(enabled=True, off_cycles=10), TddChannel(enabled=True, off_cycles=1)
    tdd = Tdd(enabled=True, frame_cycles=10, channels=(TddChannel(), wide, narrow))
    assert gate(tdd, RX_CHANNEL, 0, 1).stays_open(20)
    assert not gate(tdd, TX_CHANNEL, 0, 1).stays_open(20)
    assert not gate(tdd, RX_CHANNEL, 20, 1).stays_open(20)


def test_a_run_lasts_from_its_trigger_to_the_end_of_its_last_frame():
    burst = Tdd(enabled=True, frame_cycles=10, burst_count=3)
    assert not gate(burst, RX_CHANNEL, None, 1).is_running(0)
    assert [gate(burst, RX_CHANNEL, 5, 1).is_running(cycle) for cycle in (0, 5, 34, 35)] == [
        True,
        True,
        True,
        False,
    ]
