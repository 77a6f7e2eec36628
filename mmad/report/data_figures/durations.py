"""How long the instances of each body part and action are (Fig. 4 of the MMA-52 paper)."""

import numpy as np
from matplotlib.lines import Line2D

from mmad.annotations.description.instances import Instances, LabelLengths, lengths_by_label
from mmad.labels import LabelMap
from mmad.report.axes import LARGE, labels_of
from mmad.report.colours import PART_COLOURS
from mmad.report.data_figures.bars import make_bar_panels
from mmad.report.figures import Drawn
from mmad.wording import rounded

_LEGEND_INCHES = 0.17
_ERROR_BARS = {"elinewidth": 0.6, "capsize": 1.2, "capthick": 0.6, "ecolor": "#333333"}


def draw_durations(instances: Instances, *, labels: LabelMap, width_inches: float) -> Drawn:
    """Mean length of each label as a bar with its standard deviation; dashed: mean of all."""
    assert instances.seconds is not None
    figure, panels = make_bar_panels(
        labels, width_inches=width_inches, top_inches=_LEGEND_INCHES, what="length (s)"
    )
    found = {level: _lengths(instances, labels, level) for level in {one.level for one in panels}}
    mean = float(instances.seconds.mean()) if len(instances.seconds) else 0.0
    highest = max(float((one.means + one.deviations).max(initial=0)) for one in found.values())
    for panel in panels:
        order = list(panel.order)
        means, deviations = found[panel.level].means[order], found[panel.level].deviations[order]
        part_of = labels.parents if panel.level == "action" and labels.has_parents else None
        groups = [part_of[label] if part_of else label for label in order]
        is_flat = panel.level == "action" and part_of is None
        colours = [PART_COLOURS[0 if is_flat else part % len(PART_COLOURS)] for part in groups]
        # A deviation below the mean ends at 0: no length is negative.
        errors = np.stack((np.minimum(deviations, means), deviations))
        panel.axis.bar(
            np.arange(len(order)), means, 0.74, color=colours, lw=0, yerr=errors,
            error_kw=_ERROR_BARS,
        )  # fmt: skip
        panel.axis.axhline(mean, color="black", lw=0.6, ls=(0, (4, 3)))
        panel.axis.set_ylim(0, 1.05 * max(highest, 1e-3))
    figure.legend(
        handles=[
            Line2D([], [], color="#333333", lw=0.6, marker="_", ms=4, label="standard deviation"),
            Line2D(
                [],
                [],
                color="black",
                lw=0.6,
                ls=(0, (4, 3)),
                label=f"mean of all, {rounded(mean)} s",
            ),
        ],
        loc="upper right",
        ncols=2,
        fontsize=LARGE,
        frameon=False,
        handlelength=1.6,
        borderaxespad=0.2,
        borderpad=0,
    )
    rows = [
        (
            level,
            labels_of(labels, level).title(label),
            int(found[level].counts[label]),
            float(found[level].means[label]),
            float(found[level].deviations[label]),
        )
        for level in sorted(found, reverse=True)
        for label in range(len(labels_of(labels, level)))
    ]
    header = ("level", "label", "instances", "mean_seconds", "deviation_seconds")
    return Drawn(figure, header, rows)


def _lengths(instances: Instances, labels: LabelMap, level: str) -> LabelLengths:
    if level == "body":
        return lengths_by_label(instances.to_parents(labels), num_labels=len(labels.parent_names))
    return lengths_by_label(instances, num_labels=len(labels))
