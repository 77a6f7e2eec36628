"""The learning curve of a project: what decisions have brought, and what more of them promise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmad.report.figures import save_figure


def draw_learning_curve(path: Path, curve: Mapping[str, Any]) -> None:
    """Draw a learning curve.

    Args:
        path: Path of the figure; the suffix (.png, .svg, .pdf) decides the format.
        curve: The values of ``LearningCurve.to_json``.

    Raises: MmadError if the suffix is none of these, OutputError if it cannot be written.
    """
    points = curve["points"]
    decisions = [point["decisions"] for point in points]
    middle = [100 * point["precision"] for point in points]
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(
        decisions,
        [100 * point["low"] for point in points],
        [100 * point["high"] for point in points],
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(decisions, middle, marker="o")
    last = decisions[-1]
    # From the decisions that heads have learnt from to as many times more.
    reached = last * (1 + curve["more"] / max(1.0, curve["decided"]))
    gain = 100 * curve["gain"]
    axes.errorbar(
        [reached],
        [middle[-1] + gain],
        yerr=[[gain - 100 * curve["low"]], [100 * curve["high"] - gain]],
        marker="o",
        markerfacecolor="white",
        color="C0",
        capsize=3,
    )
    axes.plot([last, reached], [middle[-1], middle[-1] + gain], color="C0", linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks([*decisions, reached], [f"{one:.0f}" for one in (*decisions, reached)])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("decisions learnt from (open: promised by the line)")
    axes.set_ylabel("mAP on unseen videos (%)")
    axes.set_title("95 % intervals of resampled videos", fontsize="small")
    save_figure(figure, path, dpi=150)
