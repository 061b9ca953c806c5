"""A process's log, read as a program reads it."""

import json


def read_log(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def events(path):
    """[(event, round or None)]."""
    return [(line["event"], line.get("round")) for line in read_log(path)]
