"""How noisy an experiment's receiver is: from an SNR, from a noise figure and the transmitters' power, or measured."""

from radio.decibel import from_db, to_db
from radio.frame import element_level
from radio.impairments import Impairments
from radio.thermal_noise import noise_dbm
from server.config import Experiment


def element_noise_variance(experiment: Experiment) -> float:
    """E|n|^2 of a resource element whose power at the transmitter is 1; the same on every backend, 0 on "ideal".

    noise "snr": snr_db is what arrives over the noise, so that noise falls with the path loss.
    noise "figure": k T0 B F in a sample, B the sample rate, or what was measured there, over the power of a resource
        element, which lies element_level**2 over full scale; the transform is unitary, so that an element has the
        noise of a sample.
    """
    link, air, ofdm = experiment.link, experiment.air, experiment.ofdm()
    if link.backend == "ideal":
        return 0.0
    if link.noise == "snr":
        return from_db(-link.snr_db + mean_power_db(experiment))
    law, level = experiment.law(), element_level(link.backoff_db, ofdm)
    if not isinstance(law, Impairments):
        return law.noise_at(ofdm.sample_rate_hz) / level**2
    received_dbm = noise_dbm(ofdm.sample_rate_hz, law.noise_figure_db)
    return from_db(received_dbm - air.full_scale_dbm) / level**2


def mean_snr_db(experiment: Experiment) -> float | None:
    """Mean received power of a device that uses all its power, over the noise, per resource element.

    None without noise, and over radios, which do not know it before they have heard each other.
    """
    link = experiment.link
    if link.backend == "pluto" and (experiment.radio.uris or link.noise == "figure"):
        return None
    noise_variance = element_noise_variance(experiment)
    if noise_variance == 0.0:
        return None
    return -to_db(noise_variance) + mean_power_db(experiment)


def mean_power_db(experiment: Experiment) -> float:
    """E|h|^2 over devices: by what is stated, or of measured devices over their subcarriers as well."""
    law = experiment.law()
    if isinstance(law, Impairments):
        return -law.path_loss_db
    freqs_hz = experiment.ofdm().active_freqs_hz.tolist()
    return to_db(sum(device.mean_power(freqs_hz) for device in law.devices) / len(law.devices))
