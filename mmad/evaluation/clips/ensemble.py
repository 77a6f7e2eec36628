"""Ensembles of recognisers: weighted scores, weight search, and its gain by nested
cross-validation.

Weights that are searched and scored on the same clips look better than they are. `nested_gain`
therefore searches on some of the clips and scores on the others, in turn.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mmad.annotations.clips.split import split_folds
from mmad.errors import PredictionError, raise_problems
from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    Recognitions,
    evaluate_recognition,
    with_suffix,
)
from mmad.evaluation.clips.scores import RecognitionScores
from mmad.evaluation.level_fusion import combine_levels, rule_of_body_parts
from mmad.labels import LabelMap
from mmad.progress import tracked
from mmad.structures import ClipRecord, Floats, Ints

METRICS: Mapping[str, Callable[[RecognitionReport], float]] = {
    "f1_mean": lambda report: report.f1_mean,
    "f1_macro": lambda report: report.levels["action"].f1_macro,
    "top1": lambda report: report.levels["action"].top1,
}
# Weights are multiples of about 1/60: with up to six members, equal weights are among them.
GRID = 60
_NAMED = 5
# What is averaged: probabilities, or scores before their softmax.
Average = Literal["probability", "score"]

# A point of the grid: integers with a fixed sum, one for each member.
_Point = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class EnsembleGain:
    """The gain of an ensemble of M members, in values of ``metric``. Fractions.

    Attributes:
        metric: One of `METRICS`.
        members: Value of each member alone.
        equal: Value with equal weights.
        best_single: Best member on the other folds, scored on the held-out fold.
        searched: Weights searched on the other folds, scored on the held-out fold: unbiased.
        in_sample: Weights searched and scored on all clips: optimistic.
        weights: Weights (M,) searched on all clips, sum 1, for use on other clips.
        fold_weights: Weights (folds, M), searched without the fold.
        num_clips: Number of clips; those of all folds are pooled before scoring.
    """

    metric: str
    members: tuple[float, ...]
    equal: float
    best_single: float
    searched: float
    in_sample: float
    weights: Floats
    fold_weights: Floats
    num_clips: int

    @property
    def gain(self) -> float:
        """Gain of searched weights over the best member, both on held-out folds."""
        return self.searched - self.best_single


def normalised_weights(weights: Sequence[float] | None, *, num_members: int) -> Floats:
    """``weights`` with the sum 1, (num_members,); equal ones for None.

    Raises: PredictionError if there are no members, or the number of weights differs, or a weight
        is negative or not finite, or none is above 0.

    >>> normalised_weights([3, 1], num_members=2).tolist()
    [0.75, 0.25]
    """
    if not num_members:
        raise PredictionError("an ensemble needs members, found none")
    given = np.ones(num_members) if weights is None else np.array(weights, dtype=np.float64)
    if given.shape != (num_members,):
        raise PredictionError(f"expected {num_members} weights, found {given.size}")
    if not (np.isfinite(given).all() and (given >= 0).all() and given.any()):
        raise PredictionError(
            f"weights must be at least 0 and not all 0, found {', '.join(map(str, given.tolist()))}"
        )
    return given / given.max() / (given / given.max()).sum()  # the largest may be close to overflow


def common_rule(members: Sequence[RecognitionScores], *, labels: LabelMap) -> str:
    """The rule of `rule_of_body_parts` that all members have in common, else "own"."""
    rules = {
        rule_of_body_parts(one.action_scores, one.body_scores, labels=labels) for one in members
    }
    return rules.pop() if len(rules) == 1 else "own"


def fuse_scores(
    members: Sequence[RecognitionScores],
    weights: Sequence[float] | None = None,
    *,
    labels: LabelMap | None = None,
    names: Sequence[str] | None = None,
    average: Average = "probability",
) -> RecognitionScores:
    """The weighted mean of the probabilities of ``members``, or the probabilities of the weighted
    mean of their scores, actions and body parts; clips as in the first.

    Args:
        members: Scores of the same clips, in any order.
        weights: Weight of each member, at least 0, divided by their sum; by default equal.
        labels: Labels of the scores: body parts follow from the fused actions if those of all
            members follow from theirs, by the same rule (`common_rule`). None: body parts are
            fused as actions are.
        names: Names of the members, for messages.
        average: What the mean is taken of; of scores, before their softmax, as TSN does with its
            streams.

    Raises: PredictionError if the clips or classes differ, with the differences, or the weights are
        invalid (see `normalised_weights`).

    Differs: the released code of the challenge's ensembles does not normalise weights, whose sum is
    8.3 (the order of the classes is the same); the paper asks for the sum 1.
    """
    shares = normalised_weights(weights, num_members=len(members))
    clip_ids, *levels = _aligned(members, names)
    mean = _mean_of_scores if average == "score" else _mean
    action, body = (mean(shares, level) for level in levels)
    rule = "own" if labels is None else common_rule(members, labels=labels)
    if labels is not None and rule != "own":
        action, body = combine_levels(action, None, labels=labels, how=rule)
    return RecognitionScores(clip_ids, action, body)


def _mean(shares: Floats, tables_MNK: Floats) -> Floats:
    return np.asarray(np.tensordot(shares, tables_MNK, 1))


def _mean_of_scores(shares: Floats, tables_MNK: Floats) -> Floats:
    """The softmax of the mean of logarithms, which differ from scores by a constant of each row.

    >>> _mean_of_scores(np.array([0.5, 0.5]), np.array([[[0.8, 0.2]], [[0.2, 0.8]]])).tolist()
    [[0.5, 0.5]]
    """
    if not tables_MNK.shape[-1]:
        return _mean(shares, tables_MNK)
    tiny = np.finfo(np.float64).tiny
    logarithms = _mean(shares, np.log(np.maximum(tables_MNK, tiny)))
    powers = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _aligned(
    members: Sequence[RecognitionScores], names: Sequence[str] | None
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Clips of the first member, and scores of all in their order: (M, N, K) and (M, N, P).

    Raises: PredictionError if their clips or classes differ.
    """
    titles = list(names) if names else [f"member {i}" for i in range(1, len(members) + 1)]
    first = members[0]
    ids = [with_suffix(name) for name in first.clip_ids]
    known = set(ids)
    problems, action, body = [], [], []
    for title, member in zip(titles, members, strict=True):
        row_of = {with_suffix(name): row for row, name in enumerate(member.clip_ids)}
        missing = [name for name in ids if name not in row_of]
        others = [name for name in row_of if name not in known]
        if missing:
            problems.append(f"{title} lacks {_some(missing)} of {titles[0]}")
        if others:
            problems.append(f"{title} has {_some(others)} that {titles[0]} lacks")
        if (mine := _classes(member)) != (its := _classes(first)):
            problems.append(f"{title} has {mine}, {titles[0]} {its}")
        if not problems:
            rows = np.array([row_of[name] for name in ids], dtype=np.int64)
            action.append(member.action_scores[rows])
            body.append(member.body_scores[rows])
    raise_problems(PredictionError, source="the members do not fit", problems=problems)
    return tuple(ids), np.stack(action), np.stack(body)


def _classes(scores: RecognitionScores) -> str:
    return f"{scores.action_scores.shape[1]} actions and {scores.body_scores.shape[1]} bodies"


def _some(clip_ids: Sequence[str]) -> str:
    dots, plural = ", ..." if len(clip_ids) > _NAMED else "", "s" if len(clip_ids) > 1 else ""
    return f"{len(clip_ids)} clip{plural} ({', '.join(clip_ids[:_NAMED])}{dots})"


@dataclass(frozen=True, eq=False)
class _Judge:
    """Scores points of the grid of weights, with predictions computed once for all folds."""

    clips: tuple[ClipRecord, ...]
    action: Floats
    body: Floats
    labels: LabelMap
    metric: Callable[[RecognitionReport], float]
    maps: bool
    known: dict[_Point, tuple[Ints, Ints]] = field(default_factory=dict)

    def guesses(self, point: _Point) -> tuple[Ints, Ints]:
        """First action (N, 1) and body part (N, 1, or 0 without any) with the weights ``point``,
        as `fuse_scores` has them.
        """
        if point not in self.known:
            shares = np.array(point) / sum(point)
            action = np.tensordot(shares, self.action, 1).argmax(axis=1)[:, None]
            body = np.zeros((len(action), 0), dtype=np.int64)
            if self.maps:
                body = self.labels.to_parents(action)
            elif self.labels.has_parents:
                body = np.tensordot(shares, self.body, 1).argmax(axis=1)[:, None]
            self.known[point] = action, body
        return self.known[point]

    def score(self, guesses: tuple[Ints, Ints], rows: Ints) -> float:
        """The metric of the predictions (of all clips) on the clips ``rows``."""
        action, body = guesses
        ids = tuple(self.clips[row].clip_id for row in rows)
        report = evaluate_recognition(
            Recognitions(ids, action[rows], body[rows]),
            [self.clips[row] for row in rows],
            labels=self.labels,
        )
        return self.metric(report)


def _judge(
    members: Sequence[RecognitionScores],
    true_labels: Mapping[str, int],
    *,
    labels: LabelMap,
    metric: str,
    names: Sequence[str] | None,
) -> _Judge:
    if metric not in METRICS:
        raise PredictionError(f"metric '{metric}': expected one of {', '.join(METRICS)}")
    normalised_weights(None, num_members=len(members))
    clip_ids, action, body = _aligned(members, names)
    annotated = {with_suffix(name): label for name, label in true_labels.items()}
    scored = set(clip_ids)
    told = {
        "of the annotations have no scores": [name for name in annotated if name not in scored],
        "have no annotation": [name for name in clip_ids if name not in annotated],
        "have an unknown label": [
            name for name in annotated if not 0 <= annotated[name] < len(labels)
        ],
    }
    problems = [f"{_some(found)} {what}" for what, found in told.items() if found]
    problems += [] if annotated else ["there are no annotated clips"]
    expected = f"{len(labels)} actions and {len(labels.parent_names) * labels.has_parents} bodies"
    if _classes(members[0]) != expected:
        problems.append(f"the labels have {expected}, the scores {_classes(members[0])}")
    raise_problems(PredictionError, source="scores and annotations do not fit", problems=problems)
    clips = tuple(ClipRecord(name, annotated[name], "") for name in clip_ids)
    maps = common_rule(members, labels=labels) == "mapping"
    return _Judge(clips, action, body, labels, METRICS[metric], maps)


def search_weights(
    members: Sequence[RecognitionScores],
    true_labels: Mapping[str, int],
    *,
    labels: LabelMap,
    metric: str = "f1_mean",
    names: Sequence[str] | None = None,
) -> Floats:
    """The weights, (M,) with the sum 1, with the best ``metric`` found; never worse than equal.

    A deterministic hill climb on the grid of weights that are multiples of about 1/60: from equal
    weights, and again from the best single member, the best move of a share of weight from one
    member to another is taken while it improves the metric; then the share, initially 1/M, is
    halved, down to one step of the grid. Ties go to the first.

    Args:
        members: Scores of the same clips, in any order.
        true_labels: Index of the annotated action of each of these clips, by id.
        labels: Labels that the indices refer to.
        metric: One of `METRICS`; F1 by the rule per_class.
        names: Names of the members, for messages.

    Raises: PredictionError if clips or classes do not fit, or the metric is unknown.
    """
    judge = _judge(members, true_labels, labels=labels, metric=metric, names=names)
    point = _search(judge, np.arange(len(judge.clips)))
    return np.array(point) / sum(point)


def _equal(num_members: int) -> _Point:
    return (math.ceil(GRID / num_members),) * num_members


def _single(member: int, num_members: int) -> _Point:
    total = sum(_equal(num_members))
    return tuple(total if other == member else 0 for other in range(num_members))


def _best_single(judge: _Judge, rows: Ints) -> _Point:
    """The first of the best members on the clips ``rows``."""
    num_members = len(judge.action)
    singles = [_single(member, num_members) for member in range(num_members)]
    return max(singles, key=lambda point: judge.score(judge.guesses(point), rows))


def _search(judge: _Judge, rows: Ints) -> _Point:
    """See `search_weights`; on the clips ``rows``."""
    known: dict[_Point, float] = {}

    def value(point: _Point) -> float:
        if point not in known:
            known[point] = judge.score(judge.guesses(point), rows)
        return known[point]

    starts = (_equal(len(judge.action)), _best_single(judge, rows))
    return max([_climb(start, value) for start in starts], key=value)


def _climb(point: _Point, value: Callable[[_Point], float]) -> _Point:
    share = sum(point) // len(point)
    while share:
        pairs = itertools.permutations(range(len(point)), 2)
        moves = [_moved(point, *pair, share=share) for pair in pairs if point[pair[0]]]
        best = max(moves, key=value, default=point)
        if value(best) > value(point):
            point = best
        else:
            share //= 2
    return point


def _moved(point: _Point, giver: int, taker: int, *, share: int) -> _Point:
    weights, given = list(point), min(share, point[giver])
    weights[giver] -= given
    weights[taker] += given
    return tuple(weights)


def nested_gain(
    members: Sequence[RecognitionScores],
    true_labels: Mapping[str, int],
    *,
    labels: LabelMap,
    metric: str = "f1_mean",
    folds: int = 5,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
) -> EnsembleGain:
    """The gain of weights from `search_weights` on clips that they were not searched on.

    Nested cross-validation: for each fold, weights (and the best member) are chosen on the other
    folds and applied to the fold; the predictions of all folds together are scored once. Each class
    is spread over the folds as evenly as possible.

    Args:
        members, true_labels, labels, metric, names: See `search_weights`.
        folds: Number of folds, at least 2.
        seed: Random seed of the split into folds.
        groups: Group of each clip by id, such as its subject; a group stays in one fold.

    Raises: PredictionError if clips or classes do not fit, the metric is unknown, or clips have no
    group; AnnotationError if there are fewer clips (or groups) than folds.
    """
    judge = _judge(members, true_labels, labels=labels, metric=metric, names=names)
    label_of_clip = np.array([clip.label for clip in judge.clips], dtype=np.int64)
    fold_of = split_folds(
        label_of_clip, folds=folds, seed=seed, groups=_groups_of(judge.clips, groups)
    )
    everyone = np.arange(len(label_of_clip))
    single, searched = [], []
    for fold in tracked(range(folds), "search weights", total=folds, unit="folds"):
        others = np.flatnonzero(fold_of != fold)
        single.append(_best_single(judge, others))
        searched.append(_search(judge, others))
    best = _search(judge, everyone)

    def score(points: Sequence[_Point]) -> float:
        """The metric of pooled predictions, with a point for each fold."""
        action, body = (
            np.stack(tables)[fold_of, everyone]
            for tables in zip(*map(judge.guesses, points), strict=True)
        )
        return judge.score((action, body), everyone)

    size = len(members)
    return EnsembleGain(
        metric=metric,
        members=tuple(score([_single(member, size)] * folds) for member in range(size)),
        equal=score([_equal(size)] * folds),
        best_single=score(single),
        searched=score(searched),
        in_sample=score([best] * folds),
        weights=np.array(best) / sum(best),
        fold_weights=np.array(searched) / sum(best),
        num_clips=len(label_of_clip),
    )


def _groups_of(clips: Sequence[ClipRecord], groups: Mapping[str, str] | None) -> list[str] | None:
    """Group of each clip; None without groups."""
    if groups is None:
        return None
    group_of = {with_suffix(name): group for name, group in groups.items()}
    if missing := [clip.clip_id for clip in clips if clip.clip_id not in group_of]:
        raise PredictionError(f"{_some(missing)} have no group (subject)")
    return [group_of[clip.clip_id] for clip in clips]
