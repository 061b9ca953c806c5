"""A run over free-running clocks is continued with what was known of them and of the mean powers of their channels,
also after a round that failed."""

import numpy as np
import pytest

from devices import messages
from radio.sounding import AcquisitionSlot
from server.checkpoint import read_checkpoint
from server.composition import open_bench, prepare
from server.config import Arm
from server.config_file import build
from server.experiment import run_arm
from server.recorder import read_rounds

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
TABLES = {
    "run": {"rounds": 8, "test_tasks": 2, "progress_tasks": 2, "checkpoint_every": 2, "threads": 1},
    "task": {"ways": 2, "shots": 1, "queries": 1},
    "model": {"name": "mlp", "width": 4},
    "fleet": {"devices": 3, "active": 2, "held_out": 1, "quorum": 2, "classes_per_device": 4},
    "link": {"snr_db": 5.0, "round_s": 3.0},
    "radio": {"reference": "free"},
    "air": {"scenario": "free", "start_offset_samples": 300},
}
FAILING = 3


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it, nothing is cleaned up."""


class Flaky:
    """A proxy whose devices keep silent in the payload of one round; notes all slots."""

    def __init__(self, proxy):
        self.close, self._proxy, self.slots = proxy.close, proxy, {}

    def ask(self, requests):
        for request in requests.values():
            if isinstance(request, messages.Sound):
                self.slots.setdefault(request.slot.round, {})[type(request.slot)] = request.slot
            if isinstance(request, messages.Transmit) and request.plan.round == FAILING:
                return {device: messages.Sent(()) for device in requests}
        return self._proxy.ask(requests)


def run(folder, scheme, killed_after=None):
    def on_round(record):
        if record["round"] == killed_after:
            raise Killed

    tables = TABLES | {"link": TABLES["link"] | {"scheme": scheme}}
    with open_bench(prepare(Arm("", build(tables)))) as bench:
        flaky = Flaky(bench.rounds.proxy)
        object.__setattr__(bench.rounds, "proxy", flaky)
        run_arm(folder, bench.rounds, on_round)
    return flaky.slots


@pytest.mark.parametrize(("scheme", "tables"), [("phase", {"clocks"}), ("reed", {"clocks", "mean_powers"})])
def test_killed_anywhere_and_resumed_clocks_and_parameters_end_with_the_same_bits(scheme, tables, tmp_path):
    slots = run(tmp_path / "whole", scheme)
    whole = read_checkpoint(tmp_path / "whole")
    records = read_rounds(tmp_path / "whole")
    assert [record["round"] for record in records if "failed" in record] == [FAILING]
    assert whole.uplink.keys() == tables
    assert whole.uplink["clocks"].shape == (3, 9)
    # what is at stake: one who has forgotten the clocks would acquire them again
    assert not any(AcquisitionSlot in slots[index] for index in range(4, 8))
    folder = tmp_path / "killed"
    for killed_after in (2, FAILING, FAILING + 1, 6):
        with pytest.raises(Killed):
            run(folder, scheme, killed_after)
    run(folder, scheme)
    state = read_checkpoint(folder)
    for table in tables:
        np.testing.assert_array_equal(state.uplink[table], whole.uplink[table])
    np.testing.assert_array_equal(state.theta, whole.theta)
    assert read_rounds(folder) == records
