"""Figures of the error analysis, as in the MMA-52 paper (section 5.4) and beyond."""

import math
from collections.abc import Callable, Mapping, Sequence
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
    length_histogram,
)
from mmad.evaluation.error_analysis import BUCKETS, CHARACTERISTICS, OUTCOMES, LevelErrors
from mmad.report.colours import OUTCOME_COLOURS
from mmad.report.error_tables import CHARACTERISTIC_TITLES, bucket_ranges
from mmad.report.figures import SUFFIXES, save_figure
from mmad.wording import rounded

_BAR = "#4477aa"
_MAX_CONFUSIONS = 15
_TITLE_POINTS = 9
_NUMBER_POINTS = 7
_GAP_POINTS = 2


def write_error_figures(folder: Path, level: str, errors: LevelErrors) -> None:
    """Every figure of a level as PNG, SVG and PDF."""
    for name, draw in FIGURES.items():
        figure = draw(errors)
        for suffix in SUFFIXES:
            save_figure(figure, folder / f"{level}_{name}{suffix}", dpi=200)


def _new(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, columns)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _label_bars(
    figure: Figure, axes: Sequence[Axes], values: Sequence[np.ndarray], *, dashed: float | None
) -> None:
    """Write each value above its bar, or above the dashed line if that would run through it.

    To be called last, when the sizes of the axes are final.
    """
    figure.draw_without_rendering()
    for axis, numbers in zip(axes, values, strict=True):
        low, high = axis.get_ylim()
        points = axis.get_window_extent().height * 72 / figure.dpi
        height = (high - low) * (1.4 * _NUMBER_POINTS + _GAP_POINTS) / points
        for place, value in enumerate(numbers.tolist()):
            is_known = math.isfinite(value)
            bottom = value if is_known else 0.0
            if dashed is not None and bottom <= dashed <= bottom + height:
                bottom = dashed
            axis.annotate(
                rounded(value, 1) if is_known else "none",
                (place, bottom),
                xytext=(0, _GAP_POINTS),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=_NUMBER_POINTS,
            )


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10])


def _draw_histogram(axis: Axes, found: Histogram) -> None:
    axis.stairs(found.counts, found.edges, fill=True, color=_BAR)
    axis.yaxis.set_major_locator(_whole_numbers())


def draw_false_positives(errors: LevelErrors) -> Figure:
    """Shares of the outcomes by rank, and the gain of fixing each error."""
    figure, (shares, gains) = _new(9, 3.2, 2)
    values = 100 * np.nan_to_num(errors.false_positives)
    bottom = np.zeros(len(values))
    for number, (name, colour) in enumerate(zip(OUTCOMES, OUTCOME_COLOURS, strict=True)):
        ranks = np.arange(1, len(values) + 1)
        shares.bar(ranks, values[:, number], bottom=bottom, color=colour, label=name, width=0.85)
        bottom += values[:, number]
    shares.set_xticks(np.arange(1, len(values) + 1), [f"{n}G" for n in range(1, len(values) + 1)])
    shares.set_xlabel("rank in multiples of the annotations of a class (G)")
    shares.set_ylabel("share of detections (%)")
    shares.set_title("What the best detections are", fontsize=_TITLE_POINTS)
    shares.set_ylim(0, 100)
    figure.legend(
        *shares.get_legend_handles_labels(),
        fontsize=7,
        ncols=6,
        loc="outside lower center",
        frameon=False,
    )
    gained = 100 * errors.gain
    gains.bar(np.arange(len(gained)), gained, color=OUTCOME_COLOURS[1:], width=0.7)
    gains.margins(y=0.12)
    gains.axhline(0, color="black", lw=0.8)
    gains.set_xticks(np.arange(len(gained)), [name.replace(" ", "\n") for name in OUTCOMES[1:]])
    gains.tick_params(axis="x", labelsize=7)
    gains.set_ylabel(f"points of normalised mAP (now {rounded(100 * errors.base, 1)} %)")
    gains.set_title("What fixing each error would gain", fontsize=_TITLE_POINTS)
    _label_bars(figure, [gains], [gained], dashed=None)
    return figure


def _draw_buckets(
    values_of: Callable[[str], list[float]], *, total: float, what: str, title: str
) -> Figure:
    figure, axes = _new(9, 3.0, len(CHARACTERISTICS))
    figure.suptitle(f"{title}; dashed: of all, {rounded(100 * total, 1)} %", fontsize=10)
    per_axis = [100 * np.array(values_of(name)) for name in CHARACTERISTICS]
    highest = float(np.nanmax([100 * total, *np.concatenate(per_axis)]))
    for axis, name, values in zip(axes, CHARACTERISTICS, per_axis, strict=True):
        axis.bar(np.arange(len(values)), np.nan_to_num(values), color=_BAR, width=0.7)
        axis.axhline(100 * total, color="black", lw=0.8, ls="--")
        ranges = bucket_ranges(name)
        names = [f"{bucket}\n{limits}" for bucket, limits in zip(BUCKETS, ranges, strict=False)]
        axis.set_xticks(np.arange(len(values)), names, fontsize=7)
        axis.set_title(f"by {CHARACTERISTIC_TITLES[name]}", fontsize=_TITLE_POINTS)
        axis.set_ylim(0, 1.15 * max(highest, 1.0))
    axes[0].set_ylabel(what)
    _label_bars(figure, axes, per_axis, dashed=100 * total)
    return figure


def draw_false_negatives(errors: LevelErrors) -> Figure:
    """Share of missed annotations by characteristic; dashed: of all."""
    return _draw_buckets(
        errors.false_negatives,
        total=errors.missed(),
        what="missed (%)",
        title="Annotations that are missed",
    )


def draw_sensitivity(errors: LevelErrors) -> Figure:
    """Normalised mAP by characteristic; dashed: of all."""
    return _draw_buckets(
        errors.sensitivity,
        total=errors.sensitivity_base,
        what="normalised mAP (%)",
        title="Normalised mAP if only these annotations counted",
    )


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


def draw_class_ratio(errors: LevelErrors) -> Figure:
    """Share of annotations of each class, most frequent first (section 3 of the paper)."""
    counts = errors.matches.num_annotations
    order = [label for label in np.argsort(-counts, kind="stable").tolist() if counts[label]]
    figure, (axis,) = _new(max(3.0, 1.2 + 0.17 * len(order)), 3.2)
    share = 100 * counts[order] / max(counts.sum(), 1)
    axis.bar(np.arange(len(order)), share, color=_BAR)
    names = [errors.labels.title(label) for label in order]
    axis.set_xticks(np.arange(len(order)), names, rotation=90, fontsize=6, parse_math=False)
    axis.set_ylabel("share of annotations (%)")
    axis.set_title("How often each class is annotated", fontsize=_TITLE_POINTS)
    return figure


def draw_durations(errors: LevelErrors) -> Figure:
    """Lengths of annotations (section 3 of the paper)."""
    bins = length_histogram(errors.matches.annotations)
    figure, (axis,) = _new(4.2, 2.6)
    _draw_histogram(axis, bins)
    axis.axvline(bins.mean, color="black", lw=0.8, ls="--")
    axis.set_title(
        f"How long annotations are (mean {rounded(bins.mean)} s)", fontsize=_TITLE_POINTS
    )
    axis.set(xlabel="length (s)", ylabel="annotations")
    return figure


FIGURES: Mapping[str, Callable[[LevelErrors], Figure]] = {
    "false_positives": draw_false_positives,
    "false_negatives": draw_false_negatives,
    "sensitivity": draw_sensitivity,
    "confusions": draw_confusions,
    "boundaries": draw_boundaries,
    "calibration": draw_calibration,
    "class_ratio": draw_class_ratio,
    "durations": draw_durations,
}
