"""Every scheme over samples: as good as over symbols, and nobody louder than its budget."""

import math

import numpy as np
import pytest

from devices import messages
from radio.decibel import from_db
from radio.frame import payload_offset
from radio.resource_map import num_payload_symbols
from server.appraisal import initial_parameters
from server.composition import open_bench, prepare
from server.config import Arm
from server.config_file import build

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
POWER_DB = (0.0, -3.0, 2.0, 0.0)
NUM_ROUNDS = 8


def experiment_of(backend, scheme, support):
    """Four devices with 3,170 parameters; a fifth of them on a shared support, where peaks are high."""
    link = {"backend": backend, "scheme": scheme, "fading": "rayleigh", "snr_db": 20.0, "threshold": 0.02,
            "backoff_db": 25.0}  # fmt: skip
    return build(
        {
            "run": {"threads": 1},
            "task": {"ways": 2, "shots": 1, "queries": 1},
            "model": {"name": "mlp", "width": 4},
            "fleet": {"devices": 4, "held_out": 1, "classes_per_device": 4, "power_db": list(POWER_DB)},
            "update": {"support": support, "keep": 0.04 if support == "own" else 0.2},
            "link": link,
        }
    )


class Overheard:
    """A proxy that keeps what devices sent in the last round."""

    def __init__(self, proxy):
        self.close, self._proxy = proxy.close, proxy

    def ask(self, requests):
        replies = self._proxy.ask(requests)
        if any(isinstance(request, messages.Transmit) for request in requests.values()):
            self.sent = replies
        return replies


def run(backend, scheme, support, on_round=lambda overheard, experiment: None):
    """Records of a few rounds."""
    experiment, records = experiment_of(backend, scheme, support), []
    with open_bench(prepare(Arm("", experiment))) as bench:
        overheard = Overheard(bench.rounds.proxy)
        object.__setattr__(bench.rounds, "proxy", overheard)
        theta = initial_parameters(overheard)
        for index in range(NUM_ROUNDS):
            theta, record, *_ = bench.rounds.run(index, theta)
            assert "failed" not in record
            on_round(overheard, experiment)
            records.append(record)
    return records


def check_powers(overheard, experiment):
    """In the samples themselves: bodies of the payload's symbols hold the energy of its elements, at the level of a
    payload 25 dB below full scale."""
    ofdm, shares = experiment.ofdm(), []
    for device, reply in overheard.sent.items():
        num_elements, samples = len(reply.amplitudes), reply.emitted[0].samples
        num_symbols = num_payload_symbols(num_elements, ofdm)
        start = payload_offset(ofdm)
        symbols = samples[start : start + num_symbols * ofdm.symbol_len].reshape(num_symbols, ofdm.symbol_len)
        energy = float(np.sum(np.abs(symbols[:, ofdm.prefix_len :]) ** 2))
        of_one = from_db(-25.0) * ofdm.fft_len / ofdm.num_active  # energy of an element of power 1
        shares.append(energy / (num_elements * of_one * from_db(POWER_DB[device])))
    assert max(shares) <= 1.0 + 1e-5  # single precision
    assert max(shares) > 0.5  # where no peak is in the way somebody meets it


@pytest.mark.parametrize("scheme", ["phase", "inversion", "mmse", "reed"])
@pytest.mark.parametrize("support", ["own", "shared-vote"])
def test_over_a_waveform_the_error_is_that_over_symbols_within_a_decibel(scheme, support):
    symbol = run("symbol", scheme, support)
    waveform = run("waveform", scheme, support, check_powers)
    for error in ("nmse", "nmse_air"):  # of the estimate, and of what noise and soundings did to it
        levels = [np.mean([record[error] for record in records]) for records in (symbol, waveform)]
        assert abs(10 * math.log10(levels[0] / levels[1])) < 1.0
    assert [record["channel_uses"] for record in symbol] == [record["channel_uses"] for record in waveform]
    assert all(record["overhead_uses"] > 0 for record in waveform)


def test_bits_are_charged_by_the_channels_that_a_waveform_measured():
    symbol, waveform = run("symbol", "digital", "own"), run("waveform", "digital", "own")
    for one, other in zip(symbol, waveform, strict=True):
        assert other["channel_uses"] == pytest.approx(one["channel_uses"], rel=0.1)
        assert other["nmse"] == 0.0
        assert other["overhead_uses"] > 0
