"""One round of over-the-air federated meta-learning."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices import messages
from devices.messages import Reply, Request
from devices.proxy import DeviceProxy
from radio.interface import RadioError
from radio.schemes.registry import aims, is_coherent, is_on_air, truncates
from radio.support import num_kept
from radio.uplink import Plan, Reception, Scheme, Slot, Sounding, SyncError, Truth, Uplink
from server.accounting import accounted_reception
from server.asking import ask
from server.config import Experiment
from server.judgement import Payload, decode_and_judge
from server.link_record import record_link
from server.mean_powers import heard
from server.planning import (
    NoQuorum,
    RoundFailed,
    aim_of,
    common_scale,
    control_bits,
    draw_active,
    learning_rates,
    measured_mean_gain,
    phase_residuals,
    power_budgets,
    predistorted_needs,
    rms_update,
)
from server.round_recorder import RoundRecorder
from server.support_rule import SupportRule
from server.truncation_plan import fading_mean_powers, round_threshold

Record = dict[str, Any]
Parameters = NDArray[np.float32]


class Outcome(NamedTuple):
    """After a round: the parameters, its line for the record, and what was received, if anything was. missing: the
    devices that it had too few without, none of a round that had its quorum. estimate: what was decoded."""

    theta: Parameters
    record: Record
    reception: Reception | None
    missing: tuple[int, ...] = ()
    estimate: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Rounds:
    """The server's collaborators. mean_gain: E|h| of the channel's model, None where no
    model is stated and the mean of what is measured serves; truth: None on real radios; recorder: of what is
    received, None where nothing is to be recorded."""

    experiment: Experiment
    proxy: DeviceProxy
    uplink: Uplink
    scheme: Scheme
    mean_gain: float | None
    truth: Truth | None
    support_rule: SupportRule | None = None
    recorder: RoundRecorder | None = None

    def run(self, index: int, theta: Parameters) -> Outcome:
        """Round `index` from theta: train, sound, plan, transmit, decode, update, acknowledge.

        Without a quorum nothing is acknowledged, not even that nothing was delivered: every memory stays what it was
        before, and the round can be begun again.
        """
        active = draw_active(self.experiment, index)
        record: Record = {"round": index, "active": list(active), "failures": []}
        trained: dict[int, messages.Trained] = {}
        delivered: tuple[int, ...] = ()
        try:
            trained = self._train(index, theta, active, record)
            payload = self._carry(index, theta, trained, record)
            updates = [reply.update for reply in trained.values() if reply.update is not None]
            estimate = decode_and_judge(self.scheme, self.truth, payload, updates, record)
            delivered = payload.plan.devices
            if self.support_rule and payload.plan.support is not None:
                self.support_rule.learn(payload.plan.support, estimate)
            updated = (theta - estimate).astype(np.float32)
            outcome = Outcome(updated, record, payload.reception, estimate=estimate)
        except NoQuorum as error:
            record["failed"] = str(error)
            return Outcome(theta, record, None, error.missing)
        except (RoundFailed, SyncError, RadioError, TimeoutError) as error:
            record["failed"] = str(error)
            outcome = Outcome(theta, record, None)
        self.proxy.ask({d: messages.Acknowledge(index, d in delivered) for d in trained})
        return outcome

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
    ) -> Payload:
        self._need_quorum(trained, "could train", record)
        sounding = self._sound(index, tuple(trained), record)
        devices = self._participants(sounding)
        record["sitting_out"] = [device for device in trained if device not in devices]
        self._need_quorum(devices, "were heard well enough", record)
        update, link = self.experiment.update, self.experiment.link
        rule, budgets = self.support_rule, power_budgets(self.experiment)
        draft = Plan(
            round=index,
            seed=self.experiment.run.seed,
            devices=devices,
            dimension=len(theta),
            num_elements=self.scheme.num_elements(len(theta), update.measurements),
            num_kept=num_kept(len(theta), update.keep),
            estimator=update.estimator,
            mean_gain=measured_mean_gain(sounding) if self.mean_gain is None else self.mean_gain,
            threshold=self._threshold(sounding, devices),
            normalise=link.normalise,
            support=rule.choose(index, len(theta)) if rule else None,
        )
        needs = self._prepare(draft, sounding, budgets, record)
        if aims(self.scheme):
            draft = replace(
                draft, aim=aim_of(sounding, needs, budgets, draft.num_elements), devices=tuple(needs)
            )
            needs = self._prepare(draft, sounding, budgets, record)
        draft = replace(draft, devices=tuple(needs))
        scale = 1.0
        if is_on_air(self.scheme):
            mean_powers = fading_mean_powers(trained, draft) if link.power_rule == "average" else ()
            scale = common_scale(
                list(needs.values()), mean_powers, draft.threshold, [budgets[d] for d in needs]
            )
        vote_step = link.vote_step * rms_update(trained, draft.devices, len(theta))
        plan = replace(
            draft, scale=scale, vote_step=vote_step, start_index=self.uplink.payload_index(sounding)
        )
        replies = self._ask(dict.fromkeys(plan.devices, messages.Transmit(plan)), record)
        self._need_quorum(replies, "could transmit", record)
        sent = {d: reply for d, reply in replies.items() if isinstance(reply, messages.Sent)}
        on_air = is_on_air(self.scheme)
        if on_air:
            reception = self.uplink.collect(plan, {d: reply.emitted for d, reply in sent.items()})
            reception = replace(reception, channels=sounding.channels)
        plan = replace(plan, devices=tuple(sent))  # those who really transmitted
        if not on_air:
            ofdm = self.experiment.ofdm()
            reception = accounted_reception(plan, sounding, sent, budgets, link.code_gap_db, ofdm)
            record["accounted"] = True
            record["transmit_energy"] = math.fsum(budgets[d] * uses for d, uses in reception.charges.items())
        record_link(record, plan, sounding, reception)
        announced = rule.announced_bits(len(theta)) if rule else 0
        record["control_bits"] = control_bits(len(needs), aims(self.scheme), announced)
        gap_samples = plan.start_index + reception.delayed_samples - sounding.end_index
        record["gap_s"] = gap_samples / self.experiment.radio.sample_rate_hz
        return Payload(plan, sounding, sent, reception)

    def _prepare(
        self, draft: Plan, sounding: Sounding, budgets: Mapping[int, float], record: Record
    ) -> dict[int, messages.Prepared]:
        told = {d: replace(sounding.channels[d], device=d, power_budget=budgets[d]) for d in draft.devices}
        replies = self._ask({d: messages.Prepare(draft, told[d]) for d in draft.devices}, record)
        self._need_quorum(replies, "could prepare a payload", record)
        needs = {d: reply for d, reply in replies.items() if isinstance(reply, messages.Prepared)}
        return predistorted_needs(self.experiment, needs)

    def _participants(self, sounding: Sounding) -> tuple[int, ...]:
        """Who is to send: those whose phases are known well enough, or, where phases do not matter, all heard."""
        if not is_coherent(self.scheme):
            return heard(sounding)
        limit_rad = self.experiment.link.max_residual_rad
        residuals = phase_residuals(sounding)
        return tuple(device for device, residual_rad in residuals.items() if residual_rad <= limit_rad)

    def _threshold(self, sounding: Sounding, devices: tuple[int, ...]) -> float:
        if not truncates(self.scheme):
            return 0.0
        modelled = None if self.mean_gain is None else 1.0  # every model of a channel has E|h|^2 = 1
        return round_threshold(self.experiment.link, sounding, devices, modelled)

    def _sound(self, index: int, devices: tuple[int, ...], record: Record) -> Sounding:
        """Slot after slot, until the channels are known of all devices that could be heard."""
        outcome: Slot | Sounding = self.uplink.slot(index, devices)
        able = set(devices)
        while not isinstance(outcome, Sounding):
            slot = outcome
            replies = self._ask(dict.fromkeys(slot.devices, messages.Sound(slot)), record)
            able -= set(slot.devices) - replies.keys()
            self._need_quorum(able, "could sound", record)
            pilots = {d: reply.emitted for d, reply in replies.items() if isinstance(reply, messages.Sent)}
            outcome = self.uplink.sound(slot, pilots)
        return outcome

    def _ask(self, requests: Mapping[int, Request], record: Record) -> dict[int, Reply]:
        return ask(self.proxy, requests, record["failures"])

    def _need_quorum(self, devices: Collection[int], what: str, record: Record) -> None:
        quorum, failures = self.experiment.fleet.quorum, record["failures"]
        if len(devices) >= quorum:
            return
        message = f"{len(devices)} devices {what}, fleet.quorum is {quorum}"
        if not failures:  # all did what they could, and would be heard no better if they did it again
            raise RoundFailed(message)
        missing = tuple(device for device in record["active"] if device not in devices)
        raise NoQuorum(f"{message}: {'; '.join(failures)}", missing)
