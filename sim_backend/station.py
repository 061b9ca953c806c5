"""What one virtual radio does to samples between its DMA and its antennas, as functions of legs and indices."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from radio.decibel import from_db
from radio.interface import Samples
from radio.measured_air import AirLaw, MeasuredAir, known
from sim_backend.agc import MAX_GAIN_DB, AgcState, control
from sim_backend.air import Air
from sim_backend.dma import Words
from sim_backend.front_end import FrontEnd, draw_front_end
from sim_backend.interpolate import HALF, resample
from sim_backend.leg import Leg
from sim_backend.levels import (
    ADC_FULL_SCALE,
    DAC_BITS,
    DAC_FULL_SCALE,
    SILENCE_DBM,
    adc_amplitude,
    dbm,
    thermal_variance,
)
from sim_backend.medium import Sent
from sim_backend.selection import full, inner, path_filter
from sim_backend.station_settings import StationSettings, of_channel
from sim_backend.stream_medium import Radiator, turned
from sim_backend.transmitter import draw_transmitter, mirror

STRIDE = 64  # samples over which the clock is straight
PAUSE = 64  # samples of zeros that do not end a burst


def dds_words(settings: StationSettings, rate_hz: float, start: int, count: int, num_channels: int) -> Words:
    """(count, 2 num_channels) what the generators of a radio give from index `start`; clipped as a sum of two is.

    rate_hz: as believed, which the tones' frequencies are, too.
    """
    total = np.zeros((count, 2 * num_channels))
    indices = np.arange(start, start + count, dtype=np.float64)
    for place, tone in enumerate(settings.dds[: 4 * num_channels]):
        if tone.scale:
            cycles = tone.frequency_hz / rate_hz * indices + tone.phase_deg / 360.0
            total[:, place // 2] += (
                tone.scale * DAC_FULL_SCALE * np.sin(2.0 * np.pi * (cycles - np.round(cycles)))
            )
    return np.clip(np.rint(total), -DAC_FULL_SCALE, DAC_FULL_SCALE).astype(np.int16)


def bursts(words: Words) -> NDArray[np.bool_]:
    """(num_samples,) where a burst lasts: between samples that are not zero, and PAUSE before and after them."""
    return maximum_filter1d(words.any(axis=1), 2 * PAUSE + 1, mode="constant")


class TxSide:
    """Converters, mixers and amplifiers of a radio."""

    def __init__(self, law: AirLaw, seed: int, radio: int, ports: tuple[int, ...]) -> None:
        self._radio, self._ports = radio, ports
        drawn = [draw_transmitter(law, seed, port) for port in ports]
        self._radiators: dict[int, Radiator] = {}  # of the leg that is on the air, by channel
        self._transmitters = [replace(t, dac_bits=t.dac_bits or DAC_BITS) for t in drawn]

    def radiate(self, leg: Leg, start: int, words: Words) -> list[Sent]:
        """What leaves each antenna, at 0 dB of attenuation; nothing for a channel that is all zero."""
        if not leg.settings.awake:
            return []
        sent = []
        taps = path_filter(leg.settings.tx_bandwidth_hz, leg.tx.band.sample_rate_hz, leg.settings.tx_fir)
        for channel, port in enumerate(self._ports):
            own = words[:, 2 * channel : 2 * channel + 2]
            if not (of_channel(leg.settings.tx_on, channel) and own.any()):
                continue
            samples = np.ascontiguousarray(own, dtype=np.float32).view(np.complex64)[:, 0]
            samples = self._transmitters[channel].radiate(samples / np.float32(DAC_FULL_SCALE))
            if self._transmitters[channel].leakage:  # however a stream is cut into pieces
                samples = samples * bursts(own)
            samples = full(samples, taps)
            radiator = self._radiators.get(channel)
            if radiator is None or radiator.leg is not leg:
                radiator = self._radiators[channel] = Radiator(leg, self._radio, channel)
            sent.append(Sent(port, leg.tx.band, start - len(taps) // 2, samples, radiator))
        return sent


class RxSide:
    """One receiving antenna and all behind it. gain_db, input_dbm, num_saturated: as of the last sample computed.

    noise_variance: instead of a measured air's or the noise figure's, a transmitter's full scale = 1. The air's
    converter is not used, as this one is a radio's own, relative to whose full scale its DC is.
    """

    def __init__(
        self,
        law: AirLaw,
        seed: int,
        port: int,
        channel: int,
        *,
        noise_figure_db: float,
        noise_variance: float | None,
    ) -> None:
        self._law, self._seed, self.port, self._channel = law, seed, port, channel
        self._noise_figure_db, self._noise_variance = noise_figure_db, noise_variance
        self._front_ends: dict[float, FrontEnd] = {}
        self._agc, self._mode = AgcState(), "manual"
        self.gain_db = float(MAX_GAIN_DB)
        self.input_dbm = SILENCE_DBM
        self.num_saturated = 0

    def hear(self, air: Air, leg: Leg, start: int, count: int) -> NDArray[np.int16]:
        """(count, 2) I and Q from index `start`, 12 bits. The air must know all that leaves to some samples later."""
        if not leg.settings.awake:
            self.input_dbm = SILENCE_DBM
            return np.zeros((count, 2), dtype=np.int16)
        front_end, is_on = self._front_end(leg.rx.band.sample_rate_hz), self._is_on(leg)
        heard = front_end.noise(start, count)
        if is_on:
            heard = heard + self.arriving(air, leg, start, count) + front_end.interference(start, count)
        self.input_dbm = dbm(float(np.vdot(heard, heard).real) / max(count, 1))
        heard = mirror(self._amplify(leg.settings, heard), front_end.image, front_end.offset)
        parts = np.rint(heard.view(np.float32).reshape(-1, 2) * np.float32(ADC_FULL_SCALE))
        self.num_saturated += int(np.count_nonzero((np.abs(parts) > ADC_FULL_SCALE).any(axis=1)))
        return np.clip(parts, -ADC_FULL_SCALE, ADC_FULL_SCALE).astype(np.int16)

    def measure(self, air: Air, leg: Leg, start: int, count: int) -> float:
        """Mean power at the input in dBm, noise included; leaves the gain control alone."""
        heard = self._front_end(leg.rx.band.sample_rate_hz).noise(start, count)
        if leg.settings.awake and self._is_on(leg):
            heard = heard + self.arriving(air, leg, start, count)
        return dbm(float(np.vdot(heard, heard).real) / max(count, 1))

    def arriving(self, air: Air, leg: Leg, start: int, count: int) -> Samples:
        """(count,) behind mixer and filter, on the radio's own clock, a transmitter's full scale = 1."""
        band, crystal = leg.rx.band, leg.rx.crystal
        taps = path_filter(leg.settings.rx_bandwidth_hz, band.sample_rate_hz, leg.settings.rx_fir)
        if crystal.keeps_time:
            places, first, reach = np.zeros(count), start, 0
        else:
            coarse = np.arange(start, start + count + STRIDE, STRIDE, dtype=np.float64)
            ahead = leg.clock.true_times(coarse / band.sample_rate_hz) * band.sample_rate_hz - coarse
            places = np.interp(np.arange(start, start + count, dtype=np.float64), coarse, ahead)
            first, reach = start + int(np.floor(places.min())), HALF + 2
            places -= first - start
        low = first - reach - len(taps) // 2
        needed = count + 2 * (reach + len(taps) // 2) + int(np.ceil(max(places.max(), 0.0)))
        samples = air.hear(self.port, band, low, needed)
        samples = inner(turned(samples, crystal, leg.rx.turn, low, band.sample_rate_hz, back=True), taps)
        return samples if reach == 0 else resample(samples, places, reach)

    def _is_on(self, leg: Leg) -> bool:
        return of_channel(leg.settings.rx_on, self._channel)

    def _amplify(self, settings: StationSettings, samples: Samples) -> Samples:
        mode = of_channel(settings.gain_mode, self._channel)
        if mode == "manual":
            self._mode = mode
            self.gain_db = of_channel(settings.rx_gain_db, self._channel)
            return samples * np.float32(adc_amplitude(self.gain_db))
        if mode != self._mode:
            self._mode, self._agc = mode, AgcState(gain_db=round(self.gain_db))
        at_adc = samples * np.float32(adc_amplitude(0.0))
        gains_db, self._agc = control(self._agc, mode, at_adc, settings.gain_range_db)
        self.gain_db = float(self._agc.gain_db)
        return np.asarray(at_adc * (10.0 ** (gains_db / 20.0)).astype(np.float32))

    def _front_end(self, rate_hz: float) -> FrontEnd:
        if rate_hz not in self._front_ends:
            _, impairments = known(self._law, None)
            self._front_ends[rate_hz] = draw_front_end(
                self._law,
                self._seed,
                self.port,
                rate_hz,
                self._variance(rate_hz),
                from_db(-impairments.path_loss_db),
            )
        return self._front_ends[rate_hz]

    def _variance(self, rate_hz: float) -> float:
        if self._noise_variance is not None:
            return self._noise_variance
        if isinstance(self._law, MeasuredAir):
            return self._law.noise_at(rate_hz)
        return thermal_variance(rate_hz, self._noise_figure_db)
