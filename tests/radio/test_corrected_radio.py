"""What a corrected radio sends, through the simulated transmitter, is what was wanted; the same of a receiver."""

import numpy as np
import pytest

from radio.corrected_radio import CorrectedRadio
from radio.front_end_correction import apply_front_end
from radio.hardware_correction import (
    ReceiveCorrection,
    TransmitCorrection,
    predistort,
    restore,
    share_with_attenuator,
)
from radio.interface import FullScaleError, RadioConfig, RadioStatus
from sim_backend.transmitter import Transmitter

IMAGE, LEAKAGE = 0.1 * np.exp(0.7j), 0.1 * np.exp(-2.1j)
FAULTY = Transmitter(image=IMAGE, leakage=LEAKAGE, saturation=0.5, smoothness=2.0)
CURE = TransmitCorrection(image=IMAGE, leakage=LEAKAGE, saturation_db=20 * np.log10(0.5), smoothness=2.0)


def disc(rng, most, count=20_000):
    """Samples of every phase and every magnitude up to `most`."""
    return (most * rng.uniform(size=count) * np.exp(2j * np.pi * rng.uniform(size=count))).astype(
        np.complex64
    )


class Wire:
    """Stands in for a radio: keeps what it is given, gives what it was told."""

    def __init__(self, heard=None):
        self.sent, self.heard, self.log = [], heard, []
        self.config = RadioConfig(sample_rate_hz=1e6, center_hz=9e8)

    def configure(self, **settings):
        self.log.append(settings)
        return self.config

    def status(self):
        return RadioStatus(epoch=3, serial="a", firmware="b")

    def now(self):
        return 17

    def transmit(self, samples, at):
        self.sent.append((samples, at))

    def receive(self, at, num_samples, deadline_s):
        return self.heard[at : at + num_samples]

    def close(self):
        self.log.append("closed")


def test_predistorted_samples_leave_the_transmitter_as_they_were_wanted(rng):
    wanted = disc(
        rng, 0.42
    )  # of the 0.44 to 0.47 that this amplifier gives when it is driven as far as the mixer lets
    np.testing.assert_allclose(FAULTY.radiate(predistort(wanted, CURE)), wanted, atol=2e-6)
    assert np.abs(FAULTY.radiate(wanted) - wanted).max() > 0.1


@pytest.mark.parametrize("level_db", [-0.1, -3.0, -40.0])
def test_a_level_is_all_that_is_left_of_a_correction(level_db, rng):
    wanted = disc(rng, 0.42)
    cure = TransmitCorrection(
        level_db=level_db, image=IMAGE, leakage=LEAKAGE, saturation_db=CURE.saturation_db, smoothness=2.0
    )
    expected = 10 ** (level_db / 20) * wanted
    np.testing.assert_allclose(FAULTY.radiate(predistort(wanted, cure)), expected, atol=2e-6)


def test_an_amplifier_is_driven_up_to_full_scale_and_no_further(rng):
    wanted = disc(rng, 0.7)
    converted = predistort(wanted, CURE)
    peak = np.abs(converted.view(np.float32)).max()
    assert 0.999 < peak <= 1.0
    got = FAULTY.radiate(converted)
    np.testing.assert_allclose(np.angle(got / wanted)[np.abs(wanted) > 1e-3], 0.0, atol=1e-4)
    short = np.abs(got) < np.abs(wanted) - 1e-5
    assert short.any()
    edge = np.abs(converted[short].view(np.float32).reshape(-1, 2)).max(axis=1)
    np.testing.assert_allclose(edge, 1.0, atol=1e-5)  # more is not to be had at that phase
    assert np.linalg.norm(got - wanted) < np.linalg.norm(FAULTY.radiate(wanted) - wanted)


def test_samples_that_the_mixers_correction_takes_beyond_full_scale_are_refused_with_or_without_an_amplifier(
    rng,
):
    for cure in (CURE, TransmitCorrection(image=IMAGE, leakage=LEAKAGE)):
        assert cure.room == pytest.approx((1 - 0.01 - 0.1 * 1.1) / (1 + np.sqrt(2) * 0.1))
        square = rng.uniform(-1, 1, size=(20_000, 2)) @ [1, 1j]
        predistort((square * 0.999 / cure.growth).astype(np.complex64), cure)
        with pytest.raises(FullScaleError, match=r"peak 1\.\d\d > 1\.00"):
            predistort((square * 0.99).astype(np.complex64), cure)


def test_no_correction_changes_no_bit(rng):
    samples = disc(rng, 1.0)
    assert predistort(samples, TransmitCorrection()).tobytes() == samples.tobytes()
    assert restore(samples, ReceiveCorrection()).tobytes() == samples.tobytes()


def test_a_radio_sends_what_is_predistorted_and_hears_what_arrived_and_passes_on_the_rest(rng):
    arrived = disc(rng, 0.3)
    faults = ReceiveCorrection(image=0.1j, dc=0.05 - 0.02j)
    beneath = Wire(apply_front_end(arrived, faults.image, faults.dc))
    radio = CorrectedRadio(beneath, CURE, faults)
    radio.transmit(arrived, 5)
    samples, at = beneath.sent[0]
    assert at == 5
    np.testing.assert_allclose(FAULTY.radiate(samples), arrived, atol=2e-6)
    np.testing.assert_allclose(radio.receive(100, 50, 1.0), arrived[100:150], atol=1e-6)
    assert (radio.now(), radio.status(), radio.config) == (17, beneath.status(), beneath.config)
    radio.configure(center_hz=1e9)
    radio.close()
    assert beneath.log == [{"center_hz": 1e9}, "closed"]
    with pytest.raises(FullScaleError):
        radio.transmit(np.full(8, 1.5, np.complex64), 0)
    assert len(beneath.sent) == 1


@pytest.mark.parametrize(
    ("level_db", "gain_db", "rest_db"),
    [
        (0.0, -30.0, 0.0),
        (-0.2, -30.0, -0.2),
        (-3.0, -33.0, 0.0),
        (-3.1, -33.0, -0.1),
        (-70.0, -89.75, -10.25),
    ],
)
def test_an_attenuator_takes_whole_steps_of_a_level_and_the_samples_the_rest(level_db, gain_db, rest_db):
    cure = TransmitCorrection(level_db=level_db, image=IMAGE)
    gain, rest = share_with_attenuator(cure, -30.0, 0.25, -89.75)
    assert gain == pytest.approx(gain_db, abs=1e-9)
    assert rest.level_db == pytest.approx(rest_db, abs=1e-9)
    assert rest.image == IMAGE
    assert share_with_attenuator(cure, 0.0, 0.0, 0.0) == (0.0, cure)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (TransmitCorrection, {"level_db": 0.1}, r"level_db must be in \[-120, 0\]: no device is raised .* got 0\.1"),
        (TransmitCorrection, {"level_db": float("nan")}, "level_db must be"),
        (TransmitCorrection, {"image": 0.5, "leakage": 0.5}, r"leave 0 of full scale, less than 0\.25; mend"),
        (TransmitCorrection, {"saturation_db": -50.0}, r"saturation_db must be in \[-40, 200\], got -50"),
        (TransmitCorrection, {"smoothness": 0.1}, r"smoothness must be in \[0\.5, 20\], got 0\.1"),
        (ReceiveCorrection, {"image": 1j}, r"image must be below 1 \(0 dB\)"),
        (ReceiveCorrection, {"dc": 2.0}, "dc must be within full scale, got 2"),
    ],
)  # fmt: skip
def test_corrections_that_cannot_be_are_refused_at_birth(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)
