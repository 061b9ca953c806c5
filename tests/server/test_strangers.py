"""Replies that cannot be, and strangers at the door: no effect, one line each, whatever they send."""

import os
import socket

import numpy as np
import pytest
import zmq

from devices import messages
from devices.messages import Failed
from devices.wire.envelope import Answer, Ask, Beat, Hello, Pulse, Refused, Unknown, Welcome
from devices.wire.keys import ALLOWED, KeyFileError, make_keys, read_device_keys
from devices.wire.packing import Parcel, pack
from radio.interface import Burst
from radio.uplink import Plan
from server.door import Door
from tests.server.fleet import DIMENSION
from tests.server.puppet import asked, puppets
from tests.server.remote import Process, open_fleet

THETA = np.zeros(DIMENSION, np.float32)
TRAIN = messages.Train(4, THETA, 0.1, 0.2)
PLAN = Plan(round=4, seed=1, devices=(0,), dimension=DIMENSION, num_elements=10, num_kept=5)
BITS = Plan(round=4, seed=1, devices=(0,), dimension=DIMENSION, num_elements=0, num_kept=5)
NOTHING = np.zeros(0, np.complex64)
GOOD = messages.Trained(1.0, THETA)
NAN = np.full(DIMENSION, np.nan, np.float32)
PLACES = np.arange(400, dtype=np.int32)
ELEMENTS = np.zeros(10, np.complex64)


def lines(caplog, text):
    return [record.message for record in caplog.records if text in record.message]


@pytest.fixture(scope="module")
def hosted():
    """A fleet of one training device, which is a puppet's, and a held-out one; (fleet, puppet)."""
    pulse = Pulse(beat_s=2.0, lost_s=60.0)  # a puppet beats only while it listens
    with open_fleet(devices=1, held_out=1, pulse=pulse) as fleet, puppets(fleet.url) as make:
        puppet = make()
        puppet.join("puppet", first=0)
        Process(fleet.url, "honest")
        fleet.wait_for_all(5.0)
        yield fleet, puppet


def sent(**changes):
    whole = {"emitted": (Burst(ELEMENTS, 0),), "amplitudes": ELEMENTS, "sent": THETA, "left": THETA}
    return messages.Sent(**whole | changes)


@pytest.mark.parametrize(
    ("request_", "reply", "fault"),
    [
        (TRAIN, messages.Trained(1.0, NAN), "its update holds what is no number"),
        (TRAIN, messages.Trained(1.0, THETA, NAN), "what it keeps holds what is no number"),
        (TRAIN, messages.Trained(1.0, THETA[:-1]), "its update has shape (399,), (400,) is due"),
        (TRAIN, messages.Trained(1.0, THETA.reshape(20, 20)), "its update has shape (20, 20), (400,) is due"),
        (TRAIN, messages.Trained(float("nan"), THETA), "its norm is nan"),
        (TRAIN, messages.Trained(1.0), "gives neither its update nor what it keeps"),
        (TRAIN, messages.Done(), "answered with Done, Trained is due"),
        (TRAIN, TRAIN, "answered with Train, Trained is due"),
        (messages.Prepare(PLAN, None), messages.Prepared(-1.0), "its power is -1.0"),
        (messages.Prepare(PLAN, None), messages.Prepared(1.0, float("inf")), "its peak is inf"),
        (messages.Prepare(PLAN, None), messages.Prepared(1.0, 0.1, float("nan")), "its energy is nan"),
        (messages.Transmit(BITS), sent(emitted=(), amplitudes=NOTHING), "sends no bits where nothing is on the air"),
        (messages.Transmit(BITS), sent(emitted=(), amplitudes=NOTHING, bits=np.zeros(2, np.uint8), num_bits=17),
         "says 17 bits where 16 came"),
        (messages.Transmit(BITS), sent(emitted=(), amplitudes=NOTHING, bits=np.zeros(2, np.uint8), num_bits=-1),
         "says -1 bits where 16 came"),
        (messages.Transmit(PLAN), sent(amplitudes=ELEMENTS[1:]), "its amplitudes has shape (9,), (10,) is due"),
        (messages.Transmit(PLAN), sent(emitted=(Burst(ELEMENTS * np.nan, 0),)), "a burst holds what is no number"),
        (messages.Transmit(PLAN), sent(sent=None, left=None), "says neither what it sent nor what it leaves"),
        (messages.Transmit(PLAN), sent(places=PLACES[:-1]), "what it sent has shape (400,), (399,) is due"),
        (messages.Transmit(PLAN), sent(places=PLACES[::-1]), "places that do not rise within 400"),
        (messages.Transmit(PLAN), sent(places=PLACES + 1), "places that do not rise within 400"),
        (messages.Transmit(PLAN), sent(places=PLACES - 1), "places that do not rise within 400"),
        (messages.Transmit(PLAN), sent(places=PLACES.reshape(20, 20)), "places that do not rise within 400"),
        (messages.Transmit(PLAN), sent(sent=NAN), "what it sent holds what is no number"),
        (messages.Probe(THETA, 0.1, 1), messages.Probed(THETA[1:], 0.0), "its gradient has shape (399,)"),
        (messages.Evaluate(THETA, (1, 2), 0.1), messages.Scores((1.0,), (1.0,), (1.0,), (1.0,)), "2 are due"),
        (messages.Evaluate(THETA, (1,), 0.1), messages.Scores((1.0,), (1.0,), (1.5,), (1.0,)), "outside 0 to 1"),
        (messages.Initialise(), messages.Initial(NAN), "its parameters holds what is no number"),
    ],
)  # fmt: skip
def test_a_reply_that_cannot_be_is_that_devices_failure(request_, reply, fault, hosted):
    fleet, puppet = hosted
    if isinstance(request_, messages.Prepare):
        from radio.channel_state import ChannelState

        request_ = messages.Prepare(PLAN, ChannelState(np.ones(1, np.complex128)))
    join = asked(fleet, {0: request_})
    ask, _ = puppet.next_request()
    puppet.answer(ask, reply)
    (got,) = join().values()
    assert isinstance(got, Failed)
    assert got.reason.startswith(f"device 0, {type(request_).__name__.lower()}: refused: ")
    assert fault in got.reason


def test_replays_and_other_runs_are_dropped_with_a_line_and_the_right_answer_counts(hosted, caplog):
    fleet, puppet = hosted
    join = asked(fleet, {0: TRAIN})
    ask, request = puppet.next_request()
    np.testing.assert_array_equal(request.theta, THETA)
    other = messages.Trained(2.0, THETA + 1)
    for changes in ({"run": "0123"}, {"round": 3}, {"number": ask.number - 1}, {"device": 1}, {"device": 77}):
        for _ in range(20):
            puppet.answer(ask, other, **changes)
    puppet.socket.send_multipart([b"airm\x02\x00", os.urandom(100)])
    puppet.socket.send_multipart([os.urandom(1000)])
    puppet.socket.send_multipart([b"airm\x07\x00"])
    puppet.answer(ask, GOOD)
    puppet.answer(ask, other)  # twice: the first counts
    assert join()[0].update_norm2 == 1.0
    assert isinstance(fleet.ask({1: messages.Evaluate(THETA, (0,), 0.1)})[1], messages.Scores)
    assert len(lines(caplog, "answered for a run that is over")) == 1
    assert len(lines(caplog, "which is not waited for; dropped")) == 1
    assert len(lines(caplog, "was dropped: ")) == 1


def test_who_does_not_introduce_itself_is_asked_to_and_has_no_effect(hosted):
    fleet, puppet = hosted
    with puppets(fleet.url) as make:
        stranger = make()
        parcel, arrays = pack(GOOD)
        stranger.say(Answer(fleet.run, 0, 1, 4, parcel), arrays)
        assert stranger.hear(Unknown) is not None
        impostor = make()
        puppet.say(Beat())
        impostor.say(Hello("puppet", "another incarnation", 1))
        assert impostor.hear(Welcome, deadline_s=0.5) is None  # whoever is there keeps the name
        for hello in (Hello("../x", "i", 1), Hello("y", "i", 0), Hello("z", "i", 10**9)):
            stranger.say(hello)
            assert stranger.hear(Refused) is not None


@pytest.fixture
def keyed(tmp_path):
    """Keys of a server, of `known`, and of `struck`, who is no longer on the list."""
    folder = tmp_path / "keys"
    make_keys(folder, ("known", "struck"))
    allowed = folder / ALLOWED
    allowed.write_bytes(
        b"".join(line for line in allowed.read_bytes().splitlines(True) if b"struck" not in line)
    )
    return folder


def test_strangers_do_not_get_in_and_cause_a_line_each(keyed, tmp_path, caplog):
    make_keys(tmp_path / "others", ("known",))
    right, public = read_device_keys(keyed, "known")
    with open_fleet(devices=1, held_out=1, keys=keyed) as fleet, puppets(fleet.url) as make:
        host, _, port = fleet.url.removeprefix("tcp://").partition(":")
        wrong_server = (right, read_device_keys(tmp_path / "others", "known")[1])
        unlisted = read_device_keys(keyed, "struck")
        another = (read_device_keys(tmp_path / "others", "known")[0], public)
        strangers = [make(keys) for keys in (None, wrong_server, unlisted, another) for _ in range(3)]
        for stranger in strangers:
            stranger.say(Hello("known", "stranger", 2))
        flood = [socket.create_connection((host, int(port))) for _ in range(200)]
        for number, connection in enumerate(flood):
            connection.sendall(os.urandom(4096) if number % 2 else b"GET / HTTP/1.1\r\n\r\n")
        process = Process(fleet.url, "known", 2, keys=(right, public))
        fleet.wait_for_all(10.0)
        trained = fleet.ask({0: TRAIN})[0]
        assert isinstance(trained, messages.Trained)
        assert all(stranger.socket.poll(0) == 0 for stranger in strangers)  # nobody answers them
        for connection in flood:
            connection.close()
        assert process.error is None
    assert len(lines(caplog, "was not let in: key")) == 1
    for what in ("does not speak the protocol, or has no key or a wrong one", "ended during the handshake"):
        assert len(lines(caplog, what)) == 1
    assert len(lines(caplog, "a stranger at ")) == 2


def test_a_key_stands_for_one_name(keyed):
    make_keys(keyed, ("second",))
    with open_fleet(devices=1, held_out=1, keys=keyed) as fleet:
        liar = Process(fleet.url, "known", keys=read_device_keys(keyed, "second"))
        liar.join()
        assert "the key is second's; give --id second" in str(liar.error)


def test_what_is_larger_than_allowed_ends_the_connection(monkeypatch):
    monkeypatch.setattr("server.door.MAX_FRAME_BYTES", 1 << 20)
    with open_fleet(devices=1) as fleet, puppets(fleet.url) as make:
        big = make()
        big.say(Hello("big", "i", 1))
        assert big.hear(Welcome) is not None
        big.socket.send_multipart([bytes(1 << 21)])
        Process(fleet.url, "small", 1)
        assert big.hear(Ask, deadline_s=0.2) is None
        again = make()
        again.say(Hello("again", "i", 1, first=1))
        assert again.hear((Welcome, Refused)) is not None  # the server is well


def test_a_list_of_nobody_is_refused(keyed):
    (keyed / ALLOWED).write_bytes(b"")
    with pytest.raises(KeyFileError, match=r"allowed lists nobody; make keys with airmeta keys "):
        Door("tcp://127.0.0.1:0", keyed, 1)


def test_nothing_listens_after_the_end():
    with open_fleet() as fleet:
        url = fleet.url
    with zmq.Context() as context, context.socket(zmq.DEALER) as probe:
        probe.bind(url)


def test_a_parcel_of_another_kind_is_no_request():
    from concurrent.futures import ThreadPoolExecutor

    from devices.desk import Desk

    answers = []
    with ThreadPoolExecutor(1) as pool:
        desk = Desk({0: lambda request: messages.Done()}, pool, answers.append)
        assert desk.take(Ask("run", 0, 1, 0, Parcel("Launch", pack(messages.Done())[0].body)), [])
        assert not desk.take(Ask("run", 5, 2, 0, pack(messages.Save())[0]), [])
    assert b"a request that cannot be read: unknown kind of message 'Launch'" in answers[0][0]
