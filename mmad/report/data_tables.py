"""Tables of data set statistics, for the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from mmad.annotations.emotions.statistics import EmotionStatistics
from mmad.annotations.statistics import ClipStatistics, SubsetStatistics
from mmad.labels import LabelMap

_NUM_PAIRS_SHOWN = 5


def size_table(described: Sequence[SubsetStatistics]) -> Table:
    """The size of each subset, as in Table 1 of the MMA-52 paper."""
    table = Table(
        title="Size (each second line: at 30 fps, as the paper counts)", title_justify="left"
    )
    table.add_column("Split")
    for name in ("Videos", "Instances", "Duration", "Avg. Video", "Avg. Insta.", "#Subj."):
        table.add_column(name, justify="right")
    for one in described:
        table.add_row(
            one.name,
            f"{one.num_videos:,}",
            f"{one.num_instances:,}",
            f"{one.videos.total_seconds / 3600:.2f} h",
            f"{one.videos.mean_seconds:.2f} s",
            f"{one.instances.mean_seconds:.2f} s",
            "n/a" if one.num_subjects is None else str(one.num_subjects),
        )
        at_30 = ["n/a"] * 3
        if one.videos_at_30fps is not None and one.instances_at_30fps is not None:
            at_30 = [
                f"{one.videos_at_30fps.total_seconds / 3600:.2f} h",
                f"{one.videos_at_30fps.mean_seconds:.2f} s",
                f"{one.instances_at_30fps.mean_seconds:.2f} s",
            ]
        table.add_row("  at 30 fps", "", "", *at_30, "")
    return table


def lengths_table(described: Sequence[SubsetStatistics]) -> Table:
    """Lengths of annotations of each subset, their number per video, and frame rates."""
    table = Table(title="Instances", title_justify="left")
    table.add_column("")
    for one in described:
        table.add_column(one.name, justify="right")
    percentiles = [one.instances.percentiles_seconds for one in described]
    rows: list[tuple[str, list[str]]] = [
        ("median", [f"{one.instances.median_seconds:.2f} s" for one in described]),
        ("5 % to 95 %", [f"{some[5]:.2f} to {some[95]:.2f} s" for some in percentiles]),
        ("under 1 s", [f"{one.share_under_1_second:.1%}" for one in described]),
        ("starting at 0", [f"{one.num_starting_at_0:,}" for one in described]),
        ("a video (videos)", [_histogram(one.videos_by_num_instances) for one in described]),
        ("frame rates (videos)", [_histogram(one.videos_by_fps) or "n/a" for one in described]),
    ]
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _histogram(counts: dict[int, int] | dict[str, int]) -> str:
    return "\n".join(f"{value}: {count:,}" for value, count in counts.items())


def overlap_table(described: Sequence[SubsetStatistics], *, labels: LabelMap) -> Table:
    """Number of annotations of each subset that overlap in time, and their classes."""
    table = Table(title="Overlap", title_justify="left")
    table.add_column("")
    for one in described:
        table.add_column(one.name, justify="right")

    def counted(part: int | None, whole: int) -> str:
        return "n/a" if part is None else f"{part:,} ({part / whole if whole else 0:.1%})"

    overlaps = [(one, one.overlap) for one in described]
    rows = [
        ("overlapping another", [counted(o.num_instances, s.num_instances) for s, o in overlaps]),
        (
            "... of the same class",
            [counted(o.num_instances_same_class, s.num_instances) for s, o in overlaps],
        ),
        (
            "... of the same body part",
            [counted(o.num_instances_same_parent, s.num_instances) for s, o in overlaps],
        ),
        ("videos with overlap", [counted(o.num_videos, s.num_videos) for s, o in overlaps]),
        ("overlapping pairs", [f"{o.num_pairs:,}" for _, o in overlaps]),
        ("most at once (videos)", [_histogram(o.videos_by_concurrency) for _, o in overlaps]),
        ("time under an instance", [f"{o.share_covered:.1%}" for _, o in overlaps]),
        ("time under two or more", [f"{o.share_covered_twice:.1%}" for _, o in overlaps]),
        (
            "most frequent pairs",
            [
                "\n".join(
                    f"{_short(labels, a)} + {_short(labels, b)}: {count}"
                    for a, b, count in o.class_pairs[:_NUM_PAIRS_SHOWN]
                )
                for _, o in overlaps
            ],
        ),
    ]
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _short(labels: LabelMap, index: int) -> str:
    return labels.codes[index] if labels.codes else labels.names[index]


def class_counts_table(
    described: Sequence[SubsetStatistics] | Sequence[ClipStatistics] | Sequence[EmotionStatistics],
    *,
    labels: LabelMap,
    title: str,
) -> Table:
    """Number of annotations or clips of each class in each subset."""
    table = Table(title=title, title_justify="left")
    table.add_column("", justify="right")
    table.add_column("Label")
    for one in described:
        table.add_column(one.name, justify="right")
    for parent, name in enumerate(labels.parent_names):
        table.add_row(
            "",
            f"[bold]{escape(name)}[/bold]",
            *(f"{one.parent_counts[parent]:,}" for one in described),
        )
    if labels.parent_names:
        table.add_section()
    for index in range(len(labels)):
        counts = [f"{one.class_counts[index]:,}" for one in described]
        table.add_row(str(index), escape(labels.title(index)), *counts)
    return table
