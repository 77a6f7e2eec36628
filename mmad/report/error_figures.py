"""Figures of the error analysis, as in the MMA-52 paper (section 5.4), and of what goes beyond."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmad.evaluation.error_analysis import BUCKETS, CHARACTERISTICS, OUTCOMES, LevelErrors
from mmad.evaluation.error_details import boundary_errors, calibration, confusions
from mmad.report.colours import OUTCOME_COLOURS
from mmad.report.figures import SUFFIXES, save_figure

_BAR = "#4477aa"
_MAX_CONFUSIONS = 15


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


def _label_bars(axis: Axes, values: np.ndarray) -> None:
    for place, value in enumerate(values):
        if np.isfinite(value):
            axis.text(place, value, f"{value:.1f}", ha="center", va="bottom", fontsize=7)


def draw_false_positives(errors: LevelErrors) -> Figure:
    """Shares of the outcomes by rank, and what fixing each error gains."""
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
    shares.legend(fontsize=7, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    gained = 100 * errors.gain
    gains.bar(np.arange(len(gained)), gained, color=OUTCOME_COLOURS[1:], width=0.7)
    _label_bars(gains, gained)
    gains.set_xticks(np.arange(len(gained)), [name.replace(" ", "\n") for name in OUTCOMES[1:]])
    gains.tick_params(axis="x", labelsize=7)
    gains.set_ylabel("gain in normalised mAP (points)")
    gains.set_title(f"normalised mAP {100 * errors.base:.2f} %", fontsize=9)
    return figure


def _draw_buckets(values_of: Callable[[str], list[float]], *, total: float, what: str) -> Figure:
    figure, axes = _new(9, 2.6, len(CHARACTERISTICS))
    for axis, name in zip(axes, CHARACTERISTICS, strict=True):
        values = 100 * np.array(values_of(name))
        axis.bar(np.arange(len(values)), np.nan_to_num(values), color=_BAR, width=0.7)
        _label_bars(axis, values)
        axis.axhline(100 * total, color="black", lw=0.8, ls="--")
        axis.set_xticks(np.arange(len(values)), BUCKETS[: len(values)])
        unit = {"length": " (s)", "instances": " per video"}.get(name, "")
        axis.set_xlabel(name + unit)
    axes[0].set_ylabel(what)
    top = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        axis.set_ylim(0, top)
    return figure


def draw_false_negatives(errors: LevelErrors) -> Figure:
    """Share of missed annotations by characteristic; dashed: of all."""
    return _draw_buckets(errors.false_negatives, total=errors.missed(), what="missed (%)")


def draw_sensitivity(errors: LevelErrors) -> Figure:
    """Normalised mAP by characteristic; dashed: of all."""
    what = "normalised mAP (%)"
    return _draw_buckets(errors.sensitivity, total=errors.sensitivity_base, what=what)


def draw_confusions(errors: LevelErrors) -> Figure:
    """The pairs of actions that are taken for each other most often."""
    pairs = confusions(errors)[:_MAX_CONFUSIONS]
    figure, (axis,) = _new(6.5, 0.8 + 0.22 * max(len(pairs), 1))
    title = errors.labels.title
    names = [f"{title(pair.annotated)} → {title(pair.detected)}" for pair in pairs]
    colours = [OUTCOME_COLOURS[2] if pair.same_part else OUTCOME_COLOURS[1] for pair in pairs]
    axis.barh(np.arange(len(pairs)), [pair.count for pair in pairs], color=colours)
    axis.set_yticks(np.arange(len(pairs)), names, fontsize=7, parse_math=False)
    axis.invert_yaxis()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("annotated → detected; purple: inside one body part, blue: across", fontsize=8)
    return figure


def draw_boundaries(errors: LevelErrors) -> Figure:
    """How far starts and ends of true positives are off."""
    found = boundary_errors(errors)
    figure, axes = _new(7, 2.4, 2)
    for axis, name, values in zip(axes, ("start", "end"), (found.starts, found.ends), strict=True):
        reach = max(0.1, float(np.quantile(np.abs(values), 0.98)) if len(values) else 0.1)
        axis.hist(np.clip(values, -reach, reach), bins=41, range=(-reach, reach), color=_BAR)
        axis.axvline(0, color="black", lw=0.8)
        mean = f"mean {values.mean():+.2f} s" if len(values) else "no true positives"
        axis.set_title(f"{name}, {mean}", fontsize=9)
        axis.set_xlabel("detected minus annotated (s)")
    axes[0].set_ylabel("true positives")
    return figure


def draw_calibration(errors: LevelErrors) -> Figure:
    """Precision against score."""
    found = calibration(errors)
    figure, (axis,) = _new(3.4, 3.2)
    axis.plot([0, 1], [0, 1], color="black", lw=0.8, ls="--")
    filled = found.counts > 0
    sizes = 10 + 120 * found.counts[filled] / max(found.counts.max(), 1)
    axis.scatter(found.mean_score[filled], found.precision[filled], s=sizes, color=_BAR)
    axis.plot(found.mean_score[filled], found.precision[filled], color=_BAR, lw=1)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean score", ylabel="precision")
    axis.set_title(f"expected error {found.expected_error:.3f}", fontsize=9)
    return figure


def draw_class_ratio(errors: LevelErrors) -> Figure:
    """Annotations of each class, the most frequent first (section 3 of the paper)."""
    counts = errors.matches.num_annotations
    order = [label for label in np.argsort(-counts, kind="stable").tolist() if counts[label]]
    figure, (axis,) = _new(max(3.0, 1.2 + 0.17 * len(order)), 3.2)
    share = 100 * counts[order] / max(counts.sum(), 1)
    axis.bar(np.arange(len(order)), share, color=_BAR)
    names = [errors.labels.title(label) for label in order]
    axis.set_xticks(np.arange(len(order)), names, rotation=90, fontsize=6, parse_math=False)
    axis.set_ylabel("share of annotations (%)")
    return figure


def draw_durations(errors: LevelErrors) -> Figure:
    """Lengths of annotations (section 3 of the paper)."""
    segments = errors.matches.truth.segments
    lengths = segments[:, 1] - segments[:, 0]
    figure, (axis,) = _new(4.2, 2.6)
    axis.hist(lengths, bins=40, color=_BAR)
    axis.axvline(lengths.mean(), color="black", lw=0.8, ls="--")
    axis.set_title(f"mean {lengths.mean():.2f} s", fontsize=9)
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
