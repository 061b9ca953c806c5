"""A run on a disk that is full after some rounds, and later is not: python -m tests.server.small_disk CONFIG DISK WORDS

It needs a mount namespace of its own. The run folder is copied to DISK-out, as the disk ends with the process; a line
of JSON says how the run ended on the full disk, and how when it was resumed with room again.
"""

import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from server.checkpoint import read_checkpoint

SIZE = "8m"
NUM_ROUNDS = 5  # before there is no room any more


def fill(path):
    """Until not a byte more can be written; what is freed meanwhile is taken, too."""
    with path.open("ab", buffering=0) as ballast:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    ballast.write(bytes(size))


def main(config, disk, *words):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], check=True)
    folder, ballast = Path(disk) / "out", Path(disk) / "ballast"
    command = [
        sys.executable,
        "-m",
        "server",
        "run",
        config,
        "--out",
        str(folder),
        "--processes",
        "--count",
        "4",
        *words,
    ]
    rounds = folder / "rounds.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None and not (rounds.exists() and rounds.read_text().count("\n") >= NUM_ROUNDS):
            time.sleep(0.02)
        while run.poll() is None:
            fill(ballast)
            time.sleep(0.02)
        complaint = run.stderr.read()
    at = read_checkpoint(folder).round
    ballast.unlink()
    again = subprocess.run([*command, "--resume"], stdout=subprocess.DEVNULL, check=False)
    shutil.copytree(folder, f"{disk}-out")
    codes = [run.returncode, again.returncode]
    sys.stdout.write(json.dumps({"codes": codes, "complaint": complaint, "rounds_when_full": at}))


if __name__ == "__main__":
    main(*sys.argv[1:])
