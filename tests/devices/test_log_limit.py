"""However often a stranger knocks, the log has a line an interval."""

import logging

from devices.wire.log_limit import MAX_SUBJECTS, LimitedLog

LOG = logging.getLogger("devices.test")


def test_one_line_an_interval_and_subject(caplog):
    clock = [100.0]
    log = LimitedLog(LOG, interval_s=60.0, now=lambda: clock[0])
    for second in range(121):
        clock[0] = 100.0 + second
        log.warn("door", "a stranger")
        log.warn("post", "a letter") if second == 30 else None
    assert [record.message for record in caplog.records] == [
        "a stranger",
        "a letter",
        "a stranger (and 59 more in the last 60 s)",
        "a stranger (and 59 more in the last 60 s)",
    ]


def test_subjects_without_end_share_a_line(caplog):
    log = LimitedLog(LOG)
    for number in range(10 * MAX_SUBJECTS):
        log.warn(f"stranger {number}", "somebody")
    assert len(caplog.records) == MAX_SUBJECTS + 1
