"""The data devices of a virtual Pluto: the FPGA's rate change by eight, and the DDS tones."""

import errno
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from sim_backend.iiod_target import Place
from sim_backend.pluto_settings import PlutoSettings, Tone
from sim_backend.pluto_values import parse_bool, parse_fixed, refuse, show_bool

FACTOR = 8
TONE_HZ = 9_280_000  # at power-up
PHASE_STEPS = 1 << 16
SCALE_ONE = 1 << 14
MAX_SCALE = Decimal("1.999939")


class DataDevice:
    """rate_hz: the chip's sample rate as the driver reads it. Tones are there on the transmitting device only."""

    def __init__(
        self,
        receiving: bool,
        settings: Callable[[], PlutoSettings],
        change: Callable[..., None],
        rate_hz: Callable[[], int],
    ) -> None:
        self._settings, self._change, self._rate_hz = settings, change, rate_hz
        self._field = "rx_decimation" if receiving else "tx_interpolation"
        self._words = [tone_word(TONE_HZ, rate_hz()) for _ in settings().dds]

    def read(self, place: Place, attribute: str) -> str | None:
        """None: the value is in the table."""
        if place.channel.startswith("altvoltage"):
            return self._read_tone(int(place.channel[10:]), attribute)
        rate_hz, factor = self._rate_hz(), getattr(self._settings(), self._field)
        match attribute:
            case "sampling_frequency":
                return str(rate_hz // factor)
            case "sampling_frequency_available":
                return f"{rate_hz} {rate_hz // FACTOR} "
            case "samples_pps":
                raise refuse("no pulse per second", errno.ENODEV)
        return None

    def write(self, place: Place, attribute: str, text: str) -> bool:
        """False: this is for the table to decide."""
        if place.channel.startswith("altvoltage"):
            return self._write_tone(int(place.channel[10:]), attribute, text)
        if attribute != "sampling_frequency":
            return False
        asked_hz, rate_hz = int(parse_fixed(text, 1, 1 << 31)), self._rate_hz()
        if asked_hz not in (rate_hz, rate_hz // FACTOR):
            raise refuse(f"{asked_hz} Hz is neither {rate_hz} nor an eighth of it")
        self._change(**{self._field: 1 if asked_hz == rate_hz else FACTOR})
        return True

    def retune(self) -> tuple[Tone, ...]:
        """The tones at the present sample rate: their words stay, so their frequencies follow it."""
        rate_hz = self._settings().sample_rate_hz
        return tuple(
            replace(tone, frequency_hz=word * rate_hz / PHASE_STEPS)
            for tone, word in zip(self._settings().dds, self._words, strict=True)
        )

    def _read_tone(self, number: int, attribute: str) -> str | None:
        tone = self._settings().dds[number]
        match attribute:
            case "frequency":  # the driver counts a step less than the core has
                return str(self._words[number] * self._rate_hz() // (PHASE_STEPS - 1))
            case "phase":
                return str(round(tone.phase_deg * 1000))
            case "scale":
                return f"{tone.scale:.6f}"
            case "raw":
                return show_bool(tone.enabled)
            case "sampling_frequency":
                return str(self._rate_hz())
        return None

    def _write_tone(self, number: int, attribute: str, text: str) -> bool:
        rate_hz = self._rate_hz()
        match attribute:
            case "frequency":
                word = tone_word(int(parse_fixed(text, 0, rate_hz // 2)), rate_hz)
                frequency_hz = word * self._settings().sample_rate_hz / PHASE_STEPS
                self._set(number, frequency_hz=frequency_hz)
                self._words[number] = word
            case "phase":
                steps = (int(parse_fixed(text, 0, 360_000)) * PHASE_STEPS + 180_000) // 360_000 % PHASE_STEPS
                self._set(number, phase_deg=steps * 360.0 / PHASE_STEPS)
            case "scale":
                steps = round(parse_fixed(text, -MAX_SCALE, MAX_SCALE) * SCALE_ONE)
                self._set(number, scale=steps / SCALE_ONE)
            case "raw":
                self._set(number, enabled=parse_bool(text))
            case _:
                return False
        return True

    def _set(self, number: int, **fields: float | bool) -> None:
        tones = list(self._settings().dds)
        tones[number] = replace(tones[number], **fields)  # type: ignore[arg-type]
        self._change(dds=tuple(tones))


def tone_word(frequency_hz: int, rate_hz: int) -> int:
    """Phase increment a sample, as the driver rounds it; always odd, which spreads the spurs."""
    return (frequency_hz * (PHASE_STEPS - 1) + rate_hz // 2) // rate_hz & (PHASE_STEPS - 1) | 1


def power_up_tones(num_channels: int, sample_rate_hz: float) -> tuple[Tone, ...]:
    """Silent, I a quarter turn ahead of Q."""
    frequency_hz = tone_word(TONE_HZ, int(sample_rate_hz)) * sample_rate_hz / PHASE_STEPS
    ahead, behind = (
        Tone(frequency_hz=frequency_hz, phase_deg=phase_deg, enabled=True) for phase_deg in (90.0, 0.0)
    )
    return (ahead, ahead, behind, behind) * num_channels
