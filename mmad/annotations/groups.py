"""Groups of videos that belong into one subset: those of a person, or of a folder or name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mmad.annotations.clips.split import SUBJECT_IN_NAME, subjects_of_names
from mmad.errors import AnnotationError
from mmad.structures import VideoRecord
from mmad.wording import count

# With fewer groups, a subset would be a single group, whatever it is.
_FEWEST_GROUPS = 3


@dataclass(frozen=True)
class Groups:
    """The group of each video.

    Attributes:
        of_video: Name of the group of each video id.
        source: Where they are from, for messages, such as "subjects".
        are_people: Whether no person is in two groups, as far as can be told.
    """

    of_video: Mapping[str, str]
    source: str
    are_people: bool


def known_subjects(records: Sequence[VideoRecord], *, pattern: str | None = None) -> Groups:
    """The subject of each video, or what ``pattern`` finds in its id.

    Raises: AnnotationError if the subject of a video is not known, or the pattern is wrong or does
        not match every id.
    """
    if pattern is not None:
        found = subjects_of_names([record.video_id for record in records], pattern)
        return Groups(found, "subjects in the names", are_people=True)
    unknown = [record.video_id for record in records if record.subject is None]
    if unknown:
        raise AnnotationError(
            f"the subjects of {len(unknown)} of {len(records)} videos are not known, first "
            f"{unknown[0]}; pass --subjects FILE or --subject-pattern PATTERN, or --random to "
            "split the videos regardless of who is in them"
        )
    return Groups(
        {record.video_id: str(record.subject) for record in records}, "subjects", are_people=True
    )


def single_videos(records: Sequence[VideoRecord]) -> Groups:
    """Each video as a group of its own."""
    return Groups({one.video_id: one.video_id for one in records}, "videos", are_people=False)


def likely_groups(records: Sequence[VideoRecord]) -> Groups:
    """The subjects if all are known, else folders or the beginnings of names up to the first
    underscore if these make at least three groups, else single videos.

    Videos that share a folder or a beginning often show the same person, and to keep them together
    is never wrong.
    """
    if all(record.subject is not None for record in records):
        groups = known_subjects(records)
        if len(set(groups.of_video.values())) > 1:
            return groups
    names = [record.video_id for record in records]
    by_folder = {name: PurePosixPath(name).parts[0] for name in names if "/" in name}
    by_name = {name: match[1] for name in names if (match := re.search(SUBJECT_IN_NAME, name))}
    for found, source in ((by_folder, "folders"), (by_name, "beginnings of names")):
        num_groups = len(set(found.values()))
        if len(found) == len(names) and _FEWEST_GROUPS <= num_groups < len(names):
            return Groups(found, source, are_people=True)
    return single_videos(records)


def groups_text(groups: Groups) -> str:
    """The number and kind of groups.

    >>> groups_text(Groups({"P1_a": "P1", "P1_b": "P1"}, "beginnings of names", True))
    '1 group (beginnings of names)'
    """
    return f"{count(len(set(groups.of_video.values())), 'group')} ({groups.source})"
