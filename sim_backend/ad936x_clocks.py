"""Clocks of an AD936x: which carriers and sample rates its synthesizers can make of the crystal, and how it divides.

Integer arithmetic as in the Linux driver, so that what is read back has the driver's truncations. Crystal, rates and
frequencies are what the driver believes: the truth is larger by (true crystal) / (crystal as told by xo_correction).
"""

from dataclasses import dataclass
from fractions import Fraction

RFPLL_MODULUS = 8_388_593  # UG-570, "Rx/Tx synthesizer": fractional words
BBPLL_MODULUS = 2_088_960
MAX_RFPLL_REFERENCE_HZ = 80_008_000  # adi,trx-synthesizer-target-fref-overwrite-hz of a Pluto
MIN_VCO_HZ = 6_000_000_000
MAX_BBPLL_HZ = 1_430_143_000
MIN_ADC_HZ = 25_000_000
MAX_ADC_HZ = 640_000_000
MAX_DAC_HZ = 320_000_000
MAX_RATE_HZ = 61_440_000
HALF_BANDS = (  # total, then the three dividers
    (12, 3, 2, 2), (8, 2, 2, 2), (6, 3, 2, 1), (4, 2, 2, 1), (3, 3, 1, 1), (2, 2, 1, 1), (1, 1, 1, 1),
)  # fmt: skip


@dataclass(frozen=True)
class Carrier:
    """Words of a synthesizer: VCO = reference (integer + fraction / modulus), divided by 2^halvings."""

    integer: int
    fraction: int
    halvings: int

    def exact_hz(self, crystal_hz: int) -> float:
        """Frequency without rounding."""
        vco_hz = _reference(crystal_hz) * (self.integer + Fraction(self.fraction, RFPLL_MODULUS))
        return float(vco_hz / 2**self.halvings)

    def shown_hz(self, crystal_hz: int) -> int:
        """What the driver reads back: an even number."""
        reference = _reference(crystal_hz)
        vco_hz = reference * self.integer + reference * self.fraction // RFPLL_MODULUS
        return (vco_hz >> 1 >> self.halvings) << 1


def tune(frequency_hz: int, crystal_hz: int) -> Carrier:
    """The nearest carrier that the synthesizer can make."""
    vco_hz, halvings = frequency_hz & ~1, 0
    while vco_hz <= MIN_VCO_HZ:
        vco_hz, halvings = vco_hz << 1, halvings + 1
    integer, fraction = _divide(vco_hz, _reference(crystal_hz), RFPLL_MODULUS)
    return Carrier(integer, fraction, halvings)


@dataclass(frozen=True)
class Chain:
    """Baseband PLL words and dividers. rx: converter, three half-bands, FIR; tx: the same from the DAC on."""

    integer: int
    fraction: int
    adc: int
    dac: int
    rx: tuple[int, int, int, int]
    tx: tuple[int, int, int, int]

    def exact_rate_hz(self, crystal_hz: int) -> float:
        """Sample rate without rounding."""
        divider = self.adc
        for step in self.rx:
            divider *= step
        return float(crystal_hz * (self.integer + Fraction(self.fraction, BBPLL_MODULUS)) / divider)

    def rx_rates_hz(self, crystal_hz: int) -> tuple[int, ...]:
        """BBPLL, ADC, R2, R1, RF, RXSAMP."""
        return self._rates(crystal_hz, (self.adc, *self.rx))

    def tx_rates_hz(self, crystal_hz: int) -> tuple[int, ...]:
        """BBPLL, DAC, T2, T1, TF, TXSAMP."""
        return self._rates(crystal_hz, (self.dac, *self.tx))

    def _rates(self, crystal_hz: int, steps: tuple[int, ...]) -> tuple[int, ...]:
        rates = [crystal_hz * self.integer + crystal_hz * self.fraction // BBPLL_MODULUS]
        for step in steps:
            rates.append(rates[-1] // step)
        return tuple(rates)


def power_up_chain(crystal_hz: int) -> Chain:
    """30.72 Msamples/s the way a Pluto's device tree has it, which differs from what asking for that rate gives."""
    integer, fraction = _divide(983_040_000, crystal_hz, BBPLL_MODULUS)
    return Chain(integer, fraction, 4, 8, (2, 2, 2, 1), (1, 2, 2, 1))


def plan_chain(rate_hz: int, rx_fir: int, tx_fir: int, nominal: bool, crystal_hz: int) -> Chain:
    """Dividers for a sample rate, as the driver chooses them. rx_fir, tx_fir: decimation, interpolation; 1 if off.

    ValueError if no choice keeps the converters within their limits.
    """
    if rate_hz > MAX_RATE_HZ:
        raise ValueError(f"sample rate of {rate_hz} Hz exceeds {MAX_RATE_HZ}; ask for less")
    first, last = int(nominal), len(HALF_BANDS)
    if nominal and rx_fir * rate_hz * 8 < MIN_ADC_HZ:
        first, last = 0, 1
    for governor in range(first, last):
        if found := _dividers(rate_hz, rx_fir, tx_fir, governor):
            index_rx, index_tx, adc_hz, halved = found
            divider = 64
            while adc_hz * divider > MAX_BBPLL_HZ:
                divider //= 2
            integer, fraction = _divide(adc_hz * divider, crystal_hz, BBPLL_MODULUS)
            rx, tx = HALF_BANDS[index_rx][1:], HALF_BANDS[index_tx][1:]
            return Chain(integer, fraction, divider, divider * halved, (*rx, rx_fir), (*tx, tx_fir))
    raise ValueError(
        f"no dividers for {rate_hz} Hz with FIR {rx_fir}, {tx_fir}: the ADC runs from {MIN_ADC_HZ} to "
        f"{MAX_ADC_HZ} Hz; load and enable a decimating FIR below 2083333 Hz"
    )


def _dividers(rate_hz: int, rx_fir: int, tx_fir: int, governor: int) -> tuple[int, int, int, int] | None:
    """Rows of HALF_BANDS for rx and tx, ADC rate, and 2 where the DAC runs at half of it, else 1."""
    for index in range(governor, len(HALF_BANDS)):
        rx_factor, tx_factor = rx_fir * HALF_BANDS[index][0], tx_fir * HALF_BANDS[index][0]
        adc_hz, dac_hz = rate_hz * rx_factor, rate_hz * tx_factor
        if (
            not MIN_ADC_HZ // rx_factor <= rate_hz <= MAX_ADC_HZ / rx_factor
        ):  # 2083333 * 12 is just below 25e6
            continue
        ratio = adc_hz // dac_hz if adc_hz >= dac_hz else -(dac_hz // adc_hz)
        shift = 0 if ratio == 1 else ratio
        if adc_hz <= MAX_DAC_HZ:
            index_tx, halved = index - shift, 1
        elif index == 4 and ratio >= 0:
            return None  # 3 / 2 is no divider
        else:
            index_tx, halved = index + (1 if index == 5 and ratio >= 0 else 2) - shift, 2
        return (index, index_tx, adc_hz, halved) if 0 <= index_tx < len(HALF_BANDS) else None
    return None


def _divide(frequency_hz: int, reference_hz: int, modulus: int) -> tuple[int, int]:
    """Integer and fraction words, the fraction rounded."""
    integer, rest = divmod(frequency_hz, reference_hz)
    return integer, (rest * modulus + reference_hz // 2) // reference_hz


def _reference(crystal_hz: int) -> int:
    """The crystal doubled, where that is within the limit."""
    return 2 * crystal_hz if 2 * crystal_hz <= MAX_RFPLL_REFERENCE_HZ else crystal_hz
