"""Annotators from several files over one label set, and consensus files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmad.annotations.activitynet import write_activitynet_json
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.detections import holds_detections_alone
from mmad.annotations.formats import AnnotationSet, LabelChoice, read_annotations
from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.subsets import plain_subset
from mmad.annotations.validation import OutOfVideo
from mmad.errors import AnnotationError, PredictionError
from mmad.evaluation.agreement.consensus import Consensus
from mmad.evaluation.agreement.pairs import Annotator
from mmad.evaluation.predictions import read_predictions, read_text_file
from mmad.files import write_csv
from mmad.labels import MA52, LabelMap
from mmad.parsing import json_value
from mmad.structures import Annotations, VideoRecord


@dataclass(frozen=True)
class Panel:
    """All annotators over one label set.

    Attributes:
        annotators: Annotators by name.
        labels: Common label set.
        videos: Record of each annotated video, by id, with the longest duration of all files.
        notices: What is unusual about the files, one sentence each.
    """

    annotators: Mapping[str, Annotator]
    labels: LabelMap
    videos: Mapping[str, VideoRecord]
    notices: tuple[str, ...] = ()

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
        return Panel(annotators, self.labels, videos, self.notices)


def is_predictions(path: Path) -> bool:
    """Whether a file holds predictions.

    That is a CSV with a column ``score``, a JSON with ``results``, or an ELAN file with nothing but
    detections that nobody has changed.

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
    header = [name.strip(' "\r') for name in text.partition("\n")[0].split(",")]
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
    sets = {
        path: read_annotations(path, labels=labels, out_of_video=out_of_video, elan=elan)
        for path in paths
        if not is_predictions(path) or (elan is not None and elan.takes(path))
    }
    if not sets:
        raise AnnotationError(
            "all files are predictions, which hold no durations of videos; pass a file of "
            "annotations too"
        )
    common = common_labels(list(sets.values()))
    annotators: dict[str, Annotator] = {}
    notices = []
    for path, name in zip(paths, annotator_names(paths), strict=True):
        if path in sets:
            annotators[name] = _translated(sets[path], common)
            continue
        predictions = read_predictions(path, labels=common)
        if odd := predictions.odd_rows_text():
            notices.append(f"{path}: {odd}; they agree with nothing")
        annotators[name] = {
            video: Annotations(found.segments_seconds[good], found.labels[good])
            for video, found in predictions.items()
            for good in [found.scores >= min_score]
        }
    videos: dict[str, VideoRecord] = {}
    for record in (record for one in sets.values() for record in one.records):
        videos[record.video_id] = _merged(videos.get(record.video_id, record), record)
    return Panel(annotators, common, videos, tuple(notices))


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


def write_consensus(path: Path, consensus: Consensus, panel: Panel) -> Path:
    """Write the consensus, and the disputed instances beside it; returns the path of the latter.

    For MA-52 in the format of its published JSON, otherwise as ActivityNet JSON.

    Raises: AnnotationError if they cannot be written.
    """
    records = [
        VideoRecord(
            video_id=video,
            duration_seconds=panel.videos[video].duration_seconds,
            subset=panel.videos[video].subset,
            fps=panel.videos[video].fps,
            num_frames=panel.videos[video].num_frames,
            annotations=annotations,
        )
        for video, annotations in consensus.annotations.items()
    ]
    write_activitynet_json(path, records, panel.labels)
    disputed = disputed_path(path)
    rows = [
        (
            one.video_id,
            round(one.start_seconds, 4),
            round(one.end_seconds, 4),
            panel.labels.names[one.label],
            "; ".join(one.seen_by),
            "; ".join(one.missed_by),
        )
        for one in consensus.disputed
    ]
    header = ("video_id", "start_seconds", "end_seconds", "label", "seen_by", "missed_by")
    write_csv(disputed, header=header, rows=rows)
    return disputed


def disputed_path(path: Path) -> Path:
    """Path of the disputed instances of a consensus.

    >>> disputed_path(Path("out/agreed.json")).as_posix()
    'out/agreed_disputed.csv'
    """
    return path.with_name(f"{path.stem}_disputed.csv")
