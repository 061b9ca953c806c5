"""The file format of AD936x FIR filters, and what the chip asks of them."""

import re
from dataclasses import replace

from sim_backend.ad936x_clocks import Chain
from sim_backend.pluto_settings import Fir

_HEADS = {
    "RX": re.compile(r"RX\s+(\d+)\s+GAIN\s+(-?\d+)\s+DEC\s+(\d+)"),
    "TX": re.compile(r"TX\s+(\d+)\s+GAIN\s+(-?\d+)\s+INT\s+(\d+)"),
}
_TAP = re.compile(r"\s*(-?\d+)(?:\s*,\s*(-?\d+))?")
MAX_TAPS = 128


def parse_fir(text: str, present: Fir) -> Fir:
    """Lines `RX 3 GAIN -6 DEC 4`, `TX 3 GAIN 0 INT 4`, then taps, `tx,rx` or one for both; `#` begins a comment.

    Whether the filters are enabled stays as it is. ValueError for what the chip cannot load.
    """
    heads: dict[str, tuple[int, int]] = {}
    tx_taps: list[int] = []
    rx_taps: list[int] = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        for name, pattern in _HEADS.items():
            if name not in heads and (found := pattern.match(line)):
                if not 1 <= int(found[1]) <= 3:
                    raise ValueError(f"FIR {name} destination must be 1, 2 or 3 (both), got {found[1]}")
                heads[name] = int(found[2]), int(found[3])
                break
        else:
            if found := _TAP.match(line):
                tx_taps.append(int(found[1]))
                rx_taps.append(int(found[2] or found[1]))
    if set(heads) != {"RX", "TX"}:
        raise ValueError(f"FIR needs an RX and a TX line, got {sorted(heads)}")
    if not tx_taps or len(tx_taps) % 16 or len(tx_taps) > MAX_TAPS:
        raise ValueError(f"FIR needs a multiple of 16 taps, at most {MAX_TAPS}, got {len(tx_taps)}")
    if not all(-(2**15) <= tap < 2**15 for tap in tx_taps + rx_taps):
        raise ValueError("FIR taps must fit 16 bits")
    if heads["RX"][0] not in (-12, -6, 0, 6) or heads["TX"][0] not in (-6, 0):
        raise ValueError(f"FIR gains must be -12, -6, 0 or 6 dB (rx) and -6 or 0 (tx), got {heads}")
    return replace(
        present,
        rx_taps=tuple(rx_taps), tx_taps=tuple(tx_taps), rx_gain_db=heads["RX"][0], tx_gain_db=heads["TX"][0],
        decimation=heads["RX"][1], interpolation=heads["TX"][1],
    )  # fmt: skip


def check_factors(fir: Fir) -> None:
    """ValueError for an enabled filter whose rate change the chip does not have."""
    for enabled, factor in ((fir.rx_enabled, fir.decimation), (fir.tx_enabled, fir.interpolation)):
        if enabled and factor not in (1, 2, 4):
            raise ValueError(f"FIR rate change must be 1, 2 or 4, got {factor}; load filter_fir_config first")
    if fir.tx_enabled and fir.interpolation == 1 and len(fir.tx_taps) > 64:
        raise ValueError(f"without interpolation the FIR holds 64 taps, got {len(fir.tx_taps)}")


def check_taps(fir: Fir, chain: Chain, crystal_hz: int) -> None:
    """ValueError if the converters' clock leaves no time for so many taps: 16 for each of its cycles a sample."""
    rx, tx = chain.rx_rates_hz(crystal_hz), chain.tx_rates_hz(crystal_hz)
    fir_clock_hz = rx[1] if rx[1] == rx[2] else rx[1] / 2
    for enabled, taps, ratio in (
        (fir.rx_enabled, fir.rx_taps, fir_clock_hz / rx[5]),
        (fir.tx_enabled, fir.tx_taps, tx[1] / tx[5]),
    ):
        if enabled and len(taps) > 16 * int(ratio + 1e-6):
            raise ValueError(
                f"{len(taps)} FIR taps, time for {16 * int(ratio + 1e-6)}; use fewer or a lower rate"
            )
