"""Subject-disjoint splits of clips into train and validation, or into folds."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np

from mmad.errors import AnnotationError
from mmad.structures import ClipRecord, Ints

# MA-52 names its clips SUBJECT_RECORDING_NUMBER.mp4.
SUBJECT_IN_NAME = r"^([^_]+)_"


def subjects_of_names(names: Sequence[str], pattern: str = SUBJECT_IN_NAME) -> dict[str, str]:
    """The subject of each clip or video, the first group of ``pattern`` in its name.

    Raises: AnnotationError if the pattern is invalid, or listing names that it does not match.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise AnnotationError(
            f"--subject-pattern {pattern}: not a regular expression: {error}"
        ) from None
    if not compiled.groups:
        raise AnnotationError(
            f"--subject-pattern {pattern}: expected a group in parentheses, the subject"
        )
    found = {
        name: match[1] if (match := compiled.search(PurePath(name).name)) else None
        for name in names
    }
    lacking = [name for name, subject in found.items() if not subject]
    if lacking:
        raise AnnotationError(
            f"the pattern {pattern!r} matches no subject in {len(lacking)} of {len(found)} names, "
            f"first {lacking[0]}; pass --subject-pattern or --subjects FILE"
        )
    return {name: subject for name, subject in found.items() if subject}


def subjects_of_table(clips: Sequence[ClipRecord], table: Mapping[str, str]) -> dict[str, str]:
    """The subject of each clip from a table of names, with or without their suffix.

    Raises: AnnotationError if the table lacks clips.
    """
    found = {
        clip.clip_id: table.get(clip.clip_id, table.get(PurePath(clip.clip_id).stem))
        for clip in clips
    }
    lacking = [name for name, subject in found.items() if subject is None]
    if lacking:
        raise AnnotationError(
            f"the subjects of {len(lacking)} of {len(found)} clips are not known, "
            f"first {lacking[0]}"
        )
    return {name: subject for name, subject in found.items() if subject is not None}


def split_by_subject(
    clips: Sequence[ClipRecord],
    subjects: Mapping[str, str],
    *,
    val_share: float = 1 / 3,
    seed: int = 0,
) -> tuple[list[ClipRecord], list[ClipRecord]]:
    """Training and validation clips without a common subject.

    Each subject, the largest first, goes to the side that is farther from its share of the classes
    of that subject; so both sides have about the same mix of classes. Deterministic for a seed.

    Raises: AnnotationError if a share is not between 0 and 1, a clip has no label, or there are
        fewer than two subjects.
    """
    if not 0 < val_share < 1:
        raise AnnotationError(f"--val-share: expected a share between 0 and 1, found {val_share}")
    unlabelled = [clip.clip_id for clip in clips if clip.label is None]
    if unlabelled:
        raise AnnotationError(f"clip {unlabelled[0]} has no label, so it cannot be split by class")
    names = sorted(set(subjects[clip.clip_id] for clip in clips))
    if len(names) < 2:
        raise AnnotationError(f"expected clips of at least two subjects, found {len(names)}")
    num_classes = 1 + max(clip.label or 0 for clip in clips)
    counts = np.zeros((len(names), num_classes))
    place = {name: row for row, name in enumerate(names)}
    for clip in clips:
        counts[place[subjects[clip.clip_id]], clip.label] += 1
    total = np.maximum(counts.sum(axis=0), 1)
    wanted = np.array([1 - val_share, val_share])[:, None] * total
    sides = np.zeros((2, num_classes))
    chosen: dict[str, int] = {}
    shuffled = np.random.default_rng(seed).permutation(len(names))
    for row in sorted(shuffled.tolist(), key=lambda row: -counts[row].sum()):
        # Distance of all classes from their shares, with the subject on either side.
        cost = []
        for side in (0, 1):
            after = sides.copy()
            after[side] += counts[row]
            cost.append((((after - wanted) / total) ** 2).sum())
        side = int(np.argmin(cost))
        sides[side] += counts[row]
        chosen[names[row]] = side
    for side in {0, 1} - set(chosen.values()):  # of very few: the smallest subject goes there
        chosen[next(reversed(chosen))] = side
    parts: tuple[list[ClipRecord], list[ClipRecord]] = ([], [])
    for clip in clips:
        parts[chosen[subjects[clip.clip_id]]].append(clip)
    return parts


def split_folds(
    truth: Ints, *, folds: int, seed: int = 0, groups: Sequence[str] | None = None
) -> Ints:
    """The fold of each clip, (N,): groups stay together, each class is spread evenly.

    Groups (or single clips) are assigned in turn, large ones first and equal ones in an order drawn
    with ``seed``, each to the fold with the smallest share of its classes, then the smallest fold.

    Raises: AnnotationError if ``folds`` is below 2 or there are fewer groups than folds.
    """
    of_clip = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    num_groups = len(np.unique(of_clip))
    what = "clips" if groups is None else "groups (subjects)"
    if not 2 <= folds <= num_groups:
        raise AnnotationError(
            f"expected from 2 folds to as many as there are {what}, {num_groups}, found {folds}"
        )
    num_labels = int(truth.max()) + 1
    counts = np.zeros((num_groups, num_labels))
    np.add.at(counts, (of_clip, truth), 1)
    drawn = np.random.default_rng(seed).permutation(num_groups)
    order = drawn[np.argsort(-counts.sum(axis=1)[drawn], kind="stable")]
    share = counts / np.maximum(counts.sum(axis=0), 1)
    held = np.zeros((folds, num_labels))
    fold_of_group = np.zeros(num_groups, dtype=np.int64)
    for group in order:
        # The last key is the primary one; on a tie the fold with the lower number.
        fold = np.lexsort((held.sum(axis=1), (held @ share[group]).round(12)))[0]
        fold_of_group[group] = fold
        held[fold] += counts[group]
    return fold_of_group[of_clip]
