import socket
import threading

import pytest

from server import doctor


def test_on_a_machine_with_nothing_attached_the_simulated_backend_can_run():
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    findings = doctor.examine()
    assert doctor.can_simulate(findings)
    for finding in findings:
        assert finding.verdict == "ok" or (finding.needed_for and finding.remedy)


def test_what_is_missing_is_named_with_its_remedy(monkeypatch):
    def refuse(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(doctor.importlib, "import_module", refuse)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert not doctor.can_simulate(list(findings.values()))
    assert (findings["gnuradio"].verdict, findings["torch"].verdict) == ("missing", "missing")
    assert "apt-get install gnuradio" in findings["gnuradio"].remedy


def test_what_is_there_but_broken_is_wrong_not_missing(monkeypatch):
    def refuse(name):
        raise ImportError("numpy.core.multiarray failed to import\nsecond line")

    monkeypatch.setattr(doctor.importlib, "import_module", refuse)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["gnuradio"].verdict == "wrong"
    assert findings["gnuradio"].detail == "numpy.core.multiarray failed to import"


def test_a_radio_that_answers_is_ok():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def daemon():
            connection, _ = server.accept()
            with connection:
                assert connection.recv(64) == b"VERSION\r\n"
                connection.sendall(b"0.26.a0eca0d\n")

        thread = threading.Thread(target=daemon)
        thread.start()
        finding = doctor.examine_radio(f"ip:127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert (finding.verdict, finding.detail) == ("ok", "libiio daemon 0.26.a0eca0d")


def test_a_radio_that_is_silent_is_missing_and_the_cable_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    finding = doctor.examine_radio(f"ip:127.0.0.1:{port}")
    assert finding.verdict == "missing"
    assert "check power, cable and address: ping 127.0.0.1" in finding.remedy
    assert doctor.examine((f"ip:127.0.0.1:{port}",))[-1].name == f"ip:127.0.0.1:{port}"


def test_an_address_of_another_kind_is_wrong():
    assert "name it as ip:HOST" in doctor.examine_radio("usb:1.2.3").remedy
