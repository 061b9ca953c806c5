"""A whole round of Air-meta-pFL over symbols, and over the waveform, against an error-free round."""

from contextlib import ExitStack

from benchmarks.turns import in_turns, show
from server.appraisal import initial_parameters
from server.composition import open_bench, prepare
from server.config import Arm
from server.config_file import build

ARMS = {
    "ideal": {"backend": "ideal", "scheme": "ideal"},
    "phase over symbol": {"backend": "symbol", "scheme": "phase"},
    "phase over waveform": {"backend": "waveform", "scheme": "phase"},
}


def test_rounds_against_ideal():
    task = {"ways": 5, "shots": 8, "queries": 8}
    index = dict.fromkeys(ARMS, 0)
    with ExitStack() as opened:
        benches = {
            name: opened.enter_context(open_bench(prepare(Arm(name, build({"task": task, "link": link})))))
            for name, link in ARMS.items()
        }
        theta = initial_parameters(next(iter(benches.values())).rounds.proxy)

        def run(name):
            outcome = benches[name].rounds.run(index[name], theta)
            assert "failed" not in outcome.record
            index[name] += 1

        seconds = in_turns({name: lambda name=name: run(name) for name in ARMS}, 10)
    show(f"a round, 10 devices, d = {len(theta):,}, all workers", seconds, "ideal", "symbol at most 1.4")
