"""Reading what a time budget counts: events of files, lengths of videos, conditions."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.exchange.events import Event
from mmad.annotations.formats import read_annotations
from mmad.annotations.labels.choice import LabelChoice
from mmad.annotations.validation import OutOfVideo
from mmad.errors import AnnotationError
from mmad.evaluation.agreement.panel import is_predictions
from mmad.evaluation.budget.coding import Coding, make_coding
from mmad.evaluation.budget.conditions import Conditions, read_conditions
from mmad.evaluation.coded_files import has_coded_events, read_coded
from mmad.evaluation.file_labels import known_labels
from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52, LabelMap
from mmad.video.find import find_videos
from mmad.video.index import index_video

Lengths = dict[str, float | None]


def read_coding(
    files: Sequence[Path],
    *,
    conditions: Path | None = None,
    videos: Path | None = None,
    min_score: float = 0.5,
    labels: LabelMap | LabelChoice = "auto",
    out_of_video: OutOfVideo = "error",
    elan: ElanChoice | None = None,
    annotator: str | None = None,
    tell: Callable[[str], object] = lambda text: None,
) -> Coding:
    """The observations and events of files of annotations, or of detections.

    Args:
        files: Files or folders, each with other videos.
        conditions: CSV file with persons, conditions and lengths of videos.
        videos: Folder with the videos, whose lengths count more than those that files state.
        min_score: Lowest score of a detection that counts.
        labels: Label set; see `read_annotations`. For detections "auto" is that of the run of the
            file, else the 52 micro-actions.
        out_of_video: What happens to events that are not inside their video.
        elan: Which tiers of ELAN files are read.
        annotator: Whose events count, in files of several annotators.
        tell: Called with each notice of the files.

    Raises: MmadError if a file cannot be read, a video is in two files, or its length is unknown.
    """
    events: list[Event] = []
    seconds: Lengths = {}
    sources: dict[str, Path] = {}
    for path in files:
        if is_predictions(path):
            found, lengths = _detections(path, labels=labels, min_score=min_score, tell=tell)
        elif has_coded_events(path, with_elan=True):
            coded = read_coded(
                path,
                labels=labels,
                out_of_video=out_of_video,
                annotator=annotator,
                elan=elan,
                tell=tell,
            )
            found = list(coded.events)
            lengths = {one.video_id: one.duration_seconds for one in coded.videos}
        else:
            found, lengths = _annotations(path, labels, out_of_video, elan, tell)
        for video in lengths:
            if (first := sources.setdefault(video, path)) != path:
                raise AnnotationError(
                    f"{first} and {path} both have the video {video}; count one at a time, and "
                    "compare the two with mmad agreement"
                )
        events += found
        seconds |= lengths
    if videos is not None:
        seconds = _measured(seconds, videos)
    table = Conditions() if conditions is None else read_conditions(conditions, seconds)
    return make_coding(events, seconds=seconds, conditions=table, out_of_video=out_of_video)


def _annotations(
    path: Path,
    labels: LabelMap | LabelChoice,
    out_of_video: OutOfVideo,
    elan: ElanChoice | None,
    tell: Callable[[str], object],
) -> tuple[list[Event], Lengths]:
    found = read_annotations(
        path, labels=labels, out_of_video=out_of_video, elan=elan, tell=lambda text: None
    )
    for notice in found.notices:
        tell(notice)
    events = [
        Event(record.video_id, found.labels.names[label], start, end, record.subject)
        for record in found.records
        for (start, end), label in zip(
            record.annotations.segments_seconds.tolist(),
            record.annotations.labels.tolist(),
            strict=True,
        )
    ]
    return events, {
        record.video_id: None
        if record.video_id in found.assumed_lengths
        else record.duration_seconds
        for record in found.records
    }


def _detections(
    path: Path,
    *,
    labels: LabelMap | LabelChoice,
    min_score: float,
    tell: Callable[[str], object],
) -> tuple[list[Event], Lengths]:
    known = labels if isinstance(labels, LabelMap) else known_labels(path) or MA52
    predictions = read_predictions(path, labels=known)
    if odd := predictions.odd_rows_text():
        tell(f"{path}: {odd}; they count as points in time")
    events = [
        Event(video, known.names[label], start, end, score=score)
        for video, found in predictions.items()
        for (start, end), label, score in zip(
            found.segments_seconds.tolist(),
            found.labels.tolist(),
            found.scores.tolist(),
            strict=True,
        )
        if score >= min_score
    ]
    return events, dict.fromkeys(predictions)


def _measured(seconds: Lengths, folder: Path) -> Lengths:
    """The lengths with those of the video files that are in ``folder``."""
    files = find_videos(folder)
    return {
        video: index_video(files[video]).duration_seconds if video in files else known
        for video, known in seconds.items()
    }
