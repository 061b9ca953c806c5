"""A sparse vector travels by its entries, and arrives with the bits it had."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from devices.messages import Done, Sent
from devices.wire.packing import pack, unpack
from devices.wire.thinning import thin, whole

VALUES = st.sampled_from([0.0, -0.0, 1.5, -2.0, 1e-40])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_what_arrives_has_the_bits_of_what_was_sent(dtype, data):
    sent = data.draw(arrays.arrays(dtype, st.integers(0, 40), elements=VALUES.map(dtype)))
    parcel, frames = pack(thin(Sent((), sent=sent)))
    arrived = whole(unpack(parcel, frames), len(sent)).sent
    assert arrived.dtype == sent.dtype
    assert arrived.tobytes() == sent.tobytes()


def test_a_few_entries_take_a_few_bytes_and_many_are_left_alone():
    few, many = np.zeros(1000, np.float32), np.ones(1000, np.float32)
    few[::25] = 1.0
    _, frames = pack(thin(Sent((), sent=few)))
    assert sum(memoryview(frame).nbytes for frame in frames) == 40 * 8
    assert thin(Sent((), sent=many)).places is None
    assert thin(Done()) == Done()
