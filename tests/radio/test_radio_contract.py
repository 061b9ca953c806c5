"""The contract of a Radio, on each implementation: a transmitter and a receiver whose clocks count from instants of
their own, so that every test sounds first, as a server does.

On real radios, wired as in docs/hardware.md: `AIRMETA_TX_URI=ip:... AIRMETA_RX_URI=ip:... python -m pytest -m hardware`
"""

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from radio.corrected_radio import CorrectedRadio
from radio.hardware_correction import ReceiveCorrection, TransmitCorrection
from radio.interface import (
    EPOCH_LEN,
    EpochError,
    FullScaleError,
    LateError,
    OverrunError,
    Radio,
    RadioConfig,
    RadioError,
)
from radio.safety import SafetyLimits
from radio.scenarios import SCENARIOS
from tests.reference.benches import first_host

RATE_HZ = 1e6
CENTER_HZ = 915e6
CONFIG = RadioConfig(sample_rate_hz=RATE_HZ, center_hz=CENTER_HZ, tx_gain_db=-10.0)
RING_S = 1.0
TURN_S = 0.5  # from now() of the transmitter until a short burst has surely arrived
PATIENCE_S = 30.0  # of wall time
LEISURE_S = 1.0  # ahead of now(): a busy machine has given all bursts long before the first leaves


@dataclass(frozen=True)
class Pair:
    tx: Radio
    rx: Radio
    other_center_hz: float = 868e6


@contextmanager
def simulated():
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    from sim_backend.air import Air
    from sim_backend.front_end import draw_front_end
    from sim_backend.medium import PathMedium
    from sim_backend.radio import SimRadio

    impairments = SCENARIOS["identity"].changed()
    air = Air(PathMedium(impairments, 1), RING_S)
    config = RadioConfig(sample_rate_hz=RATE_HZ, center_hz=CENTER_HZ)

    def station(port, clock_offset):
        return SimRadio(
            air, port, config, draw_front_end(impairments, 1, port, RATE_HZ, 0.0, 0.01), clock_offset
        )

    yield Pair(station(0, 1234), station(-1, 77))


@contextmanager
def corrected():
    """Behind corrections of faults that the simulated radios do not have."""
    transmit = TransmitCorrection(
        level_db=-1.0, image=0.03j, leakage=0.01j, saturation_db=-1.0, smoothness=2.0
    )
    receive = ReceiveCorrection(image=0.03, dc=0.01)
    with simulated() as pair:
        yield Pair(CorrectedRadio(pair.tx, transmit, receive), CorrectedRadio(pair.rx, transmit, receive))


@contextmanager
def virtual():
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    pytest.importorskip("adi", reason="needs pyadi-iio and pylibiio (extra radio)")
    from radio.pluto import StreamShape, open_pluto
    from sim_backend.stream_air import StreamAirConfig
    from sim_backend.virtual_bench import VirtualBench

    limits = SafetyLimits(allowed_bands_hz=((902e6, 928e6), (863e6, 870e6)), max_duty=1.0)
    shape = StreamShape(ring_s=RING_S)
    with ExitStack() as stack:
        bench = stack.enter_context(
            VirtualBench(2, StreamAirConfig(noise_variance=0.0), first_host=first_host())
        )
        rx = stack.enter_context(open_pluto(bench.uris[1], CONFIG, transmits=False, shape=shape))
        tx = stack.enter_context(open_pluto(bench.uris[0], CONFIG, limits, receives=False, shape=shape))
        yield Pair(tx, rx)


@contextmanager
def real():
    missing = [name for name in ("AIRMETA_TX_URI", "AIRMETA_RX_URI") if name not in os.environ]
    if missing:
        pytest.skip(f"needs two Plutos on a cable: set {' and '.join(missing)} (docs/hardware.md)")
    from radio.pluto import StreamShape, open_pluto

    limits = SafetyLimits(conducted=True, max_duty=0.5)
    config = RadioConfig(sample_rate_hz=RATE_HZ, center_hz=CENTER_HZ, tx_gain_db=-40.0, rx_gain_db=40.0)
    shape = StreamShape(ring_s=RING_S)
    with ExitStack() as stack:
        rx = stack.enter_context(
            open_pluto(os.environ["AIRMETA_RX_URI"], config, transmits=False, shape=shape)
        )
        tx = stack.enter_context(
            open_pluto(os.environ["AIRMETA_TX_URI"], config, limits, receives=False, shape=shape)
        )
        yield Pair(tx, rx)


@pytest.fixture(params=[
    pytest.param(simulated, id="sim"),
    pytest.param(corrected, id="corrected"),
    pytest.param(virtual, id="virtual-pluto"),
    pytest.param(real, id="pluto", marks=pytest.mark.hardware),
])  # fmt: skip
def pair(request):
    with request.param() as pair:
        yield pair


def burst(rng, count, level=0.1):
    return (level * (rng.normal(size=count) + 1j * rng.normal(size=count))).astype(np.complex64)


def find(heard, sent):
    """Where a burst begins, and how much of it is there: 1 is all. Products of neighbours, so that a carrier offset
    is a mere phase."""
    late, early = heard[1:] * heard[:-1].conj(), sent[1:] * sent[:-1].conj()
    correlation = np.abs(np.correlate(late, early, "valid"))
    place = int(correlation.argmax())
    piece = late[place : place + len(early)]
    return place, float(correlation[place] / (np.linalg.norm(piece) * np.linalg.norm(early) + 1e-30))


def sound(pair, rng):
    """Receive index minus transmit index."""
    sent = burst(rng, 1000)
    since = pair.rx.now()
    at = pair.tx.now()
    pair.tx.transmit(sent, at)
    place, likeness = find(pair.rx.receive(since, round(TURN_S * RATE_HZ), PATIENCE_S), sent)
    assert likeness > 0.9
    return since + place - at


def test_a_radio_says_what_it_is_and_what_it_holds(pair):
    for radio in (pair.tx, pair.rx):
        status = radio.status()
        assert (status.epoch, status.underflows, status.overflows) == (0, 0, 0)
        assert status.serial
        assert status.firmware
        assert radio.config.sample_rate_hz == pytest.approx(RATE_HZ, abs=4)
        assert radio.config.center_hz == pytest.approx(CENTER_HZ, abs=8)


def test_transmit_and_receive_indices_keep_their_distance(pair, rng):
    distance = sound(pair, rng)
    for _ in range(3):
        sent = burst(rng, 700)
        at = pair.tx.now() + 12_345
        pair.tx.transmit(sent, at)
        heard = pair.rx.receive(at + distance - 50, 800, PATIENCE_S)
        place, likeness = find(heard, sent)
        assert abs(place - 50) <= 1 + 40e-6 * 3 * TURN_S * RATE_HZ  # two crystals of 20 ppm
        assert likeness > 0.9
    assert pair.tx.status().underflows == pair.rx.status().overflows == 0


def test_bursts_side_by_side_leave_no_gap(pair, rng):
    distance = sound(pair, rng)
    sent = burst(rng, 30_000)
    at = pair.tx.now() + round(LEISURE_S * RATE_HZ)
    for first in range(0, 30_000, 10_000):
        pair.tx.transmit(sent[first : first + 10_000], at + first)
    place, likeness = find(pair.rx.receive(at + distance - 100, 30_200, PATIENCE_S), sent)
    assert abs(place - 100) <= 41
    assert likeness > 0.9


def test_a_late_burst_is_refused_and_the_earliest_is_heard_whole(pair, rng):
    distance = sound(pair, rng)
    with pytest.raises(LateError, match="is late, the clock reads"):
        pair.tx.transmit(burst(rng, 100), pair.tx.now() - round(0.2 * RATE_HZ))
    sent = burst(rng, 1000)
    at = pair.tx.now()
    pair.tx.transmit(sent, at)
    place, likeness = find(pair.rx.receive(at + distance - 100, 1200, PATIENCE_S), sent)
    assert abs(place - 100) <= 41
    assert likeness > 0.9


def test_overlapping_bursts_are_refused(pair, rng):
    at = pair.tx.now() + round(LEISURE_S * RATE_HZ)
    pair.tx.transmit(burst(rng, 200), at)
    with pytest.raises(RadioError, match=r"overlaps its burst at \d+"):
        pair.tx.transmit(burst(rng, 200), at + 150)
    pair.tx.transmit(burst(rng, 200), at + 200)


def test_over_full_scale_is_refused_not_clipped(pair):
    with pytest.raises(FullScaleError, match=r"peak 1\.50"):
        pair.tx.transmit(np.full(8, 1.5, np.complex64), pair.tx.now() + 1000)
    with pytest.raises(FullScaleError):
        pair.tx.transmit(np.full(8, np.nan, np.complex64), pair.tx.now() + 1000)


def test_the_past_can_be_asked_for_as_far_as_the_ring_reaches(pair):
    first = pair.rx.now()
    heard = pair.rx.receive(first, 5000, PATIENCE_S)
    pair.rx.receive(first + round(0.9 * RING_S * RATE_HZ), 2000, PATIENCE_S)
    np.testing.assert_array_equal(pair.rx.receive(first, 5000, PATIENCE_S), heard)
    pair.rx.receive(first + round(1.3 * RING_S * RATE_HZ), 2000, PATIENCE_S)
    with pytest.raises(OverrunError, match=r"samples from \d+ are gone: the ring reaches back to"):
        pair.rx.receive(first, 10, PATIENCE_S)


def test_a_deadline_before_the_last_sample_is_a_timeout(pair):
    at = pair.rx.now() + round(20 * RATE_HZ)
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        pair.rx.receive(at, 10, 0.05)
    assert len(pair.rx.receive(pair.rx.now(), 100, PATIENCE_S)) == 100


@pytest.mark.parametrize("setting", ["sample_rate_hz", "center_hz"])
def test_a_new_rate_or_frequency_begins_an_epoch_and_old_indices_are_refused(pair, rng, setting):
    old_tx, old_rx = pair.tx.now(), pair.rx.now()
    pair.rx.receive(old_rx, 4000, PATIENCE_S)
    assert pair.tx.configure(**{setting: getattr(pair.tx.config, setting)}) == pair.tx.config
    assert pair.tx.status().epoch == 0  # nothing changed
    value = {"sample_rate_hz": 2e6, "center_hz": pair.other_center_hz}[setting]
    for radio in (pair.tx, pair.rx):
        config = radio.configure(**{setting: value})
        assert config == radio.config
        assert getattr(config, setting) == pytest.approx(value, abs=8)
        assert radio.status().epoch == 1
        assert radio.now() // EPOCH_LEN == 1
    with pytest.raises(EpochError, match=f"index {old_tx + 10**6} belongs to epoch 0, this is epoch 1"):
        pair.tx.transmit(burst(rng, 10), old_tx + 10**6)
    with pytest.raises(EpochError):
        pair.rx.receive(old_rx, 10, PATIENCE_S)
    with pytest.raises(EpochError, match="belongs to epoch 2"):
        pair.rx.receive(2 * EPOCH_LEN, 10, PATIENCE_S)
    with pytest.raises(RadioError, match="before the epoch's start"):
        pair.rx.receive(EPOCH_LEN, 10, PATIENCE_S)
    sent = burst(rng, 1000)
    since = pair.rx.now()
    pair.tx.transmit(sent, pair.tx.now())
    _, likeness = find(
        pair.rx.receive(since, round(TURN_S * pair.rx.config.sample_rate_hz), PATIENCE_S), sent
    )
    assert likeness > 0.9


def test_settings_that_cannot_be_are_refused_and_change_nothing(pair, rng):
    before = pair.tx.config
    with pytest.raises(RadioError, match="unknown radio setting 'volume'; known: center_hz, rx_gain_db"):
        pair.tx.configure(volume=11)
    with pytest.raises(
        RadioError, match=r"sample_rate_hz must be in \[52.000, 6.144e\+07\], asked for 1e\+09"
    ):
        pair.tx.configure(sample_rate_hz=1e9)
    with pytest.raises(RadioError, match="3"):
        pair.tx.configure(tx_gain_db=3.0)
    assert pair.tx.config == before
    sound(pair, rng)


def test_closing_silences_and_ends_it(pair, rng):
    distance = sound(pair, rng)
    long = burst(rng, round(2 * RATE_HZ))
    at = pair.tx.now()
    pair.tx.transmit(long, at)
    on_air = pair.rx.receive(at + distance, 1000, PATIENCE_S)
    pair.tx.close()
    pair.tx.close()
    after = pair.rx.receive(pair.rx.now() + round(TURN_S * RATE_HZ), 1000, PATIENCE_S)
    assert np.mean(np.abs(after) ** 2) < 1e-2 * np.mean(np.abs(on_air) ** 2)
    for use in (lambda: pair.tx.transmit(burst(rng, 10), at), lambda: pair.tx.configure(center_hz=1e9)):
        with pytest.raises(RadioError, match="is closed"):
            use()
    pair.rx.close()
    with pytest.raises(RadioError, match="is closed"):
        pair.rx.receive(at, 10, PATIENCE_S)
