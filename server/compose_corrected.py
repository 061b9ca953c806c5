"""Composition root of corrected radios: those of a run that names a profile, behind what the profile says of them."""

from collections.abc import Mapping

from radio.corrected_radio import CorrectedRadio
from radio.interface import Radio
from radio.radio_identity import RECEIVER, place_of, wrong_radio
from server.config import ConfigError, Experiment


def corrected(
    experiment: Experiment, receiver: Radio, transmitters: Mapping[int, Radio]
) -> tuple[Radio, Mapping[int, Radio]]:
    """Radios that are open, by device; as they are where no profile is named. ConfigError for one that is another."""
    applied = experiment.applied
    if applied is None:
        return receiver, transmitters
    opened = {RECEIVER: receiver} | {place_of(device): radio for device, radio in transmitters.items()}
    if applied.for_any_radio:
        opened = {}
    for place, radio in opened.items():
        source = f'radio.profile = "{applied.path}"'
        if reason := wrong_radio(place, radio.status().serial, applied.serials, source):
            raise ConfigError(reason)
    return CorrectedRadio(receiver, receive=applied.receive), {
        device: CorrectedRadio(radio, transmit=applied.devices[device].transmit)
        for device, radio in transmitters.items()
    }
