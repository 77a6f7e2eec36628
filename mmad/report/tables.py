"""Tables of results for the terminal."""

import math
from collections.abc import Mapping

import numpy as np
from rich.table import Table

from mmad.evaluation.breakdown import (
    FREQUENCIES,
    RECALL_AT,
    Comparison,
    Resamples,
    interval,
    map_by_frequency,
    recall_at,
)
from mmad.evaluation.detection import DetectionReport, LevelReport
from mmad.evaluation.ties import TieRange
from mmad.labels import LabelMap
from mmad.wording import count, rounded

PAPER_TIOU = (0.2, 0.5, 0.7)
# Share of tied detections above which `ties_text` warns.
MANY_TIES = 0.01
PAPER_RANGE = tuple(step / 10 for step in range(1, 10))


def percent(value: float | None) -> str:
    """A fraction in percent with two digits, as in the papers.

    >>> percent(0.2034), percent(None)
    ('20.34', '-')
    """
    return rounded(None if value is None else 100 * value)


def threshold_table(report: DetectionReport) -> Table:
    """The mAP (%) of each level at every threshold."""
    table = Table(title=f"mAP (%) by tIoU, protocol {report.protocol}", title_justify="left")
    table.add_column("level")
    first = next(iter(report.levels.values()))
    for tiou in first.tiou:
        table.add_column(f"@{tiou:.2f}".rstrip("0"), justify="right")
    table.add_column("Avg", justify="right", style="bold")
    for name, level in report.levels.items():
        table.add_row(name, *(percent(value) for value in level.map), percent(level.average))
    return table


def paper_table(report: DetectionReport) -> Table:
    """The mAP as in Table 3 of the MMA-52 paper, and the challenge's mean of three thresholds."""
    table = Table(title="Challenge and Table 3 of the MMA-52 paper (%)", title_justify="left")
    table.add_column("level")
    for tiou in PAPER_TIOU:
        table.add_column(f"@{tiou}", justify="right")
    table.add_column("mean of these (challenge)", justify="right")
    table.add_column("mean of 0.1:0.9 (paper)", justify="right")
    complete = True
    for name, level in report.levels.items():
        values = [level.map_at(tiou) for tiou in PAPER_TIOU]
        known = [value for value in values if value is not None]
        challenge = sum(known) / len(known) if len(known) == len(values) else None
        is_paper = len(level.tiou) == len(PAPER_RANGE) and all(
            level.map_at(tiou) is not None for tiou in PAPER_RANGE
        )
        complete &= is_paper
        cells = [*values, challenge, level.average if is_paper else None]
        table.add_row(name, *(percent(value) for value in cells))
    if len(report.levels) > 1:
        blank = [""] * (len(PAPER_TIOU) + 1)
        table.add_row("AVG", *blank, percent(report.avg if complete else None), style="bold")
    return table


def counts_text(report: DetectionReport) -> str:
    """Text on what was counted and what was left out."""
    first = next(iter(report.levels.values()))
    lines = [
        f"{count(len(first.matches.detections), 'detection')}, "
        f"{count(len(first.matches.annotations), 'annotation')}, "
        f"{count(report.num_videos, 'video')} "
        f"({report.num_videos_without_detections} without detections)"
    ]
    lines += [text for name, level in report.levels.items() if (text := _left_out(name, level))]
    return "\n".join(lines)


def ties_text(report: DetectionReport, ranges: Mapping[str, TieRange]) -> str:
    """Text on how far the average mAP could move at each level with many ties; "" if few.

    Args:
        report: Results of the detections.
        ranges: Effect of ties at each level.
    """
    lines = []
    for name, ties in ranges.items():
        if ties.share > MANY_TIES:
            level = report.levels[name]
            lines.append(
                f"{name}: {ties.num_tied} of {count(len(level.matches.detections), 'detection')} "
                f"({rounded(100 * ties.share, 1)} %) tie with others of their class; another order "
                f"of them could give an average mAP of {percent(ties.worst)} to "
                f"{percent(ties.best)} ({percent(level.average)} in the order of the file)"
            )
    return "\n".join(lines)


def _left_out(name: str, level: LevelReport) -> str:
    if not level.left_out:
        return ""
    titles = ", ".join(level.labels.title(label) for label in level.left_out)
    classes = count(len(level.left_out), "class") + " without annotations"
    return f"{name}: left out {classes}: {titles}"


def class_table(name: str, level: LevelReport, resamples: Resamples | None = None) -> Table:
    """The average precision (%) of each class, with its interval if there are resamples."""
    table = Table(title=f"average precision by {name} class (%)", title_justify="left")
    table.add_column("class")
    table.add_column("annotations", justify="right")
    # Nine thresholds and an interval are too wide for a terminal.
    columns = [place for tiou in PAPER_TIOU if (place := _place(level, tiou)) is not None]
    columns = columns or list(range(len(level.tiou)))
    for tiou in level.tiou[columns]:
        table.add_column(f"@{tiou:.2f}".rstrip("0"), justify="right")
    table.add_column("Avg", justify="right", style="bold")
    if resamples is not None:
        table.add_column("95 %", justify="right")
    for label in range(len(level.labels)):
        values = level.per_class[:, label]
        mean = float(values.mean())
        cells = [*(percent(value) for value in values[columns]), percent(mean)]
        if resamples is not None:
            cells.append(interval_text(interval(resamples.per_class[:, label], mean)))
        count = str(level.matches.num_annotations[label])
        table.add_row(level.labels.title(label), count, *cells)
    return table


def _place(level: LevelReport, tiou: float) -> int | None:
    near = np.flatnonzero(np.abs(level.tiou - tiou) < 1e-6)
    return int(near[0]) if len(near) else None


def interval_text(limits: tuple[float, float]) -> str:
    """An interval of fractions in percent.

    >>> interval_text((0.1, 0.25))
    '10.00 to 25.00'
    """
    low, high = (percent(limit) for limit in limits)
    return "-" if low == "-" else f"{low} to {high}"


def recall_table(report: DetectionReport) -> Table:
    """Recall (%) of the best detections of each video, mean over the thresholds."""
    table = Table(
        title="recall of the k best detections of a video (%), mean over tIoU",
        title_justify="left",
    )
    table.add_column("level")
    for k in RECALL_AT:
        table.add_column(f"k = {k}", justify="right")
    for name, level in report.levels.items():
        table.add_row(name, *(percent(row.mean()) for row in recall_at(level)))
    return table


def frequency_table(report: DetectionReport) -> Table:
    """The mAP (%) of classes by their number of annotations."""
    table = Table(title="mAP (%) by frequency of the class", title_justify="left")
    table.add_column("level")
    highest = ""
    for name, fewest in FREQUENCIES.items():
        table.add_column(f"{name} ({fewest}{highest or ' or more'})", justify="right")
        highest = f" to {fewest - 1}"
    for name, level in report.levels.items():
        cells = [
            f"{percent(mean)}  ({count} classes)"
            for count, mean in map_by_frequency(level).values()
        ]
        table.add_row(name, *cells)
    return table


def bootstrap_table(report: DetectionReport, resamples: Mapping[str, Resamples]) -> Table:
    """The mAP (%) with 95 % intervals over videos."""
    table = Table(title="95 % intervals over videos (bootstrap, %)", title_justify="left")
    for column in ("level", "mAP", "95 %"):
        table.add_column(column, justify="right" if column != "level" else "left")
    for name, level in report.levels.items():
        limits = interval(resamples[name].average, level.average)
        table.add_row(name, percent(level.average), interval_text(limits))
    return table


def comparison_table(
    name: str, comparison: Comparison, labels: LabelMap, *, first: str, second: str
) -> Table:
    """Gain of the second set of detections, for all classes and for each."""
    table = Table(title=f"{name}: {second} minus {first} (points of %)", title_justify="left")
    for column in ("class", "difference", "95 %", ""):
        table.add_column(column, justify="left" if column in ("class", "") else "right")

    def row(title: str, value: float, limits: tuple[float, float]) -> None:
        low, high = limits
        verdict = "better" if low > 0 else "worse" if high < 0 else ""
        sign = "+" if value > 0 else ""
        shown = "-" if math.isnan(value) else f"{sign}{percent(value)}"
        table.add_row(title, shown, interval_text(limits), verdict)

    row("mAP", comparison.difference, comparison.interval)
    order = sorted(
        (label for label in range(len(labels)) if not math.isnan(comparison.per_class[label])),
        key=lambda label: -comparison.per_class[label],
    )
    for label in order:
        low, high = comparison.per_class_intervals[label].tolist()
        row(labels.title(label), float(comparison.per_class[label]), (low, high))
    return table
