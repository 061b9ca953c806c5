"""Airs whose every value is drawn at random and known: four devices and a receiver, to be measured as radios are."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from radio.air_config import AirConfig
from radio.decibel import from_db, to_db
from radio.frame import element_level
from radio.measured_air import MeasuredAir, MeasuredDevice
from server.config import Experiment
from server.config_file import build

NUM_DEVICES = 4
CENTER_HZ, RATE_HZ = 915e6, 4e6
TX_GAIN_DB, RX_GAIN_DB, BACKOFF_DB = -20.0, 3.0, 15.0
SNR_DB = (10.0, 30.0)
CRYSTAL_PPM = 10.0
IMAGE_DB, LEAKAGE_DB, SATURATION_DB = (-45.0, -20.0), (-60.0, -30.0), (-12.0, 6.0)
SMOOTHNESS = (1.5, 4.0)
MOST_PATHS, SPREAD_S, DECAY_S = 6, 2e-6, 0.5e-6
DRIFT = (0.1, 2.0)  # Hz per root second
PHASE_NOISE_DEG, CORNER_HZ = (0.2, 1.0), (1e3, 1e5)
RICIAN_K_DB, DOPPLER_HZ = (-10.0, 3.0), (6.0, 25.0)
FREE, SEPARATE = (
    0.7,
    0.25,
)  # shares of runs with free clocks, and of those in which carriers have other crystals


def experiment_of(air: MeasuredAir, seed: int, is_free: bool) -> Experiment:
    """Virtual Plutos on an air."""
    known = build(
        {
            "run": {"seed": seed},
            "fleet": {"devices": len(air.devices)},
            "link": {"backend": "pluto", "noise": "figure", "backoff_db": BACKOFF_DB},
            "radio": {
                "reference": "free" if is_free else "shared",
                "sample_rate_hz": RATE_HZ,
                "center_hz": CENTER_HZ,
                "tx_gain_db": TX_GAIN_DB,
                "rx_gain_db": RX_GAIN_DB,
                "block_s": 0.002,
                "lead_s": 0.02,
            },
            "safety": {"allowed_bands_hz": [[902e6, 928e6]], "max_duty": 1.0},
        }
    )
    return replace(known, air=AirConfig(profile="drawn.json"), measured=air)


def draw_static(seed: int) -> tuple[MeasuredAir, bool]:
    """Channels that hold still; whether the clocks run free."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    is_free = bool(rng.random() < FREE)
    is_separate = is_free and bool(rng.random() < SEPARATE)
    devices = tuple(_device(rng, place, is_free, is_separate) for place in range(NUM_DEVICES))
    return _air(rng, devices), is_free


def draw_fading(seed: int) -> tuple[MeasuredAir, bool]:
    """Channels that fade so fast that a second holds 50 coherence times and more."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    devices = []
    for place in range(NUM_DEVICES):
        device = _device(rng, place, True, False)
        is_rayleigh = bool(rng.random() < 0.5)
        turning_hz = math.exp(rng.uniform(*np.log(DOPPLER_HZ)))
        devices.append(
            replace(
                device,
                fading="rayleigh" if is_rayleigh else "rician",
                rician_k_db=float(rng.uniform(*RICIAN_K_DB)),
                doppler_hz=turning_hz,
                drift_hz_per_root_s=0.0,
            )
        )
    return _air(rng, devices), True


def noise_variance(gain_db: float, snr_db: float) -> float:
    """At a receiver's input of a device with this path that it hears at this SNR of a resource element."""
    level = element_level(BACKOFF_DB, build({}).ofdm())
    return level**2 * from_db(TX_GAIN_DB + gain_db - snr_db)


def _air(rng: np.random.Generator, devices: Sequence[MeasuredDevice]) -> MeasuredAir:
    return MeasuredAir(
        devices=tuple(devices),
        noise_variance=noise_variance(0.0, SNR_DB[1]),
        sample_rate_hz=RATE_HZ,
        rx_image=_number(rng, IMAGE_DB),
        rx_dc=_number(rng, (-60.0, -40.0)),
    )


def _device(rng: np.random.Generator, place: int, is_free: bool, is_separate: bool) -> MeasuredDevice:
    """Every other one has a crystal that neither drifts nor jitters."""
    num_paths = int(rng.integers(1, MOST_PATHS + 1))
    delays_s = np.concatenate([[0.0], np.sort(rng.uniform(5e-8, SPREAD_S, num_paths - 1))])
    taps = np.exp(-delays_s / DECAY_S / 2.0) * (rng.normal(size=(num_paths, 2)) @ [1.0, 1j] + 1.0)
    taps /= np.linalg.norm(taps)
    is_pure = place % 2 == 0
    ppm, separate_ppm = rng.uniform(-CRYSTAL_PPM, CRYSTAL_PPM, 2).tolist()
    drift = math.exp(rng.uniform(*np.log(DRIFT)))
    return MeasuredDevice(
        gain_db=float(rng.uniform(*SNR_DB)) - SNR_DB[1],
        phase_rad=float(rng.uniform(-math.pi, math.pi)),
        delay_s=float(rng.uniform(0.0, 3e-6)),
        tap_delays_s=tuple(delays_s.tolist()),
        taps=tuple(map(complex, taps)),
        clock_offset_ppm=ppm if is_free else 0.0,
        sample_clock_offset_ppm=separate_ppm if is_separate else None,
        drift_hz_per_root_s=drift if is_free and not is_pure else 0.0,
        phase_noise_deg=0.0 if is_pure else float(rng.uniform(*PHASE_NOISE_DEG)),
        phase_noise_corner_hz=math.exp(rng.uniform(*np.log(CORNER_HZ))),
        image=_number(rng, IMAGE_DB),
        lo_leakage=_number(rng, LEAKAGE_DB),
        saturation_db=float(rng.uniform(*SATURATION_DB)),
        rapp_smoothness=float(rng.uniform(*SMOOTHNESS)),
    )


def _number(rng: np.random.Generator, level_db: tuple[float, float]) -> complex:
    return complex(math.sqrt(from_db(rng.uniform(*level_db))) * np.exp(2j * np.pi * rng.random()))


def level_db(value: complex) -> float:
    """Of an amplitude."""
    return to_db(abs(value) ** 2)
