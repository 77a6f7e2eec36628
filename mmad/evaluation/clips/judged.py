"""A recogniser's predictions for annotated clips, in the order of the clips, for figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.errors import PredictionError
from mmad.evaluation.clips.details import RecognitionDetails
from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    evaluate_recognition,
    with_suffix,
)
from mmad.evaluation.clips.scores import RecognitionScores, to_recognitions
from mmad.evaluation.examples import gain_over_others, in_turn
from mmad.labels import LabelMap
from mmad.structures import ClipRecord, Floats, Ints

_NAMED = 3


@dataclass(frozen=True, eq=False)
class JudgedRecogniser:
    """What a recogniser says of N annotated clips.

    Attributes:
        name: Name of its run or file.
        scores: Probability of each label at level "action", (N, K), and, if labels have body parts,
            "body", (N, P).
        features: Features of each clip, (N, D); None if not known.
        report: Results of the scores.
    """

    name: str
    scores: dict[str, Floats]
    features: NDArray[np.floating] | None
    report: RecognitionReport


def judge_recogniser(
    name: str,
    scores: RecognitionScores,
    details: RecognitionDetails | None,
    clips: Sequence[ClipRecord],
    *,
    labels: LabelMap,
) -> JudgedRecogniser:
    """The recogniser with rows in the order of ``clips``.

    Raises: PredictionError if scores or details are of other clips; AnnotationError if clips lack
        labels.
    """
    report = evaluate_recognition(to_recognitions(scores), clips, labels=labels)
    names = [with_suffix(clip.clip_id) for clip in clips]
    rows = _rows(scores.clip_ids, names)
    tables = {"action": scores.action_scores[rows]}
    if labels.has_parents:
        tables["body"] = scores.body_scores[rows]
    if details is None:
        return JudgedRecogniser(name, tables, None, report)
    if set(names) - set(map(with_suffix, details.clip_ids)):
        raise PredictionError(
            f"{name}: the details are of other clips; run mmad predict --details again"
        )
    features = details.features[_rows(details.clip_ids, names)].astype(np.float64)
    return JudgedRecogniser(name, tables, features, report)


def _rows(clip_ids: Sequence[str], names: Sequence[str]) -> Ints:
    row_of = {with_suffix(name): row for row, name in enumerate(clip_ids)}
    return np.array([row_of[name] for name in names], dtype=np.int64)


def check_same_clips(
    first: RecognitionScores, second: RecognitionScores, *, names: tuple[str, str]
) -> None:
    """Raises PredictionError if the two are of different clips.

    Args:
        first, second: Scores of the clips.
        names: Name of each in the message.
    """
    one, other = (set(map(with_suffix, scores.clip_ids)) for scores in (first, second))
    differences = {"lacks": one - other, "adds": other - one}
    told = [
        f"it {verb} {len(found)}: {', '.join(sorted(found)[:_NAMED])}"
        + (", ..." if len(found) > _NAMED else "")
        for verb, found in differences.items()
        if found
    ]
    if told:
        raise PredictionError(
            f"{names[1]}: has predictions of other clips than {names[0]} ({'; '.join(told)}); "
            "predict the same subset with both"
        )


def choose_examples(
    recognisers: Sequence[JudgedRecogniser], clips: Sequence[ClipRecord], *, count: int
) -> list[int]:
    """Rows of the most telling clips, at most ``count``, no two of one action while there are
    others.

    In turn those for which the first recogniser is better and worse: by the difference of both in
    the probability of the annotated action, or of one alone by this and the likeliest other.
    """
    truth = np.array([clip.label for clip in clips])
    each = np.arange(len(clips))
    first = recognisers[0].scores["action"]
    if len(recognisers) > 1:
        gain = first[each, truth] - recognisers[1].scores["action"][each, truth]
    else:
        gain = gain_over_others(first, truth)
    return in_turn(gain, truth, count=count)
