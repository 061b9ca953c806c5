"""One edge device: answers the server's requests. Its only state is its memory and the round in hand."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from devices import messages
from devices.learning.datasets import Pool, load_data_set
from devices.learning.episodes import Task, deal_classes, draw_task
from devices.learning.evaluation import score
from devices.learning.meta_gradient import adapt, local_update, meta_gradient
from devices.learning.models import Model, load_model
from devices.memory import combine, remember
from devices.messages import DeviceSettings, Reply, Request
from devices.sender import Sender
from radio.channel_state import ChannelState
from radio.schemes.registry import load_scheme
from radio.seeds import Use, stream
from radio.uplink import Plan, Scheme


@dataclass
class _Round:
    """A round in hand: this round's own change, what is to be sent (memory + change), and the memory to come: `kept`
    if nothing is delivered, `left` if what was sent is."""

    index: int
    delta: NDArray[np.float32]
    update: NDArray[np.float32]
    kept: NDArray[np.float32]
    channel: ChannelState | None = None
    left: NDArray[np.float32] | None = None


class Data(NamedTuple):
    """The classes a device draws its tasks from."""

    pool: Pool
    classes: NDArray[np.intp]


@dataclass
class Agent:
    """A device by number; held-out devices are agents that are only ever asked to evaluate."""

    device: int
    settings: DeviceSettings
    data: Data
    model: Model
    scheme: Scheme
    memory: NDArray[np.float32] = field(init=False)
    _sender: Sender = field(init=False)
    _round: _Round | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._sender = Sender(self.device, self.scheme, self.settings.waveform)
        self.memory = np.zeros(self.model.num_parameters, dtype=np.float32)

    def handle(self, request: Request) -> Reply:
        """One reply a request. Raises ValueError for a request out of turn, ArithmeticError for a diverged update."""
        match request:
            case messages.Initialise():
                return messages.Initial(self.model.initial(stream(self.settings.seed, Use.INITIAL_MODEL)))
            case messages.Train():
                return self._train(request)
            case messages.Sound(slot):
                return messages.Sent(self._sender.sounding(slot))
            case messages.Prepare(draft, channel):
                current = self._current(draft.round)
                current.channel = channel
                return self._sender.prepare(draft, current.update, channel)
            case messages.Transmit(plan):
                return self._transmit(plan)
            case messages.Acknowledge(index, delivered):
                return self._acknowledge(index, delivered)
            case messages.Probe():
                return self._probe(request)
            case messages.Evaluate():
                return self._evaluate(request)
            case messages.Save():
                return messages.Memory(self.memory)
            case messages.Memory(values):
                self.memory, self._round = values.copy(), None
                return messages.Done()

    def _train(self, request: messages.Train) -> Reply:
        learning = self.settings.learning
        rng = stream(self.settings.seed, Use.TRAINING_TASKS, self.device, request.round)
        tasks = [
            [self._draw_task(rng) for _ in range(learning.tasks_per_step)]
            for _ in range(learning.local_steps)
        ]
        delta: NDArray[np.float32] = local_update(
            self.model.loss,
            _aligned(request.theta),
            tasks,
            inner_rate=request.inner_rate,
            outer_rate=request.outer_rate,
            inner_steps=learning.inner_steps,
            mode=learning.gradient,
        ).numpy()
        if not np.isfinite(delta).all():
            raise ArithmeticError(
                f"the update of round {request.round} is not finite at outer rate {request.outer_rate:g}, inner rate "
                f"{request.inner_rate:g}; lower learning.outer_rate or learning.inner_rate"
            )
        update = combine(self.memory, delta)
        kept = remember(self.settings.memory, update, delta, None)
        self._round = _Round(request.round, delta, update, kept)
        norm2 = float(np.dot(update, update))
        return messages.Trained(norm2, update, None if self.settings.memory == "long" else kept)

    def _transmit(self, plan: Plan) -> Reply:
        current = self._current(plan.round)
        reply, sent = self._sender.transmit(plan, current.update, self._channel(current))
        current.left = remember(self.settings.memory, current.update, current.delta, sent)
        told = None if self.settings.memory == "long" else current.left  # which the server can tell by itself
        return replace(reply, left=told)

    def _acknowledge(self, index: int, delivered: bool) -> Reply:
        if self._round is not None and self._round.index == index:
            current, self._round = self._round, None
            self.memory = current.left if delivered and current.left is not None else current.kept
        return messages.Done()

    def _probe(self, request: messages.Probe) -> Reply:
        learning = self.settings.learning
        theta = _aligned(request.theta)
        gradient = np.zeros(self.model.num_parameters)
        loss = 0.0
        for number in range(request.num_tasks):
            task = self._draw_task(stream(self.settings.seed, Use.PROBE_TASKS, self.device, number))
            adapted = adapt(self.model.loss, theta, task.support, request.inner_rate, learning.inner_steps)
            with torch.no_grad():
                loss += float(self.model.loss(adapted, task.query))
            gradient += meta_gradient(
                self.model.loss,
                theta,
                task,
                rate=request.inner_rate,
                steps=learning.inner_steps,
                mode="exact",
            ).numpy()
        return messages.Probed((gradient / request.num_tasks).astype(np.float32), loss / request.num_tasks)

    def _evaluate(self, request: messages.Evaluate) -> Reply:
        theta = _aligned(request.theta)
        steps = self.settings.learning.test_steps
        scores = [
            score(self.model, theta, self._draw_task(stream(self.settings.seed, Use.TEST_TASKS, number)),
                  request.inner_rate, steps)
            for number in request.tasks
        ]  # fmt: skip
        return messages.Scores(*(tuple(column) for column in zip(*scores, strict=True)))

    def _draw_task(self, rng: np.random.Generator) -> Task:
        task = self.settings.task
        return draw_task(self.data.pool, self.data.classes, task.ways, task.shots, task.queries, rng)

    def _current(self, index: int) -> _Round:
        if self._round is None or self._round.index != index:
            held = "none" if self._round is None else self._round.index
            raise ValueError(f"request for round {index}, but the round in hand is {held}; train first")
        return self._round

    def _channel(self, current: _Round) -> ChannelState:
        if current.channel is None:
            raise ValueError(f"no channel is known in round {current.index}; prepare first")
        return current.channel


_load_once = lru_cache(maxsize=2)(load_data_set)  # the arms of an experiment mostly share their data


def build_agents(settings: DeviceSettings) -> dict[int, Agent]:
    """All devices of an experiment, sharing one data set and one model: training ones 0 .. devices - 1, then
    held-out ones with test classes only.

    Raises ValueError (DataError among them) for data, model or scheme that cannot be loaded or do not fit.
    """
    task, seed = settings.task, settings.seed
    data_set = _load_once(task.name, path=task.path, test_path=task.test_path, seed=seed)
    model = load_model(settings.model.name, task.ways, settings.model.width, data_set.train.shape)
    scheme = load_scheme(settings.scheme, settings.scheme_options)
    agents = {}
    held_out_classes = min(settings.classes_per_device, data_set.test.num_classes)
    for offset, split, (pool, count, per_device) in (
        (0, 0, (data_set.train, settings.devices, settings.classes_per_device)),
        (settings.devices, 1, (data_set.test, settings.held_out, held_out_classes)),
    ):
        dealt = deal_classes(pool.num_classes, count, per_device, stream(seed, Use.DATA_SPLIT, split))
        for number, classes in enumerate(dealt, start=offset):
            agents[number] = Agent(number, settings, Data(pool, classes), model, scheme)
            draw_task(
                pool, classes, task.ways, task.shots, task.queries, stream(seed, Use.PROBE_TASKS, number)
            )
    return agents


def _aligned(theta: NDArray[np.float32]) -> torch.Tensor:
    """A copy in memory aligned as torch likes it: kernels may sum in another order where it is not."""
    return torch.tensor(theta)


def one_torch_thread() -> None:
    """Keep torch to one thread in the calling worker: a meta-gradient has other bits with two."""
    torch.set_num_threads(1)
