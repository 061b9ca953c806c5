"""When to use which scheme: a table beside the results of a run that compares several."""

from collections.abc import Sequence

from calibration.page import Html, element, row, table
from server.run_reader import ArmRun

NEEDS, GOOD_FOR, COSTS = "needs", "good for", "costs"
GUIDE = {
    "phase": (
        "phases at the instant of the payload",
        "supports that nobody can foresee, on channels of equal strength",
        "0.4 uses a parameter by default; fading mismatch, which no power removes; sparse recovery",
    ),
    "inversion": (
        "phases and magnitudes at the instant of the payload",
        "channels whose deep fades are rare: nearly exact there",
        "the weakest element in use sets everybody's power",
    ),
    "mmse": (
        "phases and magnitudes at the instant of the payload",
        "fading and unequal budgets; with a shared vote the fewest uses for an accuracy",
        "one more exchange on the control channel; what weak channels owe comes later",
    ),
    "reed": (
        "mean powers, rarely; no phases at all",
        "radios without a common reference, long gaps between sounding and payload",
        "two uses a value and chip; devices disturb each other however high the SNR",
    ),
    "fsk_mv": (
        "mean powers, rarely; no phases at all",
        "radios without a common reference, and devices that agree in sign",
        "two uses a value; magnitudes are lost, the step has to be chosen",
    ),
    "digital": (
        "the rate of each channel, and a code near capacity",
        "few devices, and exact sums; accounted here, not transmitted",
        "uses grow with the number of devices, and in fades",
    ),
    "ideal": ("no air", "the ceiling that others are compared with", "nothing; it is not a scheme for radios"),
}  # fmt: skip


def scheme_guide(arms: Sequence[ArmRun]) -> list[Html]:
    """Of the schemes among the arms, if there are several."""
    names = dict.fromkeys(str(arm.setting("link", "scheme")) for arm in arms)
    rows = [row(name, GUIDE[name], "text") for name in names if name in GUIDE]
    if len(rows) < 3:
        return []
    return [element("h2", "When to use which scheme"), table(["scheme", NEEDS, GOOD_FOR, COSTS], rows)]
