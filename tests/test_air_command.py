"""`airmeta air` as its users run it: served until a signal, and nothing left behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.__main__ import app
from server.doctor import examine_radio
from tests.reference.benches import first_host

ROOT = Path(__file__).resolve().parent.parent
PORT = 30431


def command(*words):
    return [sys.executable, "-m", "server", "air", *map(str, words)]


@contextmanager
def served(*words):
    """(process, its URIs, what it printed until it served)."""
    with subprocess.Popen(
        command(*words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            lines = []
            while not lines or not lines[-1].startswith("stop:"):
                lines.append(process.stdout.readline())
                assert lines[-1], process.stderr.read()
            text = "".join(lines)
            yield process, re.findall(r"ip:[\d.]+", text), text
        finally:
            process.kill()


def ended(process, number):
    """Exit code after a signal, and what it complained of."""
    process.send_signal(number)
    _, complaint = process.communicate(timeout=20)
    return process.returncode, complaint


def refused(*words):
    """Exit code and complaint; in this process, as nothing is served."""
    done = CliRunner().invoke(app, ["air", *map(str, words)])
    return done.exit_code, done.stderr


def test_clients_connect_and_a_signal_ends_it():
    host = first_host()
    with served("--radios", 3, "--host", host) as (process, uris, text):
        assert uris == [f"ip:{host[:-1]}{last}" for last in (1, 2, 3)]
        assert "pace: virtual, patience 1 s" in text
        assert f"kill {process.pid}" in text
        assert [examine_radio(uri).verdict for uri in uris] == ["ok"] * 3
        if shutil.which("iio_info") is not None:
            for uri in uris:
                info = subprocess.run(["iio_info", "-u", uri], capture_output=True, text=True, timeout=20)
                assert "ad9361-phy" in info.stdout
        if find_spec("adi") is not None and find_spec("iio") is not None:
            body = """
            import sys, adi, numpy as np
            one, two = (adi.Pluto(uri) for uri in sys.argv[1:])
            try:
                for radio in (one, two):
                    radio.rx_lo = radio.tx_lo = 915000000
                    radio.sample_rate = 1000000
                one.tx_cyclic_buffer = True
                one.tx(2**14 * np.exp(2j * np.pi * np.arange(1000) / 10))
                for _ in range(20):
                    heard = two.rx()
                spectrum = np.abs(np.fft.fft(heard))
                assert np.argmax(spectrum) == round(len(heard) / 10)
                print(two.ctx.attrs["hw_serial"])
            finally:
                for radio in (one, two):
                    radio.tx_destroy_buffer()
                    radio.rx_destroy_buffer()
            """
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(body), *uris[:2]],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
        with socket.create_connection((host, PORT)) as idle:
            assert ended(process, signal.SIGTERM) == (0, "")
            assert idle.recv(1) == b""
    for uri in uris:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((uri.removeprefix("ip:"), PORT))
    with served("--host", host) as (again, uris, _):  # the addresses are free
        assert len(uris) == 2
        assert ended(again, signal.SIGINT) == (0, "")


def test_an_experiment_decides_the_air():
    host = first_host()
    words = ("experiments/scenarios.toml", "--set", "air.path_loss_db=40", "--set", "fleet.devices=3")
    with served(*words, "--pace", "real", "--cable", "--host", host) as (process, uris, text):
        assert len(uris) == 4
        assert "air: bench and path_loss_db = 40.0; seed 0" in text
        assert "to itself: 30 dB of cable; to others nothing" in text
        assert "pace: real" in text
        assert ended(process, signal.SIGTERM) == (0, "")


def test_beyond_the_loopback_there_is_a_warning():
    with served("--host", first_host(), "--beyond-loopback", "--isolation", 45, "--patience", 0.5) as (
        process,
        _,
        text,
    ):
        assert "to itself: 45 dB" in text
        assert "patience 0.5 s" in text
        code, complaint = ended(process, signal.SIGTERM)
        assert (code, complaint.count("\n")) == (0, 1)
        assert complaint.startswith("warning: IIOD has neither authentication nor encryption")


def test_an_address_that_is_taken():
    host = first_host()
    with socket.create_server((host, PORT)):
        code, complaint = refused("--host", host)
    assert (code, complaint.count("\n")) == (1, 1)
    assert f"{host} port {PORT} is taken by process {os.getpid()}" in complaint
    assert "--host" in complaint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("experiments/quickstart.toml",), 'link.fading = "rayleigh" draws a gain a round'),
        (("experiments/none.toml",), "experiments/none.toml: No such file or directory"),
        (("--set", "run.seed=1"), "none is given; name a TOML file"),
        (("--radios", "251"), "--radios 251 is not within 1 to 250; change it"),
        (("--isolation", "-1"), "--isolation -1 is not within 0 to 200; change it"),
        (("--patience", "nan"), "--patience nan is not within 0 to 3600; change it"),
        (("--cable", "--isolation", "3"), "--isolation 3 has no effect with --cable"),
        (("--pace", "real", "--patience", "3"), "--patience 3 has no effect at --pace real"),
        (("--host", "10.0.0.1"), "10.0.0.1, which is not in 127.0.0.0/8"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, complaint = refused(*words)
    assert (code, complaint.count("\n")) == (2, 1)
    assert message in complaint


def test_a_pace_that_is_none():
    code, complaint = refused("--pace", "slow")
    assert code == 2
    assert "'slow' is not one of 'virtual'" in complaint
