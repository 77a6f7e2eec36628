"""Agreement of annotators in one table: of people, or of a model and a person.

Every measure is symmetric: exchanging two annotators changes only the sign of mean deviations.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from mmad.errors import AnnotationError
from mmad.evaluation.agreement.annotators import Annotator, common_videos
from mmad.evaluation.agreement.results import AgreementReport
from mmad.evaluation.agreement.rows import Measured, rows_of
from mmad.evaluation.breakdown import draw_videos
from mmad.evaluation.detection import annotation_rows, to_parents
from mmad.evaluation.matching import Rows
from mmad.labels import LabelMap
from mmad.wording import count

SHORTEST_STEP_SECONDS = 0.01
SHORTEST_INTERVAL_SECONDS = 0.1


def measure_agreement(
    annotators: Mapping[str, Annotator],
    *,
    labels: LabelMap,
    durations_seconds: Mapping[str, float],
    tiou: Sequence[float] = (0.5,),
    step_seconds: float = 0.1,
    interval_seconds: float = 10.0,
    levels: Sequence[str] = ("action", "body"),
    num_resamples: int = 0,
    seed: int = 0,
    reasons: Mapping[str, str] | None = None,
) -> AgreementReport:
    """The agreement of ``annotators`` on the videos that all of them have.

    The body level maps labels to their body parts; segments are unchanged. Labels without parents
    have the action level only. Points count in partial agreement and correlations of counts; they
    have no duration to be matched by or to be sampled.

    Args:
        annotators: Annotators by name, at least two.
        labels: Labels that all annotations refer to.
        durations_seconds: Duration of each video.
        tiou: Thresholds above which annotations may be matched.
        step_seconds: Interval of the times at which kappa compares.
        interval_seconds: Length of the intervals of partial agreement.
        levels: Either or both of "action" and "body".
        num_resamples: Bootstrap resamples of the videos for intervals; 0 for none.
        seed: Seed of the resamples.
        reasons: Why an annotator may have fewer annotations than expected, for messages.

    Raises: AnnotationError if there are fewer than two annotators, no video is common to all, a
        common video has no duration, an annotator has no annotation in them, a length of time is
        impossible, or only the body level is requested and the labels have no body parts.
    """
    if not SHORTEST_STEP_SECONDS <= step_seconds < np.inf:
        raise AnnotationError(
            f"step: expected seconds, at least {SHORTEST_STEP_SECONDS}, found {step_seconds}"
        )
    if not SHORTEST_INTERVAL_SECONDS <= interval_seconds < np.inf:
        raise AnnotationError(
            f"interval: expected seconds, at least {SHORTEST_INTERVAL_SECONDS}, found "
            f"{interval_seconds}"
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
    rows = [
        annotation_rows([(i, annotations[video]) for i, video in enumerate(videos)])
        for annotations in annotators.values()
    ]
    _require_annotations(annotators, rows, videos, reasons or {})
    copies = None
    if num_resamples and len(videos) > 1:
        copies = draw_videos(len(videos), num_resamples=num_resamples, seed=seed).astype(float)
    names, found = tuple(annotators), []
    by_level = _levels(labels, levels)
    for level, level_labels in by_level.items():
        of_level = [one if level == "action" else to_parents(one, labels) for one in rows]
        measured = Measured(
            of_level, len(level_labels), durations, tiou, step_seconds, interval_seconds
        )
        pairs = list(combinations(range(len(names)), 2))
        for some in [tuple(range(len(names)))] * (len(pairs) > 1) + pairs:
            found += rows_of(level, names, some, measured, copies)
    return AgreementReport(
        annotators=names,
        videos=videos,
        left_out=left_out,
        labels=by_level,
        tiou=tuple(map(float, tiou)),
        step_seconds=step_seconds,
        interval_seconds=interval_seconds,
        num_resamples=0 if copies is None else num_resamples,
        seed=seed,
        rows=tuple(found),
    )


def _require_annotations(
    annotators: Mapping[str, Annotator],
    rows: Sequence[Rows],
    videos: Sequence[str],
    reasons: Mapping[str, str],
) -> None:
    """Raise `AnnotationError` if an annotator has nothing to compare, saying why."""
    for (name, annotations), one in zip(annotators.items(), rows, strict=True):
        if len(one):
            continue
        elsewhere = sum(len(found) for found in annotations.values())
        told = [reasons[name]] if name in reasons else []
        if elsewhere:
            told.append(f"it has {count(elsewhere, 'annotation')} in other videos")
        named = ", ".join(videos[:3]) + (", ..." if len(videos) > 3 else "")
        raise AnnotationError(
            f"{name} has no annotation in the {count(len(videos), 'video')} of all ({named}), so "
            "there is no agreement to measure" + "".join(f"; {one}" for one in told)
        )


def _levels(labels: LabelMap, wanted: Sequence[str]) -> dict[str, LabelMap]:
    found = {"action": labels} | ({"body": labels.parent_map} if labels.has_parents else {})
    return {name: of_level for name, of_level in found.items() if name in wanted}
