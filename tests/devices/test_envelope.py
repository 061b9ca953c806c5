"""The first frame: what it must begin with, which versions are read, what random bytes do."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import messages
from devices.wire import envelope
from devices.wire.envelope import Answer, Ask, Beat, Hello, Leave, Pulse, RadioSetup, Welcome, seal, unseal
from devices.wire.packing import WireError, pack, unpack
from radio.hardware_correction import DeviceCorrection, TransmitCorrection
from radio.interface import RadioConfig
from radio.ofdm import OfdmConfig
from radio.pluto_timeline import StreamShape
from radio.safety import SafetyLimits

SETTINGS = messages.DeviceSettings(
    seed=7, task=messages.TaskSettings(path=("a", "b")), model=messages.ModelSettings(width=3),
    learning=messages.LearningSettings(outer_rate=0.1), scheme="phase", memory="short", devices=4, held_out=2,
    classes_per_device=9, waveform=(OfdmConfig(fft_len=64, num_active=48), 0.125),
)  # fmt: skip
RADIO = RadioSetup(
    config=RadioConfig(sample_rate_hz=1e6, center_hz=915e6, tx_gain_db=-30.25),
    limits=SafetyLimits(allowed_bands_hz=((902e6, 928e6),), max_duty=0.5),
    shape=StreamShape(block_s=0.004),
)
CORRECTED = replace(
    RADIO,
    corrections={
        2: DeviceCorrection(
            serial="1044", tx_gain_db=-33.25, transmit=TransmitCorrection(level_db=-0.1, image=0.1 - 0.2j)
        )
    },
)


@pytest.mark.parametrize(
    "content",
    [
        Hello("desk-1", "f00", 4, first=2, radios=1, facts={"python": "3.11"}),
        Welcome("abc", (0, 3), SETTINGS, Pulse(beat_s=0.1), RADIO),
        Welcome("abc", (2,), SETTINGS, Pulse(), CORRECTED),
        Welcome("abc", (), SETTINGS, Pulse()),
        Beat(),
        Leave(True),
    ],
)
def test_what_was_sealed_comes_out(content):
    assert unseal(seal(content)) == (content, [])


def test_a_device_is_set_to_its_own_gain_where_it_is_corrected():
    assert CORRECTED.config_of(2) == replace(RADIO.config, tx_gain_db=-33.25)
    assert CORRECTED.config_of(0) == RADIO.config


def test_a_correction_that_cannot_be_is_refused():
    frame = seal(Welcome("abc", (2,), SETTINGS, Pulse(), CORRECTED))[0]
    pair = msgspec.msgpack.encode([0.1, -0.2])
    assert frame.count(pair) == 1
    for other in ([0.1], [0.1, "b"], [9.1, -0.2]):
        with pytest.raises(WireError, match="a head that cannot be read"):
            unseal([frame.replace(pair, msgspec.msgpack.encode(other))])


def test_a_request_travels_with_its_arrays():
    request = messages.Train(2, np.arange(3, dtype=np.float32), 0.5, 0.25)
    parcel, arrays = pack(request)
    content, frames = unseal([bytes(frame) for frame in seal(Ask("run", 1, 9, 2, parcel), arrays)])
    assert (content.run, content.device, content.number, content.round) == ("run", 1, 9, 2)
    np.testing.assert_array_equal(unpack(content.parcel, frames).theta, [0, 1, 2])


def test_the_first_bytes_are_those_of_the_page():
    assert seal(Beat())[0] == b"airm\x02\x00" + msgspec.msgpack.encode(["Beat"])


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "without frames"),
        ([b""], "begins with b''"),
        ([b"GET / HTTP/1.1"], "begins with b'GET / HT'"),
        ([b"airm\x03\x00\x91\xa4Beat"], "wire version 3, this side speaks 2; install the same release"),
        ([b"airm\x02\x00"], "a head that cannot be read"),
        ([b"airm\x02\x00" + msgspec.msgpack.encode(["Boast"])], "a head that cannot be read"),
        ([b"airm\x02\x00" + msgspec.msgpack.encode(["Answer", "run", "one", 2, 3, []])], "a head that cannot be read"),
        ([b"airm\x02\x00" + bytes(envelope.MAX_FRAME_BYTES)], "1048576 are allowed"),
    ],
)  # fmt: skip
def test_other_frames_are_refused(frames, message):
    with pytest.raises(WireError) as refusal:
        unseal(frames)
    assert message in str(refusal.value)


@given(st.binary(max_size=80), st.booleans())
def test_random_frames_are_refused_or_are_content(frame, begun):
    try:
        content, _ = unseal([envelope.PREFIX * begun + frame])
        assert isinstance(content, envelope.Envelope | Answer)
    except WireError:
        pass
