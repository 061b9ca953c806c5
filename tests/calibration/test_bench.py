"""What a bench does to radios that it corrects."""

import numpy as np
import pytest

from calibration.bench import Bench, Terms
from calibration.search import Searcher
from radio.front_end_correction import apply_front_end
from radio.hardware_correction import ReceiveCorrection, TransmitCorrection
from radio.interface import FullScaleError, RadioConfig, RadioStatus
from radio.ofdm import OfdmConfig

NOISE = np.full(1000, 0.01 - 0.02j, np.complex64)


class StandIn:
    """A radio that keeps what it is set to and sent, and hears the same over and over."""

    def __init__(self):
        self.config = RadioConfig(sample_rate_hz=4e6, center_hz=915e6, tx_gain_db=-30.0)
        self.settings, self.sent = [], []

    def configure(self, **settings):
        self.settings.append(settings)
        self.config = RadioConfig(**vars(self.config) | settings)
        return self.config

    def status(self):
        return RadioStatus(epoch=0, serial="a", firmware="b")

    def now(self):
        return 0

    def transmit(self, samples, at):
        self.sent.append(samples)

    def receive(self, at, num_samples, deadline_s):
        return apply_front_end(NOISE[:num_samples], 0.1j, 0.05)

    def close(self):
        pass


def bench_of(step_db):
    receiver, transmitters = StandIn(), {0: StandIn(), 1: StandIn()}
    terms = Terms(
        backoff_db=15.0, meeting_s=1.0, shared_clock=True, tx_gain_step_db=step_db, lowest_tx_gain_db=-89.75
    )
    return Bench(receiver, transmitters, Searcher(ofdm=OfdmConfig(), max_cfo_hz=1e3), terms), transmitters


@pytest.mark.parametrize(
    ("step_db", "settings", "gain_db"), [(0.25, [{"tx_gain_db": -33.0}], -33.0), (0.0, [], -30.0)]
)
def test_a_level_is_left_to_the_attenuator_where_there_is_one(step_db, settings, gain_db):
    bench, radios = bench_of(step_db)
    done = bench.correct(ReceiveCorrection(), {0: TransmitCorrection(level_db=-3.1), 1: TransmitCorrection()})
    assert radios[0].settings == settings
    assert radios[1].settings == []
    assert done == {
        "0": {"level_db": -3.1, "tx_gain_db": gain_db}, "1": {"level_db": 0.0, "tx_gain_db": -30.0}
    }  # fmt: skip
    bench._transmitters[0].restart()
    with pytest.raises(FullScaleError):
        bench._transmit(0, (np.full(3, 1.5, np.complex64), 5))
    sent = np.full(3, 0.5, np.complex64)
    bench._transmit(0, (sent, 5))
    np.testing.assert_allclose(radios[0].sent[0], sent * 10 ** ((-3.1 - (gain_db + 30.0)) / 20), rtol=1e-6)


def test_what_is_heard_is_corrected_and_a_tone_has_the_room_that_the_worst_mixer_leaves():
    bench, _ = bench_of(0.0)
    assert bench.tone_room == 1.0
    bench.correct(
        ReceiveCorrection(image=0.1j, dc=0.05),
        {0: TransmitCorrection(image=0.1j, leakage=0.05), 1: TransmitCorrection(image=0.02)},
    )
    np.testing.assert_allclose(bench.listen("silence", 100).samples, NOISE[:100], atol=1e-7)
    assert bench.tone_room == pytest.approx(0.85)
