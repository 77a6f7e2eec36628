"""Curves: losses, learning rate and validation of a training; accuracy over a weight."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.evaluation.clips.summed_scores import CoefficientSweep
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


def draw_sweep(path: str | Path, sweep: CoefficientSweep) -> None:
    """Draw top-1 and class mean over the weight of local features, one panel for each level.

    The mean of several files is thick, the files themselves are thin. A dotted line marks the
    weight that a model was trained with.

    Raises: MmadError if the suffix is none of .png, .svg and .pdf.
    """
    levels = list(sweep.reports[0][0].levels)
    figure = Figure(figsize=(4.6 * len(levels), 3.4), layout="constrained")
    for axes, level in zip(figure.subplots(1, len(levels), squeeze=False)[0], levels, strict=True):
        for colour, figure_name, label in (
            ("C0", "top1", "top-1"),
            ("C1", "mean_class_accuracy", "class mean"),
        ):
            if len(sweep.reports) > 1:
                for row in sweep.reports:
                    values = [100 * getattr(one.levels[level], figure_name) for one in row]
                    axes.plot(sweep.coefficients, values, color=colour, lw=0.6, alpha=0.5)
            values = (100 * sweep.means(level, figure_name)).tolist()
            axes.plot(
                sweep.coefficients, values, color=colour, marker="o", markersize=4, label=label
            )
        for weight in set(sweep.own):
            axes.axvline(weight, color="0.5", lw=1, ls=":")
        axes.set_title(level)
        axes.set_xlabel("\u03bb, weight of local features")
        axes.set_ylabel("accuracy (%)")
        axes.set_xticks(sweep.coefficients[::2])
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.25)
    save_figure(figure, path, dpi=150)
