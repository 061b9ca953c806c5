"""A round's encoding on one device and decoding on the server, of any scheme, for timing."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from radio.channel_state import ChannelState
from radio.ofdm import OfdmConfig
from radio.power_control import best_aim
from radio.scheme_options import SchemeOptions
from radio.schemes.registry import NAMES, aims, is_on_air, load_scheme, pack_bits
from radio.support import num_kept, random_support
from radio.uplink import Plan, Reception, Support

NUM_DEVICES, NOISE_VARIANCE = 10, 0.01
KEEP, MEASUREMENTS, THRESHOLD = 0.04, 0.4, 0.1
OFDM = OfdmConfig()
VARIANTS: tuple[tuple[str, Support], ...] = (
    *((name, "own") for name in NAMES),
    *((name, "shared-random") for name in NAMES if name != "ideal"),
)


class Work(NamedTuple):
    """encode: of one device; decode: of what ten devices sent. Both draw anew what a round's seed determines, as two
    machines would."""

    encode: Callable[[], object]
    decode: Callable[[], object]

    def both(self) -> None:
        self.encode()
        self.decode()


def work_of(name: str, support: Support, dimension: int) -> Work:
    """Ten updates with heavy tails that mostly agree, over Rayleigh fading, a gain a subcarrier, in noise. Shared
    supports are there, as the server draws one for all."""
    rng = np.random.default_rng(0)
    scheme = load_scheme(name, SchemeOptions(keep=KEEP, support=support))
    kept = num_kept(dimension, KEEP)
    plan = Plan(
        round=0,
        seed=1,
        devices=tuple(range(NUM_DEVICES)),
        dimension=dimension,
        num_elements=scheme.num_elements(dimension, MEASUREMENTS),
        num_kept=kept,
        threshold=THRESHOLD,
        support=None if support == "own" else random_support(dimension, kept, 1, 0),
    )
    gains = rng.normal(scale=np.sqrt(0.5), size=(NUM_DEVICES, 2 * OFDM.num_active)).view(complex)
    channels = {device: ChannelState(row, ofdm=OFDM) for device, row in enumerate(gains)}
    if aims(scheme):
        powers = list(gains.real**2 + gains.imag**2)
        plan = replace(plan, aim=best_aim(powers, [1.0] * NUM_DEVICES, [1.0] * NUM_DEVICES, NOISE_VARIANCE))
    common = rng.normal(size=dimension)
    total, bits = np.zeros(plan.num_elements, dtype=np.complex128), {}
    for device, channel in channels.items():
        update = ((0.9 * common + 0.4 * rng.normal(size=dimension)) ** 3).astype(np.float32)
        amplitudes, _ = scheme.encode(update, channel, plan)
        if is_on_air(scheme):
            total += channel.over(plan.num_elements) * amplitudes
        else:
            bits[device] = pack_bits(scheme, update, plan)
    noise = np.sqrt(NOISE_VARIANCE / 2) * rng.normal(size=2 * plan.num_elements).view(complex)
    received = Reception((total + noise).astype(np.complex64), NOISE_VARIANCE, channels=channels, bits=bits)
    draws = _draws()

    def encode() -> None:
        for draw in draws:
            draw.cache_clear()
        scheme.encode(update, channel, plan)
        if not is_on_air(scheme):
            pack_bits(scheme, update, plan)

    def decode() -> None:
        for draw in draws:
            draw.cache_clear()
        scheme.decode(received, plan)

    return Work(encode, decode)


def _draws() -> list:
    """Functions that remember what they drew for a round."""
    modules = [module for name, module in sys.modules.items() if name.startswith("radio.")]
    cached = {f for module in modules for f in vars(module).values() if hasattr(f, "cache_clear")}
    return [f for f in cached if "round_index" in inspect.signature(f).parameters]
