"""What is true of virtual Plutos that were calibrated: from the air's own draws, at the instants of the captures.

Streams count their samples from when they were opened. What leaves and enters the air is watched, so that a count is
an instant of the air.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import j0

from calibration.analysis import together_estimates
from calibration.delay import estimate_mean_delay, remove_delay
from calibration.waveforms import probe
from radio.capture import Capture
from radio.decibel import from_db, to_db
from radio.interface import EPOCH_LEN
from radio.measured_air import MeasuredAir, MeasuredDevice
from radio.ofdm import OfdmConfig
from radio.pluto_link import RX_FULL_SCALE, TX_FULL_SCALE
from radio.preamble import device_identity, preamble, preamble_len
from radio.sounding import SoundingSlot
from sim_backend.leg import Leg
from sim_backend.levels import ADC_FULL_SCALE, DAC_BITS, adc_amplitude
from sim_backend.path import draw_path
from sim_backend.selection import path_filter
from sim_backend.station_settings import of_channel
from sim_backend.stream_state import Piece
from sim_backend.transmitter import Transmitter, draw_transmitter
from sim_backend.virtual_bench import VirtualBench

COHERENT = 0.9  # correlation at the lag that is called the coherence time
FIRST_MINIMUM = 3.8317  # of J_0
PATTERN_LEN = 24  # samples of noise that are found again in a capture
Complex = NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Of a device: units and instants as in `calibration.profile.DeviceProfile`.

    cfo_hz, sro_ppm: means over the soundings; cfo_bounds_hz: of the offset, in all that was in the soundings' way, and
    in the receiver's noise alone. compression_db: of the amplifier alone. rate_hz: of the samples.
    """

    gain_db: float
    snr_db: float
    phase_rad: float
    delay_s: float
    cfo_hz: float
    sro_ppm: float
    image: complex
    leakage: complex
    compression_db: float
    phase_noise_deg: float
    coherence_time_s: float
    response: Complex
    cfo_bounds_hz: tuple[float, float]
    rate_hz: float


class Witness:
    """Stands between an engine and its air, and notes which samples of the air a stream's are."""

    def __init__(self, bench: VirtualBench, receiver: int) -> None:
        self._receiver = receiver
        self._heard: list[tuple[int, NDArray[np.int16]]] = []
        self._legs: dict[int, list[tuple[int, Leg]]] = {}
        self._began: dict[int, int] = {}
        self._air = bench.engine._air
        bench.engine._air = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._air, name)

    def put(self, radio: int, pieces: Iterable[Piece]) -> None:
        """As `StreamAir.put`."""
        kept = list(pieces)
        for piece in kept:
            self._note(radio, piece.start, piece.leg)
            if radio not in self._began and piece.words is not None and piece.words.any():
                self._began[radio] = piece.start + int(np.flatnonzero(piece.words.any(axis=1))[0])
        self._air.put(radio, kept)

    def receive(self, radio: int, leg: Leg, start: int, count: int) -> NDArray[np.int16]:
        """As `StreamAir.receive`."""
        words = self._air.receive(radio, leg, start, count)
        if radio == self._receiver:
            self._note(radio, start, leg)
            self._heard.append((start, words[:PATTERN_LEN].copy()))
        return words

    def _note(self, radio: int, start: int, leg: Leg) -> None:
        legs = self._legs.setdefault(radio, [])
        if not legs or legs[-1][1] is not leg:
            legs.append((start, leg))

    def leg(self, radio: int, index: int) -> Leg:
        """What held at a sample of the air."""
        return [leg for start, leg in self._legs[radio] if start <= index][-1]

    def sent_from(self, radio: int, samples: NDArray[np.complex64]) -> int:
        """The air's index of a radio's first sample, if `samples` is the first burst that it ever sent."""
        words = np.rint(samples.view(np.float32).reshape(-1, 2) * np.float32(TX_FULL_SCALE))
        return self._began[radio] - int(np.flatnonzero(words.any(axis=1))[0])

    def received_from(self, capture: Capture) -> int:
        """The air's index of a capture's first sample."""
        words = np.rint(capture.samples.view(np.float32).reshape(-1, 2) * RX_FULL_SCALE).astype(np.int16)
        for start, pattern in self._heard:
            for place in np.flatnonzero((words[: 1 - PATTERN_LEN] == pattern[0]).all(axis=1)):
                if np.array_equal(words[place : place + PATTERN_LEN], pattern):
                    return start - int(place)
        raise LookupError(f"nothing of {capture.step} was seen on its way")


def sounded(capture: Capture, ofdm: OfdmConfig) -> tuple[float, float]:
    """Middles of the first and the last sounding, samples of the receiver's clock."""
    slot = _slot(capture)
    half = slot.block_len(ofdm) / 2.0 + capture.start_index
    return slot.block_index(0, ofdm) + half, slot.block_index(len(slot.block_gaps) - 1, ofdm) + half


def _slot(capture: Capture) -> SoundingSlot:
    facts = capture.facts
    return SoundingSlot(
        round=0,
        devices=tuple(facts["devices"]),
        start_index=facts["slot_start"],
        num_symbols=facts["num_symbols"],
        block_gaps=tuple(facts["block_gaps"]),
    )


def truths(
    witness: Witness,
    law: MeasuredAir,
    seed: int,
    captures: Mapping[str, Capture],
    middles: Mapping[int, float],
) -> dict[int, Truth]:
    """By device. middles: of the devices' probes, samples of the capture "alone"."""
    alone, receiver = captures["alone"], len(law.devices)
    ofdm = OfdmConfig(**alone.facts["ofdm"])
    ahead = witness.received_from(captures["silence"]) - captures["silence"].start_index
    first, last = (instant + ahead for instant in sounded(captures["together"], ofdm))
    heard = together_estimates(captures["together"])
    found = {}
    for place, sent in enumerate(alone.sent):
        device, middle = sent.device, middles[sent.device] + alone.start_index + ahead
        level = np.float32(sent.level)
        sent_from = witness.sent_from(device, level * preamble(ofdm, device_identity(device)))
        origin, departure = int(alone.facts["origins"][place]), int(alone.facts["departures"][place])
        sender, heard_by = witness.leg(device, sent_from + departure), witness.leg(receiver, int(middle))
        rate_hz, center_hz = heard_by.rx.band
        path = draw_path(law, seed, device, rate_hz, center_hz)
        at_s = np.array([middle / rate_hz])
        transmitter = draw_transmitter(law, seed, device)
        transmitter = replace(transmitter, dac_bits=transmitter.dac_bits or DAC_BITS)
        freqs_hz = np.append(ofdm.active_freqs_hz, 0.0)
        gains = path.response(at_s, freqs_hz)[0] * hardware(sender, heard_by, freqs_hz)
        gains *= _linear_part(level * probe(device, int(alone.facts["num_symbols"]), ofdm), transmitter, ofdm)
        gains *= np.exp(1j * _turned(sender, heard_by, at_s)[0])
        if law.devices[device].clock_offset_ppm == 0.0:  # the image of the image comes to lie upon the signal
            mirrored = np.append(gains[:-1][::-1], gains[-1]).conj()
            gains = gains + law.rx_image * transmitter.image.conjugate() * mirrored
        response, carrier = gains[:-1], gains[-1]
        delay = float(estimate_mean_delay(response, ofdm))
        left = middle - delay  # when what arrives in the middle has left
        lead = float((sender.clock.lead_s(np.array([left / rate_hz])) * rate_hz)[0])
        lateness = (middle - ahead) % EPOCH_LEN - (left + lead - sent_from + origin) % EPOCH_LEN
        span_s = np.array([first, last]) / rate_hz
        power, noise = float(np.mean(np.abs(response) ** 2)), noise_variance(law, heard_by)
        found[device] = Truth(
            gain_db=to_db(power),
            snr_db=to_db(power * sent.level**2 / noise),
            phase_rad=float(np.angle(carrier)),
            delay_s=lateness / rate_hz,
            cfo_hz=_mean_slope(_turned(sender, heard_by, span_s), span_s) / (2.0 * math.pi),
            sro_ppm=1e6 * _mean_slope(sender.clock.lead_s(span_s), span_s),
            image=transmitter.image,
            leakage=transmitter.leakage,
            compression_db=one_db(law.devices[device].saturation_db, law.devices[device].rapp_smoothness),
            phase_noise_deg=law.devices[device].phase_noise_deg,
            coherence_time_s=coherence_time_s(law.devices[device]),
            response=remove_delay(response, delay, ofdm),
            cfo_bounds_hz=(
                cfo_bound_hz(captures["together"], ofdm, response, heard.noise_variance),
                cfo_bound_hz(captures["together"], ofdm, response, noise / sent.level**2),
            ),
            rate_hz=rate_hz,
        )
    return found


def noise_variance(law: MeasuredAir, heard_by: Leg) -> float:
    """Of a received sample, full scale = 1: what was stated, its image, and the converter's steps."""
    gain = adc_amplitude(of_channel(heard_by.settings.rx_gain_db, 0)) * ADC_FULL_SCALE / RX_FULL_SCALE
    variance = law.noise_at(heard_by.rx.band.sample_rate_hz) * gain**2
    return variance * (1.0 + abs(law.rx_image) ** 2) + 2.0 / 12.0 / RX_FULL_SCALE**2


def hardware(sender: Leg, heard_by: Leg, freqs_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """(num_freqs,) amplitude from converter to converter, path apart."""
    settings, receiver = sender.settings, heard_by.settings
    rate_hz = heard_by.rx.band.sample_rate_hz
    gain_db = of_channel(receiver.rx_gain_db, 0) - of_channel(settings.tx_attenuation_db, 0)
    response = np.full(len(freqs_hz), adc_amplitude(gain_db) * ADC_FULL_SCALE / RX_FULL_SCALE)
    for taps in (
        path_filter(settings.tx_bandwidth_hz, rate_hz, settings.tx_fir),
        path_filter(receiver.rx_bandwidth_hz, rate_hz, receiver.rx_fir),
    ):
        steps = np.arange(len(taps)) - len(taps) // 2
        response *= (np.exp(-2j * np.pi * np.outer(freqs_hz / rate_hz, steps)) @ taps).real
    return response


def one_db(saturation_db: float, smoothness: float) -> float:
    """Level at which the gain of Rapp's amplifier has fallen by 1 dB."""
    return saturation_db + 10.0 / smoothness * math.log10(10.0 ** (smoothness / 10.0) - 1.0)


def coherence_time_s(device: MeasuredDevice) -> float:
    """Lag at which a fading path's correlation, (K + J_0(2 pi f lag)) / (K + 1), has fallen to 0.9; nan if it holds
    still, infinite if it never falls so far."""
    if device.fading == "none":
        return math.nan
    line = from_db(device.rician_k_db) if device.fading == "rician" else 0.0
    scattered = COHERENT * (line + 1.0) - line
    if scattered <= float(j0(FIRST_MINIMUM)):
        return math.inf
    turned = float(brentq(lambda x: j0(x) - scattered, 0.0, FIRST_MINIMUM))
    return turned / (2.0 * math.pi * device.doppler_hz)


def cfo_bound_hz(capture: Capture, ofdm: OfdmConfig, response: Complex, noise_variance: float) -> float:
    """Cramer-Rao bound of a carrier offset that does not drift, from joint soundings through an unknown channel whose
    delay moves evenly: Fisher's matrix of offset and delay, what the channel explains projected out. noise_variance: of
    a resource element, whose power at the transmitter is 1."""
    slot = _slot(capture)
    symbols = np.arange(slot.num_symbols) * ofdm.symbol_len
    starts = np.concatenate(
        [slot.block_index(block, ofdm) + symbols for block in range(len(slot.block_gaps))]
    )
    times_s = starts / ofdm.sample_rate_hz
    spread = float(np.sum((times_s - times_s.mean()) ** 2))
    bins = ofdm.active_freqs_hz / ofdm.active_freqs_hz.max()
    powers = np.abs(response) ** 2
    moments = [float(np.sum(powers * bins**order)) for order in range(3)]
    information = moments[0] - moments[1] ** 2 / moments[2]
    return math.sqrt(noise_variance / (2.0 * information * spread)) / (2.0 * math.pi)


def _linear_part(burst: NDArray[np.complex64], transmitter: Transmitter, ofdm: OfdmConfig) -> complex:
    """What a transmitter multiplies a burst by, beside what it mirrors, adds and distorts."""
    symbols = burst[preamble_len(ofdm) :].astype(np.complex128)
    radiated = transmitter.radiate(burst)[preamble_len(ofdm) :].astype(np.complex128)
    parts = np.stack([symbols, symbols.conj(), np.ones(len(symbols))], axis=1)
    return complex(np.linalg.lstsq(parts, radiated, rcond=None)[0][0])


def _turned(sender: Leg, heard_by: Leg, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rad, of the sender's carrier against the receiver's, phase noise apart."""
    carriers = (replace(carrier.crystal, jitter=None) for carrier in (sender.tx, heard_by.rx))
    up, down = (crystal.phase(times_s) for crystal in carriers)
    return np.asarray(up + sender.tx.turn - down - heard_by.rx.turn)


def _mean_slope(values: NDArray[np.float64], times_s: NDArray[np.float64]) -> float:
    return float((values[1] - values[0]) / (times_s[1] - times_s[0]))
