"""Picture of a training: losses, learning rate, validation."""

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
}
_MAPS = {"action_map": "action", "body_map": "body"}


def draw_training_curves(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the log of a run.

    Args:
        path: of the picture; the suffix (.png, .svg, .pdf) decides the kind.
        rows: of the log; those of kind "step" have "step", "loss", "loss_classification",
            "loss_regression" and "learning_rate", those of kind "validation" "step", "action_map"
            and, for labels with parents, "body_map". Others are skipped, and so are values that a
            row lacks.

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
    _draw_lines(maps, validations, _MAPS, factor=100.0, marker="o")
    maps.set_title("validation mAP, tIoU 0.1:0.9 (%)")
    save_figure(figure, path, dpi=120)


def _draw_lines(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    *,
    factor: float = 1.0,
    marker: str = "",
) -> None:
    """One line for each name that occurs, over the steps; the scale begins at 0."""
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
