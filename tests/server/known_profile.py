"""The profile that a calibration without any error would make of a simulated air: what was drawn, written down."""

import math
import time

import numpy as np

from calibration.profile import DeviceProfile, Numerology, ReceiverProfile, estimate, number, write_profile
from radio.impairments import NEVER_DB
from sim_backend.front_end import draw_front_end
from sim_backend.path import draw_path
from sim_backend.pluto_context import PlutoModel
from tests.calibration.made_profile import profile_of

EXACT = 1e-9


def known_profile(experiment, at_s=None):
    """snr_db: so high that the weakest device sets the level."""
    at_s = time.time() if at_s is None else at_s
    radio, law, seed = experiment.radio, experiment.law(), experiment.run.seed
    over_plutos, devices = experiment.link.backend == "pluto", experiment.fleet.devices

    def serial(port):
        if over_plutos:
            return PlutoModel(number=devices if port < 0 else port, seed=seed).serial
        return f"sim-{port}@{seed}" if seed else f"sim-{port}"

    made = []
    for device in range(devices):
        path = draw_path(law, seed, device, radio.sample_rate_hz, radio.center_hz)
        transmitter = path.transmitter
        gain_db = 20 * math.log10(abs(path.gain) * np.linalg.norm(path.steady))
        fields = {
            "serial": serial(device),
            "tx_gain_db": radio.tx_gain_db if over_plutos else 0.0,
            "gain_db": estimate(gain_db, EXACT, at_s, "path"),
            "snr_db": estimate(gain_db + 90.0, EXACT, at_s, "path"),
            "image": number(transmitter.image, EXACT, at_s, "hardware"),
            "leakage": number(transmitter.leakage, EXACT, at_s, "hardware"),
        }
        if law.saturation_db < NEVER_DB:
            fields["saturation_db"] = estimate(law.saturation_db, EXACT, at_s, "hardware")
            fields["smoothness"] = estimate(law.rapp_smoothness, EXACT, at_s, "hardware")
        made.append(DeviceProfile(device=device, firmware="f", **fields))
    front_end = draw_front_end(law, seed, devices if over_plutos else -1, radio.sample_rate_hz, 0.0, 1.0)
    receiver = ReceiverProfile(
        serial=serial(-1),
        firmware="f",
        rx_gain_db=radio.rx_gain_db if over_plutos else 0.0,
        image=number(front_end.image, EXACT, at_s, "hardware"),
        dc=number(front_end.offset, EXACT, at_s, "hardware"),
    )
    numerology = Numerology(
        center_hz=radio.center_hz,
        sample_rate_hz=radio.sample_rate_hz,
        fft_len=radio.fft_len,
        prefix_len=radio.prefix_len,
        num_active=radio.active,
        backoff_db=experiment.link.backoff_db,
    )
    return profile_of(*made, receiver=receiver, numerology=numerology, made_at_s=at_s)


def write_known_profile(path, experiment, at_s=None):
    """Returns the profile, too."""
    profile = known_profile(experiment, at_s)
    write_profile(path, profile)
    return profile
