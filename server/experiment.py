"""An arm from start, or from its last checkpoint, to its summary."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.appraisal import evaluate, initial_parameters, probe, restore_memories, save_memories
from server.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from server.config import Experiment
from server.planning import learning_rates
from server.recorder import (
    Record,
    append_round,
    keep_rounds,
    read_rounds,
    summarise,
    write_frame,
    write_summary,
)
from server.rounds import Rounds

MAX_FAILED_IN_A_ROW = 10


class ExperimentFailed(RuntimeError):
    """A run that cannot go on; its state is saved."""


def num_workers(experiment: Experiment) -> int:
    """Workers of a run: run.threads, or one a core that this process may use."""
    return experiment.run.threads or len(os.sched_getaffinity(0))


def run_arm(folder: Path, rounds: Rounds, on_round: Callable[[Record], None]) -> Record:
    """Run all rounds that the folder's checkpoint does not have yet; write and return the summary.

    on_round: told of every round's record. Raises ExperimentFailed after MAX_FAILED_IN_A_ROW failed rounds.
    """
    run = rounds.experiment.run
    started = time.monotonic()
    state = read_checkpoint(folder)
    if state is None:
        state = _begin(rounds)
    else:
        restore_memories(rounds.proxy, state.memories)
        rounds.uplink.restore(state.uplink)
        if rounds.support_rule:
            rounds.support_rule.restore(state.support)
    keep_rounds(folder, state.round)
    earlier_s, theta, failed_in_a_row = state.wall_s, state.theta, state.failed_in_a_row

    def save(num_rounds: int) -> None:
        wall_s = earlier_s + time.monotonic() - started
        memories = save_memories(rounds.experiment, rounds.proxy)
        write_checkpoint(
            folder,
            Checkpoint(
                num_rounds,
                theta,
                memories,
                state.untrained,
                failed_in_a_row,
                wall_s,
                rounds.uplink.save(),
                rounds.support_rule.save() if rounds.support_rule else {},
            ),
        )

    for index in range(state.round, run.rounds):
        outcome = rounds.run(index, theta)
        theta, record = outcome.theta, outcome.record
        last = index + 1 == run.rounds
        if last:
            record |= _appraise(rounds, theta, run.test_tasks, index)
        elif (index + 1) % run.evaluate_every == 0:
            record |= _appraise(rounds, theta, min(run.progress_tasks, run.test_tasks), index)
        if outcome.reception is not None and (last or (index + 1) % run.evaluate_every == 0):
            write_frame(folder, outcome.reception.amplitudes, outcome.reception.samples)
        failed_in_a_row = failed_in_a_row + 1 if "failed" in record else 0
        append_round(folder, record)
        on_round(record)
        if last or (index + 1) % run.checkpoint_every == 0:
            save(index + 1)
        if failed_in_a_row == MAX_FAILED_IN_A_ROW:
            save(index + 1)
            raise ExperimentFailed(
                f"{failed_in_a_row} rounds in a row failed, the last one, {index}: {record['failed']}; "
                "state saved, mend the cause and continue with --resume"
            )
    records = read_rounds(folder)
    summary = summarise(rounds.experiment, len(theta), records, state.untrained, _evaluation(records[-1]))
    summary["wall_s"] = round(earlier_s + time.monotonic() - started, 3)
    write_summary(folder, summary)
    return summary


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
