import numpy as np
import pytest

from radio.ofdm import OfdmConfig, modulate
from radio.pilot_layout import devices_per_symbol, num_channel_taps, pilot_layout
from radio.preamble import preamble_len
from radio.schedule import Schedule
from radio.sounding import SoundingSlot, separate, sounding_bursts
from radio.zadoff_chu import sounding_amplitudes

OFDM = OfdmConfig()


@pytest.mark.parametrize("block_gaps", [(0,), (0, 0, 31)])
@pytest.mark.parametrize("devices", [(4,), (0, 1), (9, 2, 5), tuple(range(8)), tuple(range(32))])
def test_superposed_pilots_come_apart_exactly(devices, block_gaps, rng):
    slot = SoundingSlot(round=0, devices=devices, start_index=0, block_gaps=block_gaps)
    gains = rng.normal(size=len(devices)) + 1j * rng.normal(size=len(devices))
    bursts = [sounding_bursts(slot, d, OFDM)[0] for d in devices]
    assert {burst.start_index for burst in bursts} == {0}
    total = sum(g * burst.samples for g, burst in zip(gains, bursts, strict=True))
    assert block_gaps != (0,) or len(total) == slot.num_samples(OFDM)
    found = separate(total[preamble_len(OFDM) :][: slot.block_len(OFDM)], slot, OFDM)
    # complex64 times the condition of four windows of 40 of 64 samples, some thousands
    np.testing.assert_allclose(found.gains, np.tile(gains[:, None], OFDM.num_active), atol=2e-3)


@pytest.mark.parametrize("num_devices", [2, 8, 32])
@pytest.mark.parametrize("num_blocks", [1, 4])
def test_an_error_is_that_of_a_lone_device_with_the_energy_of_all_symbols(num_devices, num_blocks, rng):
    slot = SoundingSlot(
        round=0, devices=tuple(range(num_devices)), start_index=0, block_gaps=(0,) * num_blocks
    )
    pilots = np.stack([sounding_amplitudes(slot.layout(OFDM), number) for number in slot.devices])
    num_taps, errors, stated, noises = num_channel_taps(OFDM), [], [], []
    ramps = np.exp(-2j * np.pi * np.outer(np.arange(num_taps), OFDM.active_bins) / OFDM.fft_len)
    for _ in range(20):
        taps = rng.normal(size=(num_devices, num_taps, 2)).view(complex)[..., 0] / np.sqrt(2 * num_taps)
        gains = taps @ ramps
        noise = np.sqrt(0.05) * rng.normal(size=(*pilots.shape[1:], 2)).view(complex)[..., 0]
        heard = modulate(np.einsum("isk,ik->sk", pilots, gains) + noise, OFDM)
        found = separate(heard, slot, OFDM)
        errors.append(np.mean(np.abs(found.gains - gains) ** 2))
        stated.append(np.mean(found.error_variances))
        noises.append(found.noise_variance)
    lone = 0.1 * num_taps / OFDM.num_active / slot.num_symbols  # sigma^2 taps / (subcarriers symbols)
    assert np.mean(errors) < 1.1 * lone  # what neighbours cost is won back by the weight of the penalty
    assert np.mean(errors) == pytest.approx(np.mean(stated), rel=0.1)
    assert np.mean(noises) == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize(("offset", "limit_db"), [(0.02, -28.0), (0.002, -44.0)])
def test_a_device_off_by_two_percent_of_the_spacing_hardly_touches_the_seven_others(offset, limit_db, rng):
    slot = SoundingSlot(round=0, devices=tuple(range(8)), start_index=0, block_gaps=(0, 0, 31, 187))
    layout = slot.layout(OFDM)
    bursts = np.stack([modulate(sounding_amplitudes(layout, number), OFDM) for number in range(8)])
    bodies = np.arange(bursts.shape[1]).reshape(8, -1)[:, OFDM.prefix_len :]
    turn = np.exp(2j * np.pi * offset / OFDM.fft_len * (np.arange(bursts.shape[1]) - bodies.mean()))
    errors = []
    for number in range(8):
        channels = np.exp(2j * np.pi * rng.random(8))
        heard = channels[:, None] * bursts
        heard[number] *= turn
        gains = separate(np.roll(heard.sum(axis=0), 16).astype(np.complex64), slot, OFDM).gains
        gains *= np.exp(
            2j * np.pi * 16 * OFDM.active_bins / OFDM.fft_len
        )  # arrived 16 samples into the window
        errors.append(np.mean(np.abs(np.delete(gains - channels[:, None], number, axis=0)) ** 2))
    assert 10 * np.log10(np.mean(errors)) < limit_db


def test_the_schedule_keeps_the_gap_and_counts_all_airtime():
    schedule = Schedule(ofdm=OFDM, round_s=0.05, gap_s=1e-3)
    slot = schedule.slot(2, (0, 1, 2))
    assert slot.start_index == 2 * 200_000 + 8_000
    assert schedule.payload_index(slot) == slot.start_index + 576 + 8 * 320 + 4_000
    assert schedule.longest_s(3, 192) == pytest.approx(
        (576 + 8 * 320 + 4_000 + 576 + 320 + 2 * 320) / 4e6  # header and tail
    )


def test_a_round_longer_than_its_period_is_refused_with_the_period_it_needs():
    schedule = Schedule(ofdm=OFDM, round_s=0.02, gap_s=1e-3)
    with pytest.raises(
        ValueError, match=r"link.round_s = 0.02 s is shorter .*raise link.round_s to 0.026"
    ) as caught:
        schedule.check(10, 45_288)
    assert "45288 resource elements, 10 devices" in str(caught.value)
    Schedule(ofdm=OFDM, round_s=0.026, gap_s=1e-3).check(10, 45_288)


def test_more_devices_than_the_pilots_carry_are_refused_with_the_remedy():
    schedule = Schedule(ofdm=OFDM, round_s=1.0, gap_s=1e-3, free_clocks=True)
    schedule.check(32, 192)
    message = "33 devices sound at once, but 8 pilot symbols carry 32 .*lower fleet.active to at most 32"
    with pytest.raises(ValueError, match=message):
        schedule.check(33, 192)


@pytest.mark.parametrize(
    ("fft_len", "prefix_len", "num_active", "together"),
    [
        (256, 64, 192, 4),
        (256, 8, 192, 16),
        (256, 0, 192, 16),
        (256, 256, 192, 1),
        (64, 16, 48, 4),
        (64, 16, 2, 1),
    ],
)
def test_shifts_are_wider_than_a_devices_taps_for_any_numerology(fft_len, prefix_len, num_active, together):
    ofdm = OfdmConfig(fft_len=fft_len, prefix_len=prefix_len, num_active=num_active)
    assert devices_per_symbol(ofdm) == together
    for free_clocks in (False, True):
        layout = pilot_layout(8 * together, 8, ofdm, free_clocks)
        assert layout.shift_samples * num_active >= layout.num_taps * fft_len


def test_more_devices_than_header_and_tail_have_room_for_are_refused():
    schedule = Schedule(ofdm=OFDM, round_s=0.2, gap_s=1e-3)
    schedule.check(96, 1000)
    with pytest.raises(
        ValueError, match="97 devices in one frame exceed 96, half of the 192 active subcarriers"
    ):
        schedule.check(97, 1000)
