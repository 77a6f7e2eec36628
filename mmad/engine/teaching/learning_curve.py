"""Whether more decisions pay: how detections improve with the share of the decided videos.

The mAP is that on videos which were not learnt from, of heads that learnt from a quarter, a half,
three quarters and all of the others. The gain of more decisions is that of a line through the mAP
over the logarithm of their number. Intervals are of resampled videos, the same for all shares; they
do not contain the chance of training.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mmad.engine.teaching.course import Course, held_out
from mmad.evaluation.breakdown import draw_videos, interval, resample
from mmad.projects.examples import VideoExamples

SHARES = (0.25, 0.5, 0.75, 1.0)
LEAST_VIDEOS = 4
_RESAMPLES = 400
# A gain of the mAP that is worth it.
_WORTH = 0.01
# With fewer videos, or a wider interval of the gain, it is too early to tell.
_ENOUGH_VIDEOS = 20
_WIDEST = 0.2


@dataclass(frozen=True)
class CurvePoint:
    """A point of the curve.

    Attributes:
        share: Share of the decided videos.
        decisions: Number of decisions in them, on average.
        precision: The mAP at a tIoU of 0.5, and the ends of its 95 % interval.
        low, high: Ends of that interval.
    """

    share: float
    decisions: float
    precision: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurve:
    """The curve and what it promises.

    Attributes:
        points: The points.
        decided: Number of decisions so far.
        more: Number of further ones.
        gain: The mAP that they would add.
        low, high: Ends of its 95 % interval.
        is_pace: Whether ``more`` is an hour at the pace so far, or as many as there are.
        num_videos: Number of decided videos.
    """

    points: tuple[CurvePoint, ...]
    decided: int
    more: int
    gain: float
    low: float
    high: float
    is_pace: bool
    num_videos: int

    @property
    def sentence(self) -> str:
        """Whether more decisions pay."""
        what = (
            f"another hour (about {self.more} decisions at the pace so far)"
            if self.is_pace
            else f"twice as many decisions ({self.more} more)"
        )
        if self.num_videos < _ENOUGH_VIDEOS or self.high - self.low > _WIDEST:
            return (
                f"what {what} would bring: too early to tell, from {self.num_videos} decided "
                f"videos; with {_ENOUGH_VIDEOS} and more the line is surer"
            )
        change = (
            f"would change the mAP on unseen videos by {100 * self.gain:+.1f} points (95 % "
            f"interval {100 * self.low:+.1f} to {100 * self.high:+.1f})"
        )
        if self.low >= _WORTH:
            verdict = "it pays"
        elif self.high < _WORTH:
            verdict = "it hardly pays"
        else:
            verdict = "whether it pays is not clear yet"
        return f"{what} {change}: {verdict}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with the sentence."""
        return {**asdict(self), "sentence": self.sentence}


def learning_curve(
    course: Course,
    examples: Mapping[str, VideoExamples],
    folds: Sequence[Sequence[str]],
    *,
    num_steps: int,
    num_decisions: int,
    an_hour: float | None,
    on_step: Callable[[], object] = lambda: None,
) -> LearningCurve:
    """The learning curve of a course.

    Args:
        course: What heads are taught from.
        examples: What is known of the videos.
        folds: As in `held_out`, two or more.
        num_steps: Steps of training of each head.
        num_decisions: Number of decisions in all videos.
        an_hour: Decisions in an hour; None: not known.
        on_step: Called after each step of training.
    """
    copies = draw_videos(len(examples), num_resamples=_RESAMPLES, seed=course.config.seed)
    points, drawn = [], []
    for share in SHARES:
        report = held_out(course, examples, folds, [num_steps], share=share, on_step=on_step).report
        estimate = float(report.map[0])
        values = resample(report, copies).map[:, 0]
        low, high = interval(values, estimate)
        learnt = num_decisions * share * (1 - 1 / len(folds))
        points.append(CurvePoint(share, learnt, estimate, max(0.0, low), min(1.0, high)))
        drawn.append(values)
    # No line is trusted beyond twice the decisions.
    is_pace = an_hour is not None and round(an_hour) <= num_decisions
    more = round(an_hour) if an_hour is not None and is_pace else num_decisions
    doublings = np.log2(np.array([point.decisions for point in points]))
    reach = float(np.log2((num_decisions + more) / num_decisions))
    slope_of = (doublings - doublings.mean()) / ((doublings - doublings.mean()) ** 2).sum()
    gain = reach * float(slope_of @ np.array([point.precision for point in points]))
    low, high = interval(reach * (slope_of @ np.stack(drawn)), gain)
    # Nothing is better than an mAP of 1.
    gain, low, high = (min(one, 1 - points[-1].precision) for one in (gain, low, high))
    return LearningCurve(
        tuple(points), num_decisions, more, gain, low, high, is_pace, len(examples)
    )
