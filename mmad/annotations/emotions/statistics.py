"""Statistics of videos with emotions: the figures of Table VII and Fig. 11 of the MA-52 paper."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmad.annotations.statistics import in_usual_order
from mmad.labels import EMOTIONS, LabelMap
from mmad.structures import EmotionRecord


@dataclass(frozen=True)
class EmotionStatistics:
    """Statistics of one subset, or of all.

    Attributes:
        name: Name of the subset, or "all".
        num_videos: Number of videos.
        num_unlabelled: Number of videos without an emotion.
        num_action_labels: Number of actions, each counted once a video.
        num_subjects: Number of different subjects; None if the subject of any video is not known.
        total_seconds: Duration of all videos; None if that of any is not known.
        min_seconds: Shortest duration, or None.
        max_seconds: Longest duration, or None.
        videos_by_num_actions: Number of labelled videos by their number of actions.
        videos_by_emotion: Number of videos of each emotion.
        class_counts: Number of videos with each action.
        parent_counts: Number of action labels of each body part (Table VII); empty for a label set
            without body parts.
        parent_counts_by_emotion: The same among the videos of each emotion, (5, body parts); their
            shares are those of Fig. 11.
    """

    name: str
    num_videos: int
    num_unlabelled: int
    num_action_labels: int
    num_subjects: int | None
    total_seconds: float | None
    min_seconds: float | None
    max_seconds: float | None
    videos_by_num_actions: dict[int, int]
    videos_by_emotion: tuple[int, ...]
    class_counts: tuple[int, ...]
    parent_counts: tuple[int, ...]
    parent_counts_by_emotion: tuple[tuple[int, ...], ...]

    def parent_shares_by_emotion(
        self, labels: LabelMap, *, without: Sequence[str] = ()
    ) -> dict[str, dict[str, float | None]]:
        """Share of each body part in the action labels of an emotion (Fig. 11), by both names.

        None for an emotion without action labels.

        Args:
            labels: Label set of the actions.
            without: Body parts that are left out, as in Fig. 11 (b).
        """
        shares: dict[str, dict[str, float | None]] = {}
        kept = [i for i, name in enumerate(labels.parent_names) if name not in without]
        for emotion, counts in zip(EMOTIONS.names, self.parent_counts_by_emotion, strict=False):
            total = sum(counts[parent] for parent in kept)
            shares[emotion] = {
                labels.parent_names[parent]: counts[parent] / total if total else None
                for parent in kept
            }
        return shares


def describe_emotions(
    videos: Sequence[EmotionRecord], *, labels: LabelMap
) -> tuple[EmotionStatistics, ...]:
    """Statistics of each subset, train, val and test first, and of all if there are several."""
    names = in_usual_order({video.subset for video in videos})
    found = [
        _describe([video for video in videos if video.subset == name], name, labels=labels)
        for name in names
    ]
    if len(names) != 1:
        found.append(_describe(videos, "all", labels=labels))
    return tuple(found)


def _describe(videos: Sequence[EmotionRecord], name: str, *, labels: LabelMap) -> EmotionStatistics:
    counts = np.zeros((len(EMOTIONS) + 1, len(labels)), dtype=np.int64)  # last: no emotion
    for video in videos:
        row = len(EMOTIONS) if video.emotion is None else video.emotion
        counts[row, list(video.actions)] += 1
    by_parent = np.zeros((len(EMOTIONS) + 1, len(labels.parent_names)), dtype=np.int64)
    for label, parent in enumerate(labels.parents):
        by_parent[:, parent] += counts[:, label]
    seconds = [video.duration_seconds for video in videos if video.duration_seconds is not None]
    has_seconds = bool(videos) and len(seconds) == len(videos)
    subjects = {video.subject for video in videos}
    emotions = [video.emotion for video in videos if video.emotion is not None]
    num_actions = Counter(len(video.actions) for video in videos if video.emotion is not None)
    return EmotionStatistics(
        name=name,
        num_videos=len(videos),
        num_unlabelled=len(videos) - len(emotions),
        num_action_labels=int(counts.sum()),
        num_subjects=None if None in subjects else len(subjects),
        total_seconds=sum(seconds) if has_seconds else None,
        min_seconds=min(seconds) if has_seconds else None,
        max_seconds=max(seconds) if has_seconds else None,
        videos_by_num_actions=dict(sorted(num_actions.items())),
        videos_by_emotion=tuple(np.bincount(emotions, minlength=len(EMOTIONS)).tolist())
        if emotions
        else (0,) * len(EMOTIONS),
        class_counts=tuple(counts.sum(axis=0).tolist()),
        parent_counts=tuple(by_parent.sum(axis=0).tolist()),
        parent_counts_by_emotion=tuple(map(tuple, by_parent[: len(EMOTIONS)].tolist())),
    )
