"""The frame engine of a virtual Pluto: frames, gates of the two DMAs, triggers. Its clock is the sample clock."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from sim_backend.iiod_target import Place
from sim_backend.pluto_engine import Engine
from sim_backend.pluto_settings import PlutoSettings, Tdd, TddChannel
from sim_backend.pluto_values import parse_bool, parse_fixed, parse_whole, refuse, show_bool

LIMIT = (1 << 32) - 1
SPANS = {
    "frame_length": "frame_cycles",
    "startup_delay": "delay_cycles",
    "internal_sync_period": "period_cycles",
    "on": "on_cycles",
    "off": "off_cycles",
}
SWITCHES = {
    "enable": "enabled", "sync_external": "sync_external", "sync_internal": "sync_internal",
    "sync_reset": "sync_reset", "polarity": "inverted",
}  # fmt: skip
IDLE, ARMED, RUNNING = 0, 1, 3


class TddDevice:
    """Every span has two attributes, in clock cycles (_raw) and in milliseconds (_ms)."""

    def __init__(
        self,
        engine: Engine,
        settings: Callable[[], PlutoSettings],
        change: Callable[..., None],
        rate_hz: Callable[[], int],
    ) -> None:
        self._engine, self._settings, self._change, self._rate_hz = engine, settings, change, rate_hz

    def read(self, place: Place, attribute: str) -> str | None:
        """None: the value is in the table."""
        tdd = self._settings().tdd
        part: Tdd | TddChannel = tdd.channels[int(place.channel[-1])] if place.channel else tdd
        name, _, unit = attribute.rpartition("_")
        if name in SPANS:
            cycles = getattr(part, SPANS[name])
            return str(cycles) if unit == "raw" else f"{1e3 * cycles / self._rate_hz():.6f}"
        if attribute in SWITCHES:
            return show_bool(getattr(part, SWITCHES[attribute]))
        match attribute:
            case "burst_count":
                return str(tdd.burst_count)
            case "sync_soft":
                return "0"
            case "state":
                return str(IDLE if not tdd.enabled else RUNNING if self._engine.is_running() else ARMED)
        return None

    def write(self, place: Place, attribute: str, text: str) -> bool:
        """False: this is for the table to decide."""
        name, _, unit = attribute.rpartition("_")
        if name in SPANS:
            cycles = parse_whole(text, 0, LIMIT) if unit == "raw" else self._cycles(text)
            self._set(place, **{SPANS[name]: cycles})
        elif attribute in SWITCHES:
            on = parse_bool(text)
            self._set(place, **{SWITCHES[attribute]: on})
        elif attribute == "burst_count":
            self._set(place, burst_count=parse_whole(text, 0, LIMIT))
        elif attribute == "sync_soft":
            if parse_bool(text):
                if not self._settings().tdd.enabled:
                    raise refuse("a trigger for an engine that is not enabled")
                self._engine.trigger()
        else:
            return False
        return True

    def _cycles(self, text: str) -> int:
        cycles = round(parse_fixed(text, 0, 10**9) * self._rate_hz() / Decimal(1000))
        if cycles > LIMIT:
            raise refuse(f"{text[:32]} ms are {cycles} cycles, more than {LIMIT}")
        return cycles

    def _set(self, place: Place, **fields: int | bool) -> None:
        tdd = self._settings().tdd
        if not place.channel:
            self._change(tdd=replace(tdd, **fields))  # type: ignore[arg-type]
            return
        channels = list(tdd.channels)
        number = int(place.channel[-1])
        channels[number] = replace(channels[number], **fields)  # type: ignore[arg-type]
        self._change(tdd=replace(tdd, channels=tuple(channels)))
