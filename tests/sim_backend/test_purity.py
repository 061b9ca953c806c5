"""How clean a tone is on a radio's own cable, through pyadi-iio: what a bench with real Plutos is accepted by."""

import numpy as np
import pytest

from radio.scenarios import SCENARIOS
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench
from tests.reference.benches import first_host, plutos
from tests.reference.waves import RX_FULL

RATE_HZ, NUM_SAMPLES = 4_000_000, 1 << 16
# The bench's two images may add up to -34 dB; those of a chip that tracks its quadrature errors, 0.2 % and 0.2 degrees
# by the AD9361's data sheet, are at -54 dB.
TRACKED = SCENARIOS["bench"].changed(image_db=-54.0, rx_image_db=-54.0)


@pytest.fixture(scope="module", params=[SCENARIOS["identity"], TRACKED], ids=["identity", "bench"])
def radio(request):
    air = StreamAirConfig(seed=1, impairments=request.param, cable=True)
    with (
        VirtualBench(1, air, patience_s=0.1, first_host=first_host()) as served,
        plutos(
            served.uris,
            sample_rate=RATE_HZ,
            rx_rf_bandwidth=RATE_HZ,
            tx_rf_bandwidth=RATE_HZ,
            gain_control_mode_chan0="slow_attack",
            rx_buffer_size=NUM_SAMPLES,
        ) as (one,),
    ):
        yield one


def spectrum(radio):
    """Power of each bin, full scale = 1, of a window whose side lobes are below -90 dB."""
    for _ in range(8):  # stale blocks, and the gain control's way to its target
        radio.rx()
    got = np.asarray(radio.rx()) / RX_FULL
    window = np.blackman(NUM_SAMPLES) * np.hanning(NUM_SAMPLES)
    return np.abs(np.fft.fft(got * window)) ** 2 / np.sum(window) ** 2


def strongest(power):
    """Frequency of the strongest line in Hz, and by how many dB it exceeds all that is not its own."""
    peak = int(np.argmax(power))
    apart = np.abs((np.arange(len(power)) - peak + len(power) // 2) % len(power) - len(power) // 2)
    spur = power[apart > 64].max()  # 4 kHz: the line, its window, and close-in phase noise
    frequency_hz = np.fft.fftfreq(len(power), 1 / RATE_HZ)[peak]
    return frequency_hz, 10 * np.log10(power[peak] / spur)


@pytest.mark.parametrize("lo_hz", [435_000_000, 915_000_000, 2_450_000_000])
def test_a_full_scale_tone_is_clean(radio, lo_hz):
    radio.rx_lo = radio.tx_lo = lo_hz
    radio.tx_hardwaregain_chan0 = -20
    radio.tx_cyclic_buffer = True
    turns = np.arange(NUM_SAMPLES) * 8192 / NUM_SAMPLES  # 500 kHz
    radio.tx(2**15 * 0.999 * np.exp(2j * np.pi * turns))
    frequency_hz, range_db = strongest(spectrum(radio))
    radio.tx_destroy_buffer()
    assert frequency_hz == pytest.approx(500e3, abs=RATE_HZ / NUM_SAMPLES)
    assert range_db > 40.0


@pytest.mark.parametrize(("asked_hz", "scale"), [(200e3, 0.9), (700e3, 0.45), (1.1e6, 0.1)])
def test_a_generated_tone_has_its_frequency_and_level(radio, asked_hz, scale):
    radio.rx_lo = radio.tx_lo = 2_400_000_000
    radio.tx_hardwaregain_chan0 = -20
    radio.gain_control_mode_chan0 = "manual"
    radio.rx_hardwaregain_chan0 = 30
    radio.dds_single_tone(int(asked_hz), scale)
    power = spectrum(radio)
    radio.dds_single_tone(int(asked_hz), 0.0)
    radio.gain_control_mode_chan0 = "slow_attack"
    frequency_hz, range_db = strongest(power)
    assert frequency_hz == pytest.approx(asked_hz, abs=RATE_HZ / 65536 * 2)  # words are odd
    assert range_db > 40.0
    # +7 dBm at full scale less 20 dB of attenuation and 30 dB of cable, with 30 dB of gain, against 0 dBm
    window = np.blackman(NUM_SAMPLES) * np.hanning(NUM_SAMPLES)
    leakage = NUM_SAMPLES * np.sum(window**2) / np.sum(window) ** 2
    near = np.abs(np.fft.fftfreq(NUM_SAMPLES, 1 / RATE_HZ) - asked_hz) < 100e3
    assert 10 * np.log10(power[near].sum() / leakage) == pytest.approx(
        7 - 20 - 30 + 30 + 20 * np.log10(scale), abs=1.0
    )
