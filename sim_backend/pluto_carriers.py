"""The two local oscillators of a virtual Pluto: altvoltage0 receives, altvoltage1 transmits."""

from collections.abc import Callable

from sim_backend.ad936x_clocks import Carrier, tune
from sim_backend.pluto_context import CHIPS, PlutoModel
from sim_backend.pluto_settings import PlutoSettings
from sim_backend.pluto_values import parse_bool, parse_whole, refuse, show_bool

RX, TX = "altvoltage0", "altvoltage1"
MIN_TX_LO_HZ = 46_875_001  # of the chips that reach below 325 MHz
NUM_PROFILES, PROFILE_LEN = 8, 16
GAIN_TABLES = (  # highest LO, gains, index of 0 dB: the driver's full tables
    (1_300_000_000, -1, 73, 3),
    (4_000_000_000, -3, 71, 5),
    (6_000_000_000, -10, 62, 14),
)


def gain_table(rx_lo_hz: float) -> tuple[int, int, int]:
    """Lowest and highest gain in dB, index of 0 dB, at an LO."""
    return next((table[1:] for table in GAIN_TABLES if rx_lo_hz <= table[0]), GAIN_TABLES[-1][1:])


def power_up_carriers(crystal_hz: int) -> dict[str, Carrier]:
    """As a Pluto's device tree has them."""
    return {RX: tune(2_400_000_000, crystal_hz), TX: tune(2_450_000_000, crystal_hz)}


class Carriers:
    """settings: what the attributes amount to now; change: takes new values of some fields, and may refuse them."""

    def __init__(
        self, model: PlutoModel, settings: Callable[[], PlutoSettings], change: Callable[..., None]
    ) -> None:
        self._model, self._settings, self._change = model, settings, change
        self.held = power_up_carriers(model.xo_correction_hz)
        self._profiles: dict[tuple[str, int], Carrier] = {}
        self._recalled: dict[str, int] = {}
        self._shown = {RX: 0, TX: 0}

    def read(self, channel: str, attribute: str) -> str | None:
        """None: the value is in the table."""
        settings = self._settings()
        match attribute:
            case "frequency":
                return str(self.held[channel].shown_hz(settings.xo_correction_hz))
            case "frequency_available":
                low, high = self._range(channel)
                return f"[{low} 1 {high}]"
            case "powerdown":
                return show_bool(settings.rx_lo_powerdown if channel == RX else settings.tx_lo_powerdown)
            case "fastlock_recall":
                if channel not in self._recalled:
                    raise refuse("no profile was recalled")
                return str(self._recalled[channel])
            case "fastlock_save":
                profile = self._profiles.get((channel, self._shown[channel]))
                return f"{self._shown[channel]} " + ",".join(str(word) for word in _words(profile))
        return None

    def write(self, channel: str, attribute: str, text: str) -> bool:
        """False: this is for the table to decide."""
        match attribute:
            case "frequency":
                asked_hz = parse_whole(text, *self._range(channel))
                self._set(channel, tune(asked_hz, self._settings().xo_correction_hz))
                self._recalled.pop(channel, None)
            case "powerdown":
                self._change(**{"rx_lo_powerdown" if channel == RX else "tx_lo_powerdown": parse_bool(text)})
            case "fastlock_store":
                self._profiles[channel, parse_whole(text, 0, NUM_PROFILES - 1)] = self.held[channel]
            case "fastlock_save":
                self._shown[channel] = parse_whole(text, 0, NUM_PROFILES - 1)
            case "fastlock_recall":
                number = parse_whole(text, 0, NUM_PROFILES - 1)
                if (channel, number) not in self._profiles:
                    raise refuse(f"profile {number} was not stored")
                self._set(channel, self._profiles[channel, number])
                self._recalled[channel] = number
            case _:
                return False
        return True

    def _range(self, channel: str) -> tuple[int, int]:
        low, high = CHIPS[self._model.chip]
        return (min(low, MIN_TX_LO_HZ) if channel == TX and low < 325_000_000 else low), high

    def _set(self, channel: str, carrier: Carrier) -> None:
        """Every retune is a new epoch, also one to the same frequency: the synthesizer is calibrated again."""
        settings = self._settings()
        exact_hz = carrier.exact_hz(settings.xo_correction_hz)
        if channel == TX:
            self._change(tx_lo_hz=exact_hz, tx_lo_epoch=settings.tx_lo_epoch + 1)
        else:
            low, high, _ = gain_table(exact_hz)  # the driver keeps the gain in dB, where the new band has it
            gains = tuple(min(max(gain, low), high) for gain in settings.rx_gain_db)
            self._change(rx_lo_hz=exact_hz, rx_lo_epoch=settings.rx_lo_epoch + 1, rx_gain_db=gains)
        self.held[channel] = carrier


def _words(profile: Carrier | None) -> tuple[int, ...]:
    """Of a stored profile; zeros of one that was not."""
    if profile is None:
        return (0,) * PROFILE_LEN
    words = (
        *profile.integer.to_bytes(2, "little"),
        *profile.fraction.to_bytes(3, "little"),
        profile.halvings,
    )
    return words + (0,) * (PROFILE_LEN - len(words))
