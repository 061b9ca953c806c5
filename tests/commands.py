"""`airmeta` as a process, and in this one where what it writes is the point: an interpreter costs seconds."""

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

from typer.testing import CliRunner

from server.__main__ import app

ROOT = Path(__file__).resolve().parent.parent


def airmeta(*arguments, cwd=ROOT, **environment):
    """As its users call it."""
    return subprocess.run(
        [sys.executable, "-m", "server", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=240, env=os.environ | environment,
    )  # fmt: skip


def airmeta_here(*arguments, cwd=ROOT):
    """The same in this process. What no user is to see, an exception that ends the command, is raised."""
    with chdir(cwd):
        done = CliRunner().invoke(app, [*map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)
