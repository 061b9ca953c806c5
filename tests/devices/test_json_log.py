"""A log's lines: what each says, of which round and device, and what becomes of them where the disk is full."""

import json
import logging
import os
import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from devices.desk import Desk
from devices.messages import Acknowledge, Done, Failed, Train
from devices.proxy import LocalProxy, guarded
from devices.wire.envelope import Ask
from devices.wire.json_log import LogFile, PlainLine, about, event
from devices.wire.packing import pack
from tests.log_lines import read_log

LOG, ROOT = logging.getLogger("devices.test_json_log"), logging.getLogger()


@contextmanager
def kept(path, logger=ROOT):
    handler = LogFile(path, "desk-1")
    level = logging.getLogger("devices").level
    logger.addHandler(handler)
    logging.getLogger("devices").setLevel(logging.INFO)
    try:
        yield
    finally:
        logging.getLogger("devices").setLevel(level)
        logger.removeHandler(handler)
        handler.close()


def test_a_line_has_everything_that_a_program_asks_for(tmp_path):
    before = datetime.now(UTC)
    with kept(tmp_path / "logs" / "desk-1.log"), about(round=7), about(device=3):
        LOG.warning("its %s\nfell off", "antenna", extra=event("broken", loss_db=3.5))
    (line,) = read_log(tmp_path / "logs" / "desk-1.log")
    assert before.replace(microsecond=0) <= datetime.fromisoformat(line.pop("time")) <= datetime.now(UTC)
    assert line == {
        "level": "warning", "process": "desk-1", "host": platform.node(), "pid": os.getpid(), "round": 7, "device": 3,
        "event": "broken", "logger": LOG.name, "message": "its antenna\nfell off", "facts": {"loss_db": 3.5},
    }  # fmt: skip


def test_what_is_spoken_of_ends_with_its_context_and_is_a_threads_own(tmp_path):
    with kept(tmp_path / "log"):
        with about(round=1):
            other = threading.Thread(target=LOG.info, args=("elsewhere",))
            other.start()
            other.join()
            with about(round=2, device=None):
                LOG.info("within")
            LOG.info("after")
        LOG.info("outside")
    found = {line["message"]: (line.get("round"), "device" in line) for line in read_log(tmp_path / "log")}
    assert found == {
        "elsewhere": (None, False), "within": (2, False), "after": (1, False), "outside": (None, False),
    }  # fmt: skip


def test_an_exception_comes_with_its_way_and_odd_text_as_it_can(tmp_path, monkeypatch):
    monkeypatch.setattr(LOG, "propagate", False)  # text that is no UTF-8 is not for the test's own report
    with kept(tmp_path / "log", LOG):
        try:
            raise ValueError("broken")
        except ValueError:
            LOG.exception(
                "a file called \udc80", extra=event("bug", where=Path("/x"), seen={1: np.float64(2)})
            )
    (line,) = read_log(tmp_path / "log")
    assert line["exception"].splitlines()[-1] == "ValueError: broken"
    assert line["message"] == "a file called \\udc80"
    assert line["facts"]["where"] == "/x"


def test_a_device_of_this_process_speaks_of_itself_and_of_the_round_that_it_is_asked_in(tmp_path):
    def handle(request):
        LOG.info("works")
        return Done()

    proxy = LocalProxy({5: guarded(handle, 5)}, threads=1)
    with kept(tmp_path / "log"):
        for index in (3, 4):
            with about(round=index):
                proxy.ask({5: Acknowledge(index, True)})
    proxy.close()
    assert [(line["round"], line["device"]) for line in read_log(tmp_path / "log")] == [(3, 5), (4, 5)]


def test_a_device_process_tells_what_failed_and_what_was_delivered_in_which_round(tmp_path):
    replies = {Train: Failed("device 5, train: too hot"), Acknowledge: Done()}
    pool = ThreadPoolExecutor(1)
    desk = Desk({5: lambda request: replies[type(request)]}, pool, lambda frames: None)
    with kept(tmp_path / "log"):
        for number, request in enumerate(
            (Train(8, np.zeros(2, np.float32), 0.1, 0.1), Acknowledge(8, False))
        ):
            parcel, arrays = pack(request)
            assert desk.take(Ask("run", 5, number, 8, parcel), arrays)
        pool.shutdown(wait=True)
    found = [(ln["event"], ln["message"], ln["round"], ln["device"]) for ln in read_log(tmp_path / "log")]
    assert found == [
        ("device failed", "device 5, train: too hot", 8, 5), ("acknowledged", "not delivered", 8, 5)
    ]  # fmt: skip


def test_a_full_disk_is_said_once_and_ends_nothing(capsys):
    with kept(Path("/dev/full")):
        for _ in range(3):
            LOG.warning("lost")
    assert capsys.readouterr().err == "/dev/full cannot be written: No space left on device; lines are lost\n"


def test_a_file_that_was_moved_away_is_followed_by_another(tmp_path):
    with kept(tmp_path / "log"):
        LOG.info("one")
        (tmp_path / "log").rename(tmp_path / "log.1")
        LOG.info("two")
    assert [line["message"] for line in read_log(tmp_path / "log.1")] == ["one"]
    assert [line["message"] for line in read_log(tmp_path / "log")] == ["two"]


@pytest.mark.parametrize(("number", "words"), [(None, "hot"), (0, "round 1: hot"), (7, "round 8: hot")])
def test_for_people_a_line_begins_with_its_round_counted_from_one(number, words):
    record = logging.makeLogRecord({"msg": "hot"})
    with about(round=number):
        assert PlainLine().format(record) == words


def test_lines_are_json_objects(tmp_path):
    with kept(tmp_path / "log"):
        LOG.info('a "quote"')
    assert json.loads((tmp_path / "log").read_text())["message"] == 'a "quote"'
