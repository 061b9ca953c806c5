"""A round, begun again under its own index while it lacks its quorum."""

import logging

from devices.wire.json_log import event
from server.roster import ranges
from server.rounds import Outcome, Parameters, Rounds

_log = logging.getLogger(__name__)


def run_round(rounds: Rounds, index: int, theta: Parameters) -> Outcome:
    """Round `index`, at most 1 + fleet.repeats times; what attempts before the last one failed of is in its record, as
    `repeated`. An outcome with `missing` devices had no quorum to the end, and changed nothing at all.

    An attempt begins where the first one began: at the same parameters, memories and instants, but for radios whose
    time nobody can turn back. So a round that was begun again is the round that it would have been.
    """
    repeats, before, reasons = rounds.experiment.fleet.repeats, rounds.uplink.save(), list[str]()
    while True:
        outcome = rounds.run(index, theta)
        if reasons:
            outcome.record["repeated"] = reasons.copy()
        if not outcome.missing:
            return outcome
        rounds.uplink.restore(before)
        if len(reasons) == repeats:
            return outcome
        reasons.append(outcome.record["failed"])
        _log.warning(
            "is begun again (%d of %d times), without devices %s it has no quorum: %s",
            len(reasons),
            repeats,
            ranges(outcome.missing),
            reasons[-1],
            extra=event("repeat", missing=outcome.missing),
        )
