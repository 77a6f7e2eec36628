"""Tables of results for the terminal."""

from rich.table import Table

from mmad.evaluation.detection import DetectionReport, LevelReport

PAPER_TIOU = (0.2, 0.5, 0.7)


def percent(value: float | None) -> str:
    """A fraction in percent with two digits, as in the papers.

    >>> percent(0.2034), percent(None)
    ('20.34', '-')
    """
    return "-" if value is None else f"{100 * value:.2f}"


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
    """The layout of the MMA-52 paper's Table 3."""
    table = Table(title="As Table 3 of the MMA-52 paper (%)", title_justify="left")
    cells = []
    for name, level in report.levels.items():
        for tiou in PAPER_TIOU:
            table.add_column(f"{name} @{tiou}", justify="right")
            cells.append(percent(level.map_at(tiou)))
        table.add_column(f"{name} Avg", justify="right")
        cells.append(percent(level.average))
    if len(report.levels) > 1:
        table.add_column("AVG", justify="right", style="bold")
        cells.append(percent(report.avg))
    table.add_row(*cells)
    return table


def counts_text(report: DetectionReport) -> str:
    """What was counted and what was left out, in words."""
    first = next(iter(report.levels.values()))
    lines = [
        f"{first.num_detections} detections, {first.num_annotations} annotations, "
        f"{report.num_videos} videos "
        f"({report.num_videos_without_detections} without detections)"
    ]
    lines += [text for name, level in report.levels.items() if (text := _left_out(name, level))]
    return "\n".join(lines)


def _left_out(name: str, level: LevelReport) -> str:
    if not level.left_out:
        return ""
    titles = ", ".join(level.labels.title(label) for label in level.left_out)
    return f"{name}: {len(level.left_out)} classes without annotations are left out: {titles}"
