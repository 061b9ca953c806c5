"""GNU Radio's chain against the convolution that it stands for."""

import numpy as np
import pytest

from sim_backend.link import propagate

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")


def draw(rng, count):
    return (rng.normal(size=count) + 1j * rng.normal(size=count)).astype(np.complex64)


@pytest.mark.parametrize("num_taps", [1, 2, 5, 17])
@pytest.mark.parametrize("num_samples", [1, 100, 20_000])
def test_a_link_is_the_full_convolution_without_lead_or_loss(num_samples, num_taps, rng):
    burst, response = draw(rng, num_samples), draw(rng, num_taps)
    (received,) = propagate([burst], [response])
    expected = np.convolve(burst.astype(complex), response.astype(complex))
    assert len(received) == num_samples + num_taps - 1
    np.testing.assert_allclose(received, expected, atol=1e-5 * np.abs(expected).max())


def test_links_run_side_by_side_and_do_not_mix(rng):
    bursts = [draw(rng, count) for count in (300, 4_000, 50)]
    gains = [np.array([0.5 + 0j]), np.array([2j]), np.array([-1.0 + 0j])]
    for received, burst, gain in zip(propagate(bursts, gains), bursts, gains, strict=True):
        np.testing.assert_allclose(received, gain[0] * burst, rtol=1e-6)


def test_the_same_burst_gives_the_same_bits_every_time(rng):
    # The scheduler cuts streams into chunks of other sizes each time; sums must not depend on them
    burst, response = draw(rng, 60_000), draw(rng, 6)
    first, *others = [propagate([burst, burst], [response, response]) for _ in range(8)]
    for other in others:
        np.testing.assert_array_equal(other[0], first[0])
        np.testing.assert_array_equal(other[1], first[1])
