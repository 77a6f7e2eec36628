"""Errors of detections."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmad.annotations.validation import OutOfVideo
from mmad.api.calls import Place, public, warn
from mmad.api.files import Labels
from mmad.api.judging import (
    Annotated,
    Predicted,
    Thresholds,
    judged_detections,
    thresholds_of,
)
from mmad.api.tables import data_frame
from mmad.evaluation.detection import Level, levels_of
from mmad.evaluation.error_analysis import ErrorReport, analyse_errors
from mmad.report.error_tables import error_json, error_tables

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class Errors:
    """The errors of a detector.

    Attributes:
        numbers: All numbers, as ``mmad error-analysis --json`` writes them.
        report: The full result.
        name: Name of the predictions.
    """

    numbers: Mapping[str, Any]
    report: ErrorReport
    name: str

    @public
    def tables(self) -> dict[str, "DataFrame"]:
        """The tables of ``mmad error-analysis`` by name, as pandas tables.

        Raises: MmadError if pandas is not installed.
        """
        return {
            table.name: data_frame(
                {name: [row[at] for row in table.rows] for at, name in enumerate(table.header)}
            )
            for table in error_tables(self.report)
        }

    def __repr__(self) -> str:
        told = [
            f"{name}: {100 * level.missed():.1f} % missed, normalised mAP {100 * level.base:.1f} %"
            for name, level in self.report.levels.items()
        ]
        return f"<{self.name}: {'; '.join(told)}>"


@public
def error_analysis(
    predictions: Predicted,
    annotations: Annotated | None = None,
    *,
    subset: str | None = None,
    tiou: Thresholds = "0.5",
    level: Level = "both",
    out: Place | None = None,
    labels: Labels = None,
    out_of_video: OutOfVideo | None = None,
    only_predicted: bool = False,
    strict: bool = False,
) -> Errors:
    """The errors of detections, as ``mmad error-analysis`` finds them.

    Args:
        predictions: As in `evaluate`, of detections.
        annotations: As in `evaluate`.
        subset: As in `evaluate`.
        tiou: Thresholds, over which shares are averaged.
        level: Levels to analyse.
        out: Folder to write all tables and figures to.
        labels: As in `evaluate`.
        out_of_video: As in `evaluate`.
        only_predicted: As in `evaluate`.
        strict: As in `evaluate`.

    Raises: As `evaluate`.
    """
    thresholds = thresholds_of(tiou)
    judged, name = judged_detections(
        predictions, annotations, subset, labels, out_of_video, only_predicted, strict
    )
    warn(judged.warnings)
    annotated, found = judged.annotations, judged.predictions[0]
    report = analyse_errors(
        found,
        annotated.records,
        labels=annotated.labels,
        tiou=thresholds,
        levels=levels_of(level),
    )
    numbers = error_json(report) | {"counts": judged.counts}
    if out is not None:
        from mmad.report.detector_figures.error_files import write_error_files

        content = json.dumps(numbers, indent=1) + "\n"
        write_error_files(Path(out), report, annotated, found, content=content)
    return Errors(numbers, report, name)
