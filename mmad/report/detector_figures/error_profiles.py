"""Profiles of false positives and negatives, a row of panels for each level.

Source: figures 6 and 7 of the MMA-52 paper, which follow DETAD.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.evaluation.error_analysis import BUCKETS, CHARACTERISTICS, OUTCOMES, LevelErrors
from mmad.report.axes import COLUMN_INCHES, LARGE, POINTS_PER_INCH, SMALL, TINY, settle
from mmad.report.colours import OUTCOME_COLOURS
from mmad.report.error_tables import CHARACTERISTIC_TITLES, bucket_ranges
from mmad.report.figures import Cell, Drawn
from mmad.structures import Floats
from mmad.wording import rounded

_BAR = "#4477aa"
_GAP_POINTS = 1.5
_ROW_INCHES = 1.45
# For a column, where the titles of the tables are too wide.
_SHORT_TITLES = {"coverage": "coverage (%)", "length": "length (s)", "instances": "instances"}
_LEVEL_TITLES = {"action": "actions", "body": "body parts"}


def draw_false_positives(levels: Mapping[str, LevelErrors], *, width_inches: float) -> Drawn:
    """Shares of the outcomes by rank, and the gain of fixing each error."""
    figure = Figure(figsize=(width_inches, _ROW_INCHES * len(levels) + 0.35), layout="constrained")
    axes = np.array(figure.subplots(len(levels), 2, squeeze=False, width_ratios=(3, 2)))
    is_narrow = width_inches <= COLUMN_INCHES
    for (name, errors), (shares, gains) in zip(levels.items(), axes, strict=True):
        _draw_shares(shares, errors, title=f"{_LEVEL_TITLES[name]}: best detections")
        gained = 100 * errors.gain
        gains.bar(np.arange(len(gained)), gained, color=OUTCOME_COLOURS[1:], width=0.75)
        gains.margins(y=0.14)
        if not gained.any():
            gains.set_ylim(0, 1)
        gains.axhline(0, color="black", lw=0.5)
        # On a column the legend alone tells the errors.
        names = ["" if is_narrow else kind.replace(" ", "\n") for kind in OUTCOMES[1:]]
        gains.set_xticks(np.arange(len(gained)), names, fontsize=TINY)
        gains.set_ylabel("gain (points)", fontsize=SMALL, labelpad=2)
        gains.set_title(f"mAP now {rounded(100 * errors.base, 1)} %", fontsize=LARGE, pad=3)
    for axis in axes.flat:
        _tidy(axis)
    for level_axes in axes[:-1]:
        level_axes[0].set_xlabel("")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        fontsize=SMALL,
        ncols=3 if is_narrow else 6,
        loc="outside upper center",
        frameon=False,
        handlelength=1.0,
        columnspacing=1.2,
        borderpad=0.1,
    )
    _label_bars(
        figure, axes[:, 1].tolist(), [100 * one.gain for one in levels.values()], dashed=None
    )
    rows: list[tuple[Cell, ...]] = []
    for name, errors in levels.items():
        rows += [
            (name, "share", f"{rank + 1}G", kind, float(100 * share))
            for rank, shares_of in enumerate(errors.false_positives)
            for kind, share in zip(OUTCOMES, shares_of, strict=True)
        ]
        rows.append((name, "normalised mAP", "", "", 100 * errors.base))
        gains_of = zip(OUTCOMES[1:], (100 * errors.gain).tolist(), strict=True)
        rows += [(name, "gain", "", kind, gain) for kind, gain in gains_of]
    return Drawn(figure, ("level", "figure", "rank", "outcome", "percent"), rows)


def _draw_shares(axis: Axes, errors: LevelErrors, *, title: str) -> None:
    values = 100 * np.nan_to_num(errors.false_positives)
    ranks = np.arange(1, len(values) + 1)
    bottom = np.zeros(len(values))
    for number, (name, colour) in enumerate(zip(OUTCOMES, OUTCOME_COLOURS, strict=True)):
        axis.bar(ranks, values[:, number], bottom=bottom, color=colour, label=name, width=0.85)
        bottom += values[:, number]
    axis.set_xticks(ranks, [f"{rank}G" for rank in ranks])
    axis.set_xlabel("rank (G: annotations of the class)", fontsize=SMALL, labelpad=1)
    axis.set_ylabel("detections (%)", fontsize=SMALL, labelpad=2)
    axis.set_title(title, fontsize=LARGE, pad=3)
    axis.set_ylim(0, 100)


def draw_false_negatives(levels: Mapping[str, LevelErrors], *, width_inches: float) -> Drawn:
    """Share of missed annotations by characteristic; dashed: of all."""
    return _draw_buckets(
        levels,
        width_inches=width_inches,
        values_of=lambda errors: errors.false_negatives,
        total_of=lambda errors: errors.missed(),
        what="missed (%)",
    )


def draw_sensitivity(levels: Mapping[str, LevelErrors], *, width_inches: float) -> Drawn:
    """Normalised mAP if only the annotations of a bucket counted; dashed: of all."""
    return _draw_buckets(
        levels,
        width_inches=width_inches,
        values_of=lambda errors: errors.sensitivity,
        total_of=lambda errors: errors.sensitivity_base,
        what="normalised mAP (%)",
    )


def _draw_buckets(
    levels: Mapping[str, LevelErrors],
    *,
    width_inches: float,
    values_of: Callable[[LevelErrors], Callable[[str], list[float]]],
    total_of: Callable[[LevelErrors], float],
    what: str,
) -> Drawn:
    is_narrow = width_inches <= COLUMN_INCHES
    height = (_ROW_INCHES + (0.25 if is_narrow else 0.05)) * len(levels)
    figure = Figure(figsize=(width_inches, height), layout="constrained")
    axes = np.array(
        figure.subplots(
            len(levels), len(CHARACTERISTICS), squeeze=False, width_ratios=(5, 5, 4), sharey="row"
        )
    )
    rows: list[tuple[Cell, ...]] = []
    for (level, errors), panels in zip(levels.items(), axes, strict=True):
        total = 100 * total_of(errors)
        values = [100 * np.array(values_of(errors)(name)) for name in CHARACTERISTICS]
        highest = float(np.nanmax([total, 1.0, *np.concatenate(values)]))
        for axis, name, numbers in zip(panels, CHARACTERISTICS, values, strict=True):
            axis.bar(np.arange(len(numbers)), np.nan_to_num(numbers), color=_BAR, width=0.75)
            axis.axhline(total, color="black", lw=0.6, ls=(0, (4, 3)))
            ranges = bucket_ranges(name)
            between = " " if is_narrow else "\n"
            named = [f"{b}{between}{limits}" for b, limits in zip(BUCKETS, ranges, strict=False)]
            turned = 90 if is_narrow else 0
            axis.set_xticks(np.arange(len(numbers)), named, rotation=turned)
            titles = _SHORT_TITLES if is_narrow else CHARACTERISTIC_TITLES
            axis.set_title(titles[name], fontsize=SMALL, pad=3)
            axis.set_ylim(0, 1.17 * highest)
            _tidy(axis)
            rows += [
                (level, CHARACTERISTIC_TITLES[name], f"{bucket} ({limits})",
                 int((errors.buckets[name] == number).sum()), float(numbers[number]))
                for number, (bucket, limits) in enumerate(zip(BUCKETS, ranges, strict=False))
            ]  # fmt: skip
        told = f"{_LEVEL_TITLES[level]}: {what}"
        panels[0].set_ylabel(told, fontsize=SMALL, labelpad=2)
        rows.append((level, "all", "", len(errors.is_found), total))
        if not is_narrow:
            _label_bars(figure, panels.tolist(), values, dashed=total)
    settle(figure)
    return Drawn(figure, ("level", "characteristic", "bucket", "annotations", "percent"), rows)


def _tidy(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[:].set_linewidth(0.5)
    axis.tick_params(axis="both", labelsize=TINY, length=2, width=0.5, pad=1.5)
    axis.tick_params(axis="x", length=0)


def _label_bars(
    figure: Figure, axes: Sequence[Axes], values: Sequence[Floats], *, dashed: float | None
) -> None:
    """Write each value above its bar, or above the dashed line if that would run through it.

    To be called last, when the sizes of the axes are final.
    """
    figure.draw_without_rendering()
    for axis, numbers in zip(axes, values, strict=True):
        low, high = axis.get_ylim()
        points = axis.get_window_extent().height * POINTS_PER_INCH / figure.dpi
        height = (high - low) * (1.4 * TINY + _GAP_POINTS) / points
        for place, value in enumerate(numbers.tolist()):
            is_known = math.isfinite(value)
            bottom = max(value, 0.0) if is_known else 0.0
            if dashed is not None and bottom <= dashed <= bottom + height:
                bottom = dashed
            axis.annotate(
                rounded(value, 1) if is_known else "none",
                (place, bottom),
                xytext=(0, _GAP_POINTS),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=TINY,
            )
