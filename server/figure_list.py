"""The figures of a report in their order: file name, heading, how it is drawn, what one sees."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from matplotlib.figure import Figure

from server import cost_figures, figures, link_figures
from server.budget_figure import budget_figure
from server.run_reader import ROUNDING_DB, ArmRun

Arms = Sequence[ArmRun]


class Plot(NamedTuple):
    """make returns None where a run has nothing to show; caption is asked only if there is a figure."""

    name: str
    heading: str
    make: Callable[[Arms], Figure | None]
    caption: Callable[[Arms], str]
    all_arms: bool = False  # or the first of each family that differs in SNR alone


DECODED = (("nmse", "decoded"), ("nmse_full", "whole update"))
AIR = (("nmse_air", "air"), ("nmse_amplitude", "amplitude"))


def _accuracy(arms: Arms) -> str:
    ways = {arm.setting("task", "ways") for arm in arms} - {None}
    guessing = f" Guessing gives {100 / ways.pop():.0f} %." if len(ways) == 1 else ""
    return (
        "Share of query examples that are classified rightly after a held-out device has adapted the shared "
        f"parameters to a task it never saw. Point 0: the untrained parameters, adapted alike.{guessing} {_band(arms)}"
    )


def _loss(arms: Arms) -> str:
    return (
        "Loss on the query examples of the same tasks after adaptation (cross-entropy in nats for the built-in "
        f"models); lower is better. {_band(arms)}"
    )


def _gradient(arms: Arms) -> str:
    return (
        "Above: squared length of the gradient of the meta-training loss, averaged over all devices "
        "(logarithmic axis); it falls as training settles. Below: that loss. Both on probe tasks that stay the same "
        "through the run, so there is no sampling and no band."
    )


def _decoded(arms: Arms) -> str:
    return (
        "Energy of the error of the server's decoded average, relative to the average it stands for; lower is "
        "better, and 0 dB is an error as large as the average itself. Decoded: against the mean of what was sent. "
        "Whole update: against the mean of all that devices had to say, with what sparsification kept back for "
        f"later rounds. {_dots(arms)}{_left_out(arms, DECODED)}"
    )


def _air(arms: Arms) -> str:
    return (
        "What the air, the hardware and the synchronisation alone did, against the same round over perfect phases "
        f"and no noise: after decoding (air) and before it (amplitude). Lower is better. {_dots(arms)}"
        f"{_left_out(arms, AIR)}"
    )


def _cost(arms: Arms) -> str:
    return (
        "The same accuracies over the resource elements, and over the energy, that payloads have taken by then; "
        "further left is cheaper (logarithmic axes). Preambles, pilots and sounding are not counted: the table has "
        "them. "
        f"Energy 1 is that of one element at the nominal power.{_accounted(arms)}"
    )


def _error_cost(arms: Arms) -> str:
    return (
        "A point an arm, means over rounds: down and to the left is better. Decoded: against the mean of what was "
        "sent. "
        f"Whole update: against the mean of all that devices had to say.{_accounted(arms)}"
    )


def _snr(arms: Arms) -> str:
    return (
        "A line for each set of arms that differ in SNR alone. The other figures and the table show the first arm of "
        f"each.{_accounted(arms)}"
    )


def _accounted(arms: Arms) -> str:
    names = [arm.name for arm in arms if any(record.get("accounted") for record in arm.rounds)]
    return f" Accounted, not transmitted: {', '.join(names)}." if names else ""


def _budget(arms: Arms) -> str:
    return (
        "Mean over rounds of the error against the mean of all that devices had to say, in parts that add up to it. "
        "Sparsification: what devices kept back for later rounds, or for having sat out. Estimator: what sparse "
        "recovery misses without noise and with equal gains. Fading mismatch: gains that differ where only phases are "
        "compensated. Phase and timing: what the sounding got wrong. Ageing: what channel and clocks did since. "
        "Hardware: converters, images, leakage, phase noise. A part shares equally in whatever it has in common with "
        "another; one that cancels others can be negative and is not drawn."
    )


def _amplitudes(arms: Arms) -> str:
    return (
        "Where the received payload amplitudes of one frame, the latest one kept, lie in the complex plane; darker "
        "is denser (logarithmic). 1 is the rms limit of one device; up to 0.2 % lie outside the picture. An analog "
        "scheme gives a round cloud around the origin, no points on a grid; a cloud off the centre or lop-sided would "
        f"speak of carrier leakage or IQ imbalance.{_first_ones(arms)}"
    )


def _spectrum(arms: Arms) -> str:
    return (
        "Power density of the received samples of that frame (preamble and payload), relative to full scale: Welch's "
        f"method, Hann segments of {link_figures.SEGMENT_LEN} samples overlapping by half. Dashed: edges of the "
        "occupied band; in the middle lies the empty carrier bin."
    )


def _gains(arms: Arms) -> str:
    return (
        "Mean power gain of each device's channel, as the sounding slot saw it, in every round. Grey: the device did "
        "not transmit. A row that stays dark is a weak device. The colours end at the lowest and highest 2 %."
        f"{_first_ones(arms)}"
    )


def _phases(arms: Arms) -> str:
    return (
        "Phase error that the noise of the sounding slot leaves in a device's channel estimate, as predicted from "
        "its variance: median over rounds, and the range from the 10th to the 90th percentile (not a confidence "
        "interval). What drifts between sounding and payload comes on top."
    )


PLOTS = (
    Plot("accuracy", "Accuracy on new tasks", figures.accuracy_figure, _accuracy),
    Plot("loss", "Loss on new tasks", figures.loss_figure, _loss),
    Plot("meta_gradient", "Progress of meta-training", figures.gradient_figure, _gradient),
    Plot("nmse", "Error of the estimate", partial(figures.error_figure, errors=DECODED), _decoded),
    Plot("nmse_air", "The air's part of the error", partial(figures.error_figure, errors=AIR), _air),
    Plot("cost", "Accuracy for what was spent", cost_figures.cost_figure, _cost),
    Plot("error_cost", "Error for what a round spends", cost_figures.error_cost_figure, _error_cost),
    Plot("snr", "Results over SNR", cost_figures.snr_figure, _snr, all_arms=True),
    Plot("error_budget", "Where the error comes from", budget_figure, _budget),
    Plot("amplitudes", "Amplitudes of one frame", link_figures.amplitude_figure, _amplitudes),
    Plot("spectrum", "Spectrum of one frame", link_figures.spectrum_figure, _spectrum),
    Plot("gains", "Channel gains", link_figures.gain_figure, _gains),
    Plot("phase_residuals", "Phase errors left by sounding", link_figures.phase_figure, _phases),
)


def _band(arms: Arms) -> str:
    tasks = {
        record["test_tasks"] for arm in arms for _, record in arm.evaluations() if "test_tasks" in record
    }
    count = f" ({' or '.join(map(str, sorted(tasks)))} of them)" if tasks else ""
    return (
        f"Band: 95 % interval over test tasks{count}, mean ± 1.96 standard errors. All arms and rounds face the "
        "same tasks, so lines may differ clearly although their bands overlap."
    )


def _dots(arms: Arms) -> str:
    window = figures.smoothing_window(max(len(arm.rounds) for arm in arms))
    return f"A dot is a round, the line the mean (of linear values) over {2 * (window // 2) + 1} rounds."


def _first_ones(arms: Arms) -> str:
    most = link_figures.MAX_PANELS
    return f" At most the first {most} arms that have one are drawn." if len(arms) > most else ""


def _left_out(arms: Arms, errors: Sequence[tuple[str, str]]) -> str:
    exact = [arm.name for arm in arms if all(arm.is_exact(key) for key, _ in errors)]
    return (
        f" Not drawn, as below −{-ROUNDING_DB:.0f} dB there is only rounding: {', '.join(exact)}."
        if exact
        else ""
    )
