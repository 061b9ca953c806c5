"""Scheduled bursts of free-running virtual Plutos; the long proof is benchmarks/prove_alignment.py."""

from contextlib import ExitStack

from benchmarks.prove_alignment import NUM_DEVICES, follow, open_lab, rms
from tests.reference.benches import first_host


def test_bursts_scheduled_after_a_sounding_arrive_together():
    with ExitStack() as opened:
        rows = follow(open_lab(opened, seed=1, first_host=first_host()), 1.0, round_s=0.6, probe_s=0.2)
    assert len(rows) >= 3
    assert all(len(row["late_samples"]) == NUM_DEVICES for row in rows)
    # crystals up to 20 ppm apart would be 20 samples a second off; a hundredth of a sample is the sounding's noise
    assert rms(rows) < 0.1
    assert max(row["since_sounding_s"] for row in rows) < 0.6 + 0.6
