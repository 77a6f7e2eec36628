"""Figures of the error analysis of one level, beyond those of the MMA-52 paper."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmad.evaluation.beyond_detad import (
    Histogram,
    boundary_errors,
    boundary_histogram,
    calibration,
    confusions,
)
from mmad.evaluation.error_analysis import LevelErrors
from mmad.report.axes import PAGE_INCHES
from mmad.report.colours import OUTCOME_COLOURS
from mmad.report.detector_figures.error_profiles import (
    draw_false_negatives,
    draw_false_positives,
    draw_sensitivity,
)
from mmad.report.figures import SUFFIXES, save_figure
from mmad.wording import rounded

_BAR = "#4477aa"
_MAX_CONFUSIONS = 15
_TITLE_POINTS = 9


def write_error_figures(folder: Path, level: str, errors: LevelErrors) -> None:
    """Every figure of a level as PNG, SVG and PDF."""
    figures = {name: draw(errors) for name, draw in FIGURES.items()}
    for name, profile in PROFILES.items():
        figures[name] = profile({level: errors}, width_inches=PAGE_INCHES).figure
    for name, figure in figures.items():
        for suffix in SUFFIXES:
            save_figure(figure, folder / f"{level}_{name}{suffix}", dpi=200)


def _new(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, columns)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10])


def _draw_histogram(axis: Axes, found: Histogram) -> None:
    axis.stairs(found.counts, found.edges, fill=True, color=_BAR)
    axis.yaxis.set_major_locator(_whole_numbers())


def draw_confusions(errors: LevelErrors) -> Figure:
    """The most confused pairs of actions."""
    pairs = confusions(errors)[:_MAX_CONFUSIONS]
    figure, (axis,) = _new(6.5, 0.8 + 0.22 * max(len(pairs), 1))
    title = errors.labels.title
    names = [f"{title(pair.annotated)} → {title(pair.detected)}" for pair in pairs]
    colours = [OUTCOME_COLOURS[2] if pair.same_part else OUTCOME_COLOURS[1] for pair in pairs]
    axis.barh(np.arange(len(pairs)), [pair.count for pair in pairs], color=colours)
    axis.set_yticks(np.arange(len(pairs)), names, fontsize=7, parse_math=False)
    axis.invert_yaxis()
    axis.xaxis.set_major_locator(_whole_numbers())
    axis.set_title("Most confused: annotated → detected", fontsize=_TITLE_POINTS)
    axis.set_xlabel("detections; purple: of one body part, blue: of two", fontsize=8)
    return figure


def draw_boundaries(errors: LevelErrors) -> Figure:
    """Boundary errors of true positives."""
    found = boundary_errors(errors)
    figure, axes = _new(7, 2.4, 2)
    for axis, name, values in zip(axes, ("start", "end"), (found.starts, found.ends), strict=True):
        bins = boundary_histogram(values)
        _draw_histogram(axis, bins)
        axis.axvline(0, color="black", lw=0.8)
        mean = f"mean {rounded(bins.mean)} s" if len(values) else "no true positives"
        axis.set_title(f"Where detections {name} ({mean})", fontsize=_TITLE_POINTS)
        axis.set_xlabel("detected minus annotated (s)")
    axes[0].set_ylabel("true positives")
    return figure


def draw_calibration(errors: LevelErrors) -> Figure:
    """Calibration: precision against score."""
    found = calibration(errors)
    figure, (axis,) = _new(3.4, 3.2)
    axis.plot([0, 1], [0, 1], color="black", lw=0.8, ls="--")
    filled = found.counts > 0
    sizes = 10 + 120 * found.counts[filled] / max(found.counts.max(), 1)
    axis.scatter(found.mean_score[filled], found.precision[filled], s=sizes, color=_BAR)
    axis.plot(found.mean_score[filled], found.precision[filled], color=_BAR, lw=1)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean score", ylabel="precision")
    error = f"expected calibration error {rounded(found.expected_error)}"
    axis.set_title(f"Can scores be trusted?\n{error}", fontsize=_TITLE_POINTS)
    return figure


FIGURES: Mapping[str, Callable[[LevelErrors], Figure]] = {
    "confusions": draw_confusions,
    "boundaries": draw_boundaries,
    "calibration": draw_calibration,
}

# Those that `mmad figures` draws, too, there for both levels at once.
PROFILES = {
    "false_positives": draw_false_positives,
    "false_negatives": draw_false_negatives,
    "sensitivity": draw_sensitivity,
}
