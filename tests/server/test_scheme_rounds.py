"""Every scheme on every support, round by round over the symbol channel: what is recorded, kept, paid and resumed."""

import math

import numpy as np
import pytest

from devices import messages
from radio.decibel import from_db
from radio.resource_map import num_payload_symbols
from server.checkpoint import read_checkpoint
from server.experiment import run_arm
from server.recorder import read_rounds
from tests.server.fleet import DIMENSION, make_rounds

SCHEMES = ("phase", "inversion", "mmse", "reed", "digital")
SUPPORTS = ("own", "shared-random", "shared-vote")
EVERY = [(scheme, support) for scheme in SCHEMES for support in SUPPORTS]
POWER_DB = (0.0, -6.0, 3.0, -20.0, 0.0, 1.0)
NUM_KEPT = 80
SYMBOL_S = 320 / 4e6
ZERO = np.zeros(DIMENSION, np.float32)


def rounds_of(scheme, support, **changes):
    """Four of six devices a round, unequal budgets, one Rayleigh gain each."""
    tables = {
        "run": {
            "rounds": 6,
            "test_tasks": 4,
            "progress_tasks": 2,
            "evaluate_every": 3,
            "checkpoint_every": 2,
        },
        "fleet": {"devices": 6, "active": 4, "held_out": 2, "power_db": POWER_DB},
        "update": {"support": support, "keep": NUM_KEPT / DIMENSION, "block": 16},
    }
    return make_rounds(scheme=scheme, fading="rayleigh", snr_db=20.0, link={
        "backend": "symbol", "scheme": scheme, "fading": "rayleigh", "snr_db": 20.0, "threshold": 0.1,
    }, **(tables | changes))  # fmt: skip


def num_elements(scheme, support):
    if scheme == "phase" and support == "own":
        return round(0.4 * DIMENSION)
    num_values = DIMENSION if support == "own" else NUM_KEPT
    return 2 * num_values if scheme == "reed" else num_values // 2


@pytest.mark.parametrize(("scheme", "support"), EVERY)
def test_a_round_records_its_cost_and_devices_keep_what_they_did_not_send(scheme, support):
    rounds = rounds_of(scheme, support)
    theta = ZERO
    for index in range(3):
        rule = rounds.support_rule
        shared = rule.choose(index, DIMENSION) if rule else None
        theta, record, *_ = rounds.run(index, theta)
        assert "failed" not in record
        active = [rounds.proxy.devices[device] for device in record["active"]]
        for device in active:
            np.testing.assert_allclose(device.sent + device.memory, device.update, rtol=1e-6)
            if shared is not None:
                assert set(np.flatnonzero(device.sent)) <= set(shared)
        assert len(record["devices"]) == 4
        budgets = np.array([from_db(POWER_DB[device]) for device in record["active"]])
        aimed, announced = scheme == "mmse", support == "shared-vote"
        # power and scale, energy and aim; and which 5 of the 25 blocks were chosen, which of them cut short
        vote_bits = math.ceil(math.log2(math.comb(25, 5))) + math.ceil(math.log2(5))
        expected_bits = 32 * 5 * (2 if aimed else 1) + announced * vote_bits
        assert record["control_bits"] == expected_bits
        assert record["overhead_uses"] == 0  # the sounding is given here
        if scheme == "digital":
            check_account(record, active, budgets)
        else:
            uses = num_elements(scheme, support)
            assert record["channel_uses"] == uses
            symbols = num_payload_symbols(uses, rounds.uplink._schedule.ofdm)
            assert record["airtime_s"] == pytest.approx(symbols * SYMBOL_S)
            assert 0.0 < record["transmit_energy"] <= np.sum(budgets) * uses * (1.0 + 1e-9)
            assert 0.0 < record["nmse_air"] < 3.0


def check_account(record, active, budgets):
    """Bits over log2(1 + SNR / gap), one device after the other, in elements, energy and air time."""
    noise_variance, gap = 0.01, from_db(3.0)
    uses = []
    for device, budget in zip(active, budgets, strict=True):
        count = np.count_nonzero(device.sent)
        rate = math.log2(1.0 + budget * abs(device.channel.gains[0]) ** 2 / noise_variance / gap)
        fewest = count * 8 / rate  # the values alone
        uses.append(device.num_bits / rate)
        assert fewest < uses[-1]
    assert record["channel_uses"] == math.ceil(sum(uses))
    assert record["transmit_energy"] == pytest.approx(budgets @ uses)
    assert record["airtime_s"] == pytest.approx(sum(uses) / 192 * SYMBOL_S)
    assert record["accounted"]
    assert record["nmse"] == 0.0


def powers_of(rounds, record):
    """Of each device of the last round, the mean power of its elements over its budget."""
    found = []
    for device in record["devices"]:
        amplitudes = rounds.proxy.devices[device].amplitudes
        found.append(float(np.mean(np.abs(amplitudes) ** 2)) / from_db(POWER_DB[device]))
    return found


@pytest.mark.parametrize(("scheme", "support"), [pair for pair in EVERY if pair[0] != "digital"])
def test_nobody_exceeds_a_budget_in_any_round_and_one_meets_it(scheme, support):
    rounds = rounds_of(scheme, support)
    theta = ZERO
    for index in range(6):
        theta, record, *_ = rounds.run(index, theta)
        powers = powers_of(rounds, record)
        assert max(powers) == pytest.approx(1.0, rel=1e-6)  # amplitudes may be of single precision


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.mark.parametrize(
    ("scheme", "support"), [*((each, "shared-vote") for each in SCHEMES), ("mmse", "own")]
)
def test_killed_in_the_middle_and_resumed_a_run_ends_with_the_same_bits(scheme, support, tmp_path):
    def kill(record):
        if record["round"] == 4:  # one round after a checkpoint
            raise Killed

    run_arm(tmp_path / "whole", rounds_of(scheme, support), lambda record: None)
    with pytest.raises(Killed):
        run_arm(tmp_path / "killed", rounds_of(scheme, support), kill)
    run_arm(tmp_path / "killed", rounds_of(scheme, support), lambda record: None)
    whole, resumed = read_checkpoint(tmp_path / "whole"), read_checkpoint(tmp_path / "killed")
    assert whole.theta.tobytes() == resumed.theta.tobytes()
    assert whole.support.keys() == resumed.support.keys()
    assert bool(whole.support) == (support == "shared-vote")
    for name, values in whole.support.items():
        assert values.tobytes() == resumed.support[name].tobytes()
    assert read_rounds(tmp_path / "whole") == read_rounds(tmp_path / "killed")


@pytest.mark.parametrize(
    ("scheme", "support"), EVERY[1:]
)  # the first has a test of its own, with fewer entries
def test_with_long_memory_the_mean_target_is_reached(scheme, support):
    rounds = rounds_of(
        scheme, support, learning={"outer_rate": 0.05},
        fleet={"devices": 4, "held_out": 2, "power_db": 0.0},
    )  # fmt: skip
    theta = ZERO
    for index in range(150):
        theta = rounds.run(index, theta).theta
    goal = np.mean([rounds.proxy.devices[device].target for device in range(4)], axis=0)
    assert np.linalg.norm(theta - goal) < 0.25 * np.linalg.norm(goal)


@pytest.mark.parametrize("support", SUPPORTS)
def test_error_free_rounds_take_the_exact_step_on_the_support_and_nothing_else(support):
    rounds = make_rounds(
        backend="ideal", scheme="ideal", update={"support": support, "keep": NUM_KEPT / DIMENSION}
    )
    rule = rounds.support_rule
    shared = np.arange(DIMENSION) if rule is None else rule.choose(0, DIMENSION)
    theta, record, *_ = rounds.run(0, ZERO)
    step = 0.3 * np.mean([rounds.proxy.devices[device].target for device in range(4)], axis=0)
    np.testing.assert_allclose(theta[shared], step[shared], rtol=1e-5)
    assert np.count_nonzero(theta) == len(shared) == 2 * record["channel_uses"]


def test_rho_says_what_arrives_of_a_value_that_no_device_lacks_power_for():
    rounds = rounds_of("mmse", "own", fleet={"devices": 4, "held_out": 2, "power_db": 40.0})
    record = rounds.run(0, ZERO).record
    arrived = [d.channel.gains * d.amplitudes for d in map(rounds.proxy.devices.get, record["devices"])]
    sent = [rounds.proxy.devices[device].sent for device in record["devices"]]
    ratio = np.linalg.norm(sum(arrived)) / np.linalg.norm(sum(sent))
    assert record["rho"] == pytest.approx((ratio * record["outer_rate"]) ** 2, rel=1e-5)


def test_updates_that_are_all_zero_fail_a_round_with_an_aim():
    rounds = rounds_of("mmse", "own")
    for device in rounds.proxy.devices.values():
        device.target = ZERO
    assert rounds.run(0, ZERO).record["failed"] == "every update is zero; nothing to transmit"


def test_bits_that_are_none_fail_the_round_and_name_the_device():
    class Liar:
        """Answers with bits that it did not pack."""

        def __init__(self, device):
            self.device = device

        def handle(self, request):
            reply = self.device.handle(request)
            if isinstance(request, messages.Transmit):
                reply = messages.Sent((), reply.amplitudes, reply.sent, reply.left, reply.bits[:9], 72)
            return reply

    rounds = rounds_of("digital", "own", fleet={"devices": 4, "held_out": 2})
    rounds.proxy.devices[2] = Liar(rounds.proxy.devices[2])
    theta, record, *_ = rounds.run(0, ZERO)
    assert record["failed"].startswith("bits of device 2: ")
    np.testing.assert_array_equal(theta, ZERO)


def test_values_that_do_not_travel_leave_the_parameters_alone():
    rounds = rounds_of("mmse", "shared-random")
    theta = rounds.run(0, ZERO).theta
    support = rounds.support_rule.choose(0, DIMENSION)
    np.testing.assert_array_equal(np.flatnonzero(theta), support)
