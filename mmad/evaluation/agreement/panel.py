"""Annotators from several files over one label set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.detections import holds_detections_alone
from mmad.annotations.elan.vocabularies import micro_action
from mmad.annotations.exchange.events import Event, EventFile
from mmad.annotations.exchange.raw import raw_file
from mmad.annotations.formats import AnnotationSet, read_annotations
from mmad.annotations.labels.choice import LabelChoice, labels_of_names
from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.subsets import plain_subset
from mmad.annotations.validation import OutOfVideo
from mmad.errors import AnnotationError, PredictionError
from mmad.evaluation.agreement.annotators import Annotator
from mmad.evaluation.coded_files import has_coded_events, read_coded
from mmad.evaluation.predictions import read_predictions, read_text_file
from mmad.labels import MA52, LabelMap
from mmad.parsing import header_names, json_value
from mmad.structures import Annotations, VideoRecord
from mmad.wording import count


@dataclass(frozen=True)
class Panel:
    """All annotators over one label set.

    Attributes:
        annotators: Annotators by name.
        labels: Common label set.
        videos: Record of each annotated video, by id, with the longest duration of all files.
        notices: What is unusual about the files, one sentence each.
        reasons: The notices about the file of each annotator.
    """

    annotators: Mapping[str, Annotator]
    labels: LabelMap
    videos: Mapping[str, VideoRecord]
    notices: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    def of_subset(self, subset: str) -> "Panel":
        """The panel with the videos of a subset only.

        Raises: AnnotationError if there are none.
        """
        wanted = plain_subset(subset)
        videos = {name: one for name, one in self.videos.items() if one.subset == wanted}
        if not videos:
            found = ", ".join(sorted({one.subset for one in self.videos.values()})) or "none"
            raise AnnotationError(f"--subset {subset}: no video of it; found {found}")
        annotators = {
            name: {video: one for video, one in annotations.items() if video in videos}
            for name, annotations in self.annotators.items()
        }
        return replace(self, annotators=annotators, videos=videos)


def is_predictions(path: Path) -> bool:
    """Whether a file holds predictions.

    That is a CSV with a column ``score``, a JSON with ``results``, or an ELAN file with nothing but
    unedited detections.

    Such a file may be compressed (.gz, .zip), which annotations never are. Errors of unreadable
    files are left to `read_annotations`.
    """
    if path.suffix.lower() in (".gz", ".zip"):
        return True
    if not path.is_file():
        return False
    if path.suffix.lower() == ".eaf":
        return holds_detections_alone(path)
    try:
        text = read_text_file(path)
    except PredictionError:
        return False
    if text.lstrip().startswith("{"):
        try:
            return "results" in json_value(path, text)
        except AnnotationError:
            return False
    header = header_names(text)
    return "score" in header and "start_frame" not in header


def annotator_names(paths: Sequence[Path]) -> list[str]:
    """A unique name for each file: its stem, with the folder where needed.

    >>> annotator_names([Path("ada.eaf"), Path("ben.eaf")])
    ['ada', 'ben']
    >>> annotator_names([Path("ada/s1.eaf"), Path("ben/s1.eaf")])
    ['ada/s1', 'ben/s1']
    >>> annotator_names([Path("s1.csv"), Path("s1.json")])
    ['s1.csv', 's1.json']
    """
    makers = (
        lambda path: path.stem,
        lambda path: f"{path.parent.name}/{path.stem}",
        lambda path: path.name,
    )
    for make in makers:
        names = [make(path) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{number} {path.stem}" for number, path in enumerate(paths, start=1)]


def common_labels(sets: Sequence[AnnotationSet]) -> LabelMap:
    """The label set of all files: MA-52 if any file has it, else the one they share.

    Raises: AnnotationError with the labels that only one file has.
    """
    chosen = next((one for one in sets if one.labels == MA52), sets[0])
    known = _folded(chosen.labels.names)
    for other in sets:
        theirs = _folded(other.labels.names)
        lines = [
            f"  only {one.path}: " + ", ".join(mine[key] for key in sorted(mine.keys() - others))
            for one, mine, others in ((chosen, known, theirs), (other, theirs, known))
            # A file need not use all of MA-52.
            if mine.keys() - others.keys() and one.labels != MA52
        ]
        if lines:
            raise AnnotationError(
                f"{chosen.path} and {other.path} have different labels, so they cannot be "
                "compared; rename the labels, or list them all in `classes` or in a controlled "
                "vocabulary:\n" + "\n".join(lines)
            )
    return chosen.labels


def _folded(names: Sequence[str]) -> dict[str, str]:
    return {name.casefold(): name for name in names}


def read_panel(
    paths: Sequence[Path],
    *,
    min_score: float,
    labels: LabelMap | LabelChoice = "auto",
    out_of_video: OutOfVideo = "error",
    elan: ElanChoice | None = None,
) -> Panel:
    """The annotators of files of annotations and of predictions.

    A detection counts if its score is at least ``min_score``. A model has the videos that its file
    names, even if no score in them is high enough.

    Raises: MmadError if a file cannot be read, if there are fewer than two, or none of annotations,
        which alone hold the durations of videos; or if labels differ.
    """
    if len(paths) < 2:
        raise AnnotationError(f"expected at least two files to compare, found {len(paths)}")
    names = dict(zip(paths, annotator_names(paths), strict=True))
    reasons: dict[str, list[str]] = {name: [] for name in names.values()}
    sets = {
        path: _read(path, labels, out_of_video, elan, reasons[name].append)
        for path, name in names.items()
        if not is_predictions(path) or (elan is not None and elan.takes(path))
    }
    if not sets:
        raise AnnotationError(
            "all files are predictions, which hold no durations of videos; pass a file of "
            "annotations too"
        )
    common = common_labels(list(sets.values()))
    annotators: dict[str, Annotator] = {}
    for path, name in names.items():
        if path in sets:
            annotators[name] = _translated(sets[path], common)
        else:
            if path.suffix.lower() == ".eaf":
                reasons[name].append(
                    f"{path.name}: only unedited detections; they are taken as the "
                    f"model's, from a score of {min_score:g} (--min-score)"
                )
            annotators[name] = _detected(path, common, min_score, reasons[name])
    videos: dict[str, VideoRecord] = {}
    for record in (record for one in sets.values() for record in one.records):
        videos[record.video_id] = _merged(videos.get(record.video_id, record), record)
    return Panel(
        annotators,
        common,
        videos,
        notices=tuple(one for of_file in reasons.values() for one in of_file),
        reasons={name: "; ".join(found) for name, found in reasons.items() if found},
    )


def _read(
    path: Path,
    labels: LabelMap | LabelChoice,
    out_of_video: OutOfVideo,
    elan: ElanChoice | None,
    tell: Callable[[str], object],
) -> AnnotationSet:
    """The annotations of a file, points included."""
    if has_coded_events(path):
        return _coded(path, labels, out_of_video, tell)
    found = read_annotations(
        path, labels=labels, out_of_video=out_of_video, elan=elan, tell=lambda text: None
    )
    for notice in found.notices:
        tell(notice)
    return found


def _coded(
    path: Path,
    labels: LabelMap | LabelChoice,
    out_of_video: OutOfVideo,
    tell: Callable[[str], object],
) -> AnnotationSet:
    """The annotations of a program for coding behaviour; points become segments of no length."""
    file = read_coded(path, labels=labels, out_of_video=out_of_video, tell=tell)
    events = [replace(one, label=micro_action(one.label) or one.label) for one in file.events]
    known = labels if isinstance(labels, LabelMap) else _labels_of(events, file, labels)
    if any(one.person for one in events):
        tell(f"{path.name}: persons are not told apart; the behaviours of all are compared")
    raw = raw_file(file)
    records = []
    for video in raw.videos:
        mine = [one for one in events if one.video_id == video.video_id]
        if video.is_length_assumed:
            tell(
                f"{path.name}: the length of {video.video_id} is not stated; its last time is used"
            )
        records.append(
            VideoRecord(
                video_id=video.video_id,
                duration_seconds=video.duration_seconds,
                subset=video.subset,
                fps=video.fps,
                num_frames=video.num_frames,
                annotations=Annotations(
                    np.array([(one.start_seconds, one.end_seconds) for one in mine]),
                    np.array([known.index(one.label) for one in mine], dtype=np.int64),
                ),
            )
        )
    return AnnotationSet(tuple(records), known, path, file.format)


def _labels_of(events: Sequence[Event], file: EventFile, choice: LabelChoice) -> LabelMap:
    names = {event.label for event in events} | set(file.labels)
    micro = names & set(MA52.names)
    if choice == "ma52" or (choice == "auto" and names == micro):
        return MA52
    return labels_of_names(sorted(names))


def _detected(path: Path, labels: LabelMap, min_score: float, notices: list[str]) -> Annotator:
    """The detections of a file with a score of at least ``min_score``."""
    predictions = read_predictions(path, labels=labels)
    if odd := predictions.odd_rows_text():
        notices.append(f"{path}: {odd}; they agree with nothing")
    scores = np.concatenate([found.scores for found in predictions.values()] or [np.zeros(0)])
    if len(scores) and not (scores >= min_score).any():
        notices.append(
            f"{path.name}: none of its {count(len(scores), 'detection')} has a score of at least "
            f"--min-score {min_score:g}; the highest is {scores.max():.3f}"
        )
    return {
        video: Annotations(found.segments_seconds[good], found.labels[good])
        for video, found in predictions.items()
        for good in [found.scores >= min_score]
    }


def _translated(annotations: AnnotationSet, labels: LabelMap) -> Annotator:
    """The annotations with the indices of ``labels``."""
    place = {name.casefold(): index for index, name in enumerate(labels.names)}
    new = np.array([place[name.casefold()] for name in annotations.labels.names], dtype=np.int64)
    return {
        record.video_id: Annotations(
            record.annotations.segments_seconds, new[record.annotations.labels]
        )
        for record in annotations.records
    }


def _merged(first: VideoRecord, second: VideoRecord) -> VideoRecord:
    return VideoRecord(
        video_id=first.video_id,
        duration_seconds=max(first.duration_seconds, second.duration_seconds),
        subset=first.subset if first.subset != UNKNOWN_SUBSET else second.subset,
        fps=first.fps or second.fps,
        num_frames=first.num_frames or second.num_frames,
    )
