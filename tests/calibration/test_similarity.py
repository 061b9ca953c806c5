"""How alike profiles are: by the definitions of the scores, and with what the intervals allow."""

import numpy as np
import pytest

from calibration.profile import (
    DeviceProfile,
    Numerology,
    Profile,
    ReceiverProfile,
    ResponseEntry,
    estimate,
    interval,
    number,
)
from calibration.similarity import compare_profiles

NUMEROLOGY = Numerology(
    center_hz=915e6, sample_rate_hz=4e6, fft_len=256, prefix_len=64, num_active=192, backoff_db=15.0
)
FLAT = np.ones(192)


def entry(value, std):
    return estimate(value, std, 0.0, "path")


def response(gains, std=0.01):
    gains = np.asarray(gains, dtype=complex)
    return ResponseEntry(
        re=tuple(gains.real.tolist()), im=tuple(gains.imag.tolist()), std=std, at_s=0.0, valid_s=1.0
    )


def profile(*devices, shared_clock=True, shared_start=True, **receiver):
    return Profile(
        made_at_s=0.0,
        numerology=NUMEROLOGY,
        shared_clock=shared_clock,
        shared_start=shared_start,
        receiver=ReceiverProfile(serial="r", firmware="", rx_gain_db=0.0, **receiver),
        devices=tuple(
            DeviceProfile(device=place, serial=str(place), firmware="", tx_gain_db=0.0, **entries)
            for place, entries in enumerate(devices)
        ),
    )


def test_a_profile_is_like_itself():
    same = profile(
        {
            "gain_db": entry(-3.0, 0.1),
            "image": number(0.01j, 1e-3, 0.0, "hardware"),
            "response": response(FLAT),
        },
        noise_dbfs=entry(-60.0, 0.1),
    )
    found = compare_profiles(same, same)
    assert (found.overall.value, found.share_agreeing, found.num_entries) == (pytest.approx(1.0), 1.0, 4)
    assert set(found.scores) == {"gain_db", "image", "response", "receiver noise_dbfs"}


def test_positive_quantities_differ_relative_to_their_sum_levels_as_powers():
    one = profile({"gain_db": entry(0.0, 0.01), "delay_spread_s": entry(3e-7, 1e-9)})
    other = profile({"gain_db": entry(10.0 * np.log10(1.5), 0.01), "delay_spread_s": entry(1e-7, 1e-9)})
    found = compare_profiles(one, other)
    assert found.scores["gain_db"].value == pytest.approx(1.0 - 0.5 / 2.5)
    assert found.scores["delay_spread_s"].value == pytest.approx(0.5)
    assert found.overall.value == pytest.approx(0.65)
    assert found == compare_profiles(other, one)


def test_vectors_differ_by_the_angle_between_them():
    """Half of the band the other way round: a cosine of 0. Over devices: (3, 4) and (4, 3), 24 / 25."""
    turned = np.where(np.arange(192) < 96, 1.0, -1.0)
    one = profile(
        {"response": response(FLAT), "cfo_hz": entry(3.0, 0.01)},
        {"response": response(FLAT), "cfo_hz": entry(4.0, 0.01)},
    )
    other = profile(
        {"response": response(turned), "cfo_hz": entry(4.0, 0.01)},
        {"response": response(2j * FLAT), "cfo_hz": entry(3.0, 0.01)},
    )
    found = compare_profiles(one, other)
    assert found.scores["response"].value == pytest.approx(0.5, abs=1e-9)
    assert found.scores["cfo_hz"].value == pytest.approx(0.96)


def test_responses_are_compared_but_for_their_delay():
    places = np.arange(192) - 95.5
    gains = 1.0 + 0.3 * np.exp(0.1j * places)
    late = gains * np.exp(0.4j - 0.002j * places)
    bent = gains * np.exp(1e-5j * places**2)
    one, same, other = (profile({"response": response(values)}) for values in (gains, late, bent))
    assert compare_profiles(one, same).differing == ()
    assert compare_profiles(one, other).differing == ("device 0 response",)


def test_entries_differ_where_their_intervals_do_not_explain_it():
    stds = 0.3, 0.4  # of the difference: 0.5, 0.98 at most
    near = [profile({"gain_db": entry(value, std)}) for value, std in zip((1.0, 1.97), stds, strict=True)]
    far = [profile({"gain_db": entry(value, std)}) for value, std in zip((1.0, 1.99), stds, strict=True)]
    assert compare_profiles(*near).differing == ()
    assert compare_profiles(*far).differing == ("device 0 gain_db",)


def test_what_noise_alone_makes_is_neither_scored_nor_different():
    rng = np.random.default_rng(4)

    def noisy():
        return profile(
            *(
                {
                    "sro_ppm": entry(rng.normal(scale=1e-3), 1e-3),
                    "response": response(
                        FLAT + rng.normal(scale=0.01 / np.sqrt(2.0), size=(192, 2)) @ [1.0, 1j]
                    ),
                }
                for _ in range(50)
            )
        )

    found = compare_profiles(noisy(), noisy())
    assert found.num_entries == 100
    assert len(found.differing) <= 13  # 95 % of them agree; more than that in one of a thousand cases
    assert set(found.scores) == {"response"}
    assert found.scores["response"].low <= 1.0 - 1e-4 <= found.scores["response"].high


def test_what_both_can_only_bound_from_above_is_not_scored_what_one_has_seen_is():
    def jitters(*entries):
        return profile(*({"jitter_s": each} for each in entries))

    bounds = [interval(value, value, value, 0.0, "hardware", "upper") for value in (1e-9, 3e-9)]
    seen = entry(2e-9, 1e-10)
    found = compare_profiles(jitters(bounds[0], seen), jitters(bounds[1], bounds[0]))
    assert found.scores["jitter_s"].value == pytest.approx(1.0 - 1.0 / 3.0)
    assert found.num_entries == 2
    below = compare_profiles(jitters(seen), jitters(bounds[1]))  # the bound allows what was seen
    assert below.scores["jitter_s"].value == 1.0
    assert compare_profiles(jitters(bounds[0]), jitters(bounds[1])).scores == {}


def test_bounds_agree_with_what_lies_on_their_open_side():
    bounded = profile({"compression_db": interval(0.0, 0.0, 0.0, 0.0, "hardware", "lower")})
    beyond = profile({"compression_db": entry(2.0, 0.1)})
    below = profile({"compression_db": entry(-2.0, 0.1)})
    assert compare_profiles(bounded, beyond).differing == ()
    assert compare_profiles(bounded, below).differing == ("device 0 compression_db",)


def test_what_a_start_decides_is_left_out():
    entries = {"delay_s": entry(1e-6, 1e-9), "phase_rad": entry(3.1, 0.01), "gain_db": entry(0.0, 0.1)}
    moved = {"delay_s": entry(0.3, 1e-9), "phase_rad": entry(-3.1, 0.01), "gain_db": entry(0.0, 0.1)}
    apart = compare_profiles(profile(entries, shared_start=False), profile(moved, shared_start=False))
    assert (apart.num_entries, apart.differing) == (1, ())
    on_free_clocks = compare_profiles(
        profile(entries, shared_clock=False), profile(moved, shared_clock=False)
    )
    assert on_free_clocks.differing == ("device 0 delay_s",)
    together = compare_profiles(profile(entries), profile(moved))
    assert together.differing == ("device 0 phase_rad", "device 0 delay_s")  # 0.083 rad apart, over a turn


def test_intervals_of_scores_hold_what_no_difference_would_be():
    one, other = profile({"gain_db": entry(0.0, 0.2)}), profile({"gain_db": entry(0.1, 0.2)})
    score = compare_profiles(one, other).scores["gain_db"]
    assert score.low < score.value < score.high == 1.0
