"""Annotators, and the videos that all of them have."""

from collections.abc import Mapping

from mmad.errors import AnnotationError
from mmad.structures import Annotations

_NUM_NAMED = 5

# What one annotator says: the annotations of each video, by id. Points have no length.
Annotator = Mapping[str, Annotations]


def common_videos(
    annotators: Mapping[str, Annotator],
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The videos that all annotators have, in the order of the first; and the annotators of the
    others.

    >>> empty = Annotations()
    >>> common_videos({"ada": {"v": empty, "w": empty}, "ben": {"v": empty}})
    (('v',), {'w': ('ada',)})

    Raises: AnnotationError if there are fewer than two annotators, or no video is common to all.
    """
    if len(annotators) < 2:
        raise AnnotationError(
            f"expected at least two annotators to compare, found {len(annotators)}"
        )
    owners: dict[str, tuple[str, ...]] = {}
    for name, annotations in annotators.items():
        for video in annotations:
            owners[video] = (*owners.get(video, ()), name)
    videos = tuple(video for video, names in owners.items() if len(names) == len(annotators))
    if not videos:
        lines = []
        for name, annotations in annotators.items():
            some = ", ".join(list(annotations)[:_NUM_NAMED]) or "none"
            more = f", ... ({len(annotations)})" if len(annotations) > _NUM_NAMED else ""
            lines.append(f"  {name}: {some}{more}")
        raise AnnotationError(
            "no video is annotated by all; videos are told apart by their names:\n"
            + "\n".join(lines)
        )
    return videos, {video: names for video, names in owners.items() if video not in set(videos)}
