"""Run folders written by hand, for tests of what reads them. Numbers are chosen so that results are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from server.checkpoint import Checkpoint, write_checkpoint
from server.error_budget import PARTS

UNTRAINED = {
    "test_tasks": 300,
    "accuracy_after": 0.6,
    "accuracy_after_ci95": [0.55, 0.65],
    "loss_after": 1.0,
    "loss_after_ci95": [0.9, 1.1],
    "meta_gradient_norm2": 8.0,
    "meta_loss": 2.0,
}


def evaluation(done: int) -> dict[str, Any]:
    """After `done` rounds: accuracy 0.6 + 0.01 done, loss 1 / (1 + done), with even intervals."""
    accuracy, loss = 0.6 + 0.01 * done, 1.0 / (1 + done)
    return {
        "test_tasks": 60,
        "accuracy_before": 0.2,
        "accuracy_before_ci95": [0.18, 0.22],
        "accuracy_after": accuracy,
        "accuracy_after_ci95": [accuracy - 0.02, accuracy + 0.02],
        "loss_after": loss,
        "loss_after_ci95": [loss - 0.01, loss + 0.01],
        "meta_gradient_norm2": 8.0 / (1 + done),
        "meta_loss": 2.0 / (1 + done),
    }


def link_record(index: int, devices: list[int]) -> dict[str, Any]:
    """NMSE 0.1 (-10 dB) whole 1 (0 dB) air 0.001 (-30 dB) amplitude 0.01 (-20 dB); device d has a gain of -d dB."""
    return {
        "round": index, "active": devices, "devices": devices, "failures": [],
        "nmse": 0.1, "nmse_full": 1.0, "nmse_air": 0.001, "nmse_amplitude": 0.01,
        "error_budget": dict.fromkeys(PARTS, 0.0) | {"sparsification": 0.9, "fading": 0.09, "noise": 0.01},
        "channel_uses": 1000, "overhead_uses": 200, "airtime_s": 0.01, "transmit_energy": 5000.0,
        "gain_db": [-float(d) for d in devices], "phase_residual_rad": [np.pi / 180 * (1 + d) for d in devices],
    }  # fmt: skip


def write_arm(
    folder: Path,
    *,
    rounds: int = 6,
    finished: bool = True,
    scheme: str = "phase",
    backend: str = "waveform",
    changes: dict[int, dict[str, Any]] | None = None,
) -> None:
    """An arm of `rounds` rounds with 3 devices, evaluated every second round. changes: other records of rounds."""
    folder.mkdir(parents=True)
    lines = [
        f"[run]\nrounds = {rounds if finished else 2 * rounds}\nseed = 7\n",
        '[task]\nname = "glyphs"\nways = 5\n',
        f"[link]\nbackend = {json.dumps(backend)}\nscheme = {json.dumps(scheme)}\nsnr_db = 20.0\n",
        "[radio]\nsample_rate_hz = 4000000.0\nfft_len = 256\nactive = 192\n",
    ]
    (folder / "config.toml").write_text("\n".join(lines), encoding="utf-8")
    records = []
    for index in range(rounds):
        record = link_record(index, [0, 1, 2])
        if (index + 1) % 2 == 0:
            record |= evaluation(index + 1)
        records.append((changes or {}).get(index, record))
    (folder / "rounds.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    write_checkpoint(folder, Checkpoint(rounds, np.zeros(4, np.float32), {}, UNTRAINED, wall_s=65.0))
    manifest = {
        "python": "3.11.2",
        "versions": {"numpy": "1.26.4"},
        "commit": None,
        "threads": 2,
        "radios": [],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    draws = np.random.default_rng(3).standard_normal((2, 4000))
    amplitudes = (draws[0] + 1j * draws[1]).astype(np.complex64)
    samples = amplitudes if backend == "waveform" else amplitudes[:0]
    np.savez(folder / "frame.npz", amplitudes=amplitudes, samples=samples)
    if finished:
        summary = {
            "rounds": rounds, "failed_rounds": 0, "parameters": 12345, **evaluation(rounds),
            "accuracy_untrained": 0.6, "accuracy_untrained_ci95": [0.55, 0.65],
            "nmse_db": -10.0, "nmse_full_db": 0.0, "nmse_air_db": -30.0, "nmse_amplitude_db": -20.0,
            "channel_uses": 6000, "overhead_uses": 1200, "airtime_s": 0.06, "transmit_energy": 30000.0,
            "wall_s": 65.0,
        }  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def write_joint(folder: Path, **arms: dict[str, Any]) -> None:
    """A folder with an arm a keyword; its value are the arguments of `write_arm`."""
    for name, arguments in arms.items():
        write_arm(folder / name, **arguments)
    (folder / "manifest.json").write_text(json.dumps({"arms": list(arms)}), encoding="utf-8")
