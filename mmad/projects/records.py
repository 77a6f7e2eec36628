"""What a project holds, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["accepted", "rejected", "merged"]
What = Literal["accept", "reject", "relabel", "move", "draw", "delete", "split", "merge"]

# Share of the score with the best F1: who decides about each detection can look at some more.
_WORTH_A_LOOK = 0.75
# Lowest score of a detection that counts, where no threshold is known.
COUNTED_FROM = 0.5


@dataclass(frozen=True)
class Behaviour:
    """A behaviour that is coded.

    Attributes:
        id: Number in the project, which a renaming does not change.
        name: Name.
        code: Short code, such as B1, or None.
        body_part: Body part, or None.
        is_active: Whether it is offered for coding.
    """

    id: int
    name: str
    code: str | None
    body_part: str | None
    is_active: bool


@dataclass(frozen=True)
class ProjectVideo:
    """A video of a project.

    Attributes:
        id: Number in the project.
        name: Id of the video, as in `VideoRecord`.
        path: Its file.
        num_bytes: Size of the file when it was added.
        sha256: Hash of the content when it was added.
        duration_seconds: Duration.
        fps: Mean frame rate.
        num_frames: Number of frames.
        person: Who is seen, or None.
        conditions: Conditions by name.
    """

    id: int
    name: str
    path: Path
    num_bytes: int
    sha256: str
    duration_seconds: float
    fps: float
    num_frames: int
    person: str | None
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A run of a model over videos.

    Attributes:
        id: Number; newer ones have larger numbers.
        made: Time in UTC, ISO 8601.
        model: The run, as it was named.
        settings: What decides its detections.
        num_videos: Number of videos in which it has searched.
        num_detections: Number of its detections.
        threshold: Score with the best F1 on what the model was judged on; None if not known.
    """

    id: int
    made: str
    model: str
    settings: Mapping[str, Any]
    num_videos: int
    num_detections: int
    threshold: float | None

    @property
    def least_score(self) -> float:
        """Score from which its detections are worth a look; those below are shown on demand."""
        return 0.0 if self.threshold is None else _WORTH_A_LOOK * self.threshold

    @property
    def min_score(self) -> float:
        """Score from which its detections count, unless another one is chosen."""
        return COUNTED_FROM if self.threshold is None else self.threshold


@dataclass(frozen=True)
class Extractor:
    """A network whose features of the videos are stored.

    Attributes:
        id: Number; newer ones have larger numbers.
        made: Time in UTC, ISO 8601.
        model: The run or config, as it was named.
        path: File of the features.
    """

    id: int
    made: str
    model: str
    path: Path


@dataclass(frozen=True)
class FoundDetection:
    """A detection of a model in a video of a project.

    Attributes:
        id: Number in the project.
        behaviour: Number of the behaviour.
        start_seconds, end_seconds: Segment.
        score: Score.
    """

    id: int
    behaviour: int
    start_seconds: float
    end_seconds: float
    score: float


@dataclass(frozen=True)
class Curves:
    """The scores of a source over a video.

    Attributes:
        step_seconds: Duration of a step; step k is at (k + 0.5) of it.
        behaviours: Numbers of the behaviours.
        scores: uint8 (num_steps, num_behaviours); 255 is a score of 1.
    """

    step_seconds: float
    behaviours: tuple[int, ...]
    scores: NDArray[np.uint8]


@dataclass(frozen=True)
class Instance:
    """What a person decided about a stretch of a video.

    Attributes:
        id: Number in the project; None for one that is not stored yet.
        behaviour: Number of the behaviour.
        start_seconds, end_seconds: Segment.
        state: Whether the behaviour is there; a rejected one says that it is not, and a merged one
            that its detection is part of an accepted one.
        detection: Number of the detection that it answers, or None if the person drew it.
    """

    id: int | None
    behaviour: int
    start_seconds: float
    end_seconds: float
    state: State = "accepted"
    detection: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields by name, as they are kept in the history."""
        return {
            "id": self.id,
            "behaviour": self.behaviour,
            "start_seconds": self.start_seconds,
            "end_seconds": self.end_seconds,
            "state": self.state,
            "detection": self.detection,
        }


@dataclass(frozen=True)
class Change:
    """A change that a person made, and can be undone.

    Attributes:
        id: Number; later changes have larger ones.
        made: Time in UTC, ISO 8601.
        annotator: Who made it.
        video: Number of the video.
        what: What was done; "undo" and "redo" are changes, too.
        before: The instances that it replaced.
        after: The instances that replaced them.
        undoes: The change that it takes back: for "redo" an "undo"; otherwise None.
    """

    id: int
    made: str
    annotator: str
    video: int
    what: str
    before: tuple[Instance, ...]
    after: tuple[Instance, ...]
    undoes: int | None


@dataclass(frozen=True)
class Stretch:
    """A stretch of a video that a person has looked at.

    Attributes:
        video: Number of the video.
        start_seconds, end_seconds: From when to when.
        is_blind: Whether the suggestions of the model were hidden.
    """

    video: int
    start_seconds: float
    end_seconds: float
    is_blind: bool


@dataclass(frozen=True)
class BlindStretch:
    """A stretch of the blind share: coded by people who do not see what a model found in it.

    Attributes:
        id: Number in the project.
        video: Name of the video.
        start_seconds, end_seconds: From when to when.
        place: Its place in the random order of all stretches of the project, above 0 and up to 1.
    """

    id: int
    video: str
    start_seconds: float
    end_seconds: float
    place: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_seconds - self.start_seconds
