"""Accuracy over the weight of local features (Fig. 5 of Mi et al., Pattern Recognition Letters)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.evaluation.clips.summed_scores import CoefficientSweep
from mmad.report.axes import COLUMN_INCHES, LARGE, PAGE_INCHES, SMALL, settle
from mmad.report.colours import RECOGNISER_COLOURS
from mmad.report.figures import Cell, Drawn

_FIGURES = {"top1": "top-1", "mean_class_accuracy": "class mean"}
_MARKERS = "os"
_TITLES = {"action": "actions", "body": "body parts"}


def draw_coefficients(sweep: CoefficientSweep, *, width_inches: float | None = None) -> Drawn:
    """Top-1 and class mean at each weight, a panel for each level.

    The mean of several files is thick, the files themselves are thin. A dotted line marks the
    weight that a model was trained with. By default the panels are side by side, each of the width
    of a column.
    """
    levels = list(sweep.reports[0][0].levels)
    width = width_inches or (COLUMN_INCHES if len(levels) == 1 else PAGE_INCHES)
    rows, columns = (len(levels), 1) if width <= COLUMN_INCHES else (1, len(levels))
    figure = Figure(figsize=(width, 2.2 * rows), layout="constrained")
    axes = np.array(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axis, level in zip(axes, levels, strict=True):
        _draw_level(axis, sweep, level)
    settle(figure)
    table: list[tuple[Cell, ...]] = [
        (level, name, coefficient, float(value))
        for level in levels
        for name in _FIGURES
        for coefficient, value in zip(
            sweep.coefficients, 100 * sweep.means(level, name), strict=True
        )
    ]
    return Drawn(figure, ("level", "figure", "coefficient", "percent"), table)


def _draw_level(axis: Axes, sweep: CoefficientSweep, level: str) -> None:
    for (name, label), colour, marker in zip(
        _FIGURES.items(), RECOGNISER_COLOURS, _MARKERS, strict=True
    ):
        if len(sweep.reports) > 1:
            for row in sweep.reports:
                values = [100 * getattr(one.levels[level], name) for one in row]
                axis.plot(sweep.coefficients, values, color=colour, lw=0.5, alpha=0.5)
        means = (100 * sweep.means(level, name)).tolist()
        axis.plot(
            sweep.coefficients,
            means,
            color=colour,
            lw=1.2,
            marker=marker,
            markersize=3,
            label=label,
        )
    for weight in set(sweep.own):
        axis.axvline(weight, color="#888888", lw=0.8, ls=":")
    axis.set_title(_TITLES[level], fontsize=LARGE, pad=3)
    axis.set_xlabel("\u03bb, weight of local features", fontsize=LARGE, labelpad=2)
    axis.set_ylabel("accuracy (%)", fontsize=LARGE, labelpad=2)
    axis.set_xticks(sweep.coefficients[::2])
    axis.tick_params(labelsize=SMALL, length=2, pad=1.5)
    # Equal values would be given a scale beyond what a share can be.
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, 0), min(high, 100.5))
    axis.legend(frameon=False, fontsize=SMALL)
    axis.spines[["top", "right"]].set_visible(False)
