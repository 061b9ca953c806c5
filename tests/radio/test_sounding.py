import numpy as np
import pytest

from radio.ofdm import OfdmConfig
from radio.preamble import preamble_len
from radio.schedule import Schedule
from radio.sounding import SoundingSlot, separate, sounding_bursts

OFDM = OfdmConfig()


@pytest.mark.parametrize("devices", [(4,), (0, 1), (9, 2, 5), tuple(range(10))])
def test_superposed_pilots_come_apart_exactly(devices, rng):
    slot = SoundingSlot(round=0, devices=devices, start_index=0)
    gains = rng.normal(size=len(devices)) + 1j * rng.normal(size=len(devices))
    bursts = [sounding_bursts(slot, d, OFDM)[0] for d in devices]
    assert {burst.start_index for burst in bursts} == {0}
    total = sum(g * burst.samples for g, burst in zip(gains, bursts, strict=True))
    assert len(total) == slot.num_samples(OFDM)
    found = separate(total[preamble_len(OFDM) :], slot, OFDM)
    np.testing.assert_allclose(found, np.tile(gains[:, None], OFDM.num_active), atol=1e-5)


def test_noise_is_averaged_over_the_symbols(rng):
    slot = SoundingSlot(round=0, devices=tuple(range(8)), start_index=0)
    noise = (rng.normal(size=8 * OFDM.symbol_len) + 1j * rng.normal(size=8 * OFDM.symbol_len)) / np.sqrt(2)
    observed = separate(noise.astype(np.complex64), slot, OFDM)
    assert np.mean(np.abs(observed) ** 2) == pytest.approx(1 / 8, rel=0.1)


def test_the_schedule_keeps_the_gap_and_counts_all_airtime():
    schedule = Schedule(ofdm=OFDM, round_s=0.05, gap_s=1e-3)
    slot = schedule.slot(2, (0, 1, 2))
    assert slot.start_index == 2 * 200_000 + 8_000
    assert schedule.payload_index(slot) == slot.start_index + 576 + 3 * 320 + 4_000
    assert schedule.airtime_s(slot, 192) == pytest.approx((576 + 3 * 320 + 4_000 + 576 + 320) / 4e6)


def test_a_round_longer_than_its_period_is_refused_with_the_period_it_needs():
    schedule = Schedule(ofdm=OFDM, round_s=0.02, gap_s=1e-3)
    with pytest.raises(
        ValueError, match=r"link.round_s = 0.02 s is shorter .*raise link.round_s to 0.025"
    ) as caught:
        schedule.check(10, 45_288)
    assert "45288 resource elements, 10 devices" in str(caught.value)
    Schedule(ofdm=OFDM, round_s=0.025, gap_s=1e-3).check(10, 45_288)
