"""Subsets of annotated videos without common subjects, as the 140, 37 and 26 of MMA-52."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from mmad.errors import AnnotationError
from mmad.structures import Floats, Ints, VideoRecord
from mmad.wording import count

_LEAST_GAIN = 1e-12


def split_videos_by_subject(
    records: Sequence[VideoRecord], *, sizes: Mapping[str, int], num_labels: int, seed: int = 0
) -> tuple[VideoRecord, ...]:
    """``records`` with their new subsets, each of as many subjects as ``sizes`` says.

    From a random assignment, the two subjects are exchanged that bring the classes and the videos
    of the subsets closest to their shares, until no exchange does. Deterministic for a seed.

    Args:
        records: Annotated videos with subjects.
        sizes: Number of subjects of each subset.
        num_labels: Number of labels.
        seed: Seed of the first assignment.

    Raises: AnnotationError if the subject of a video is not known, a size is below 1, or the sizes
        are not of all subjects.
    """
    unknown = [record.video_id for record in records if record.subject is None]
    if unknown:
        raise AnnotationError(
            f"the subjects of {len(unknown)} of {len(records)} videos are not known, first "
            f"{unknown[0]}; pass --subjects FILE"
        )
    people = sorted({str(record.subject) for record in records})
    if min(sizes.values()) < 1 or sum(sizes.values()) != len(people):
        raise AnnotationError(
            f"expected sizes of 1 or more that are {count(len(people), 'subject')} in all, found "
            + " + ".join(map(str, sizes.values()))
        )
    row_of = {name: row for row, name in enumerate(people)}
    counts = np.zeros((len(people), num_labels + 1))
    for record in records:
        row = row_of[str(record.subject)]
        np.add.at(counts[row], record.annotations.labels, 1)
        counts[row, num_labels] += 1  # the video itself
    subset_of = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    subset_of = np.random.default_rng(seed).permutation(subset_of)
    while _exchange(subset_of, counts, np.array(list(sizes.values())) / len(people)):
        pass
    names = list(sizes)
    return tuple(
        replace(record, subset=names[subset_of[row_of[str(record.subject)]]]) for record in records
    )


def _exchange(subset_of: Ints, counts: Floats, shares: Floats) -> bool:
    """Exchange the two subjects that gain the most, in place; False if none gains.

    Args:
        subset_of: Number of the subset of each subject, (P,).
        counts: What is counted of each subject, (P, K).
        shares: Share of each subset, (S,).
    """
    total = np.maximum(counts.sum(axis=0), 1)
    scaled = counts / total
    sums = np.stack([scaled[subset_of == one].sum(axis=0) for one in range(len(shares))])
    off = sums - shares[:, None] * (counts.sum(axis=0) > 0)
    best, chosen = -_LEAST_GAIN, None
    for one, other in combinations(range(len(shares)), 2):
        here, there = np.flatnonzero(subset_of == one), np.flatnonzero(subset_of == other)
        moved = scaled[there][None] - scaled[here][:, None]  # what comes to the first subset
        # (off + moved)^2 - off^2 of the first, and (off - moved)^2 - off^2 of the other.
        change = (2 * moved**2 + 2 * moved * (off[one] - off[other])).sum(axis=2)
        place = np.unravel_index(change.argmin(), change.shape)
        if change[place] < best:
            best, chosen = float(change[place]), (here[place[0]], there[place[1]])
    if chosen is None:
        return False
    first, second = chosen
    subset_of[first], subset_of[second] = subset_of[second], subset_of[first]
    return True
