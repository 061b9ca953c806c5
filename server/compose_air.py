"""Composition root of `airmeta air`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from radio.measured_air import MeasuredAir
from server import air_options as options
from server.air_command import AirPlan
from server.air_options import Pace

if TYPE_CHECKING:
    from sim_backend.virtual_bench import VirtualBench


@contextmanager
def open_air(
    plan: AirPlan,
    hosts: tuple[str, ...],
    pace: Pace,
    patience_s: float | None,
    cable: bool,
    isolation_db: float | None,
) -> Iterator[tuple["VirtualBench", dict[str, str]]]:
    """The virtual radios of a plan, and what there is to say of them. The addresses were checked before."""
    from sim_backend.levels import RX_FULL_SCALE_DBM, TX_FULL_SCALE_DBM
    from sim_backend.pluto_context import PlutoModel
    from sim_backend.stream_air import StreamAirConfig
    from sim_backend.stream_medium import CABLE_DB
    from sim_backend.virtual_bench import VirtualBench

    given: dict[str, Any] = {"isolation_db": isolation_db, "noise_figure_db": plan.noise_figure_db}
    law = plan.impairments
    if isinstance(law, MeasuredAir):  # the first radio receives, as in radio.uris
        law, given["receiver"] = replace(law, first_port=1), 0
    config = StreamAirConfig(
        seed=plan.seed,
        impairments=law,
        cable=cable,
        **{name: value for name, value in given.items() if value is not None},
    )
    patience_s = options.PATIENCE_S if patience_s is None else patience_s
    facts = {
        "radios": f"ADALM-PLUTO, {plan.chip}",
        "air": f"{plan.origin}; seed {plan.seed}",
        "to itself": f"{CABLE_DB:g} dB of cable; to others nothing"
        if cable
        else f"{config.isolation_db:g} dB",
        "levels": f"full scale is {TX_FULL_SCALE_DBM:g} dBm out, {RX_FULL_SCALE_DBM:g} dBm in at a gain of 0 dB; "
        + (
            "noise as measured"
            if isinstance(law, MeasuredAir)
            else f"noise figure {config.noise_figure_db:g} dB"
        ),
        "pace": "real" if pace is Pace.REAL else f"virtual, patience {patience_s:g} s",
        "stop": f"Ctrl-C, or kill {os.getpid()}",
    }
    with VirtualBench(
        len(hosts),
        config,
        pace=pace.value,
        patience_s=patience_s,
        model=PlutoModel(chip=plan.chip),
        first_host=hosts[0],
        beyond_loopback=True,
    ) as bench:
        yield bench, facts
