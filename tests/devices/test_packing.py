"""Messages come out of their frames as they went in; frames that are no message do nothing but say so."""

import contextlib
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import messages
from devices.wire.packing import FRAME_BYTES, MAX_ARRAYS, ArrayHead, Parcel, WireError, pack, unpack
from radio.interface import Burst
from tests.devices.any_message import ANY_MESSAGE, KINDS, bits

ROOT = Path(__file__).resolve().parents[2]
THETA = np.arange(4, dtype=np.float32)
TRAIN = messages.Train(3, THETA, 0.5, 0.25)


@given(ANY_MESSAGE)
def test_every_message_keeps_its_bits(message):
    parcel, frames = pack(message)
    travelled = msgspec.msgpack.decode(msgspec.msgpack.encode(parcel), type=Parcel)
    assert bits(unpack(travelled, [bytes(frame) for frame in frames])) == bits(message)


def test_the_strategies_know_every_message():
    assert {kind.__name__ for kind in KINDS} >= {
        "Train",
        "Sound",
        "Prepare",
        "Transmit",
        "Sent",
        "Memory",
        "Failed",
    }


def test_an_array_is_a_little_endian_frame():
    parcel, frames = pack(messages.Memory(np.array([1.0, -2.0], dtype=">f4")))
    assert parcel.arrays == (ArrayHead("<f4", (2,)),)
    assert [bytes(frame).hex() for frame in frames] == [
        "0000803f000000c0"
    ]  # IEEE 754, least significant byte first


def test_what_comes_out_belongs_to_nobody_else():
    parcel, frames = pack(TRAIN)
    received = unpack(parcel, frames)
    received.theta[:] = 7.0
    np.testing.assert_array_equal(THETA, [0, 1, 2, 3])


def changed(message=TRAIN, **fields):
    parcel, frames = pack(message)
    return msgspec.structs.replace(parcel, **fields), [bytes(frame) for frame in frames]


HEAD = ArrayHead("<f4", (4,))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "Launch"}, "unknown kind of message 'Launch'; known: Acknowledge, "),
        ({"kind": "Sound"}, "unknown kind of message 'Sound'"),
        ({"arrays": ()}, "0 arrays announced, 1 frames came"),
        ({"arrays": (ArrayHead("<f4", (5,)),)}, "an array of shape (5,) takes 20 bytes, 16 came"),
        ({"arrays": (ArrayHead("<f4", (2**40, 2**40)),)}, f"an array of {2**82} bytes, {2**28} are allowed"),
        ({"arrays": (ArrayHead("<f4", (-4,)),)}, "an array of shape (-4,); at most 2 dimensions"),
        ({"arrays": (ArrayHead("<f4", (1, 1, 1, 4)),)}, "at most 2 dimensions"),
        ({"arrays": (ArrayHead("|O8", (2,)),)}, "arrays of '|O8'; known: <f4, <f8, <c8, <c16"),
        ({"arrays": (ArrayHead("<c8", (2,)),)}, "an array of complex64 where float32 is due"),
        ({"kind": "Memory"}, "values"),
        ({"kind": "Done"}, "Done: 1 arrays, of which the body names 0"),
        ({"body": msgspec.Raw(b"\xc1")}, "Train: "),
    ],
)  # fmt: skip
def test_frames_that_are_no_message_are_refused(fields, message):
    with pytest.raises(WireError) as refusal:
        unpack(*changed(**fields))
    assert message in str(refusal.value)


def test_places_of_arrays_are_checked():
    parcel, frames = pack(messages.Trained(1.0, THETA))
    for place in (1, -1, True, "0"):
        body = msgspec.msgpack.encode({"update_norm2": 1.0, "update": place})
        with pytest.raises(WireError):
            unpack(Parcel("Trained", msgspec.Raw(body), parcel.arrays), frames)
    often = msgspec.msgpack.encode({"emitted": [[0, 5]] * (MAX_ARRAYS + 1)})
    with pytest.raises(WireError, match=f"more than {MAX_ARRAYS} are named"):
        unpack(Parcel("Sent", msgspec.Raw(often), (ArrayHead("<c8", (2,)),)), [bytes(16)])


def test_an_array_that_a_message_names_twice_travels_once():
    amplitudes = np.arange(6) + 1j
    sent = messages.Sent((Burst(amplitudes, 0), Burst(amplitudes + 1, 9)), amplitudes)
    parcel, frames = pack(sent)
    assert sum(len(frame) for frame in frames) == 2 * amplitudes.nbytes
    assert bits(unpack(parcel, frames)) == bits(sent)


@pytest.mark.parametrize(
    ("num_values", "sizes"),
    [(2 << 18, [1 << 20, 1 << 20]), ((2 << 18) - 1, [1 << 20, (1 << 20) - 4]), ((1 << 18) + 1, [1 << 20, 4])],
)
def test_a_large_array_travels_in_frames_that_are_not(num_values, sizes):
    values = np.random.default_rng(0).normal(size=num_values).astype(np.float32)
    parcel, frames = pack(messages.Memory(values))
    assert [len(frame) for frame in frames] == sizes
    assert max(sizes) == FRAME_BYTES
    assert b"".join(frames) == values.tobytes()
    np.testing.assert_array_equal(unpack(parcel, frames).values, values)
    for wrong in (frames[:-1], [*frames, frames[-1]]):
        with pytest.raises(WireError, match="came"):
            unpack(parcel, wrong)


def test_more_arrays_than_allowed_are_refused():
    heads = (HEAD,) * (MAX_ARRAYS + 1)
    with pytest.raises(WireError, match=f"{MAX_ARRAYS} are allowed"):
        unpack(Parcel("Done", msgspec.Raw(b"\x80"), heads), [bytes(16)] * len(heads))


def test_what_cannot_travel_is_named():
    with pytest.raises(WireError, match="arrays of int64 do not travel"):
        pack(messages.Memory(np.arange(3)))


@given(
    st.binary(max_size=60), st.sampled_from(["Train", "Sent", "Sound.SoundingSlot"]), st.binary(max_size=16)
)
def test_random_bodies_are_refused_or_are_messages(body, kind, frame):
    heads = (ArrayHead("<f4", (len(frame) // 4,)),)
    with contextlib.suppress(WireError):
        unpack(Parcel(kind, msgspec.Raw(body), heads), [frame])


def test_workers_may_begin_with_the_same_kind_of_message_at_once():
    """Each of ten runs of `first_use` ended with SIGSEGV before msgspec learnt all types in one thread."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.devices.first_use"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
