"""``mmad data``: what a data set holds, what is wrong with it, and derived copies of its videos.

``stats`` and ``check`` are here, ``crop``, ``flow`` and ``split`` in files of their own.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmad.annotations.elan_reader import ElanChoice
from mmad.annotations.formats import (
    CLIP_FORMAT,
    FORMATS,
    attach_subjects,
    attach_videos,
    detect_format,
    read_annotations,
    read_clip_list,
)
from mmad.annotations.statistics import (
    ClipStatistics,
    SubsetStatistics,
    describe_clips,
    describe_records,
)
from mmad.cli.data_crop import crop
from mmad.cli.data_flow import flow
from mmad.cli.data_split import split
from mmad.cli.options import (
    JsonOption,
    LabelsOption,
    LanguageOption,
    OutOfVideoOption,
    TierOption,
    TierTypeOption,
)
from mmad.errors import AnnotationError
from mmad.files import write_text
from mmad.labels import MA52, LabelMap
from mmad.wording import count

if TYPE_CHECKING:
    from mmad.annotations.check import CheckReport

app = typer.Typer(
    help="Describe and check annotations and videos; crop videos, compute optical flow.",
    no_args_is_help=True,
    add_completion=False,
)

_NUM_PAIRS_SHOWN = 5
_NUM_EXAMPLES_SHOWN = 3
_WIDTH_IN_FILES = 160

AnnotationPath = Annotated[
    list[Path],
    typer.Argument(
        help="Annotation file, several files, or a folder with train.csv, val.csv or test.csv."
    ),
]
if TYPE_CHECKING:
    Format = str
else:
    Format = Literal["auto", *FORMATS]
FormatOption = Annotated[
    Format, typer.Option(metavar="<name>", help=f"Format of the file: auto, {', '.join(FORMATS)}.")
]
FpsOption = Annotated[
    float | None,
    typer.Option(help="Frame rate of the videos, for files without one."),
]
SubjectsOption = Annotated[
    Path | None, typer.Option(help="CSV file with the columns video_id and subject.")
]


@app.command()
def stats(
    annotations: AnnotationPath,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the videos; supplies missing frame rates.")
    ] = None,
    subjects: SubjectsOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
    json_file: JsonOption = None,
) -> None:
    """Print the size, durations, overlap and class counts of annotations (the paper's Table 1)."""
    console = _console()
    if _is_clip_list(annotations, format=format):
        clips = [describe_clips(read_clip_list(path), labels=MA52) for path in annotations]
        _print_classes(console, clips, labels=MA52, title="Clips of each class")
        _write_json(json_file, {"subsets": [asdict(one) for one in clips]})
        return
    found = read_annotations(
        _one_or_many(annotations),
        format=format,
        labels=labels or "auto",
        out_of_video=out_of_video or "error",
        elan=ElanChoice.of(tier, tier_type, language),
        fps=fps,
    )
    records = found.records
    if videos is not None:
        from mmad.annotations.check_videos import measure_videos

        attached = attach_videos(records, videos)
        records = measure_videos(attached, found.assumed_lengths, all_rates=True)
    if subjects is not None:
        records = attach_subjects(records, subjects)
    described = describe_records(records, labels=found.labels)
    _print_table_1(console, described)
    _print_lengths(console, described)
    _print_overlap(console, described, labels=found.labels)
    _print_classes(console, described, labels=found.labels, title="Instances of each class")
    _write_json(
        json_file,
        {
            "format": found.format,
            "labels": list(found.labels.names),
            "subsets": [asdict(one) for one in described],
        },
    )


@app.command()
def check(
    annotations: AnnotationPath,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos; without it only the annotations are checked."),
    ] = None,
    subjects: SubjectsOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Videos opened at a time.")] = 2,
    json_file: JsonOption = None,
) -> None:
    """Check annotations, clip lists and videos; exit code 2 if there is an error."""
    # Not at the top: the decoder is slow to import, and `stats` does without.
    from mmad.annotations.check import check_data
    from mmad.annotations.check_clips import check_clips

    if _is_clip_list(annotations, format=format):
        report = check_clips(
            annotations,
            labels=MA52,
            folder=videos,
            subjects=subjects,
            num_workers=workers,
            progress=True,
        )
        _tell_findings(report, what="clip", labelled="label", videos=videos, json_file=json_file)
        return
    found = read_annotations(
        _one_or_many(annotations),
        format=format,
        labels=labels or "auto",
        out_of_video=out_of_video or "error",
        elan=ElanChoice.of(tier, tier_type, language),
        fps=fps,
        strict=False,
    )
    report = check_data(found, videos=videos, subjects=subjects, num_workers=workers, progress=True)
    _tell_findings(report, what="video", labelled="instance", videos=videos, json_file=json_file)


def _tell_findings(
    report: "CheckReport", *, what: str, labelled: str, videos: Path | None, json_file: Path | None
) -> None:
    """Print what a check found; exit code 2 if an error is among it."""
    console = _console()
    for kind, group in report.by_kind().items():
        word = "error" if group[0].is_error else "notice"
        console.print(f"[bold]{word}: {kind}[/bold] ({len(group)})", highlight=False)
        for finding in group[:_NUM_EXAMPLES_SHOWN]:
            console.print(f"  {escape(finding.message)}", highlight=False, soft_wrap=True)
        if len(group) > _NUM_EXAMPLES_SHOWN:
            console.print(f"  ... and {len(group) - _NUM_EXAMPLES_SHOWN} more", highlight=False)
    opened = "" if videos is None else f", {count(report.num_opened, 'file')} opened"
    num_notices = len(report.findings) - report.num_errors
    console.print(
        f"{count(report.num_videos, what)}, {count(report.num_instances, labelled)}{opened}: "
        f"{count(report.num_errors, 'error')}, {count(num_notices, 'notice')}",
        highlight=False,
    )
    _write_json(json_file, asdict(report))
    if report.num_errors:
        raise SystemExit(2)


app.command()(crop)
app.command()(flow)
app.command()(split)


def _console() -> Console:
    console = Console()
    # In a file or a pipe there is no edge to wrap at.
    return console if console.is_terminal else Console(width=_WIDTH_IN_FILES)


def _one_or_many(paths: list[Path]) -> Path | list[Path]:
    return paths[0] if len(paths) == 1 else paths


def _is_clip_list(paths: list[Path], *, format: str) -> bool:
    if format != "auto":
        return format == CLIP_FORMAT
    kinds = {detect_format(path) for path in paths if not path.is_dir()}
    if CLIP_FORMAT in kinds and len(kinds) > 1:
        raise AnnotationError("expected files of one format, found " + ", ".join(sorted(kinds)))
    return CLIP_FORMAT in kinds


def _write_json(path: Path | None, content: object) -> None:
    if path is not None:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _print_table_1(console: Console, described: Sequence[SubsetStatistics]) -> None:
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
    console.print(table)


def _print_lengths(console: Console, described: Sequence[SubsetStatistics]) -> None:
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
    console.print(table)


def _histogram(counts: dict[int, int] | dict[str, int]) -> str:
    return "\n".join(f"{value}: {count:,}" for value, count in counts.items())


def _print_overlap(
    console: Console, described: Sequence[SubsetStatistics], *, labels: LabelMap
) -> None:
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
    console.print(table)


def _short(labels: LabelMap, index: int) -> str:
    return labels.codes[index] if labels.codes else labels.names[index]


def _print_classes(
    console: Console,
    described: Sequence[SubsetStatistics] | Sequence[ClipStatistics],
    *,
    labels: LabelMap,
    title: str,
) -> None:
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
    console.print(table)
