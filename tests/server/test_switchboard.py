"""What becomes of requests, on a clock that the test turns and a door that keeps what is sent."""

from types import SimpleNamespace

import numpy as np
import pytest

from devices import messages
from devices.wire import envelope
from devices.wire.envelope import Answer, Ask, Hello, Pulse, Ready, Welcome
from devices.wire.packing import pack, unpack
from server.switchboard import Switchboard, Terms
from tests.server.remote import settings

PULSE = Pulse(beat_s=1.0, lost_s=5.0)
REPLY_S, RETURN_S = 20.0, 60.0
TRAIN = messages.Train(0, np.zeros(3, np.float32), 0.1, 0.1)
KEPT = np.array([1.0, 2.0, 3.0], np.float32)


class Bench:
    """A switchboard for two devices, and what went out of its door: (routing, content, arrays)."""

    def __init__(self):
        self.now_s, self.sent = 0.0, []
        door = SimpleNamespace(
            send=self._send, complain=lambda subject, text: self.sent.append(("", text, ()))
        )
        terms = Terms(settings=settings(2, 0), pulse=PULSE, reply_s=REPLY_S, return_s=RETURN_S)
        self.board = Switchboard(terms, "run", door, False, lambda: self.now_s)

    def _send(self, routing, frames):
        self.sent.append((routing, *envelope.unseal([bytes(frame) for frame in frames])))
        return True

    def hear(self, routing, content, arrays=()):
        frames = [bytes(frame) for frame in envelope.seal(content, arrays)]
        self.board.read(SimpleNamespace(routing=routing, user="", frames=frames))
        self.board.look()

    def arrive(self, name, routing, incarnation="first"):
        """A process with one device is ready."""
        self.hear(routing, Hello(name, incarnation, 1))
        self.hear(routing, Ready("run"))

    def ask(self, device, request):
        call = self.board.begin(device, request, *pack(request))
        self.board.look()
        return call

    def asked(self, routing):
        """(Ask, request) that went to a process, the latest last."""
        return [
            (content, unpack(content.parcel, arrays))
            for to, content, arrays in self.sent
            if to == routing and isinstance(content, Ask)
        ]

    def answer(self, routing, reply, ask=None):
        ask = ask or self.asked(routing)[-1][0]
        parcel, arrays = pack(reply)
        self.hear(routing, Answer(ask.run, ask.device, ask.number, ask.round, parcel), arrays)

    def wait(self, seconds, *alive):
        """Beats of those who are alive meanwhile."""
        for _ in range(round(seconds)):
            self.now_s += 1.0
            for routing in alive:
                self.hear(routing, envelope.Beat())
            self.board.look()


@pytest.fixture
def bench():
    made = Bench()
    made.arrive("a", b"A")
    made.arrive("b", b"B")
    return made


def test_a_request_goes_out_once_and_its_reply_comes_back(bench):
    assert [content.numbers for _, content, _ in bench.sent if isinstance(content, Welcome)] == [(0,), (1,)]
    call = bench.ask(1, TRAIN)
    bench.wait(3, b"A", b"B")
    assert len(bench.asked(b"B")) == 1
    assert not bench.asked(b"A")
    assert bench.board.at_work() == {1: ("train", 0.0)}
    bench.answer(b"B", messages.Trained(14.0, update=KEPT))
    np.testing.assert_array_equal(call.reply.update, KEPT)
    assert bench.board.at_work() == {}


def test_training_does_not_wait_for_who_is_lost_and_evaluation_does(bench):
    """Lost after 5 s of silence; a patient request waits 60 s more."""
    training = bench.ask(0, TRAIN)
    evaluating = bench.ask(1, messages.Evaluate(np.zeros(3, np.float32), (0,), 0.1))
    bench.wait(5)
    assert training.reply is None
    bench.wait(1)
    assert "its process is not there" in training.reply.reason
    assert evaluating.reply is None
    bench.wait(59)
    assert evaluating.reply is None
    bench.wait(1)
    assert "its process is not there" in evaluating.reply.reason


def test_who_is_there_and_does_not_answer_is_late(bench):
    call = bench.ask(0, TRAIN)
    bench.wait(19, b"A", b"B")
    assert call.reply is None
    bench.wait(1, b"A", b"B")
    assert "no answer within 20 s" in call.reply.reason
    bench.answer(b"A", messages.Trained(14.0, update=KEPT))  # is not waited for any more
    assert any("is not waited for" in str(content) for _, content, _ in bench.sent)


def test_a_connection_that_came_back_is_asked_the_same_again(bench):
    bench.ask(0, TRAIN)
    bench.arrive("a", b"A again")
    (first, _), (again, _) = *bench.asked(b"A"), *bench.asked(b"A again")
    assert again.number == first.number


def test_a_process_that_was_started_again_gets_its_memory_first(bench):
    bench.ask(0, TRAIN)
    bench.answer(b"A", messages.Trained(14.0, update=KEPT))
    bench.ask(0, messages.Acknowledge(0, delivered=False))  # so KEPT is its memory
    bench.answer(b"A", messages.Done())
    bench.wait(3, b"B")
    bench.arrive("a", b"A anew", incarnation="second")
    second = messages.Train(1, np.ones(3, np.float32), 0.1, 0.1)
    call = bench.ask(0, second)
    ((restore, memory),) = bench.asked(b"A anew")
    np.testing.assert_array_equal(memory.values, KEPT)
    bench.answer(b"A anew", messages.Done(), restore)
    _, (_, request) = bench.asked(b"A anew")
    assert request.round == 1
    bench.answer(b"A anew", messages.Trained(14.0, update=KEPT))
    assert isinstance(call.reply, messages.Trained)


def test_what_cannot_be_an_answer_fails_the_device_alone(bench):
    calls = [bench.ask(device, TRAIN) for device in (0, 1)]
    bench.answer(b"A", messages.Trained(float("nan"), update=KEPT))
    bench.answer(b"B", messages.Trained(14.0, update=KEPT))
    assert "refused: its norm" in calls[0].reply.reason
    assert isinstance(calls[1].reply, messages.Trained)
