"""Bounds of the mAP over all orders of detections with equal scores.

Detections with equal scores of a class are a group. Another order within the groups changes which
of them are hits, because they compete for annotations, and at which ranks the hits are. `tie_range`
bounds both, for each class and threshold by itself: no order gives less than ``worst`` or more than
``best``. The bounds are met wherever detections of a group compete for one annotation at most, but
one order need not meet those of all classes and thresholds at once.

Best: after each group there are as many hits as any order can have, and those that a group adds are
its first detections. Worst: after each group there are as few hits as any order can have, and in
each group a hit comes as late as any order allows. A detection with a free annotation is a hit
wherever it stands, so it can only be preceded by detections without one; and each hit frees those
that are left without an annotation by it to come next. Average precision never falls if a hit moves
to an earlier rank or a hit is added at the end, so these two give the bounds.

Shapes: N detections, M annotations, Q thresholds, G groups.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from mmad.evaluation.detection import LevelReport, class_precisions, mean_precision
from mmad.evaluation.matching import Matches
from mmad.structures import Ints

# Maximum number of states of an exact search, beyond which looser bounds are used. Up to about five
# annotations and a dozen tied detections have fewer.
MOST_STATES = 2000


@dataclass(frozen=True)
class TieRange:
    """The effect of the order of equal scores. Fractions.

    Attributes:
        num_tied: Number of detections that share their score with another of their class, where one
            of these overlaps an annotation of the class enough to take it.
        share: Their share of all detections.
        worst, best: Bounds of the average mAP over all orders of equal scores.
    """

    num_tied: int
    share: float
    worst: float
    best: float


class _Gain(NamedTuple):
    """The hits among the detections of one group that compete for some annotations.

    Attributes:
        group: Index of the group.
        most: Maximum number of hits that they add.
        steps: Of the hits that they add at least, each with how many detections can be placed
            thanks to it: itself, and those that it leaves without an annotation.
    """

    group: int
    most: int
    steps: Sequence[int]


@dataclass(frozen=True, eq=False)
class _Groups:
    """Detections of equal class and score.

    Attributes:
        rows: Detections by class and descending score, (N,).
        numbers: Group of each detection, (N,); groups are numbered in the order of ``rows``.
        starts: Index in ``rows`` at which each group starts, (G,).
        sizes: Size of each group, (G,).
    """

    rows: Ints
    numbers: Ints
    starts: Ints
    sizes: Ints


def tie_range(level: LevelReport, *, most_states: int = MOST_STATES) -> TieRange:
    """How many detections are tied at a level, and the bounds of its average mAP."""
    matches = level.matches
    groups = _groups(matches)
    can_hit = np.zeros(len(groups.sizes), dtype=bool)
    can_hit[groups.numbers[matches.table.options.detections]] = True
    num_tied = int(groups.sizes[can_hit & (groups.sizes > 1)].sum())
    if not num_tied:
        return TieRange(0, 0.0, level.average, level.average)
    best = np.zeros(matches.table.matched.shape, dtype=bool)
    worst = best.copy()
    for column in range(len(matches.table.tiou)):
        gains = list(_gains(matches, groups, column, most_states))
        best[groups.rows[_early(gains, groups)], column] = True
        worst[groups.rows[_late(gains, groups)], column] = True
    low, high = (
        float(mean_precision(class_precisions(hits, matches)).mean()) for hits in (worst, best)
    )
    return TieRange(num_tied, num_tied / len(matches.detections), low, high)


def _groups(matches: Matches) -> _Groups:
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *matches.ranked])
    labels, scores = matches.detections.labels[rows], matches.detections.scores[rows]
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = (labels[1:] != labels[:-1]) | (scores[1:] != scores[:-1])
    numbers = np.empty(len(rows), dtype=np.int64)
    numbers[rows] = np.cumsum(is_first) - 1
    starts = np.flatnonzero(is_first)
    return _Groups(rows, numbers, starts, np.diff(starts, append=len(rows)))


def _early(gains: Sequence[_Gain], groups: _Groups) -> Ints:
    """Places in `_Groups.rows` of the hits, as many and as early as can be."""
    most = np.zeros(len(groups.sizes), dtype=np.int64)
    np.add.at(most, [gain.group for gain in gains], [gain.most for gain in gains])
    within = np.arange(most.sum()) - np.repeat(np.cumsum(most) - most, most)
    return np.repeat(groups.starts, most) + within


def _late(gains: Sequence[_Gain], groups: _Groups) -> Ints:
    """Places in `_Groups.rows` of the hits, as few and as late as can be."""
    group = np.repeat([gain.group for gain in gains], [len(gain.steps) for gain in gains])
    step = np.array([one for gain in gains for one in gain.steps], dtype=np.int64)
    group = group.astype(np.int64)
    # Hits after which most detections can be placed come first.
    order = np.lexsort((-step, group))
    group, step = group[order], step[order]
    total = np.bincount(group, weights=step, minlength=len(groups.sizes)).astype(np.int64)
    before = np.cumsum(step) - step
    first = np.cumsum(total) - total
    return (groups.starts + groups.sizes - total)[group] + before - first[group]


def _gains(matches: Matches, groups: _Groups, column: int, most_states: int) -> Iterator[_Gain]:
    """What each group adds at a threshold; detections without competition add nothing."""
    table = matches.table
    detections, annotations = table.options.at(table.tiou[column])
    part_of = _parts(detections, annotations, num_annotations=len(matches.annotations))
    part = part_of[annotations]
    is_first = np.diff(detections, prepend=-1) > 0
    able, able_part = detections[is_first], part[is_first]
    able_group = groups.numbers[able]
    # Those of a group that compete with each other.
    keys, rivals_of, num_rivals = np.unique(
        able_part * len(groups.sizes) + able_group, return_inverse=True, return_counts=True
    )
    num_annotations = np.bincount(part_of[np.unique(annotations)], minlength=len(part_of))
    is_tied = np.zeros(len(part_of), dtype=bool)
    is_tied[keys[num_rivals > 1] // max(1, len(groups.sizes))] = True
    is_hard = is_tied & (num_annotations > 1)
    # A hit whose rivals all want the one annotation it takes leaves every one of them without.
    is_hit = (table.matched[able, column] >= 0) & ~is_hard[able_part]
    for group, size in zip(
        able_group[is_hit].tolist(), num_rivals[rivals_of[is_hit]].tolist(), strict=True
    ):
        yield _Gain(group, 1, (size,))
    chosen = is_hard[part]
    hard = detections[chosen], annotations[chosen], part[chosen]
    order = np.lexsort((np.arange(chosen.sum()), groups.numbers[hard[0]], hard[2]))
    pairs = zip(
        hard[2][order].tolist(),
        groups.numbers[hard[0][order]].tolist(),
        hard[0][order].tolist(),
        hard[1][order].tolist(),
        strict=True,
    )
    for _, mine in itertools.groupby(pairs, key=itemgetter(0)):
        yield from _hard_gains(list(mine), table.matched[:, column], most_states)


def _parts(detections: Ints, annotations: Ints, *, num_annotations: int) -> Ints:
    """Which annotations the same detections may take, also in steps: lowest row of them, (M,)."""
    part = np.arange(num_annotations)
    if not len(detections):
        return part
    first = np.flatnonzero(np.diff(detections, prepend=-1))
    lengths = np.diff(first, append=len(detections))
    while True:
        lowest = np.repeat(np.minimum.reduceat(part[annotations], first), lengths)
        new = part.copy()
        np.minimum.at(new, annotations, lowest)
        new = new[new]
        if (new == part).all():
            return part
        part = new


def _hard_gains(
    pairs: Sequence[tuple[int, int, int, int]], matched: Ints, most_states: int
) -> Iterator[_Gain]:
    """What each group adds where tied detections compete for several annotations.

    Args:
        pairs: Component, group, detection and annotation, by group, then detection, then
            preference.
        matched: Annotation that each detection took, (N,).
        most_states: Number of states beyond which bounds without a search are returned.
    """
    bit_of = {row: 1 << bit for bit, row in enumerate(sorted({pair[3] for pair in pairs}))}
    numbers: list[int] = []
    wishes: list[list[tuple[int, ...]]] = []
    num_hits: list[int] = []
    for number, of_group in itertools.groupby(pairs, key=itemgetter(1)):
        numbers.append(number)
        wishes.append([])
        num_hits.append(0)
        for row, of_one in itertools.groupby(of_group, key=itemgetter(2)):
            wishes[-1].append(tuple(bit_of[pair[3]] for pair in of_one))
            num_hits[-1] += int(matched[row] >= 0)
    found = _search(wishes, most_states) or _without_search(wishes, num_hits)
    for number, (most, steps) in zip(numbers, found, strict=True):
        yield _Gain(number, most, steps)


def _search(
    wishes: Sequence[Sequence[tuple[int, ...]]], most_states: int
) -> list[tuple[int, list[int]]] | None:
    """`_Gain.most` and ``steps`` of each group, from all ways in which its detections can choose.

    Args:
        wishes: For each group by descending score, the annotations of each detection as bits.
        most_states: Maximum number of states; None is returned if there are more.
    """
    gains = []
    starts = {0}
    fewest = most = num_states = 0
    for of_group in wishes:
        kinds = Counter(of_group)
        seen = {(taken, tuple(kinds.values())) for taken in starts}
        stack = list(seen)
        starts = set()
        placed = [0] * (1 + len({bit for wish in of_group for bit in wish}) + most)
        while stack:
            taken, left = stack.pop()
            choices = [
                (place, choice)
                for place, wish in enumerate(kinds)
                if left[place] and (choice := next((bit for bit in wish if not taken & bit), 0))
            ]
            waiting = sum(left[place] for place, _ in choices)
            num_hits = taken.bit_count()
            placed[num_hits] = max(placed[num_hits], len(of_group) - waiting)
            if not choices:
                starts.add(taken)
            for place, choice in choices:
                fewer = (*left[:place], left[place] - 1, *left[place + 1 :])
                state = (taken | choice, fewer)
                if state not in seen:
                    seen.add(state)
                    stack.append(state)
            if num_states + len(seen) > most_states:
                return None
        num_states += len(seen)
        placed = list(itertools.accumulate(placed, max))
        least, highest = (pick(map(int.bit_count, starts)) for pick in (min, max))
        steps = [b - a for a, b in itertools.pairwise(placed[fewest : least + 1])]
        gains.append((highest - most, steps))
        fewest, most = least, highest
    return gains


def _without_search(
    wishes: Sequence[Sequence[tuple[int, ...]]], num_hits: Sequence[int]
) -> list[tuple[int, list[int]]]:
    """The same, as bounds: whatever the order, a detection fails only if all it may take is taken.

    So any two orders give maximal matchings, and one has at most twice as many pairs as another.
    """
    gains = []
    fewest = most = total = 0
    wanted: set[int] = set()
    for of_group, hits in zip(wishes, num_hits, strict=True):
        total += hits
        wanted.update(bit for wish in of_group for bit in wish)
        least = math.ceil(total / 2)
        highest = min(2 * total, len(wanted), most + len(of_group))
        gains.append((highest - most, [1] * (least - fewest)))
        fewest, most = least, highest
    return gains


def ties_json(ranges: dict[str, TieRange]) -> dict[str, dict[str, float]]:
    """The figures by level: fractions, and the number of tied detections."""
    return {
        name: {"tied": one.num_tied, "share": one.share, "worst": one.worst, "best": one.best}
        for name, one in ranges.items()
    }
