"""How often each body part and action occurs, by subset (Fig. 3 of the MMA-52 paper)."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Patch

from mmad.annotations.description.instances import Instances
from mmad.labels import LabelMap
from mmad.report.axes import COLUMN_INCHES, LARGE, labels_of
from mmad.report.colours import SUBSET_COLOURS
from mmad.report.data_figures.bars import make_bar_panels
from mmad.report.figures import Drawn

_LEGEND_INCHES = 0.17
_BAR_SHARE = 0.86


def draw_class_ratio(
    subsets: Sequence[Instances], *, labels: LabelMap, width_inches: float
) -> Drawn:
    """Share of the instances of a subset in percent, by body part and by action."""
    columns = 3 if width_inches <= COLUMN_INCHES else 6
    legend_rows = math.ceil(len(subsets) / columns)
    figure, panels = make_bar_panels(
        labels,
        width_inches=width_inches,
        top_inches=_LEGEND_INCHES * legend_rows,
        what="instances (%)",
    )
    counts = {
        level: [_counts(one, labels, level) for one in subsets]
        for level in {panel.level for panel in panels}
    }
    shares = {
        level: [100 * one / max(one.sum(), 1) for one in found] for level, found in counts.items()
    }
    width = _BAR_SHARE / len(subsets)
    colours = [SUBSET_COLOURS[number % len(SUBSET_COLOURS)] for number in range(len(subsets))]
    for panel in panels:
        places = np.arange(len(panel.order))
        for number, (values, colour) in enumerate(zip(shares[panel.level], colours, strict=True)):
            offset = (number - (len(subsets) - 1) / 2) * width
            panel.axis.bar(places + offset, values[list(panel.order)], width, color=colour, lw=0)
        # One scale for all rows of a level.
        highest = max(float(values.max(initial=0)) for values in shares[panel.level])
        panel.axis.set_ylim(0, 1.05 * max(highest, 1.0))
    handles = [
        Patch(color=colour, label=f"{one.name} ({len(one.labels):,})")
        for one, colour in zip(subsets, colours, strict=True)
    ]
    legend = figure.legend(
        handles=handles,
        loc="upper right",
        ncols=columns,
        fontsize=LARGE,
        frameon=False,
        handlelength=1.0,
        borderaxespad=0.2,
        borderpad=0,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    rows = [
        (
            level,
            labels_of(labels, level).title(label),
            one.name,
            int(number[label]),
            float(share[label]),
        )
        for level in sorted(counts, reverse=True)
        for label in range(len(labels_of(labels, level)))
        for one, number, share in zip(subsets, counts[level], shares[level], strict=True)
    ]
    return Drawn(figure, ("level", "label", "subset", "instances", "percent"), rows)


def _counts(subset: Instances, labels: LabelMap, level: str) -> np.ndarray:
    if level == "body":
        return subset.to_parents(labels).counts(len(labels.parent_names))
    return subset.counts(len(labels))
