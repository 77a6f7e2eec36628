"""Files of an error analysis: tables, figures and the timelines of the worst videos."""

from collections.abc import Mapping
from pathlib import Path

from mmad.annotations.formats import AnnotationSet
from mmad.evaluation.beyond_detad import errors_by_video
from mmad.evaluation.error_analysis import ErrorReport
from mmad.evaluation.thresholds import USUAL_MIN_SCORE, Thresholds
from mmad.files import write_csv, write_text
from mmad.names import safe_name
from mmad.progress import tracked
from mmad.report.detector_figures.error_figures import write_error_figures
from mmad.report.error_tables import error_tables
from mmad.report.figures import SUFFIXES
from mmad.report.timeline.contents import TimelineContents
from mmad.report.timeline.figure import draw_timeline
from mmad.structures import Detections

# Timelines of the videos with the most errors.
NUM_TIMELINES = 3


def write_error_files(
    out: Path,
    report: ErrorReport,
    annotated: AnnotationSet,
    detections: Mapping[str, Detections],
    *,
    content: str,
) -> None:
    """Write all tables (CSV), the numbers (JSON) and figures (PNG, SVG, PDF) to the folder ``out``.

    Args:
        out: Folder.
        report: Error analysis.
        annotated: Annotations.
        detections: Detections of each video, by id.
        content: Numbers as JSON.

    Raises: OutputError if a file cannot be written.
    """
    for table in error_tables(report):
        write_csv(out / f"{table.name}.csv", header=table.header, rows=table.rows)
    write_text(out / "errors.json", content)
    levels = list(report.levels)
    for name in tracked(levels, "figures", total=len(levels), unit="levels"):
        write_error_figures(out, name, report.levels[name])
    records = {record.video_id: record for record in annotated.records}
    worst = errors_by_video(report, level=levels[0])[:NUM_TIMELINES]
    drawn = tracked(worst, "timelines", total=len(worst), unit="videos")
    for place, row in enumerate(drawn, start=1):
        record = records[row.video_id]
        contents = TimelineContents(
            video_id=row.video_id,
            duration_seconds=record.duration_seconds,
            detections=detections.get(row.video_id, Detections()),
            labels=annotated.labels,
            thresholds=Thresholds.same(USUAL_MIN_SCORE, annotated.labels),
            annotations=record.annotations,
        )
        for suffix in SUFFIXES:
            draw_timeline(
                out / f"timeline_{place}_{safe_name(row.video_id)}{suffix}",
                contents,
            )
