"""Profiles as a calibration would make them, with what a test says in them."""

from calibration.profile import (
    DeviceProfile,
    Numerology,
    Profile,
    ReceiverProfile,
    estimate,
    number,
)

AT_S = 1.7e9
NUMEROLOGY = Numerology(
    center_hz=915e6, sample_rate_hz=4e6, fft_len=256, prefix_len=64, num_active=192, backoff_db=15.0
)


def device_profile(
    device, gain_db=None, *, gain_std_db=0.02, snr_db=30.0, image=None, leakage=None, **fields
):
    """image, leakage: known to -60 dB."""
    made = {"serial": f"sim-{device}", "firmware": "f", "tx_gain_db": 0.0}
    if gain_db is not None:
        made["gain_db"] = estimate(gain_db, gain_std_db, AT_S, "path")
        made["snr_db"] = estimate(snr_db, 0.1, AT_S, "path")
    for name, value in (("image", image), ("leakage", leakage)):
        if value is not None:
            made[name] = number(value, 1e-3, AT_S, "hardware")
    return DeviceProfile(device=device, **made | fields)


def profile_of(*devices, **fields):
    """Of a receiver without faults, unless `receiver` is among the fields."""
    receiver = ReceiverProfile(serial="sim--1", firmware="f", rx_gain_db=0.0)
    made = {"receiver": receiver, "numerology": NUMEROLOGY, "made_at_s": AT_S, "shared_clock": True}
    return Profile(devices=devices, **made | fields)
