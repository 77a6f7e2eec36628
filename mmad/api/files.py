"""Annotations and predictions from files, and predictions to files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmad.annotations import formats
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.formats import AnnotationSet, LabelChoice
from mmad.annotations.validation import OutOfVideo
from mmad.api.calls import Place, paths_of, public, warn
from mmad.api.results import Detections, by_video, named_detections
from mmad.api.tables import predictions_of_frame
from mmad.errors import PredictionError
from mmad.evaluation.file_labels import known_labels, label_choice
from mmad.evaluation.predictions import read_predictions as read_file
from mmad.evaluation.predictions import write_predictions_csv, write_predictions_json
from mmad.evaluation.run_files import newest_predictions
from mmad.labels import MA52, LabelMap

if TYPE_CHECKING:
    from pandas import DataFrame

Labels = LabelMap | Place | None


@public
def read_annotations(
    path: Place | Sequence[Place],
    *,
    format: str = "auto",
    subset: str | Sequence[str] | None = None,
    labels: Labels = None,
    out_of_video: OutOfVideo = "error",
    tiers: Sequence[str] = (),
    fps: float | None = None,
) -> AnnotationSet:
    """The annotated videos of a file, of several, or of a folder, in any format of docs/data.md.

    Args:
        path: File, files or folder.
        format: Name of the format; "auto" detects it.
        subset: Subset, or subsets, to keep; None: all.
        labels: Labels; a label file; "ma52"; "file", those of the file itself; None: by the file.
        out_of_video: An annotation that is not inside its video is an "error", cut ("clip") or left
            out ("drop").
        tiers: For ELAN files: tiers to read, or patterns; by default all.
        fps: Frame rate of the videos, for files without one.

    Raises: AnnotationError with all problems of all files.
    """
    found = formats.read_annotations(
        paths_of(path) if not isinstance(path, str | os.PathLike) else Path(path),
        format=format,
        subsets=[subset] if isinstance(subset, str) else subset,
        labels=chosen_labels(labels) or "auto",
        out_of_video=out_of_video,
        elan=ElanChoice.of(tiers, None, None) if tiers else None,
        fps=fps,
        tell=lambda _: None,
    )
    warn(found.notices)
    return found


@public
def read_predictions(
    source: "Place | DataFrame", *, labels: Labels = None, strict: bool = False
) -> list[Detections]:
    """The detections of each video in a file of predictions, a run, or a pandas table.

    Args:
        source: CSV (also .gz, .zip) or JSON; a run folder, for the predictions of its validation
            subset; or a table with the columns of `Detections.to_frame`.
        labels: Labels, or a label file; None: those of the run that contains the file, else MA-52.
        strict: Refuse reversed and empty rows.

    Raises: PredictionError with all problems.
    """
    if not isinstance(source, str | os.PathLike):
        classes = chosen_labels(labels)
        named = classes if isinstance(classes, LabelMap) else MA52
        return named_detections(predictions_of_frame(source, named), [], named)
    path = prediction_file(source)
    classes = chosen_labels(labels)
    named = classes if isinstance(classes, LabelMap) else known_labels(path) or MA52
    found = read_file(path, labels=named, strict=strict)
    if text := found.odd_rows_text():
        warn([f"{path}: {text}; --strict refuses them"])
    return named_detections(found, [], named)


@public
def write_predictions(path: Place, found: Detections | Sequence[Detections]) -> Path:
    """Write detections of videos: ActivityNet-style JSON for .json, else the challenge's CSV.

    Args:
        path: File to write.
        found: Detections of a video, or of each of several.

    Returns: The path.

    Raises: PredictionError if they have different labels, OutputError if it cannot be written.
    """
    named = by_video(found)
    target = Path(path)
    if target.suffix.lower() != ".json":
        write_predictions_csv(target, named)
        return target
    each = [found] if isinstance(found, Detections) else found
    labels = {one.label_map for one in each} or {MA52}
    if len(labels) > 1:
        raise PredictionError(f"{path}: the detections have different label sets; write two files")
    write_predictions_json(target, named, labels.pop())
    return target


def prediction_file(source: Place, *, subset: str | None = None) -> Path:
    """The file of predictions: itself, or the newest of a run folder."""
    path = Path(source)
    return newest_predictions(path, subset=subset) if path.is_dir() else path


def chosen_labels(labels: Labels) -> LabelMap | LabelChoice | None:
    """Labels as the readers of annotations take them.

    Raises: AnnotationError if a label file cannot be read.
    """
    if labels is None or isinstance(labels, LabelMap):
        return labels
    return label_choice(os.fspath(labels))
