"""Tables of pandas, which is an extra: it is imported only where one is made."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmad.annotations.formats import AnnotationSet
from mmad.errors import MmadError, PredictionError
from mmad.evaluation.predictions import Predictions
from mmad.labels import LabelMap
from mmad.structures import Detections

if TYPE_CHECKING:
    from pandas import DataFrame

_WANTED = ("video_id", "start_seconds", "end_seconds", "label", "score")


def data_frame(columns: Mapping[str, Any]) -> "DataFrame":
    """A table with these columns.

    Raises: MmadError if pandas is not installed.
    """
    return _pandas().DataFrame(dict(columns))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MmadError("tables need pandas: pip install 'mmad[tables]'") from None
    return pandas


def to_frame(content: AnnotationSet | Sequence[Any]) -> "DataFrame":
    """One pandas table of annotations, or of the results of several videos or clips.

    Args:
        content: What `read_annotations` returns, or a list of `Detections`, `Recognition` or
            `RecognizedEmotion`. Annotations have the columns of detections, with subset and subject
            instead of the score.

    Raises: MmadError if pandas is not installed, or there is nothing to make a table of.
    """
    if isinstance(content, AnnotationSet):
        return _of_annotations(content)
    frames = [one.to_frame() for one in content]
    if not frames:
        raise MmadError("to_frame(): found no results; expected at least one")
    return _pandas().concat(frames, ignore_index=True)


def _of_annotations(content: AnnotationSet) -> "DataFrame":
    labels = content.labels
    rows = [
        (record, start, end, label)
        for record in content.records
        for (start, end), label in zip(
            record.annotations.segments_seconds.tolist(),
            record.annotations.labels.tolist(),
            strict=True,
        )
    ]
    columns: dict[str, list[Any]] = {
        "video_id": [record.video_id for record, *_ in rows],
        "start_seconds": [start for _, start, _, _ in rows],
        "end_seconds": [end for _, _, end, _ in rows],
        "label": [labels.names[label] for *_, label in rows],
    }
    if labels.has_parents:
        columns["body_part"] = [labels.parent_names[labels.parents[label]] for *_, label in rows]
    columns["label_index"] = [label for *_, label in rows]
    columns["subset"] = [record.subset for record, *_ in rows]
    columns["subject"] = [record.subject for record, *_ in rows]
    return data_frame(columns)


def predictions_of_frame(frame: "DataFrame", labels: LabelMap) -> Predictions:
    """The detections of each video in a table, in the order of its rows.

    Args:
        frame: Table with the columns video_id, start_seconds, end_seconds, label (a name, code or
            index) and score.
        labels: Labels.

    Raises: PredictionError if it is no table, columns are missing, or a row has an unknown label or
        bad numbers.
    """
    if not hasattr(frame, "columns"):
        raise PredictionError(
            "expected a file, a run, detections or a pandas table of predictions; found "
            f"{type(frame).__name__}"
        )
    missing = [name for name in _WANTED if name not in frame.columns]
    if missing:
        raise PredictionError(
            f"table: expected the columns {', '.join(_WANTED)}; missing {', '.join(missing)}"
        )
    try:
        indices = np.array([labels.index(one) for one in frame["label"].tolist()], dtype=np.int64)
    except KeyError as error:
        raise PredictionError(f"table: {error.args[0]}") from None
    names = np.array(list(map(str, frame["video_id"].tolist())), dtype=object)
    found = Predictions()
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        try:
            found[name] = Detections(
                frame[["start_seconds", "end_seconds"]].to_numpy(dtype=np.float64)[rows],
                indices[rows],
                frame["score"].to_numpy(dtype=np.float64)[rows],
                places=rows,
            )
        except ValueError as error:
            raise PredictionError(f"table: video '{name}': {error}") from None
    return found
