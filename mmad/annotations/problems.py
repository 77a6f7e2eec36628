"""Problems of annotations, each of a kind by which they are grouped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.errors import AnnotationError, raise_problems

BAD_FILE = "unreadable file or wrong columns"
BAD_VALUE = "bad value"
CONTRADICTION = "contradiction within the annotations"
DUPLICATE_VIDEO = "video listed twice"
EMPTY_SEGMENT = "empty segment"
REVERSED_SEGMENT = "reversed segment"
OUTSIDE_VIDEO = "instance outside its video"
UNKNOWN_LABEL = "unknown label"
UNKNOWN_EMOTION = "unknown emotion"
NO_EMOTION = "actions without an emotion"


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        kind: Kind of problem, for grouping; one of the names in this file or in `check`.
        message: Place, what was found, what was expected and what to do.
        video_id: The video concerned, if known.
    """

    kind: str
    message: str
    video_id: str = ""


@dataclass(frozen=True)
class Finding:
    """One result of a check of a data set.

    Attributes:
        kind: Kind of finding, for grouping.
        message: Video, what was found, what was expected, what to do.
        is_error: Whether it should be repaired; otherwise it is good to know.
    """

    kind: str
    message: str
    is_error: bool = True


def raise_annotation_problems(source: str | Path, problems: Sequence[Problem]) -> None:
    """Raise one AnnotationError with all ``problems`` of ``source``, if there are any.

    >>> raise_annotation_problems("a.json", [])
    >>> raise_annotation_problems("a.json", [Problem(BAD_VALUE, "video x: duration is nan")])
    Traceback (most recent call last):
        ...
    mmad.errors.AnnotationError: a.json: video x: duration is nan
    """
    raise_problems(
        AnnotationError, source=str(source), problems=[problem.message for problem in problems]
    )


def in_earlier_lists(
    ids: Iterable[str], name: str, place_of: dict[str, str], *, item: str
) -> list[Finding]:
    """A finding for each id of a list that another list has, too.

    Args:
        ids: Ids of the list.
        name: Name of the list.
        place_of: The first list of each id; those of this list are added.
        item: What the ids are of, "clip" or "video".
    """
    return [
        Finding(DUPLICATE_VIDEO, f"{item} {one} is in {place_of[one]} and {name}; keep one")
        for one in ids
        if place_of.setdefault(one, name) != name
    ]
