"""How well bursts of free-running radios stay aligned: four virtual Plutos to a fifth, through pyadi-iio and IIOD.

After a first sounding every device sends its preamble at instants that the server schedules, each to arrive at a given
sample; how far off it arrives is measured. The server sounds once a round, as in a run.
"""

import argparse
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.acquisition import Detector, detect
from calibration.figure_style import add_legend, new_figure, style, tidy
from calibration.single_path import estimate_path
from devices.messages import Sent, Sound
from devices.on_air import OnAir
from radio.frame import element_level
from radio.interface import Burst, RadioConfig, Samples
from radio.numerologies import PRESETS
from radio.ofdm import OfdmConfig
from radio.pluto import PlutoRadio, open_pluto
from radio.pluto_timeline import StreamShape
from radio.preamble import device_identity, preamble, preamble_len
from radio.rebased import RebasedRadio
from radio.safety import SafetyLimits
from radio.scenarios import scenario
from radio.sounding import (
    AcquisitionSlot,
    MeetingSlot,
    acquisition_burst,
    meeting_burst,
    sounding_bursts,
)
from radio.uplink import Slot, Sounding
from server.live import LiveSchedule, LiveUplink
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench

NUM_DEVICES, CENTER_HZ, BACKOFF_DB = 4, 915e6, 15.0
PRESET = PRESETS["1M"]
OFDM = OfdmConfig(
    fft_len=int(PRESET["fft_len"]),
    prefix_len=int(PRESET["prefix_len"]),
    num_active=int(PRESET["active"]),
    sample_rate_hz=PRESET["sample_rate_hz"],
)
CONFIG = RadioConfig(
    sample_rate_hz=OFDM.sample_rate_hz, center_hz=CENTER_HZ, tx_gain_db=-30.0, rx_gain_db=10.0
)
SHAPE = StreamShape(block_s=4e-3, lead_s=0.02)
LIMITS = SafetyLimits(allowed_bands_hz=((902e6, 928e6),), max_duty=1.0)
MARGIN = 64  # samples on either side of the instant in which a burst is looked for
FIRST_HOST = "127.60.0.1"


@dataclass
class Lab:
    """The fleet and the server of a proof. radios: of the devices."""

    bench: VirtualBench
    uplink: LiveUplink
    clock: RebasedRadio
    devices: dict[int, OnAir]
    bursts: dict[int, tuple[Burst, ...]]
    schedule: LiveSchedule

    def send(self, slot: Slot) -> dict[int, tuple[Burst, ...]]:
        """Every device of a slot does its part."""
        for device in slot.devices:
            self.bursts[device] = tuple(
                Burst(np.float32(element_level(BACKOFF_DB, OFDM)) * b.samples, b.start_index)
                for b in bursts_of(slot, device)
            )
        replies = {device: self.devices[device](Sound(slot)) for device in slot.devices}
        return {device: reply.emitted for device, reply in replies.items() if isinstance(reply, Sent)}

    def sound(self, index: int) -> Sounding:
        """A round's slots up to the sounding's outcome."""
        outcome: Slot | Sounding = self.uplink.slot(index, tuple(self.devices))
        while not isinstance(outcome, Sounding):
            outcome = self.uplink.sound(outcome, self.send(outcome))
        return outcome

    def probe(self, sounding: Sounding) -> list[float]:
        """Samples by which each device's burst arrives late."""
        turn_len = preamble_len(OFDM) + 2 * MARGIN
        slot = AcquisitionSlot(
            round=0,
            devices=tuple(self.devices),
            start_index=self.schedule.start_index(0),
            turn_len=turn_len,
            sounding=(),
            corrections={d: sounding.channels[d].correction for d in self.devices},
        )
        self.send(slot)
        late = []
        for turn, device in enumerate(slot.devices):
            heard = self.clock.receive(slot.start_index + turn * turn_len, turn_len, 30.0)
            correction = slot.correction(device)
            aimed = correction.exact_departure(slot.turn_index(device, OFDM)) - correction.departure(
                slot.turn_index(device, OFDM)
            )
            late.append(arrival(heard, device) - MARGIN + aimed)
        return late


def bursts_of(slot: Slot, device: int) -> tuple[Burst, ...]:
    """What a device sends in a slot, unit amplitude per subcarrier."""
    match slot:
        case MeetingSlot():
            return (meeting_burst(slot, OFDM),)
        case AcquisitionSlot():
            return (acquisition_burst(slot, device, OFDM),)
        case _:
            return sounding_bursts(slot, device, OFDM)


def arrival(heard: Samples, device: int) -> float:
    """Sample of `heard` at which a device's preamble begins."""
    reference = preamble(OFDM, device_identity(device))
    found = detect(heard, Detector(reference=reference, sample_rate_hz=OFDM.sample_rate_hz, max_cfo_hz=200.0))
    if not found.detected:
        raise SystemExit(f"device {device} was not heard where it was to arrive")
    path = estimate_path(heard, reference, OFDM.sample_rate_hz, float(found.start_index), found.cfo_hz)
    return path.delay_samples


def open_lab(opened: ExitStack, seed: int, first_host: str = FIRST_HOST) -> Lab:
    """Five virtual Plutos on independent crystals, the fifth receiving."""
    air = StreamAirConfig(
        seed=seed,
        impairments=replace(scenario("free"), tap_delays_s=(0.0,), tap_powers_db=(0.0,)),
        receiver=NUM_DEVICES,
    )
    bench = opened.enter_context(VirtualBench(NUM_DEVICES + 1, air, patience_s=30.0, first_host=first_host))
    silent = replace(CONFIG, tx_gain_db=-89.75)
    receiver = opened.enter_context(open_pluto(bench.uris[-1], silent, LIMITS, transmits=False, shape=SHAPE))
    radios: dict[int, PlutoRadio] = {
        device: opened.enter_context(
            open_pluto(bench.uris[device], CONFIG, LIMITS, receives=False, shape=SHAPE)
        )
        for device in range(NUM_DEVICES)
    }
    clock = RebasedRadio(receiver)
    schedule = LiveSchedule(
        ofdm=OFDM, round_s=1.0, gap_s=2e-3, free_clocks=True, now=clock.now,
        ahead_s=SHAPE.lead_s + (SHAPE.tx_blocks + SHAPE.rx_blocks + 1) * SHAPE.block_s, meeting_s=1.0,
    )  # fmt: skip
    bursts: dict[int, tuple[Burst, ...]] = {}
    devices = {
        device: OnAir(lambda request, device=device: Sent(bursts[device]), radio)
        for device, radio in radios.items()
    }
    return Lab(bench, LiveUplink(clock, schedule, BACKOFF_DB, CENTER_HZ), clock, devices, bursts, schedule)


def follow(lab: Lab, duration_s: float, round_s: float, probe_s: float) -> list[dict]:
    """Lateness of every device every `probe_s` of air time, sounding once a round of `round_s`."""
    rows: list[dict] = []
    sounding = lab.sound(0)
    began, elapsed_s, sounded_s = lab.clock.now(), 0.0, 0.0
    while elapsed_s < duration_s:
        if elapsed_s - sounded_s >= round_s:
            sounding, sounded_s = lab.sound(len(rows)), elapsed_s
        late = lab.probe(sounding)
        elapsed_s = (lab.clock.now() - began) / OFDM.sample_rate_hz
        rows.append({"air_s": elapsed_s, "since_sounding_s": elapsed_s - sounded_s, "late_samples": late})
        report_progress("alignment, s", int(min(elapsed_s, duration_s)), int(duration_s))
        lab.clock.receive(lab.clock.now() + round(probe_s * OFDM.sample_rate_hz), 1, 60.0)
    return rows


def draw(rows: list[dict]) -> Figure:
    """A line a device."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    for device in range(NUM_DEVICES):
        look = style(device)
        axes.plot(
            [row["air_s"] for row in rows],
            [row["late_samples"][device] for row in rows],
            look.marker, color=look.colour, ms=3, label=f"device {device}",
        )  # fmt: skip
    axes.set_xlabel("air time (s)")
    axes.set_ylabel("arrival, late by (samples)")
    add_legend(figure, axes)
    return figure


def rms(rows: list[dict]) -> float:
    """Of all devices at all instants, in samples."""
    return float(np.sqrt(np.mean(np.square([row["late_samples"] for row in rows]))))


def main() -> None:
    """60 s of air time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--round-s", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=FIGURES)
    chosen = parser.parse_args()
    with ExitStack() as opened:
        lab = open_lab(opened, seed=0)
        rows = follow(lab, chosen.seconds, chosen.round_s, probe_s=0.25)
    print(f"{len(rows)} instants, {NUM_DEVICES} devices: {rms(rows):.3f} samples rms, target 1")
    save("alignment", {"rms_samples": rms(rows), "rows": rows}, draw(rows), chosen.out)


if __name__ == "__main__":
    main()
