"""An air from a profile: what the remade radios do by themselves is not in it a second time."""

import numpy as np
from made_profile import AT_S, NUMEROLOGY, device_profile, profile_of

from calibration.profile import ResponseEntry
from calibration.remake import measured_air
from radio.ofdm import OfdmConfig

OFDM = OfdmConfig(
    fft_len=NUMEROLOGY.fft_len,
    prefix_len=NUMEROLOGY.prefix_len,
    num_active=NUMEROLOGY.num_active,
    sample_rate_hz=NUMEROLOGY.sample_rate_hz,
)


def test_filters_of_the_remade_radios_are_taken_out_of_the_paths():
    freqs_hz = OFDM.active_freqs_hz
    seen = 0.1 * (np.exp(-2j * np.pi * freqs_hz * 2.5e-7) - 0.4j * np.exp(-2j * np.pi * freqs_hz * 9e-7))

    def passband(at_hz):
        return (1.05 + 0.05 * np.cos(2.0 * np.pi * at_hz * 5e-7)).astype(complex)

    response = ResponseEntry(
        re=tuple(seen.real.tolist()), im=tuple(seen.imag.tolist()), std=1e-6, at_s=AT_S, valid_s=600.0
    )
    profile = profile_of(device_profile(0, -20.0, response=response))
    (device,) = measured_air(profile, lambda gain_db: 0.0, lambda gain_db: 0.0, passband=passband).devices
    paths = np.exp(-2j * np.pi * np.outer(freqs_hz, device.tap_delays_s)) @ np.array(device.taps)
    again = 10.0 ** (device.gain_db / 20.0) * paths * passband(freqs_hz)
    np.testing.assert_allclose(np.abs(again), np.abs(seen), rtol=3e-3)  # but for its delay
