"""Subsets of annotated videos without common subjects, as the 140, 37 and 26 of MMA-52."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from mmad.errors import AnnotationError
from mmad.structures import Floats, Ints, VideoRecord
from mmad.wording import count

_LEAST_GAIN = 1e-12
# Pairs are compared all at once, so of many groups only so many, drawn anew in each round.
_MOST_COMPARED = 300
_MOST_ROUNDS = 400
_IDLE_ROUNDS = 3


def sizes_of_shares(shares: Mapping[str, float], *, num_groups: int) -> dict[str, int]:
    """The number of groups of each subset, at least 1; the first subset takes the rest.

    Raises: AnnotationError if there are fewer groups than subsets.

    >>> sizes_of_shares({"train": 0.8, "val": 0.2}, num_groups=7)
    {'train': 6, 'val': 1}
    """
    if num_groups < len(shares):
        raise AnnotationError(
            f"{count(num_groups, 'subject')} cannot be split into {len(shares)} subsets "
            f"({', '.join(shares)}); more are needed"
        )
    first, *others = shares
    sizes = {name: max(1, round(shares[name] * num_groups)) for name in others}
    while sum(sizes.values()) >= num_groups:
        sizes[max(sizes, key=lambda name: sizes[name])] -= 1
    return {first: num_groups - sum(sizes.values()), **sizes}


def split_videos(
    records: Sequence[VideoRecord],
    groups: Mapping[str, str],
    *,
    sizes: Mapping[str, int],
    num_labels: int,
    seed: int = 0,
) -> tuple[VideoRecord, ...]:
    """``records`` with their new subsets, each of as many groups as ``sizes`` says.

    From a random assignment, the two groups are exchanged that bring the classes and the videos
    of the subsets closest to their shares, until no exchange does. Deterministic for a seed.

    Args:
        records: Annotated videos.
        groups: Group of each video id, such as its subject; none is in two subsets.
        sizes: Number of groups of each subset.
        num_labels: Number of labels.
        seed: Seed of the first assignment.

    Raises: AnnotationError if a size is below 1, or the sizes are not of all groups.
    """
    names = sorted(set(groups.values()))
    if min(sizes.values()) < 1 or sum(sizes.values()) != len(names):
        raise AnnotationError(
            f"expected sizes of 1 or more that are {count(len(names), 'subject')} in all, found "
            + " + ".join(map(str, sizes.values()))
        )
    row_of = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), num_labels + 1))
    for record in records:
        row = row_of[groups[record.video_id]]
        np.add.at(counts[row], record.annotations.labels, 1)
        counts[row, num_labels] += 1  # the video itself
    rng = np.random.default_rng(seed)
    subset_of = rng.permutation(np.repeat(np.arange(len(sizes)), list(sizes.values())))
    _balance(subset_of, counts, np.array(list(sizes.values())) / len(names), rng)
    subsets = list(sizes)
    return tuple(
        replace(record, subset=subsets[subset_of[row_of[groups[record.video_id]]]])
        for record in records
    )


def _balance(subset_of: Ints, counts: Floats, shares: Floats, rng: np.random.Generator) -> None:
    """Exchange groups, in place, until no exchange gains; of many groups, until few do."""
    if len(counts) <= _MOST_COMPARED:
        while _exchange(subset_of, counts, shares, np.arange(len(counts))):
            pass
        return
    idle = 0
    for _ in range(_MOST_ROUNDS):
        compared = rng.choice(len(counts), _MOST_COMPARED, replace=False)
        idle = 0 if _exchange(subset_of, counts, shares, compared) else idle + 1
        if idle == _IDLE_ROUNDS:
            return


def _exchange(subset_of: Ints, counts: Floats, shares: Floats, compared: Ints) -> bool:
    """Exchange the two groups that gain the most, in place; False if none gains.

    Args:
        subset_of: Number of the subset of each group, (P,).
        counts: What is counted of each group, (P, K).
        shares: Share of each subset, (S,).
        compared: The groups that may be exchanged.
    """
    total = np.maximum(counts.sum(axis=0), 1)
    scaled = counts / total
    sums = np.stack([scaled[subset_of == one].sum(axis=0) for one in range(len(shares))])
    off = sums - shares[:, None] * (counts.sum(axis=0) > 0)
    best, chosen = -_LEAST_GAIN, None
    for one, other in combinations(range(len(shares)), 2):
        here = compared[subset_of[compared] == one]
        there = compared[subset_of[compared] == other]
        if not len(here) or not len(there):
            continue
        # With m = there - here, what comes to the first subset, the change of both squares is
        # 2 m^2 + 2 m d, where d = off[one] - off[other]; as products of matrices.
        step = off[one] - off[other]
        a, b = scaled[here], scaled[there]
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
        change = 2 * squared + 2 * ((b @ step)[None] - (a @ step)[:, None])
        place = np.unravel_index(change.argmin(), change.shape)
        if change[place] < best:
            best, chosen = float(change[place]), (here[place[0]], there[place[1]])
    if chosen is None:
        return False
    first, second = chosen
    subset_of[first], subset_of[second] = subset_of[second], subset_of[first]
    return True
