"""Share of each body part in the actions of an emotion (Fig. 11 of the MA-52 paper)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmad.annotations.emotions.statistics import EmotionStatistics
from mmad.labels import EMOTIONS, LOWER_LIMBS, LabelMap
from mmad.report.axes import COLUMN_INCHES, LARGE, SMALL, TINY, settle, shortened, text_inches
from mmad.report.colours import PART_COLOURS
from mmad.report.figures import Cell, Drawn
from mmad.wording import rounded

_BAR_INCHES, _AROUND_INCHES, _LEGEND_INCHES = 0.2, 0.5, 0.17
_LONGEST_NAME = 24

_Shares = dict[str, dict[str, float | None]]


def draw_part_shares(one: EmotionStatistics, *, labels: LabelMap, width_inches: float) -> Drawn:
    """A bar of body parts for each emotion: of all of them, and without lower limbs, if the label
    set has these.
    """
    panels = {"all body parts": one.parent_shares_by_emotion(labels)}
    if set(LOWER_LIMBS) <= set(labels.parent_names):
        named = " and ".join(_title(labels, name) for name in LOWER_LIMBS)
        panels[f"without {named}"] = one.parent_shares_by_emotion(labels, without=LOWER_LIMBS)
    is_narrow = width_inches <= COLUMN_INCHES
    rows, columns = (len(panels), 1) if is_narrow else (1, len(panels))
    legend_columns = 4 if is_narrow else 7
    legend_rows = -(-len(labels.parent_names) // legend_columns)
    height = rows * (len(EMOTIONS) * _BAR_INCHES + _AROUND_INCHES) + legend_rows * _LEGEND_INCHES
    figure = Figure(figsize=(width_inches, height), layout="constrained")
    axes = np.array(figure.subplots(rows, columns, squeeze=False)).ravel()
    for place, (axis, (what, shares)) in enumerate(zip(axes, panels.items(), strict=True)):
        _name_axis(axis, f"({'ab'[place]}) {what}" if len(panels) > 1 else what)
        _draw_bars(axis, shares, labels)
    _draw_legend(figure, labels, columns=legend_columns)
    settle(figure)
    for axis, shares in zip(axes, panels.values(), strict=True):
        _write_shares(axis, shares, inches=axis.get_position().width * width_inches)
    table: list[tuple[Cell, ...]] = [
        (what, emotion, part, "" if share is None else 100 * share)
        for what, shares in panels.items()
        for emotion, of_emotion in shares.items()
        for part, share in of_emotion.items()
    ]
    return Drawn(figure, ("body_parts", "emotion", "body_part", "percent"), table)


def _title(labels: LabelMap, name: str) -> str:
    return shortened(labels.parent_map.title(labels.parent_names.index(name)), _LONGEST_NAME)


def _name_axis(axis: Axes, title: str) -> None:
    axis.set_title(title, fontsize=LARGE, pad=3, parse_math=False)
    axis.set(xlim=(0, 100), ylim=(len(EMOTIONS) - 0.5, -0.5))
    axis.set_yticks(range(len(EMOTIONS)), EMOTIONS.names, fontsize=LARGE)
    axis.set_xlabel("action labels (%)", fontsize=SMALL, labelpad=1)
    axis.tick_params(axis="x", labelsize=SMALL, length=2, width=0.5, pad=1)
    axis.tick_params(axis="y", length=0, pad=2)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines[:].set_linewidth(0.5)


def _draw_bars(axis: Axes, shares: _Shares, labels: LabelMap) -> None:
    for row, of_emotion in enumerate(shares.values()):
        left = 0.0
        for part, share in of_emotion.items():
            colour = PART_COLOURS[labels.parent_names.index(part) % len(PART_COLOURS)]
            width = 100 * (share or 0.0)
            axis.barh(row, width, 0.8, left=left, color=colour, edgecolor="white", lw=0.4)
            left += width
        if not left:
            axis.text(1, row, "no action labels", fontsize=SMALL, va="center")


def _write_shares(axis: Axes, shares: _Shares, *, inches: float) -> None:
    """Percent in each part of a bar that is wide enough for it."""
    bars = iter(axis.patches)
    for row, of_emotion in enumerate(shares.values()):
        for share in of_emotion.values():
            bar = next(bars)
            text = rounded(100 * (share or 0.0), 0)
            if text_inches(text, points=TINY) + 0.02 > (share or 0.0) * inches:
                continue
            red, green, blue = to_rgb(bar.get_facecolor())
            is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axis.text(
                bar.get_x() + bar.get_width() / 2,  # type: ignore[attr-defined]
                row,
                text,
                fontsize=TINY,
                ha="center",
                va="center",
                color="white" if is_dark else "black",
            )


def _draw_legend(figure: Figure, labels: LabelMap, *, columns: int) -> None:
    handles = [
        Patch(color=PART_COLOURS[part % len(PART_COLOURS)], label=_title(labels, name))
        for part, name in enumerate(labels.parent_names)
    ]
    legend = figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=columns,
        fontsize=SMALL,
        frameon=False,
        handlelength=1.0,
        columnspacing=1.0,
        borderpad=0,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
