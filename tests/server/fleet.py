"""A fleet for tests of the round code: devices that descend a quadratic, without torch or data."""

from dataclasses import dataclass, field

import numpy as np

from devices import messages
from devices.memory import combine, remember
from devices.messages import Failed
from radio.air_config import AirConfig, Fading
from radio.interface import Burst
from radio.ofdm import OfdmConfig
from radio.schedule import Schedule
from radio.schemes.registry import is_on_air, load_scheme, pack_bits
from server.config_file import build
from server.rounds import Rounds
from server.support_rule import support_rule
from sim_backend.channel import BlockChannel
from sim_backend.elements import BlockElements, ElementTruth
from sim_backend.symbol import SymbolUplink

DIMENSION = 400


@dataclass
class QuadraticDevice:
    """Minimises |theta - target|^2 / 2 by one step a round. `fails`: requests that it cannot answer."""

    scheme: object
    target: np.ndarray
    fails: tuple[type, ...] = ()
    memory: np.ndarray = field(default_factory=lambda: np.zeros(DIMENSION, np.float32))
    delivered: list = field(default_factory=list)

    def handle(self, request):
        if isinstance(request, self.fails):
            return Failed(f"cannot {type(request).__name__.lower()}")
        match request:
            case messages.Initialise():
                return messages.Initial(np.zeros(DIMENSION, np.float32))
            case messages.Train():
                self.delta = (request.outer_rate * (request.theta - self.target)).astype(np.float32)
                self.update, self.sent = combine(self.memory, self.delta), None
                return messages.Trained(float(self.update @ self.update), self.update)
            case messages.Sound():
                return messages.Sent(())
            case messages.Prepare():
                self.channel = request.channel
                amplitudes, sent = self.scheme.encode(self.update, self.channel, request.draft)
                power = float(np.sum(np.abs(amplitudes) ** 2)) / max(1, len(amplitudes))
                return messages.Prepared(power, sent_norm2=float(sent @ sent))
            case messages.Transmit():
                amplitudes, self.sent = self.scheme.encode(self.update, self.channel, request.plan)
                self.amplitudes = amplitudes
                left = remember("long", self.update, self.delta, self.sent)
                if not is_on_air(self.scheme):
                    bits = pack_bits(self.scheme, self.update, request.plan)
                    self.num_bits = len(bits)
                    return messages.Sent((), amplitudes, self.sent, left, np.packbits(bits), len(bits))
                return messages.Sent((Burst(amplitudes, 0),), amplitudes, self.sent, left)
            case messages.Acknowledge():
                self.delivered.append(request.delivered)
                sent = self.sent if request.delivered else None
                self.memory = remember("long", self.update, self.delta, sent)
                return messages.Done()
            case messages.Evaluate():
                loss = float(np.mean((request.theta - self.target) ** 2))
                scores = tuple(loss + task for task in request.tasks)
                accuracies = tuple(1.0 / (1.0 + score) for score in scores)
                return messages.Scores(scores, scores, accuracies, accuracies)
            case messages.Probe():
                return messages.Probed((request.theta - self.target).astype(np.float32), 0.5)
            case messages.Save():
                return messages.Memory(self.memory)
            case messages.Memory(values):
                self.memory = values.copy()
                return messages.Done()


class Fleet:
    """A DeviceProxy over devices in a dictionary."""

    def __init__(self, devices):
        self.devices = devices

    def ask(self, requests):
        return {device: self.devices[device].handle(request) for device, request in requests.items()}

    def close(self):
        pass


def make_rounds(*, backend="symbol", scheme="phase", fading="none", snr_db=30.0, fails=None, **tables):
    """Rounds over the symbol channel with quadratic devices; the last two of them are held out."""
    tables.setdefault("run", {"rounds": 6, "test_tasks": 4, "progress_tasks": 2, "evaluate_every": 2})
    tables.setdefault("fleet", {"devices": 4, "held_out": 2})
    experiment = build(
        {"link": {"backend": backend, "scheme": scheme, "fading": fading, "snr_db": snr_db}} | tables
    )
    pair = load_scheme(scheme, experiment.scheme_options())
    rng = np.random.default_rng(8)
    targets = 1.0 + 0.3 * rng.normal(size=(experiment.fleet.devices + experiment.fleet.held_out, DIMENSION))
    devices = {
        number: QuadraticDevice(pair, target, (fails or {}).get(number, ()))
        for number, target in enumerate(targets)
    }
    ofdm = OfdmConfig()
    schedule = Schedule(ofdm=ofdm, round_s=0.1, gap_s=1e-3)
    channel = BlockChannel(Fading(law=fading), AirConfig(), experiment.run.seed, schedule.round_len)
    noise = 0.0 if backend == "ideal" else 10 ** (-snr_db / 10)
    elements = BlockElements(channel, ofdm)
    num_elements = pair.num_elements(DIMENSION, experiment.update.measurements)
    uplink = SymbolUplink(elements, schedule, num_elements, noise, experiment.run.seed)
    mean_gain = Fading(law=fading).mean_gain()
    update, truth = experiment.update, ElementTruth(elements)
    rule = support_rule(update.support, update.keep, update.block, experiment.run.seed)
    return Rounds(experiment, Fleet(devices), uplink, pair, mean_gain, truth, rule)
