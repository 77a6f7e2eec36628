"""Inter-annotator agreement: of people, or of a model and a person.

Every measure of a pair is symmetric: exchanging the two changes only the sign of the mean
deviations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mmad.errors import AnnotationError
from mmad.evaluation.agreement.symmetric_matching import match_both_ways
from mmad.evaluation.detection import annotation_rows, to_parents
from mmad.evaluation.matching import Rows
from mmad.labels import LabelMap
from mmad.structures import Annotations, Floats

SHORTEST_STEP_SECONDS = 0.01
_NUM_NAMED = 5

# What one annotator says: the annotations of each video, by id.
Annotator = Mapping[str, Annotations]


@dataclass(frozen=True)
class Deviation:
    """Deviation of the boundaries of matched annotations in seconds, second minus first.

    Attributes:
        mean: Signed mean; None without matches, as are the others.
        mean_absolute: Mean of absolute values.
        median_absolute: Median of absolute values.
    """

    mean: float | None
    mean_absolute: float | None
    median_absolute: float | None


@dataclass(frozen=True)
class MatchedAgreement:
    """Agreement on annotations at one tIoU threshold.

    Attributes:
        tiou: Threshold.
        num_matched: Number of matched pairs.
        f1: 2 * matched / (annotations of both); None without annotations.
        f1_per_label: F1 of each label.
        start: Deviation of the starts of matched annotations.
        end: Deviation of their ends.
    """

    tiou: float
    num_matched: int
    f1: float | None
    f1_per_label: tuple[float | None, ...]
    start: Deviation
    end: Deviation


@dataclass(frozen=True)
class LevelAgreement:
    """Agreement of two annotators at one level.

    Attributes:
        labels: Labels of the level.
        num_instances: Number of annotations of each label, by the first and the second annotator.
        matched: Agreement at each tIoU threshold.
        kappa: Cohen's kappa over time for each label; None where both never or both always have it.
        mean_kappa: Mean over the labels that have one, or None.
    """

    labels: LabelMap
    num_instances: tuple[tuple[int, int], ...]
    matched: tuple[MatchedAgreement, ...]
    kappa: tuple[float | None, ...]
    mean_kappa: float | None


@dataclass(frozen=True)
class PairAgreement:
    """Agreement of two annotators.

    Attributes:
        first: Name of one annotator.
        second: Name of the other.
        levels: Results at level "action" and, if labels have body parts, "body".
    """

    first: str
    second: str
    levels: Mapping[str, LevelAgreement]


@dataclass(frozen=True)
class AgreementReport:
    """Agreement of several annotators, pair by pair.

    Attributes:
        annotators: Names of the annotators.
        videos: Ids of the videos that all have annotated, which were compared.
        left_out: Id of each other video, and who has annotated it.
        step_seconds: Interval of the times at which kappa compares.
        pairs: Agreement of every pair, in the order of the names.
    """

    annotators: tuple[str, ...]
    videos: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    step_seconds: float
    pairs: tuple[PairAgreement, ...]


def measure_agreement(
    annotators: Mapping[str, Annotator],
    *,
    labels: LabelMap,
    durations_seconds: Mapping[str, float],
    tiou: Sequence[float] = (0.5,),
    step_seconds: float = 0.1,
    levels: Sequence[str] = ("action", "body"),
) -> AgreementReport:
    """The agreement of every pair of ``annotators`` on the videos that all of them have.

    The body level maps labels to their body parts; segments are unchanged. Labels without parents
    have the action level only.

    Args:
        annotators: Annotators by name, at least two.
        labels: Labels that all annotations refer to.
        durations_seconds: Duration of each video.
        tiou: Thresholds above which annotations may be matched.
        step_seconds: Interval of the times at which kappa compares.
        levels: Either or both of "action" and "body".

    Raises: AnnotationError if there are fewer than two annotators, no video is common to all, a
        common video has no duration, no annotator has an annotation in them, the step is too short
        or not a number, or only the body level is requested and the labels have no body parts.
    """
    if not SHORTEST_STEP_SECONDS <= step_seconds < np.inf:
        raise AnnotationError(
            f"step: expected seconds, at least {SHORTEST_STEP_SECONDS}, found {step_seconds}"
        )
    if not labels.has_parents and "action" not in levels:
        raise AnnotationError(
            f"the {len(labels)} labels have no body parts to compare; ask for the action level"
        )
    videos, left_out = common_videos(annotators)
    unknown = [video for video in videos if video not in durations_seconds]
    if unknown:
        raise AnnotationError(f"the duration of video {unknown[0]} is unknown")
    durations = np.array([durations_seconds[video] for video in videos])
    rows = {
        name: annotation_rows([(i, annotations[video]) for i, video in enumerate(videos)])
        for name, annotations in annotators.items()
    }
    if not any(len(one) for one in rows.values()):
        raise AnnotationError(
            f"{', '.join(annotators)}: none has an annotation in the videos of all ({videos[0]}, "
            "...), so there is no agreement to measure; of predictions, those with a score of at "
            "least --min-score count"
        )
    pairs = []
    for first, second in combinations(annotators, 2):
        by_level = {}
        for level, level_labels in _levels(labels, levels).items():
            a, b = (
                rows[name] if level == "action" else to_parents(rows[name], labels)
                for name in (first, second)
            )
            by_level[level] = _compare(
                a, b, level_labels, tiou=tiou, durations=durations, step_seconds=step_seconds
            )
        pairs.append(PairAgreement(first, second, by_level))
    return AgreementReport(tuple(annotators), videos, left_out, step_seconds, tuple(pairs))


def _levels(labels: LabelMap, wanted: Sequence[str]) -> dict[str, LabelMap]:
    found = {"action": labels} | ({"body": labels.parent_map} if labels.has_parents else {})
    return {name: of_level for name, of_level in found.items() if name in wanted}


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


def _compare(
    a: Rows,
    b: Rows,
    labels: LabelMap,
    *,
    tiou: Sequence[float],
    durations: Floats,
    step_seconds: float,
) -> LevelAgreement:
    in_a, in_b, overlap = match_both_ways(a, b, tiou=min(tiou))
    counts = [np.bincount(rows.labels, minlength=len(labels)) for rows in (a, b)]
    kappa = sampled_kappa(
        a, b, num_labels=len(labels), durations_seconds=durations, step_seconds=step_seconds
    )
    defined = [value for value in kappa if value is not None]
    matched = []
    for threshold in tiou:
        # Pairs are formed by descending tIoU, so those above a higher threshold are its matching.
        good = overlap >= threshold
        hits = np.bincount(a.labels[in_a[good]], minlength=len(labels))
        apart = b.segments[in_b[good]] - a.segments[in_a[good]]
        matched.append(
            MatchedAgreement(
                tiou=float(threshold),
                num_matched=int(hits.sum()),
                f1=_f1(hits.sum(), len(a) + len(b)),
                f1_per_label=tuple(map(_f1, hits, counts[0] + counts[1])),
                start=_deviation(apart[:, 0]),
                end=_deviation(apart[:, 1]),
            )
        )
    return LevelAgreement(
        labels=labels,
        num_instances=tuple(zip(*(count.tolist() for count in counts), strict=True)),
        matched=tuple(matched),
        kappa=kappa,
        mean_kappa=float(np.mean(defined)) if defined else None,
    )


def _f1(num_matched: int, num_instances: int) -> float | None:
    return float(2 * num_matched / num_instances) if num_instances else None


def _deviation(seconds: Floats) -> Deviation:
    if not len(seconds):
        return Deviation(None, None, None)
    far = np.abs(seconds)
    return Deviation(float(seconds.mean()), float(far.mean()), float(np.median(far)))


def sampled_kappa(
    a: Rows, b: Rows, *, num_labels: int, durations_seconds: Floats, step_seconds: float
) -> tuple[float | None, ...]:
    """Cohen's kappa of each label over time.

    Time is cut into bins of ``step_seconds``; at the middle of each bin a label is present (start
    <= t < end of an annotation) or absent. All videos count as one long series. With observed
    agreement p and the agreement q that chance would give two independent annotators who see the
    label as often as these, kappa is (p - q) / (1 - q); None where q is 1, as it is when both never
    or both always see the label.

    Source: Cohen, A coefficient of agreement for nominal scales, 1960.
    """
    # (0: both, 1: in a, 2: in b), of each label.
    seen = np.zeros((3, num_labels), dtype=np.int64)
    num_samples = 0
    for video, duration in enumerate(durations_seconds.tolist()):
        count = max(0, _first_sample(duration, step_seconds))
        num_samples += count
        presence = [
            _present(rows, video, num_labels, count, step_seconds=step_seconds) for rows in (a, b)
        ]
        for place, present in enumerate((presence[0] & presence[1], *presence)):
            seen[place] += present.sum(axis=1)
    return tuple(_kappa(both, in_a, in_b, num_samples) for both, in_a, in_b in seen.T.tolist())


def _first_sample(seconds: float, step_seconds: float) -> int:
    """Index of the first sample at ``seconds`` or later."""
    # 0.15 / 0.1 is not 1.5: a boundary on the middle of a bin must not move by rounding.
    return int(np.ceil(round(seconds / step_seconds - 0.5, 6)))


def _present(
    rows: Rows, video: int, num_labels: int, count: int, *, step_seconds: float
) -> np.ndarray:
    present = np.zeros((num_labels, count), dtype=bool)
    for row in np.flatnonzero(rows.videos == video):
        first, last = (max(0, _first_sample(t, step_seconds)) for t in rows.segments[row])
        present[rows.labels[row], first:last] = True
    return present


def _kappa(both: int, in_a: int, in_b: int, num_samples: int) -> float | None:
    # All times num_samples squared, in integers: the comparison with 1 is exact.
    square = num_samples**2
    observed = (num_samples - in_a - in_b + 2 * both) * num_samples
    chance = in_a * in_b + (num_samples - in_a) * (num_samples - in_b)
    return None if chance == square else (observed - chance) / (square - chance)


def agreement_json(report: AgreementReport) -> dict[str, Any]:
    """The numbers of a report for a JSON file; labels by name, unused ones left out."""
    return {
        "annotators": list(report.annotators),
        "videos": list(report.videos),
        "left_out": {video: list(names) for video, names in report.left_out.items()},
        "step_seconds": report.step_seconds,
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                **{name: _level_json(level) for name, level in pair.levels.items()},
            }
            for pair in report.pairs
        ],
    }


def _level_json(level: LevelAgreement) -> dict[str, Any]:
    used = [label for label, counts in enumerate(level.num_instances) if any(counts)]
    matched = []
    for one in level.matched:
        content = asdict(one)
        content["f1_per_label"] = {level.labels.names[i]: one.f1_per_label[i] for i in used}
        matched.append(content)
    return {
        "num_instances": {level.labels.names[i]: list(level.num_instances[i]) for i in used},
        "matched": matched,
        "kappa": {level.labels.names[i]: level.kappa[i] for i in used},
        "mean_kappa": level.mean_kappa,
    }
