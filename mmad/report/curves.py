"""Training curves: losses, learning rate, validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.report.figures import save_figure

_LOSSES = {
    "loss": "total",
    "loss_classification": "classification",
    "loss_regression": "regression",
    "loss_fine": "action",
    "loss_coarse": "body part",
    "loss_fine_frame": "action, frames",
    "loss_coarse_frame": "body part, frames",
}
_FIGURES = {
    "action_map": "mAP, action",
    "body_map": "mAP, body",
    "f1_mean": "F1_mean",
    "action_top1": "top-1, action",
    "body_top1": "top-1, body",
}


def draw_training_curves(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the log of a run.

    Args:
        path: Path of the figure; the suffix (.png, .svg, .pdf) decides the format.
        rows: Rows of the log; those of kind "step" have "step", the losses and "learning_rate",
            those of kind "validation" "step" and the figures of the task. Others are skipped, and
            so are values that a row lacks.

    Raises: MmadError if the suffix is none of these.
    """
    steps = [row for row in rows if row.get("kind") == "step"]
    validations = [row for row in rows if row.get("kind") == "validation"]
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    losses, rate, maps = figure.subplots(1, 3)
    _draw_lines(losses, steps, _LOSSES)
    losses.set_title("training loss")
    _draw_lines(rate, steps, {"learning_rate": ""})
    rate.set_title("largest learning rate")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    _draw_lines(maps, validations, _FIGURES, factor=100.0, marker="o")
    maps.set_title("validation (%)")
    save_figure(figure, path, dpi=120)


def _draw_lines(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    *,
    factor: float = 1.0,
    marker: str = "",
) -> None:
    """One line for each name that occurs, over the steps; the scale starts at 0."""
    for name, label in names.items():
        points = [(row["step"], factor * row[name]) for row in rows if row.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, lw=1, marker=marker, markersize=3)
    if axes.lines:
        axes.set_ylim(bottom=0)
        if any(names.values()):
            axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)
