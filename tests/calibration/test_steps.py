import numpy as np
import pytest
from drawn_soundings import EVEN, OFDM, crystal, noisy, responses, sounded, white

from calibration.steps import estimate_steps
from sim_backend.tones import scattering


def test_turns_and_delays_are_exact_without_noise(rng):
    clocks = [crystal(rng, ppm=5.0), crystal(rng, walk_hz_per_root_s=1.0, ppm=5.0)]
    channels = responses(np.array([[1.3, 4.0, 6.6], [0.0, 0.4, 11.0]]), white(rng, 2, 3))
    found = estimate_steps(sounded(rng, clocks, channels, EVEN, 300.0))
    assert found.steady.all()
    for device, clock in enumerate(clocks):
        turned = found.phases_rad[:, device] - clock.phase(EVEN)
        np.testing.assert_allclose(np.exp(1j * (turned - turned[0])), 1.0, atol=1e-6)
        late = found.delays_samples[:, device] + clock.lead_s(EVEN) * 4e6
        np.testing.assert_allclose(late, late[0], atol=1e-6)
    np.testing.assert_allclose(found.wander_rad, 0.0, atol=1e-6)


@pytest.mark.parametrize("snr_db", [20.0, 0.0])
def test_their_scatter_is_the_bound(rng, snr_db):
    channels = responses(rng.uniform(0, 9, (8, 3)), white(rng, 8, 3))
    channels /= np.sqrt(np.mean(np.abs(channels) ** 2, axis=1, keepdims=True))
    found = estimate_steps(sounded(rng, [crystal(rng, ppm=0.0)] * 8, channels, EVEN, snr_db))
    phases = np.angle(np.exp(1j * found.phases_rad) * np.exp(-1j * found.phases_rad.mean(axis=0)))
    for values, variances in (
        (phases, found.phase_variances),
        (found.delays_samples, found.delay_variances),
    ):
        # 8 x 199 values: the mean of their scaled squares is known to 3.5 %
        assert np.mean(np.var(values, axis=0, ddof=1) / variances) == pytest.approx(1.0, rel=0.12)
    energy = OFDM.num_active * 10 ** (snr_db / 10)
    # at the centre of the band's energy phase is known to 1 / (2 energy); the carrier is a little off it
    assert np.all(found.phase_variances > 0.98 / (2 * energy) * 0.9)


def test_a_channel_that_becomes_another_is_told(rng):
    fading = np.stack([scattering(10.0, rng).at(EVEN) for _ in range(8)], axis=1)
    gains = responses(3.0 * np.arange(8), fading)
    still = responses(np.full((len(EVEN), 1), 2.0), np.ones((len(EVEN), 1)))
    found = estimate_steps(noisy(rng, np.stack([gains, still], axis=1), EVEN, 20.0))
    assert found.steady.tolist() == [False, True]
    assert found.wander_rad[0] > 1.0
    assert found.wander_rad[1] == 0.0
