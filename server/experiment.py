"""An arm from start, or from its last checkpoint, to its summary."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from devices.wire.json_log import about
from server import journal
from server.appraisal import evaluate, initial_parameters, probe, restore_memories, save_memories
from server.attempts import run_round
from server.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from server.config import Experiment
from server.planning import RoundFailed, learning_rates
from server.recorder import (
    Record,
    append_round,
    keep_rounds,
    read_rounds,
    replace_last_round,
    summarise,
    write_frame,
    write_summary,
)
from server.roster import ranges
from server.rounds import Rounds

MAX_FAILED_IN_A_ROW = 10


class ExperimentFailed(RuntimeError):
    """A run that cannot go on; its state is saved."""


def num_workers(experiment: Experiment) -> int:
    """Workers of a run: run.threads, or one a core that this process may use."""
    return experiment.run.threads or len(os.sched_getaffinity(0))


def run_arm(folder: Path, rounds: Rounds, on_round: Callable[[Record], None]) -> Record:
    """Run all rounds that the folder's checkpoint does not have yet; write and return the summary.

    on_round: told of every round's record. Raises ExperimentFailed, with the state saved, for a round that has no
    quorum however often it is begun, after MAX_FAILED_IN_A_ROW rounds that failed otherwise, and where the model cannot
    be evaluated, which is made up for when the run goes on.
    """
    num_rounds = rounds.experiment.run.rounds
    state = read_checkpoint(folder)
    if state is None:
        state = _begin(rounds)
    else:
        restore_memories(rounds.proxy, state.memories)
        rounds.uplink.restore(state.uplink)
        if rounds.support_rule:
            rounds.support_rule.restore(state.support)
    keep_rounds(folder, state.round)
    journal.began(state.round, num_rounds)
    arm = _Arm(folder, rounds, on_round, state, time.monotonic())
    if state.round:
        with about(round=state.round - 1):
            arm.make_up(state.round - 1)
    for index in range(state.round, num_rounds):
        with about(round=index):
            arm.run(index)
    records = read_rounds(folder)
    summary = summarise(
        rounds.experiment, len(state.theta), records, state.untrained, _evaluation(records[-1])
    )
    summary["wall_s"] = round(arm.wall_s, 3)
    write_summary(folder, summary)
    journal.complete(summary)
    return summary


@dataclass
class _Arm:
    """An arm under way. state: what its next checkpoint holds, but for what others are asked for
    then."""

    folder: Path
    rounds: Rounds
    on_round: Callable[[Record], None]
    state: Checkpoint
    began_s: float

    @property
    def wall_s(self) -> float:
        """Since the first start, without the time in between."""
        return self.state.wall_s + time.monotonic() - self.began_s

    def run(self, index: int) -> None:
        """One round to its record, and to its evaluation and checkpoint where these are due."""
        run, began_s = self.rounds.experiment.run, time.monotonic()
        outcome = run_round(self.rounds, index, self.state.theta)
        record = outcome.record
        if self.rounds.recorder is not None:
            self.rounds.recorder.keep(record, outcome.estimate)
        journal.round_over(record, time.monotonic() - began_s)
        if outcome.missing:
            append_round(self.folder, record)
            self._stop(
                index,
                f"round {index + 1} has no quorum after {1 + len(record.get('repeated', ()))} attempts, devices "
                f"{ranges(outcome.missing)} are missing: {record['failed']}",
                "bring them back",
            )
        in_a_row = self.state.failed_in_a_row + 1 if "failed" in record else 0
        self.state = replace(self.state, theta=outcome.theta, failed_in_a_row=in_a_row)
        if self._is_evaluated(index):
            if outcome.reception is not None:
                write_frame(self.folder, outcome.reception.amplitudes, outcome.reception.samples)
            try:
                record |= self._appraise(index)
            except RoundFailed as error:
                append_round(self.folder, record)
                self._stop_unevaluated(index, error)
        append_round(self.folder, record)
        self.on_round(record)
        if in_a_row == MAX_FAILED_IN_A_ROW:
            self._stop(
                index + 1,
                f"{in_a_row} rounds in a row failed, the last one, {index + 1}: {record['failed']}",
                "mend the cause",
            )
        if index + 1 == run.rounds or (index + 1) % run.checkpoint_every == 0:
            self._save(index + 1)

    def make_up(self, index: int) -> None:
        """The evaluation of the last round that was recorded, if devices were missing for it."""
        record = read_rounds(self.folder)[-1]
        if not self._is_evaluated(index) or "accuracy_after" in record:
            return
        try:
            record |= self._appraise(index)
        except RoundFailed as error:
            self._stop_unevaluated(index, error)
        replace_last_round(self.folder, record)
        self.on_round(record)

    def _is_evaluated(self, index: int) -> bool:
        run = self.rounds.experiment.run
        return index + 1 == run.rounds or (index + 1) % run.evaluate_every == 0

    def _appraise(self, index: int) -> Record:
        run = self.rounds.experiment.run
        last = index + 1 == run.rounds
        num_tasks = run.test_tasks if last else min(run.progress_tasks, run.test_tasks)
        found = _appraise(self.rounds, self.state.theta, num_tasks, index)
        journal.evaluated(found)
        return found

    def _stop_unevaluated(self, index: int, error: RoundFailed) -> NoReturn:
        self._stop(
            index + 1,
            f"the model could not be evaluated after round {index + 1}: {error}",
            "bring them back",
        )

    def _save(self, num_rounds: int) -> None:
        memories = save_memories(self.rounds.experiment, self.rounds.proxy)
        rule = self.rounds.support_rule
        state = replace(
            self.state,
            round=num_rounds,
            memories=memories,
            uplink=self.rounds.uplink.save(),
            support=rule.save() if rule else {},
            wall_s=self.wall_s,
        )
        write_checkpoint(self.folder, state)

    def _stop(self, num_rounds: int, why: str, remedy: str) -> NoReturn:
        self._save(num_rounds)
        raise ExperimentFailed(f"{why}; state saved, {remedy} and continue with --resume")


def _begin(rounds: Rounds) -> Checkpoint:
    theta = initial_parameters(rounds.proxy)
    untrained = _appraise(rounds, theta, rounds.experiment.run.test_tasks, 0)
    return Checkpoint(0, theta.astype(np.float32), {}, untrained)


def _appraise(rounds: Rounds, theta: NDArray[np.float32], num_tasks: int, index: int) -> Record:
    """What parameters are worth, adapted at the rate of round `index`."""
    inner_rate, _ = learning_rates(rounds.experiment, index)
    scores = evaluate(rounds.experiment, rounds.proxy, theta, num_tasks, inner_rate)
    return scores | probe(rounds.experiment, rounds.proxy, theta, inner_rate)


EVALUATED = ("test_tasks", "loss_", "accuracy_", "meta_")


def _evaluation(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key.startswith(EVALUATED)}
