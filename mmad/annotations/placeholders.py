"""Detection of placeholders for hidden annotations."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mmad.annotations.problems import Finding
from mmad.structures import VideoRecord

PLACEHOLDER = "placeholder labels"

# The published test annotations of MMA-52: frames 0 to 20 of every video, classes in turn.
_PLACEHOLDER_FRAMES = 20
_PLACEHOLDER_MIN_VIDEOS = 5


def find_placeholders(records: Sequence[VideoRecord]) -> list[Finding]:
    """An error for each subset whose annotations are placeholders for hidden ones.

    The published test file of MMA-52 is of this kind: one instance per video, frames 0 to 20,
    classes in turn.
    """
    findings = []
    for subset in sorted({record.subset for record in records}):
        chosen = [record for record in records if record.subset == subset]
        suspects = [record for record in chosen if _is_placeholder(record)]
        if len(suspects) < _PLACEHOLDER_MIN_VIDEOS or len(suspects) < 0.9 * len(chosen):
            continue
        labels = [int(record.annotations.labels[0]) for record in suspects]
        in_turn = [next_one == one + 1 for one, next_one in pairwise(labels)]
        # The sequence breaks once per round, and once at each video left out.
        if np.mean(in_turn) >= 0.8:
            message = (
                f"subset {subset}: {len(suspects)} of {len(chosen)} videos have one instance, "
                f"frames 0 to {_PLACEHOLDER_FRAMES}, with the classes in turn (first "
                f"{suspects[0].video_id}); these are placeholders of hidden annotations: predict "
                "for this subset, but do not train or score on it"
            )
            findings.append(Finding(PLACEHOLDER, message))
    return findings


def _is_placeholder(record: VideoRecord) -> bool:
    if len(record.annotations) != 1:
        return False
    start, end = (float(value) for value in record.annotations.segments_seconds[0])
    if start != 0 or end <= 0:
        return False
    if record.fps:
        return round(end * record.fps) == _PLACEHOLDER_FRAMES
    # Without a frame rate: 20 frames at any whole number of frames per second.
    fps = _PLACEHOLDER_FRAMES / end
    return 20 <= fps <= 60 and abs(fps - round(fps)) < 0.01
