"""Registers behind `direct_reg_access`: the FPGA cores' and the transceiver's, as far as clients look."""

from collections.abc import Callable

from sim_backend.ad936x_clocks import Carrier
from sim_backend.pluto_engine import Engine, Flags
from sim_backend.pluto_settings import PlutoSettings
from sim_backend.pluto_values import refuse

CORE = 0x8000_0000  # addresses from here on are the FPGA core's
VERSION, RESET, CLOCK_RATIO, STATUS = CORE, CORE | 0x40, CORE | 0x58, CORE | 0x88
UNDERFLOW, OVERFLOW = 1 << 0, 1 << 2
CORE_VERSION = 0x0009_0162
LAST_CHIP_ADDRESS = 0x3FF
ENSM_STATES = {"sleep": 0, "wait": 0, "alert": 5, "fdd": 10}
READ_ONLY = frozenset(  # mirrors of settings
    {0x005, 0x017, 0x037, 0x109, 0x10C, *range(0x073, 0x077), *range(0x231, 0x236), *range(0x271, 0x276)}
)


class Window:
    """One device's attribute: writing "address" selects what reading gives, "address value" writes."""

    def __init__(
        self, peek: Callable[[int], int], poke: Callable[[int, int], None], address: int = 0
    ) -> None:
        self._peek, self._poke, self._address = peek, poke, address

    def read(self) -> str:
        """The selected register, now."""
        return f"0x{self._peek(self._address):X}"

    def write(self, text: str) -> None:
        """Numbers in any base that C knows."""
        words = text.split()
        try:
            numbers = [int(word, 8 if word[:1] == "0" and word.isdigit() else 0) for word in words]
        except ValueError as error:
            raise refuse(f"register {text[:32]!r}") from error
        if len(numbers) not in (1, 2) or not all(0 <= number < 1 << 32 for number in numbers):
            raise refuse(f"register {text[:32]!r}")
        self._peek(numbers[0])  # refuses an address that is not there
        if len(numbers) == 2:
            self._poke(numbers[0], numbers[1])
        self._address = numbers[0]


class Core:
    """Registers of a data device's FPGA core. `bit`: the one of the status register that is this direction's."""

    def __init__(self, engine: Engine, bit: int) -> None:
        self._engine, self._bit = engine, bit
        self._scratch: dict[int, int] = {VERSION: CORE_VERSION, RESET: 3, CLOCK_RATIO: 1}

    def peek(self, address: int) -> int:
        """0 where nothing is known."""
        if address | CORE != STATUS:
            return self._scratch.get(address | CORE, 0)
        flags = self._engine.flags()
        return self._bit if (flags.underflow if self._bit == UNDERFLOW else flags.overflow) else 0

    def poke(self, address: int, value: int) -> None:
        """Status bits are cleared by writing 1."""
        if address | CORE == STATUS:
            cleared = bool(value & self._bit)
            self._engine.clear(Flags(cleared and self._bit == UNDERFLOW, cleared and self._bit == OVERFLOW))
        elif address | CORE not in (VERSION, CLOCK_RATIO):
            self._scratch[address | CORE] = value


class Chip:
    """Registers of the AD936x: those that mirror settings, and memory for the rest."""

    def __init__(
        self,
        settings: Callable[[], PlutoSettings],
        carriers: Callable[[], dict[str, Carrier]],
        gain_indices: Callable[[], tuple[int, ...]],
    ) -> None:
        self._settings, self._carriers, self._gain_indices = settings, carriers, gain_indices
        self._scratch: dict[int, int] = {}

    def peek(self, address: int) -> int:
        """One byte."""
        if address > LAST_CHIP_ADDRESS:
            raise refuse(f"chip register {address:#x}")
        return self._mirrored().get(address, self._scratch.get(address, 0))

    def poke(self, address: int, value: int) -> None:
        """EINVAL for what mirrors a setting: it would be ignored in silence."""
        if address in READ_ONLY or value > 0xFF:
            raise refuse(f"chip register {address:#x} = {value:#x}; use the attribute")
        self._scratch[address] = value

    def _mirrored(self) -> dict[int, int]:
        settings, carriers = self._settings(), self._carriers()
        rx, tx = carriers["altvoltage0"], carriers["altvoltage1"]
        found = {0x037: 0x0A, 0x017: ENSM_STATES.get(settings.ensm_mode, 10)}  # UG-671: product id, state
        found[0x005] = (tx.halvings - 1) << 4 | (rx.halvings - 1)
        for first, carrier in ((0x231, rx), (0x271, tx)):
            word = carrier.integer | carrier.fraction << 16
            found |= {first + place: word >> 8 * place & 0xFF for place in range(5)}
        for channel, attenuation_db in enumerate(settings.tx_attenuation_db):
            code = round(4 * attenuation_db)
            found |= {0x073 + 2 * channel: code & 0xFF, 0x074 + 2 * channel: code >> 8}
        for channel, index in enumerate(self._gain_indices()):
            found[0x109 + 3 * channel] = index
        return found
