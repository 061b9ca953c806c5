"""`python -m calibration CONFIG.toml`: the same as `airmeta calibrate CONFIG.toml`."""

import sys

from server.__main__ import app
from server.logs import speak_on_stderr

if __name__ == "__main__":
    speak_on_stderr()
    app(["calibrate", *sys.argv[1:]], prog_name="python -m calibration")
