"""What the page asks, as validated values."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mmad.projects.actions import Target
from mmad.projects.queue import Order

_LONGEST_NAME = 80
_MOST_TARGETS = 200
# SQLite has no larger ones.
_LARGEST = 2**63 - 1


def plain_name(name: str) -> str:
    """A name of one line without spaces around it.

    Raises: ValueError if it is empty, too long, or has control characters.
    """
    name = name.strip()
    if not 0 < len(name) <= _LONGEST_NAME:
        raise ValueError(f"a name has 1 to {_LONGEST_NAME} characters")
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in name):
        raise ValueError("a name is one line of text")
    return name


Name = Annotated[str, AfterValidator(plain_name)]
Number = Annotated[int, Field(ge=1, le=_LARGEST)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetRequest(_Request):
    """A detection or an instance."""

    detection: Number | None = None
    instance: Number | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "TargetRequest":
        if (self.detection is None) == (self.instance is None):
            raise ValueError("either a detection or an instance")
        return self

    def target(self) -> Target:
        """The same as a `Target`."""
        return Target(self.detection, self.instance)


class Accept(_Request):
    """Accept, reject, or take a decision back."""

    action: Literal["accept", "reject", "delete"]
    target: TargetRequest


class Relabel(_Request):
    """Accept as another behaviour."""

    action: Literal["relabel"]
    target: TargetRequest
    behaviour: Number


class Move(_Request):
    """Accept with other times."""

    action: Literal["move"]
    target: TargetRequest
    start: Seconds
    end: Seconds


class Draw(_Request):
    """Add an instance."""

    action: Literal["draw"]
    behaviour: Number
    start: Seconds
    end: Seconds


class Split(_Request):
    """Accept as two."""

    action: Literal["split"]
    target: TargetRequest
    at: Seconds


class Merge(_Request):
    """Accept several as one."""

    action: Literal["merge"]
    targets: tuple[TargetRequest, ...] = Field(min_length=2, max_length=_MOST_TARGETS)


class Decide(_Request):
    """A decision of a person about a video."""

    annotator: Name
    video: Number
    decision: Annotated[
        Accept | Relabel | Move | Draw | Split | Merge, Field(discriminator="action")
    ]


class Reviewed(_Request):
    """That a person has looked at all of a stretch, or takes that back."""

    annotator: Name
    video: Number
    start: Seconds
    end: Seconds
    is_reviewed: bool


class BlindDone(_Request):
    """That a person has coded a stretch of the blind share."""

    annotator: Name
    stretch: Number


class Who(_Request):
    """Whose change is undone or done again."""

    annotator: Name


class NewBehaviour(_Request):
    """A behaviour to add."""

    name: Name


class QueueRequest(_Request):
    """Which detections wait, in which order."""

    annotator: Name
    order: Order = "uncertain"
    min_score: Score = 0.0
    max_score: Score = 1.0
    behaviours: tuple[Number, ...] = ()
    videos: tuple[Number, ...] = ()
