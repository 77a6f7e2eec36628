"""What held-out videos say about a head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.engine.teaching.course import Course, HeldOut
from mmad.engine.teaching.head import Head
from mmad.engine.teaching.judging import annotations_of, is_present, judge, judgeable
from mmad.projects.calibration import Calibration
from mmad.projects.examples import VideoExamples
from mmad.projects.project import Project
from mmad.structures import Detections


@dataclass(frozen=True, eq=False)
class Outcome:
    """A head, and what held-out videos say about it.

    Attributes:
        course, head: The head, and what it was taught from.
        calibration: From its scores to the probability of being right; None if not known.
        worse: Behaviours that the source before detects better.
        precision, precision_before: Average precision of each behaviour.
        threshold: Score with the best F1 on held-out videos; None if not known.
    """

    course: Course
    head: Head
    calibration: Calibration | None
    worse: set[int]
    precision: Mapping[int, float]
    precision_before: Mapping[int, float]
    threshold: float | None

    @classmethod
    def of(
        cls,
        project: Project,
        examples: Mapping[str, VideoExamples],
        course: Course,
        head: Head,
        judged: HeldOut | None,
        *,
        before: int | None,
    ) -> "Outcome":
        """The outcome of a teaching.

        Args:
            project: The project.
            examples: What was learnt from.
            course, head: The head, and what it was taught from.
            judged: Detections in held-out videos; None if there are none.
            before: The source whose detections it is compared with, or None.
        """
        if judged is None:
            return cls(course, head, None, set(), {}, {}, 0.0)
        behaviours = course.behaviours
        precision = dict(zip(behaviours, judged.report.per_class[0].tolist(), strict=True))
        earlier: dict[int, float] = {}
        if before is not None:
            place = {one: number for number, one in enumerate(behaviours)}
            older = {}
            for name in examples:
                found = detections_of(project, name, before)
                found = found[np.isin(found.labels, behaviours)]
                labels = np.array([place[one] for one in found.labels.tolist()], dtype=np.int64)
                older[name] = Detections(found.segments_seconds, labels, found.scores)
            report = judge(older, examples, behaviours)
            earlier = dict(zip(behaviours, report.per_class[0].tolist(), strict=True))
        worse = {one for one in behaviours if earlier.get(one, 0.0) > precision[one]}
        scores, whose, right = _judged(judged.found, examples, behaviours)
        calibration = Calibration.fit(scores, whose, right)
        threshold = None
        if calibration is not None:
            scores = calibration.probability(scores, whose)
            threshold = _best_threshold(scores, right)
        return cls(course, head, calibration, worse, precision, earlier, threshold)

    def calibrated(self, found: Detections) -> Detections:
        """Detections whose scores are the probabilities that they are accepted."""
        if self.calibration is None or not len(found):
            return found
        scores = self.calibration.probability(found.scores, found.labels.tolist())
        return Detections(found.segments_seconds, found.labels, scores)


def _judged(
    found: Mapping[str, Detections],
    examples: Mapping[str, VideoExamples],
    behaviours: Sequence[int],
) -> tuple[NDArray, list[int], NDArray]:
    """Score, behaviour and rightness of each detection of which it is known if it is right."""
    scores, labels, right = [np.zeros(0)], [], [np.zeros(0, dtype=bool)]
    for name, one in examples.items():
        detections = found[name][judgeable(found[name], one, behaviours)]
        scores.append(detections.scores)
        labels += [behaviours[place] for place in detections.labels.tolist()]
        right.append(is_present(detections, annotations_of(one, behaviours)))
    return np.concatenate(scores), labels, np.concatenate(right)


def _best_threshold(scores: NDArray, right: NDArray) -> float:
    """The score from which the F1 of being right is best."""
    order = np.argsort(-scores, kind="stable")
    hits = right[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + max(1, int(right.sum())))
    return float(scores[order][int(f1.argmax())])


def detections_of(project: Project, name: str, source: int) -> Detections:
    """The detections of a source in a video, labelled with the numbers of the behaviours."""
    rows = project.findings.detections(name, source=source)
    return Detections(
        np.array([[one.start_seconds, one.end_seconds] for one in rows]).reshape(-1, 2),
        np.array([one.behaviour for one in rows], dtype=np.int64),
        np.array([one.score for one in rows]),
    )
