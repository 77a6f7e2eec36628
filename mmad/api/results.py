"""What models return: detections of a video, the recognition of a clip, the emotion of a video."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmad import structures
from mmad.api.calls import Place, public, warn
from mmad.api.notebook import scores_html, timeline_html
from mmad.api.tables import data_frame
from mmad.errors import PredictionError, VideoError
from mmad.labels import EMOTIONS, LabelMap
from mmad.structures import Annotations, Floats, Ints, VideoRecord
from mmad.wording import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

MIN_SCORE = 0.1
_TOP = 5


class Detection(NamedTuple):
    """One detection: start and end in seconds, name of its label, score."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float


@dataclass(frozen=True, eq=False, repr=False)
class Detections(structures.Detections):
    """The detections of one video, with the video and the names of the labels.

    Indexing by a mask, by indices or by a slice gives `Detections` of the same video.

    Attributes:
        segments_seconds: float64, shape (N, 2), start and end.
        labels: int64, shape (N,), indices in ``label_map``.
        scores: float64, shape (N,), at least 0; models give them in descending order.
        video: The video; its path is None for detections that were read from a file.
        label_map: Names, codes and body parts of the labels.
    """

    video: VideoRecord = field(kw_only=True)
    label_map: LabelMap = field(kw_only=True)

    @property
    def video_id(self) -> str:
        """Id of the video."""
        return self.video.video_id

    @property
    def names(self) -> list[str]:
        """Name of the label of each detection."""
        return [self.label_map.names[label] for label in self.labels.tolist()]

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.segments_seconds.tolist(), self.names, self.scores.tolist(), strict=True)
        for (start, end), name, score in rows:
            yield Detection(start, end, name, score)

    def __repr__(self) -> str:
        told = f"<{count(len(self), 'detection')} in {self.video_id!r}"
        if self.video.duration_seconds > 0:
            told += f" ({self.video.duration_seconds:.1f} s)"
        if len(self):
            best = next(iter(self.by_score()))
            told += (
                f"; best: {best.label} {best.score:.2f} at {best.start_seconds:.1f} to "
                f"{best.end_seconds:.1f} s"
            )
        return f"{told}>"

    def _repr_html_(self) -> str:
        return timeline_html(
            self, self.label_map, video_id=self.video_id, seconds=self._seconds, least=MIN_SCORE
        )

    @property
    def _seconds(self) -> float:
        """Duration, or the last end if that is not known."""
        last = float(self.segments_seconds[:, 1].max(initial=0))
        return self.video.duration_seconds if self.video.duration_seconds > 0 else last

    @public
    def to_frame(self) -> "DataFrame":
        """A pandas table with a row for each detection.

        Columns: video_id, start_seconds, end_seconds, label, body_part (if labels have them),
        score, label_index.

        Raises: MmadError if pandas is not installed.
        """
        labels = self.label_map
        columns: dict[str, object] = {
            "video_id": [self.video_id] * len(self),
            "start_seconds": self.segments_seconds[:, 0],
            "end_seconds": self.segments_seconds[:, 1],
            "label": self.names,
        }
        if labels.has_parents:
            parents = labels.to_parents(self.labels).tolist()
            columns["body_part"] = [labels.parent_names[parent] for parent in parents]
        return data_frame(columns | {"score": self.scores, "label_index": self.labels})

    @public
    def to_csv(self, path: Place) -> Path:
        """Write the challenge's CSV; returns its path.

        Raises: OutputError if it cannot be written.
        """
        from mmad.evaluation.predictions import write_predictions_csv

        target = Path(path)
        write_predictions_csv(target, {self.video_id: self})
        return target

    @public
    def to_elan(
        self, path: Place | None = None, *, min_score: float = MIN_SCORE, author: str = "mmad"
    ) -> Path:
        """Write detections as tiers of an ELAN file; what a person has made or changed is kept.

        Args:
            path: File to write; by default VIDEO.eaf in the working folder.
            min_score: Lowest score that is written.
            author: Name of the annotator of the tiers.

        Returns: Path of the file.

        Raises: VideoError if there is no video file to link, AnnotationError if an existing file is
            not an ELAN file, OutputError if it cannot be written.
        """
        from mmad.annotations.elan.writing import write_elan
        from mmad.names import safe_name

        if self.video.path is None:
            raise VideoError(
                f"{self.video_id}: these detections have no video file, and an ELAN file links one"
            )
        target = Path(path) if path is not None else Path(f"{safe_name(self.video_id)}.eaf")
        notices = write_elan(
            target,
            video=self.video.path,
            detections=self,
            labels=self.label_map,
            min_score=min_score,
            author=author,
            video_id=self.video_id,
        )
        warn(notices)
        return target

    @public
    def plot(
        self,
        path: Place | None = None,
        *,
        annotations: Annotations | None = None,
        min_score: float = MIN_SCORE,
        frames: bool = True,
    ) -> "Figure":
        """Draw the timeline; a notebook shows the figure that is returned.

        Args:
            path: Also write it here; the suffix (.png, .svg, .pdf) decides the format.
            annotations: Annotations of the video, drawn outlined.
            min_score: Lowest score that is drawn.
            frames: Whether to draw frames of the video above, if its file is there.

        Raises: MmadError if the suffix is none of these, OutputError if it cannot be written.
        """
        from mmad.evaluation.thresholds import Thresholds
        from mmad.report.figures import save_figure
        from mmad.report.timeline.contents import TimelineContents
        from mmad.report.timeline.figure import DPI, timeline_figure
        from mmad.video.film_strip import film_strip

        file = self.video.path
        shown = frames and file is not None and file.is_file()
        contents = TimelineContents(
            video_id=self.video_id,
            duration_seconds=self.video.duration_seconds,
            detections=self,
            labels=self.label_map,
            thresholds=Thresholds.same(min_score, self.label_map),
            annotations=annotations,
            frames=film_strip(file) if shown and file is not None else (),
        )
        figure = timeline_figure(contents)
        if path is not None:
            save_figure(figure, Path(path), dpi=DPI)
        return figure


@dataclass(frozen=True, eq=False, repr=False)
class Recognition:
    """The action of a clip.

    Attributes:
        clip_id: File name of the clip.
        scores: float64 (K,), probability of each action.
        body_scores: float64 (P,), that of each body part; empty if the labels have none.
        label_map: Names of the labels.
    """

    clip_id: str
    scores: Floats
    body_scores: Floats
    label_map: LabelMap

    @property
    def label(self) -> str:
        """Name of the most probable action."""
        return self.label_map.names[int(np.argmax(self.scores))]

    @property
    def body_part(self) -> str | None:
        """The most probable body part; None if the labels have none."""
        if not len(self.body_scores):
            return None
        return self.label_map.parent_names[int(np.argmax(self.body_scores))]

    def top(self, number: int = _TOP) -> list[tuple[str, float]]:
        """The most probable actions with their probabilities, in descending order."""
        best = np.argsort(-self.scores, kind="stable")[:number].tolist()
        return [(self.label_map.names[label], float(self.scores[label])) for label in best]

    def to_frame(self) -> "DataFrame":
        """A pandas table: clip_id, label, score, label_index; a row for each action.

        Raises: MmadError if pandas is not installed.
        """
        order = np.argsort(-self.scores, kind="stable")
        return data_frame(
            {
                "clip_id": [self.clip_id] * len(order),
                "label": [self.label_map.names[label] for label in order.tolist()],
                "score": self.scores[order],
                "label_index": order,
            }
        )

    def __repr__(self) -> str:
        named = ", ".join(f"{name} {score:.2f}" for name, score in self.top(3))
        return f"<{self.clip_id!r}: {named}>"

    def _repr_html_(self) -> str:
        return scores_html(self.clip_id, {"action": self.top()})


@dataclass(frozen=True, eq=False, repr=False)
class RecognizedEmotion:
    """The emotion and the actions of a video.

    Attributes:
        video_id: Id of the video.
        emotion_scores: float64 (5,), probability of each of `mmad.labels.EMOTIONS`.
        action_scores: float64 (A,), probability of each action, for itself.
        action_labels: int64 (A,), the actions that have scores; empty for emotions alone.
        label_map: Names of the actions.
    """

    video_id: str
    emotion_scores: Floats
    action_scores: Floats
    action_labels: Ints
    label_map: LabelMap

    @property
    def emotion(self) -> str:
        """The most probable emotion."""
        return EMOTIONS.names[int(np.argmax(self.emotion_scores))]

    def actions(self, min_score: float = 0.5) -> list[tuple[str, float]]:
        """The actions of at least this probability, in descending order."""
        order = np.argsort(-self.action_scores, kind="stable").tolist()
        names = [self.label_map.names[label] for label in self.action_labels.tolist()]
        scores = self.action_scores.tolist()
        return [(names[place], scores[place]) for place in order if scores[place] >= min_score]

    def emotions(self) -> list[tuple[str, float]]:
        """All emotions with their probabilities, in descending order."""
        order = np.argsort(-self.emotion_scores, kind="stable").tolist()
        return [(EMOTIONS.names[place], float(self.emotion_scores[place])) for place in order]

    def to_frame(self) -> "DataFrame":
        """A pandas table: video_id, kind (emotion, action), label, score.

        Raises: MmadError if pandas is not installed.
        """
        rows = [("emotion", *row) for row in self.emotions()]
        rows += [("action", *row) for row in self.actions(0.0)]
        kinds, names, scores = zip(*rows, strict=True)
        ids = [self.video_id] * len(rows)
        return data_frame({"video_id": ids, "kind": kinds, "label": names, "score": scores})

    def __repr__(self) -> str:
        (name, score), *_ = self.emotions()
        return f"<{self.video_id!r}: {name} {score:.2f}; {count(len(self.actions()), 'action')}>"

    def _repr_html_(self) -> str:
        groups = {"emotion": self.emotions()}
        if len(self.action_labels):
            groups["action"] = self.actions(0.0)[:_TOP]
        return scores_html(self.video_id, groups)


Found = Detections | Sequence[Detections] | Mapping[str, structures.Detections]


class SomeVideosFailed(VideoError):  # noqa: N818
    """Some videos could not be read; ``found`` has the results of the others."""

    def __init__(self, message: str, found: Sequence[object]) -> None:
        super().__init__(message)
        self.found = list(found)


def named_detections(
    found: Mapping[str, structures.Detections], records: Sequence[VideoRecord], labels: LabelMap
) -> list[Detections]:
    """The detections of each video with its record, in the order of the records."""
    by_id = {record.video_id: record for record in records}
    unknown = [VideoRecord(name, 0.0, "none") for name in found if name not in by_id]
    return [
        Detections(
            one.segments_seconds,
            one.labels,
            one.scores,
            one.places,
            video=record,
            label_map=labels,
        )
        for record in [*records, *unknown]
        if (one := found.get(record.video_id)) is not None
    ]


def by_video(found: Found) -> dict[str, structures.Detections]:
    """Detections by the id of their video.

    Raises: PredictionError if these are no detections, or two are of one video.
    """
    if isinstance(found, Mapping):
        return dict(found)
    if isinstance(found, Detections):
        return {found.video_id: found}
    for one in found if isinstance(found, Sequence) else [found]:
        if not isinstance(one, Detections):
            raise PredictionError(
                f"expected the Detections of a video, or a list of them; found {type(one).__name__}"
            )
    named = {one.video_id: one for one in found}
    if len(named) < len(found):
        names = [one.video_id for one in found]
        twice = next(name for name in names if names.count(name) > 1)
        raise PredictionError(f"video '{twice}' has two sets of detections; pass one of each video")
    return dict(named)
