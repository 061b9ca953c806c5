"""One round of over-the-air federated meta-learning, and the evaluations between rounds."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices import messages
from devices.messages import Reply, Request, Scores
from devices.proxy import DeviceProxy
from radio.decibel import to_db
from radio.interface import RadioError
from radio.schemes.registry import inverts
from radio.seeds import Use, stream
from radio.sounding import SoundingSlot
from radio.truncation import is_used
from radio.uplink import Plan, Reception, Scheme, Slot, Sounding, SyncError, Truth, Uplink
from server.config import Experiment
from server.error_budget import Estimates, error_budget
from server.metrics import (
    even_superposition,
    mean_vector,
    perfect_superposition,
    relative_error,
    summarise_scores,
    unturn,
)
from server.truncation_plan import fading_mean_powers, round_threshold

Record = dict[str, Any]
Parameters = NDArray[np.float32]


class RoundFailed(RuntimeError):
    """A round that changed nothing; the message says why."""


class Outcome(NamedTuple):
    """After a round: the parameters, its line for the record, and what was received, if anything was."""

    theta: Parameters
    record: Record
    reception: Reception | None


class _Payload(NamedTuple):
    """What a round carried over the air."""

    plan: Plan
    sounding: Sounding
    sent: dict[int, messages.Sent]
    reception: Reception


@dataclass(frozen=True)
class Rounds:
    """The server's collaborators. mean_gain: E|h| of the channel's model, None where no
    model is stated and the mean of what is measured serves; truth: None on real radios."""

    experiment: Experiment
    proxy: DeviceProxy
    uplink: Uplink
    scheme: Scheme
    mean_gain: float | None
    truth: Truth | None

    def run(self, index: int, theta: Parameters) -> Outcome:
        """Round `index` from theta: train, sound, plan, transmit, decode, update, acknowledge."""
        active = draw_active(self.experiment, index)
        record: Record = {"round": index, "active": list(active), "failures": []}
        trained: dict[int, messages.Trained] = {}
        delivered: tuple[int, ...] = ()
        try:
            trained = self._train(index, theta, active, record)
            payload = self._carry(index, theta, trained, record)
            updates = [reply.update for reply in trained.values() if reply.update is not None]
            estimate = self._decode_and_judge(payload, updates, record)
            delivered = payload.plan.devices
            return Outcome((theta - estimate).astype(np.float32), record, payload.reception)
        except (RoundFailed, SyncError, RadioError, TimeoutError) as error:
            record["failed"] = str(error)
            return Outcome(theta, record, None)
        finally:
            self.proxy.ask({d: messages.Acknowledge(index, d in delivered) for d in trained})

    def evaluate(self, theta: Parameters, num_tasks: int, inner_rate: float) -> Record:
        """Held-out devices fine-tune on the first `num_tasks` test tasks, dealt to them in turn."""
        fleet = self.experiment.fleet
        held_out = [fleet.devices + number for number in range(fleet.held_out)]
        dealt = {
            device: tuple(range(turn, num_tasks, len(held_out)))
            for turn, device in enumerate(held_out)
            if turn < num_tasks
        }
        replies = self._demand(
            {device: messages.Evaluate(theta, tasks, inner_rate) for device, tasks in dealt.items()}
        )
        by_task: dict[int, tuple[float, ...]] = {}
        for device, tasks in dealt.items():
            scores = replies[device]
            assert isinstance(scores, Scores)
            rows = zip(
                scores.loss_before,
                scores.loss_after,
                scores.accuracy_before,
                scores.accuracy_after,
                strict=True,
            )
            by_task.update(zip(tasks, rows, strict=True))
        return summarise_scores(Scores(*zip(*(by_task[task] for task in range(num_tasks)), strict=True)))

    def probe(self, theta: Parameters, inner_rate: float) -> Record:
        """Squared norm of the gradient of the meta-training loss over all devices, on their fixed probe tasks."""
        request = messages.Probe(theta, inner_rate, self.experiment.run.probe_tasks)
        replies = self._demand(dict.fromkeys(range(self.experiment.fleet.devices), request))
        probed = [reply for reply in replies.values() if isinstance(reply, messages.Probed)]
        gradient = mean_vector([reply.gradient for reply in probed])
        return {
            "meta_gradient_norm2": float(np.dot(gradient, gradient)),
            "meta_loss": math.fsum(reply.loss for reply in probed) / len(probed),
        }

    def initial_parameters(self) -> Parameters:
        """From the first device: the server does not know the model."""
        reply = self._demand({0: messages.Initialise()})[0]
        assert isinstance(reply, messages.Initial)
        return reply.theta

    def save_memories(self) -> dict[int, Parameters]:
        """Every device's error-feedback memory."""
        replies = self._demand(dict.fromkeys(range(self.experiment.fleet.devices), messages.Save()))
        return {
            device: reply.values for device, reply in replies.items() if isinstance(reply, messages.Memory)
        }

    def restore_memories(self, memories: Mapping[int, Parameters]) -> None:
        """Inverse of `save_memories`."""
        self._demand({device: messages.Memory(values) for device, values in memories.items()})

    def _train(
        self, index: int, theta: Parameters, active: tuple[int, ...], record: Record
    ) -> dict[int, messages.Trained]:
        inner_rate, outer_rate = learning_rates(self.experiment, index)
        request = messages.Train(index, theta, inner_rate, outer_rate)
        replies = self._ask(dict.fromkeys(active, request), record)
        record["inner_rate"], record["outer_rate"] = inner_rate, outer_rate
        return {d: reply for d, reply in replies.items() if isinstance(reply, messages.Trained)}

    def _carry(
        self, index: int, theta: Parameters, trained: Mapping[int, messages.Trained], record: Record
    ) -> _Payload:
        self._need_quorum(trained, "could train", record)
        sounding = self._sound(index, tuple(trained), record)
        residuals = phase_residuals(sounding)
        limit_rad = self.experiment.link.max_residual_rad
        devices = tuple(device for device, residual_rad in residuals.items() if residual_rad <= limit_rad)
        record["sitting_out"] = [device for device in trained if device not in devices]
        self._need_quorum(devices, "were heard well enough", record)
        update, link = self.experiment.update, self.experiment.link
        draft = Plan(
            round=index,
            seed=self.experiment.run.seed,
            devices=devices,
            dimension=len(theta),
            num_elements=self.scheme.num_elements(len(theta), update.measurements),
            num_kept=max(1, round(update.keep * len(theta))),
            estimator=update.estimator,
            mean_gain=measured_mean_gain(sounding) if self.mean_gain is None else self.mean_gain,
            threshold=self._threshold(sounding, devices),
            normalise=link.normalise,
        )
        prepared = self._ask({d: messages.Prepare(draft, sounding.channels[d]) for d in devices}, record)
        self._need_quorum(prepared, "could prepare a payload", record)
        needs = {d: reply for d, reply in prepared.items() if isinstance(reply, messages.Prepared)}
        draft = replace(draft, devices=tuple(needs))
        mean_powers = fading_mean_powers(trained, draft) if link.power_rule == "average" else ()
        scale = common_scale(list(needs.values()), mean_powers, draft.threshold)
        plan = replace(draft, scale=scale, start_index=self.uplink.payload_index(sounding))
        replies = self._ask(dict.fromkeys(plan.devices, messages.Transmit(plan)), record)
        self._need_quorum(replies, "could transmit", record)
        sent = {d: reply for d, reply in replies.items() if isinstance(reply, messages.Sent)}
        reception = self.uplink.collect(plan, {d: reply.emitted for d, reply in sent.items()})
        reception = replace(reception, channels=sounding.channels)
        plan = replace(plan, devices=tuple(sent))  # those who really transmitted
        _record_link(record, plan, sounding, reception, sent)
        gap_samples = plan.start_index + reception.delayed_samples - sounding.end_index
        record["gap_s"] = gap_samples / self.experiment.radio.sample_rate_hz
        return _Payload(plan, sounding, sent, reception)

    def _threshold(self, sounding: Sounding, devices: tuple[int, ...]) -> float:
        if not inverts(self.scheme):
            return 0.0
        modelled = None if self.mean_gain is None else 1.0  # every model of a channel has E|h|^2 = 1
        return round_threshold(self.experiment.link, sounding, devices, modelled)

    def _sound(self, index: int, devices: tuple[int, ...], record: Record) -> Sounding:
        """Slot after slot, until the channels are known of all devices that could be heard."""
        outcome: Slot | Sounding = self.uplink.slot(index, devices)
        while not isinstance(outcome, Sounding):
            slot = outcome
            replies = self._ask(dict.fromkeys(slot.devices, messages.Sound(slot)), record)
            if isinstance(slot, SoundingSlot):  # who does not send in another is not heard, and that is all
                self._need_quorum(replies, "could sound", record)
            pilots = {d: reply.emitted for d, reply in replies.items() if isinstance(reply, messages.Sent)}
            outcome = self.uplink.sound(slot, pilots)
        return outcome

    def _decode_and_judge(
        self, payload: _Payload, updates: Sequence[Parameters], record: Record
    ) -> NDArray[np.floating]:
        """updates: memory + change of every active device, where they are disclosed."""
        plan, sent, reception = payload.plan, payload.sent, payload.reception
        amplitudes = {d: reply.amplitudes for d, reply in sent.items() if reply.amplitudes is not None}
        if len(amplitudes) < len(sent) or not updates:
            return self._finite(self.scheme.decode(reception, plan))
        record["transmit_energy"] = math.fsum(float(np.vdot(a, a).real) for a in amplitudes.values())
        mean_sent = mean_vector([reply.sent for reply in sent.values() if reply.sent is not None])
        if self.truth is None:
            estimate = self._finite(self.scheme.decode(reception, plan))
        else:
            estimate = self._judge_air(
                payload, amplitudes, mean_sent, mean_vector(updates), self.truth, record
            )
        record["nmse"] = relative_error(estimate, mean_sent)
        record["nmse_full"] = relative_error(estimate, mean_vector(updates))
        return estimate

    def _judge_air(
        self,
        payload: _Payload,
        amplitudes: Mapping[int, NDArray[np.complexfloating]],
        mean_sent: NDArray[np.floating],
        mean_update: NDArray[np.floating],
        truth: Truth,
        record: Record,
    ) -> NDArray[np.floating]:
        """The estimate, judged against what would have been decoded without noise, with perfect phases."""
        plan, sounding, _, reception = payload
        unturned = unturn(plan, amplitudes, sounding.channels)
        perfect = perfect_superposition(plan, unturned, truth)
        even = even_superposition(plan, unturned, sounding.channels if inverts(self.scheme) else None)
        received = [
            reception,
            *(replace(reception, amplitudes=each, noise_variance=0.0) for each in (perfect, even)),
        ]
        with ThreadPoolExecutor(2, "decode") as pool:  # the first is the round's; the others only judge it
            decoding = [pool.submit(self.scheme.decode, each, plan) for each in received]
            disturbances = truth.disturbances(plan, unturned, sounding, reception)
            estimate, reference, unfaded = (each.result() for each in decoding)
        estimates = Estimates(mean_update, mean_sent, unfaded, reference, self._finite(estimate))
        record["nmse_air"] = relative_error(estimate, reference)
        record["nmse_amplitude"] = relative_error(reception.amplitudes, perfect)
        if disturbances is not None:
            record["error_budget"] = error_budget(estimates, disturbances)
        return estimate

    def _finite(self, estimate: NDArray[np.floating]) -> NDArray[np.floating]:
        if not np.isfinite(estimate).all():
            raise RoundFailed("the decoded estimate is not finite; check link.scheme and update.estimator")
        return estimate

    def _ask(self, requests: Mapping[int, Request], record: Record) -> dict[int, Reply]:
        """Replies of those who could; failures go to the record."""
        replies = self.proxy.ask(requests)
        record["failures"] += [
            reply.reason for reply in replies.values() if isinstance(reply, messages.Failed)
        ]
        return {device: reply for device, reply in replies.items() if not isinstance(reply, messages.Failed)}

    def _demand(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """Replies of all; RoundFailed if any is missing."""
        record: Record = {"failures": []}
        replies = self._ask(requests, record)
        if record["failures"]:
            raise RoundFailed("; ".join(record["failures"]))
        return replies

    def _need_quorum(self, devices: Mapping[int, Any] | tuple[int, ...], what: str, record: Record) -> None:
        quorum = self.experiment.fleet.quorum
        if len(devices) < quorum:
            reasons = "; ".join(record["failures"]) or "no reason given"
            raise RoundFailed(f"{len(devices)} devices {what}, fleet.quorum is {quorum}: {reasons}")


def draw_active(experiment: Experiment, index: int) -> tuple[int, ...]:
    """The devices of a round, uniform without replacement, in rising order."""
    rng = stream(experiment.run.seed, Use.DEVICE_SELECTION, index)
    return tuple(sorted(rng.permutation(experiment.fleet.devices)[: experiment.num_active].tolist()))


def learning_rates(experiment: Experiment, index: int) -> tuple[float, float]:
    """(alpha, eta) of a round: constant, or both divided by sqrt(t + 1)."""
    learning = experiment.learning
    decay = math.sqrt(index + 1.0) if learning.schedule == "adaptive" else 1.0
    return learning.inner_rate / decay, learning.outer_rate / decay


def phase_residuals(sounding: Sounding) -> dict[int, float]:
    """Phase error in rad, rms, that the noise of the sounding predicts for each device's compensation."""
    errors = sounding.error_variances
    gains = {  # without the noise that is in them, so that silence does not pass for a channel
        d: float(np.mean(np.abs(channel.gains) ** 2)) - errors[d] for d, channel in sounding.channels.items()
    }
    return {d: math.sqrt(errors[d] / (2.0 * max(gain, 1e-30))) for d, gain in gains.items()}


def measured_mean_gain(sounding: Sounding) -> float:
    """Mean of |h| over the devices and subcarriers of a round."""
    return float(np.mean([np.mean(np.abs(channel.gains)) for channel in sounding.channels.values()]))


PEAK_LIMIT = 0.99  # of full scale, for the payload; the rest is for rounding


def common_scale(
    needs: Sequence[messages.Prepared], mean_powers: Sequence[float] = (), threshold: float = 0.0
) -> float:
    """The largest scale at which no device's mean power per resource element exceeds 1, and no peak full scale.

    Step 5 of Air-meta-pFL, rho = eta^2 M min_i P_i / |u_i|^2, with a back-off agreed among all: turning everyone
    down alike keeps the sum undistorted, where clipping one would not. mean_powers: of which instead the largest is
    brought to 1, where a rule counts with other powers than this round's. threshold: of the plan, for the message.
    Raises RoundFailed if all powers are 0.
    """
    powers = [need.power for need in needs]
    if not max(powers) > 0.0:
        unless = (
            f", or every channel's |h|^2 below {threshold:.3g}; lower link.threshold" if threshold else ""
        )
        raise RoundFailed(f"every update is zero{unless}; nothing to transmit")
    strongest = max(mean_powers or powers)
    highest = max(need.peak for need in needs)
    by_power = 1.0 / math.sqrt(strongest)
    return min(by_power, PEAK_LIMIT / highest) if highest > 0.0 else by_power


def _record_link(
    record: Record, plan: Plan, sounding: Sounding, reception: Reception, sent: Mapping[int, messages.Sent]
) -> None:
    record["devices"] = list(plan.devices)
    record["rho"] = (plan.scale * record["outer_rate"]) ** 2
    if plan.threshold > 0.0:
        record["threshold"] = plan.threshold
        gains = [sounding.channels[device].over(plan.num_elements) for device in plan.devices]
        record["used_share"] = [float(np.mean(is_used(each, plan.threshold))) for each in gains]
    record["snr_db"] = -to_db(reception.noise_variance) if reception.noise_variance > 0.0 else None
    record["quality"] = reception.quality
    record["channel_uses"] = plan.num_elements
    record["overhead_uses"] = sounding.overhead_elements + reception.overhead_elements
    record["airtime_s"] = sounding.airtime_s + reception.airtime_s
    powers = [float(np.mean(np.abs(sounding.channels[d].gains) ** 2)) for d in plan.devices]
    record["gain_db"] = [to_db(power) for power in powers]
    residuals = phase_residuals(sounding)
    record["phase_residual_rad"] = [residuals[d] for d in plan.devices]
    if reception.common_phase_rad:
        record["common_phase_rad"] = list(reception.common_phase_rad)
        record["residual_phase_rad"] = [list(reception.phase_residuals[d]) for d in plan.devices]
