"""What the waveform costs over perfect knowledge: for 2, 8 and 32 devices, and as the gap after sounding grows.

Each point is `airmeta run experiments/scenarios.toml` with other settings; figures and numbers go to docs/figures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.ageing import predict_ageing
from calibration.figure_style import add_legend, new_figure, style, tidy
from radio.decibel import from_db, to_db

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "scenarios.toml"
AIRS = {"bench": 1.0, "free": 2.0, "indoor": 2.0}  # dB granted at 0 and 10 dB; twice that at 20 dB
SNRS_DB = (0.0, 10.0, 20.0)
FLEETS = (2, 8, 32)
FULL_SCALE_DB = 24.0  # holds 32 devices in phase
GAPS_S = (1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3)
GAP_SNR_DB = 20.0
AGEING_AIRS = {"free": 0.0, "indoor": 1.0, "indoor, 5 Hz": 5.0}  # Doppler in Hz
OBSERVED_S = 18e-3  # of a free clock's sounding, first block to last


def measure(air: str, rounds: int, **settings: object) -> dict[str, dict]:
    """Summaries of the two arms."""
    scenario, _, doppler = air.partition(", ")
    options = {"run.rounds": rounds, "run.test_tasks": 2, "run.progress_tasks": 2, "air.scenario": scenario}
    options |= {"run.evaluate_every": rounds, **settings}
    if scenario == "free":
        options["radio.reference"] = "free"
    if doppler:
        options["air.doppler_hz"] = doppler.removesuffix(" Hz")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "server", "run", str(EXPERIMENT), "--out", f"{folder}/run"]
        for key, value in options.items():
            command += ["--set", f"{key}={value}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{air}, {settings}: {done.stderr.strip()}")
        return {
            arm: json.loads((Path(folder) / "run" / arm / "summary.json").read_text())
            for arm in ("symbol", "waveform")
        }


def sweep_fleets(rounds: int) -> list[dict]:
    """Loss of every air, SNR and number of devices."""
    points = [(air, fleet, snr_db) for air in AIRS for fleet in FLEETS for snr_db in SNRS_DB]
    results = []
    for done, (air, fleet, snr_db) in enumerate(points):
        report_progress("fleets", done, len(points))
        settings = {"fleet.devices": fleet, "link.snr_db": snr_db, "link.round_s": 0.2}
        arms = measure(air, rounds, **settings, **{"air.adc_full_scale_db": FULL_SCALE_DB})
        row: dict = {"air": air, "devices": fleet, "snr_db": snr_db}
        for key in ("nmse_air_db", "nmse_amplitude_db"):
            row[f"symbol_{key}"], row[key] = arms["symbol"][key], arms["waveform"][key]
            row[f"loss_{key}"] = arms["waveform"][key] - arms["symbol"][key]
        row["failed_rounds"] = arms["waveform"]["failed_rounds"]
        results.append(row)
    report_progress("fleets", len(points), len(points))
    return results


def sweep_gaps(rounds: int) -> list[dict]:
    """Error of the received amplitudes over the gap, and what is predicted of it."""
    points = [(air, gap_s) for air in AGEING_AIRS for gap_s in GAPS_S]
    results = []
    for done, (air, gap_s) in enumerate(points):
        report_progress("gaps", done, len(points))
        settings = {"link.gap_s": gap_s, "link.snr_db": GAP_SNR_DB, "link.round_s": 0.4}
        waveform = measure(air, rounds, **settings)["waveform"]
        payload_s = waveform["channel_uses"] / rounds / 192 * 80e-6
        results.append(
            {
                "air": air,
                "gap_s": gap_s,
                "payload_s": payload_s,
                "nmse_amplitude_db": waveform["nmse_amplitude_db"],
                "predicted_ageing": predict_ageing(
                    gap_s,
                    payload_s,
                    doppler_hz=AGEING_AIRS[air],
                    walk_hz_per_root_s=1.0 if air == "free" else 0.0,
                    observed_s=OBSERVED_S,
                ),
            }
        )
    report_progress("gaps", len(points), len(points))
    return results


def draw_fleets(results: list[dict]) -> Figure:
    """A panel an air, a line a number of devices: loss over SNR, with what is granted."""
    figure = new_figure(6.2)
    panels = figure.subplots(len(AIRS), 1, sharex=True)
    for axes, (air, granted_db) in zip(panels, AIRS.items(), strict=True):
        tidy(axes)
        limits_db = [granted_db, granted_db, 2 * granted_db, 2 * granted_db]
        axes.plot([-3, 15, 15, 23], limits_db, color="#888888", lw=1, label="granted")
        for place, fleet in enumerate(FLEETS):
            rows = [row for row in results if (row["air"], row["devices"]) == (air, fleet)]
            look = style(place)
            for key, line in (("loss_nmse_air_db", "-"), ("loss_nmse_amplitude_db", ":")):
                label = f"{fleet} devices" if line == "-" else None
                axes.plot([row["snr_db"] for row in rows], [row[key] for row in rows], line,
                          color=look.colour, marker=look.marker, ms=4, label=label)  # fmt: skip
        axes.set_title(air, fontsize=10, loc="left")
        axes.set_ylabel("loss (dB)")
        axes.set_xlim(-2, 22)
    panels[-1].set_xlabel("SNR (dB); solid: after decoding, dotted: received amplitudes")
    add_legend(figure, *panels)
    return figure


def draw_gaps(results: list[dict]) -> Figure:
    """Measured points on predicted curves: each air's error at the shortest gap, less its ageing, plus the ageing."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    for place, air in enumerate(AGEING_AIRS):
        rows = [row for row in results if row["air"] == air]
        floor = from_db(rows[0]["nmse_amplitude_db"]) - rows[0]["predicted_ageing"]
        look = style(place)
        gaps_ms = [1e3 * row["gap_s"] for row in rows]
        axes.plot(
            gaps_ms, [to_db(max(floor, 0.0) + row["predicted_ageing"]) for row in rows], color=look.colour
        )
        axes.plot(
            gaps_ms, [row["nmse_amplitude_db"] for row in rows], look.marker, color=look.colour, label=air
        )
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set_xlabel("gap between sounding and payload (ms); lines: predicted")
    axes.set_ylabel("NMSE amplitude (dB)")
    add_legend(figure, axes)
    return figure


def main() -> None:
    """Both sweeps, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", choices=("fleets", "gaps"))
    parser.add_argument("--out", type=Path, default=FIGURES)
    chosen = parser.parse_args()
    if chosen.only != "gaps":
        results = sweep_fleets(chosen.rounds)
        save("aggregation", {"rounds": chosen.rounds, "points": results}, draw_fleets(results), chosen.out)
    if chosen.only != "fleets":
        results = sweep_gaps(min(chosen.rounds, 30))
        save("ageing", {"points": results}, draw_gaps(results), chosen.out)


if __name__ == "__main__":
    main()
