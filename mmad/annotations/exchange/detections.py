"""Detections of a model as events: the files of predictions of mmad and of the challenge."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmad.annotations.exchange.coding import Coding
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source
from mmad.annotations.labels.choice import labels_of_names
from mmad.annotations.validation import as_number
from mmad.config.labels import read_label_map
from mmad.errors import AnnotationError
from mmad.evaluation.predictions import (
    CSV_COLUMNS,
    read_predictions,
    write_predictions_csv,
    write_predictions_json,
)
from mmad.labels import MA52, LabelMap
from mmad.structures import Detections
from mmad.wording import count

JSON_NAME, CSV_NAME = "detections-json", "detections-csv"


def is_detections_json(content: Any) -> bool:
    """Whether a JSON value has the results of a model."""
    return isinstance(content, dict) and isinstance(content.get("results"), dict)


def read_detections(
    source: Source, *, fps: float | None = None, labels: LabelMap | None = None
) -> EventFile:
    """The detections of a file, each with its score.

    Labels are those given, else those of the run that the file lies in, else, for names, its own,
    and for numbers the 52 micro-actions, with a notice.

    Raises: PredictionError, with all problems of the file.
    """
    is_json = source.json is not None
    coding = Coding(source, JSON_NAME if is_json else CSV_NAME)
    known = labels or _labels_of_run(source.path) or _labels_in(source, coding=coding)
    for video_id, found in read_predictions(source.path, labels=known).items():
        coding.video(CodedVideo(video_id))
        for place, (segment, label, score) in enumerate(
            zip(found.segments_seconds.tolist(), found.labels, found.scores.tolist(), strict=True)
        ):
            coding.add(
                Event(video_id, known.names[label], segment[0], segment[1], score=score),
                f"detection {place} of video {video_id}",
            )
    return coding.file()


def _labels_of_run(path: Path) -> LabelMap | None:
    folder = path.absolute().parent
    stored = folder.parent / "labels.json"
    if folder.name != "predictions" or not stored.is_file():
        return None
    return read_label_map(stored, error=AnnotationError)


def _labels_in(source: Source, *, coding: Coding) -> LabelMap:
    texts: set[str] = set()
    if source.json is not None:
        for listed in source.json["results"].values():
            for one in listed if isinstance(listed, list) else ():
                texts.add(str(one.get("label")) if isinstance(one, dict) else "")
    else:
        table = source.table(lambda cells: set(CSV_COLUMNS) <= set(cells))
        place = table.header.index("class") if table else 0
        texts = {cells[place] for _, cells in table.rows if place < len(cells)} if table else set()
    names = sorted(text for text in texts if as_number(text) is None and text)
    if names:
        return labels_of_names(names)
    if texts:
        coding.notice(
            f"{coding.name} has numbers for labels, taken for the {len(MA52)} micro-actions; if "
            "they are others, pass --labels FILE"
        )
    return MA52


def _by_video(file: EventFile, labels: LabelMap) -> tuple[Mapping[str, Detections], list[str]]:
    groups: dict[str, list[Event]] = {video.video_id: [] for video in file.videos}
    for event in file.events:
        groups.setdefault(event.video_id, []).append(event)
    unscored = sum(event.score is None for event in file.events)
    notices = []
    if unscored:
        notices.append(f"{count(unscored, 'event')} without a score: 1 is written")
    found = {
        video_id: Detections(
            np.array([(one.start_seconds, one.end_seconds) for one in events]).reshape(-1, 2),
            np.array([labels.index(one.label) for one in events], dtype=np.int64),
            np.array([1.0 if one.score is None else one.score for one in events]),
        )
        for video_id, events in groups.items()
    }
    return found, notices


def write_detections_json(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write events as predictions by name."""
    names = dict.fromkeys([*file.labels, *(event.label for event in file.events)])
    labels = LabelMap(tuple(names))
    found, notices = _by_video(file, labels)
    write_predictions_json(path, found, labels)
    return tuple(notices)


def write_detections_csv(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write events as predictions by number, in the columns of the challenge.

    Raises: AnnotationError if a label is no micro-action.
    """
    found, notices = _by_video(file, micro_actions(file))
    write_predictions_csv(path, found)
    return tuple(notices)


def micro_actions(file: EventFile) -> LabelMap:
    """The labels of MA-52, if all events have one of them.

    Raises: AnnotationError otherwise.
    """
    for event, where in zip(file.events, file.places or ("",) * len(file.events), strict=False):
        try:
            MA52.index(event.label)
        except KeyError as error:
            raise AnnotationError(
                f"{file.path}: {where or event.video_id}: {error.args[0]}; this format has numbers "
                "of micro-actions alone: rename labels with --labels MAP.csv, or choose another "
                "format"
            ) from None
    return MA52
