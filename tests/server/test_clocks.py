"""Clocks that run free, followed from round to round: for minutes and hours, in rare company, through silence."""

import numpy as np
import pytest

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
from airborne import DEVICES, open_uplink, run_round

from radio.decibel import from_db
from radio.ofdm import OfdmConfig
from radio.scenarios import scenario
from radio.schedule import Schedule
from radio.sounding import AcquisitionSlot, SoundingSlot
from radio.uplink import SyncError
from server.clocks import Clocks

SNR_DB = 10.0


def open_free(snr_db, seed, num_devices=8, max_clock_offset_ppm=10.0, round_s=0.1):
    impairments = scenario("free").changed(max_clock_offset_ppm=max_clock_offset_ppm)
    return open_uplink(impairments, snr_db, seed, tuple(range(num_devices)), round_s=round_s)[:2]


def excess(rounds):
    """Error of the received amplitudes over what noise alone leaves."""
    return np.mean([held.error for held in rounds]) / (
        np.mean([held.noise for held in rounds]) * from_db(-SNR_DB)
    )


def kinds(rounds):
    return [[type(slot) for slot in held.slots] for held in rounds]


@pytest.mark.parametrize("offset_ppm", [10.0, 20.0])
def test_over_a_minute_clocks_are_acquired_once_and_stay_known(offset_ppm):
    uplink, truth = open_free(SNR_DB, seed=3, round_s=6.0, max_clock_offset_ppm=offset_ppm)
    rounds = [run_round(uplink, truth, index, 3, DEVICES) for index in range(12)]  # 66 s
    assert kinds(rounds) == [[AcquisitionSlot, SoundingSlot]] + 11 * [[SoundingSlot]]
    assert all(tuple(held.sounding.channels) == DEVICES for held in rounds)
    moved = [abs(channel.correction.delay_samples) for channel in rounds[-1].sounding.channels.values()]
    assert max(moved) > 1024  # further than a turn would find a clock of which nothing is known
    early, late = excess(rounds[:4]), excess(rounds[-4:])
    assert late < early * from_db(
        0.5
    )  # 4 rounds of 48,000 values scatter by a tenth of that, fading by the rest
    assert late < from_db(1.0)


def test_channels_stay_in_their_window_for_an_hour():
    uplink, truth = open_free(SNR_DB, seed=4, round_s=400.0, num_devices=3)
    rounds = [run_round(uplink, truth, index, 4, (0, 1, 2)) for index in range(10)]
    # nobody can be trusted for 400 s; they are found again where their last correction put them, 10,000s of samples off
    assert kinds(rounds) == 10 * [[AcquisitionSlot, SoundingSlot]]
    assert all(set(held.slots[0].corrections) == {0, 1, 2} for held in rounds[1:])
    assert max(abs(c.correction.delay_samples) for c in rounds[-1].sounding.channels.values()) > 20_000
    assert excess(rounds) < from_db(1.0)


def test_devices_that_take_part_rarely_are_met_in_time_and_kept_in_sight():
    uplink, truth = open_free(SNR_DB, seed=3, round_s=8.0, max_clock_offset_ppm=20.0)
    pairs = [(0, 1)] * 8 + [(6, 7), (2, 5), (0, 6), (3, 4)]  # 6 and 7 first take part after 64 s
    rounds = [run_round(uplink, truth, index, 3, pair) for index, pair in enumerate(pairs)]
    assert rounds[0].slots[0].devices == (0, 1, 2, 3, 4, 5)  # as many spare turns as meet all within 12.8 s
    assert rounds[1].slots[0].devices == (6, 7)
    assert [held.slots[0].devices for held in rounds[2:8]] == 6 * [(0, 1)]
    assert isinstance(rounds[2].slots[0], SoundingSlot)
    assert [tuple(held.sounding.channels) for held in rounds] == pairs
    assert excess(rounds) < from_db(1.5)


def test_a_device_that_falls_silent_sits_out_and_is_acquired_again():
    uplink, truth = open_free(SNR_DB, seed=3, num_devices=3)
    devices = (0, 1, 2)
    run_round(uplink, truth, 0, 3, devices)
    lost = run_round(uplink, truth, 1, 3, devices, silent=(1,))
    assert lost.sounding.error_variances[1] == np.inf
    assert {0.0 < lost.sounding.error_variances[device] < 0.1 for device in (0, 2)} == {True}
    still = run_round(uplink, truth, 2, 3, devices, silent=(1,))
    assert still.slots[0].devices == (1,)
    assert still.slots[1].devices == (0, 2)
    back = run_round(uplink, truth, 3, 3, devices)
    assert back.slots[0].devices == (1,)
    assert set(back.slots[0].corrections) == {1}
    assert np.isfinite(list(back.sounding.error_variances.values())).all()
    assert kinds([run_round(uplink, truth, 4, 3, devices)]) == [[SoundingSlot]]


def test_after_a_slot_of_silence_all_are_acquired_again_and_only_once():
    uplink, truth = open_free(SNR_DB, seed=3, num_devices=2)
    run_round(uplink, truth, 0, 3, (0, 1))
    with pytest.raises(SyncError, match="no sounding preamble within 1024 samples"):
        run_round(uplink, truth, 1, 3, (0, 1), silent=(0, 1))
    assert run_round(uplink, truth, 2, 3, (0, 1)).slots[0].devices == (0, 1)
    assert kinds([run_round(uplink, truth, 3, 3, (0, 1))]) == [[SoundingSlot]]


def test_what_is_saved_is_all_that_later_rounds_depend_on():
    uplink, truth = open_free(0.0, seed=5, num_devices=3)
    for index in range(2):
        run_round(uplink, truth, index, 5, (0, 2))
    saved = uplink.save()
    again, same_truth = open_free(0.0, seed=5, num_devices=3)
    again.restore(saved)
    assert again.slot(2, (0, 1)) == uplink.slot(2, (0, 1))
    one, other = run_round(uplink, truth, 2, 5, (0, 2)), run_round(again, same_truth, 2, 5, (0, 2))
    assert (one.error, one.sounding.error_variances) == (other.error, other.sounding.error_variances)
    assert one.sounding.channels[2].correction == other.sounding.channels[2].correction
    np.testing.assert_array_equal(uplink.save()["clocks"], again.save()["clocks"])


def test_spare_turns_go_round_among_those_who_wait():
    schedule = Schedule(ofdm=OfdmConfig(), round_s=0.64, gap_s=1e-3, free_clocks=True, num_devices=42)
    clocks = Clocks(
        schedule, 915e6
    )  # 20 ppm take 12.8 s to move a clock by 1,024 samples: 20 rounds for 40 others
    turns = [clocks.turns(index, (7, 3)) for index in range(20)]
    assert all(turn[:2] == (7, 3) and len(turn) == 4 for turn in turns)
    assert {device for turn in turns for device in turn} == set(range(42))
