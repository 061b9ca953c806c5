"""Updates as bits: what is packed comes back, errs by half a step, and is as short as it should be."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radio.channel_state import ChannelState
from radio.schemes.digital import Digital
from radio.sparse import top_k
from radio.uplink import Plan, Reception

CHANNEL = ChannelState(np.ones(1, complex))
HEAD_BITS = 64


def plan_for(dimension, num_kept, devices=(0,)):
    return Plan(round=0, seed=0, devices=devices, dimension=dimension, num_elements=0, num_kept=num_kept)


@settings(deadline=None)
@given(
    arrays(np.float32, st.integers(1, 80), elements=st.floats(-1e6, 1e6, width=32)),
    st.integers(2, 24),
    st.floats(0.0, 1.0),
)
def test_what_is_packed_is_unpacked_as_encode_says(update, value_bits, keep):
    scheme, plan = Digital(value_bits), plan_for(len(update), max(1, round(keep * len(update))))
    amplitudes, sent = scheme.encode(update, CHANNEL, plan)
    assert (len(amplitudes), scheme.num_elements(len(update), 0.4)) == (0, 0)
    found = scheme.unpack(scheme.pack(update, plan), plan)
    assert (sent.dtype, found.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(found, sent)


@pytest.mark.parametrize("value_bits", [2, 3, 8, 16])
def test_no_value_errs_by_more_than_half_a_step_and_the_rest_is_not_sent(value_bits, rng):
    update = rng.normal(size=5000).astype(np.float32) ** 3
    plan = plan_for(5000, 400)
    _, sent = Digital(value_bits).encode(update, CHANNEL, plan)
    kept = top_k(update, 400)
    step = np.max(np.abs(kept)) / (2 ** (value_bits - 1) - 1)
    errors = np.abs(sent - kept)
    assert np.all(errors <= 0.5001 * step)  # float32
    assert np.max(errors) > 0.45 * step
    assert np.all(sent[kept == 0.0] == 0.0)
    assert len(np.unique(sent)) <= 2**value_bits - 1


def test_bits_are_those_of_the_values_and_little_more_than_the_entropy_of_the_positions(rng):
    dimension, count = 113_221, 4529
    update = np.zeros(dimension, np.float32)
    update[rng.permutation(dimension)[:count]] = rng.uniform(1.0, 2.0, size=count)  # none is rounded to 0
    bits = Digital(8).pack(update, plan_for(dimension, count))
    positions = len(bits) - HEAD_BITS - 8 * count
    entropy = (
        math.lgamma(dimension + 1) - math.lgamma(count + 1) - math.lgamma(dimension - count + 1)
    ) / math.log(2)
    assert entropy < positions < 1.05 * entropy


def test_where_nearly_all_travel_positions_cost_nothing(rng):
    update = rng.uniform(1.0, 2.0, size=300).astype(np.float32)
    update[::50] = 0.0
    scheme, plan = Digital(8), plan_for(300, 300)
    assert len(scheme.pack(update, plan)) == HEAD_BITS + 8 * 300
    np.testing.assert_array_equal(scheme.unpack(scheme.pack(update, plan), plan) == 0.0, update == 0.0)


def test_an_update_of_zeros_takes_a_head_alone():
    plan = plan_for(50, 10)
    bits = Digital().pack(np.zeros(50, np.float32), plan)
    assert len(bits) == HEAD_BITS
    np.testing.assert_array_equal(Digital().unpack(bits, plan), np.zeros(50))


def test_the_estimate_is_the_mean_of_what_was_sent(rng):
    updates, plan = rng.normal(size=(3, 200)).astype(np.float32), plan_for(200, 40, devices=(0, 4, 2))
    bits = {d: Digital().pack(z, plan) for d, z in zip(plan.devices, updates, strict=True)}
    sent = [Digital().encode(z, CHANNEL, plan)[1] for z in updates]
    estimate = Digital().decode(Reception(np.zeros(0, complex), 0.1, bits=bits), plan)
    np.testing.assert_allclose(estimate, np.mean(sent, axis=0, dtype=float), rtol=1e-12, atol=1e-15)


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from([1, 7, 200]))
def test_bits_that_nobody_packed_are_an_update_or_refused(garbage, dimension):
    plan = plan_for(dimension, dimension)
    try:
        found = Digital(4).unpack(np.unpackbits(np.frombuffer(garbage, np.uint8)), plan)
    except ValueError:
        return
    assert found.shape == (dimension,)


def test_damage_is_told_by_device_and_kind(rng):
    plan = plan_for(200, 40)
    bits = Digital().pack(rng.normal(size=200).astype(np.float32), plan)
    other, no_step = plan_for(10, 10), bits.copy()
    no_step[32:64] = 1  # a float32 that is no number
    for damaged, read, reason in (
        (bits[:50], plan, "50 bits are fewer than the 64 of a head"),
        (bits[:-1], plan, "319 bits of values where 40 of 8 are due"),
        (bits[:100], plan, "bits hold fewer than 40 positions"),
        (no_step, plan, "a step of nan is none"),
        (bits, other, "40 entries do not lie within the 10 of an update"),
    ):
        with pytest.raises(ValueError, match=f"bits of device 0: .*{reason}"):
            Digital().decode(Reception(np.zeros(0, complex), 0.1, bits={0: damaged}), read)
