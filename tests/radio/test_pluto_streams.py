"""What the streams' threads are made of, without threads: schedule, ring, pace, shape."""

import numpy as np
import pytest

from radio.interface import EPOCH_LEN, EpochError
from radio.pacing import Pacer
from radio.pluto_link import LinkError
from radio.pluto_rx import Ring
from radio.pluto_timeline import StreamShape, Timeline
from radio.pluto_tx import TxSchedule


def test_bursts_come_out_at_their_counts_whatever_the_blocks(rng):
    expected = np.zeros((5000, 4), np.int16)
    schedules = [TxSchedule(2) for _ in range(3)]
    for channel, start, count in ((0, 7, 300), (0, 307, 1), (0, 2900, 1200), (1, 0, 5000)):
        words = rng.integers(-(2**15), 2**15, (count, 2)).astype("<i2")
        expected[start : start + count, 2 * channel : 2 * channel + 2] = words
        for schedule in schedules:
            schedule.add(channel, start, words)
    for schedule, block in zip(schedules, (1, 256, 5000), strict=True):
        rendered = np.concatenate(
            [schedule.render(first, min(block, 5000 - first)) for first in range(0, 5000, block)]
        )
        np.testing.assert_array_equal(rendered, expected)
        assert not schedule.render(5000, 100).any()


def test_overlaps_are_found_and_neighbours_are_not():
    schedule = TxSchedule(2)
    schedule.add(0, 100, np.zeros((50, 2), "<i2"))
    assert [schedule.conflict(0, *span) for span in ((50, 100), (50, 101), (149, 200), (150, 200), (0, 500))] == [
        None, 100, 100, None, 100,
    ]  # fmt: skip
    assert schedule.conflict(1, 100, 150) is None
    schedule.clear(0)
    assert schedule.conflict(0, 100, 150) is None


@pytest.mark.parametrize("sizes", [(10,) * 30, (1, 99, 100, 101, 250, 3)])
def test_the_ring_holds_the_last_samples(rng, sizes):
    ring, all_words = Ring(100, 2, first=1000), np.zeros((0, 2), np.int16)
    for size in sizes:
        words = rng.integers(-2048, 2048, (size, 2)).astype(np.int16)
        all_words = np.concatenate([all_words, words])
        ring.append(words)
        assert (ring.begin, ring.end) == (max(1000, 1000 + len(all_words) - 100), 1000 + len(all_words))
        np.testing.assert_array_equal(ring.read(ring.begin, ring.end - ring.begin), all_words[-100:])
    np.testing.assert_array_equal(ring.read(ring.end - 7, 3), all_words[-7:-4])
    ring.forget()
    assert ring.begin == ring.end


class Clock:
    def __init__(self):
        self.now_s = 50.0

    def __call__(self):
        return self.now_s


def test_the_pace_is_the_rate_after_a_pause_there_is_credit_and_haste_leaves_no_debt():
    clock = Clock()
    pacer = Pacer(1000.0, 300, clock)
    served = 0
    for _ in range(10_000):  # 10 s in steps of 1 ms
        while pacer.wait_s() == 0.0:
            pacer.spend(100)
            served += 100
        clock.now_s += 1e-3
    assert served == pytest.approx(10 * 1000 + 300, abs=100)
    clock.now_s += 60.0
    for _ in range(3):
        assert pacer.wait_s() == 0.0
        pacer.spend(100)
    pacer.spend(100)
    for _ in range(50):
        pacer.spend(100)  # without waiting
    assert pacer.wait_s() == pytest.approx(0.1)


def test_indices_of_other_epochs_are_refused_with_what_ended_theirs():
    timeline = Timeline("radio")
    seen = []
    timeline.watch(lambda: seen.append(timeline.epoch))
    assert timeline.count(timeline.index(5)) == 5
    timeline.upset("a test")
    assert timeline.index(5) == EPOCH_LEN + 5
    assert seen == [1]
    with pytest.raises(
        EpochError, match=r"radio: index 5 belongs to epoch 0, this is epoch 1 \(.*: a test\)"
    ):
        timeline.count(5)
    timeline.fail("gone")
    timeline.fail("gone again")
    with pytest.raises(LinkError, match=r"^gone$"):
        timeline.check()


@pytest.mark.parametrize(
    "settings", [{"ring_s": 0.9}, {"tx_blocks": 1}, {"rx_blocks": 65}, {"block_s": 0.0}, {"lead_s": -1}]
)
def test_shapes_are_valid_from_birth(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be in"):
        StreamShape(**settings)


def test_blocks_are_whole_multiples_of_256_samples():
    shape = StreamShape(block_s=0.01)
    assert [shape.block_len(rate) for rate in (521e3, 1e6, 4e6)] == [5120, 9984, 39936]
    assert StreamShape(block_s=1e-4).block_len(521e3) == 256
