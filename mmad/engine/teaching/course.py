"""Teaching a head and judging it on videos that it has not learnt from.

Shapes: K behaviours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
import torch

from mmad.config.run import FeatureRun
from mmad.data.features.files import FeatureSource
from mmad.data.features.windows import WindowReader
from mmad.engine.inference import OnOutputs, detect_videos
from mmad.engine.jobs.project_features import record_in_project
from mmad.engine.teaching.head import Head, train_head
from mmad.engine.teaching.judging import judge
from mmad.engine.teaching.lesson import lessons_of
from mmad.engine.teaching.sequences import Sequences
from mmad.evaluation.detection import LevelReport
from mmad.models.detectors.whole import FeatureDetector
from mmad.projects.examples import VideoExamples
from mmad.projects.records import ProjectVideo
from mmad.structures import Detections

MOST_FOLDS = 3


@dataclass(frozen=True, eq=False)
class Course:
    """What heads are taught from.

    Attributes:
        source: Stored features.
        sequences: The same, as short sequences.
        config: Settings of a head.
        behaviours: Numbers of the behaviours that it learns, K.
    """

    source: FeatureSource
    sequences: Sequences
    config: FeatureRun
    behaviours: tuple[int, ...]

    def teach(
        self,
        examples: Mapping[str, VideoExamples],
        checkpoints: Sequence[int],
        on_step: Callable[[], object],
    ) -> Iterator[Head]:
        """Train a head, and give it after each of some numbers of steps."""
        return train_head(
            self.config,
            lessons_of(self.sequences, examples, self.behaviours),
            num_behaviours=len(self.behaviours),
            checkpoints=checkpoints,
            on_step=on_step,
        )

    def detector(self, head: Head) -> FeatureDetector:
        """A head as a detector on the stored features."""
        return head.on_stored(self.sequences.projection_DC)

    def detect(
        self,
        detector: FeatureDetector,
        videos: Sequence[ProjectVideo],
        *,
        on_outputs: OnOutputs | None = None,
    ) -> dict[str, Detections]:
        """The detections of `detector` in videos, labelled with places among the behaviours."""
        return detect_videos(
            detector,
            [record_in_project(video) for video in videos],
            self.config,
            device=torch.device("cpu"),
            reader=WindowReader(self.source, steps_per_stored=self.config.upsampling),
            on_outputs=on_outputs,
        ).detections


def folds_of(examples: Mapping[str, VideoExamples], *, seed: int) -> list[list[str]]:
    """The videos in at most three parts, those of a person together; fewer than two parts if there
    are fewer persons (or, where none is named, videos).
    """
    groups: dict[str, list[str]] = {}
    for name, one in examples.items():
        groups.setdefault(f"person {one.video.person}" if one.video.person else name, []).append(
            name
        )
    places = np.random.default_rng(seed).permutation(len(groups))
    order = [sorted(groups)[place] for place in places]
    folds: list[list[str]] = [[] for _ in range(min(MOST_FOLDS, len(groups)))]
    weights = [0] * len(folds)
    # The richest first, each to the fold that has least so far.
    for group in sorted(order, key=lambda one: -_weight(groups[one], examples)):
        place = int(np.argmin(weights))
        folds[place] += groups[group]
        weights[place] += _weight(groups[group], examples)
    return folds


def _weight(names: Sequence[str], examples: Mapping[str, VideoExamples]) -> int:
    return 1 + sum(len(examples[name].present) for name in names)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The detections of heads in videos that they have not learnt from.

    Attributes:
        found: Detections of each video.
        report: Their average precision.
        num_steps: After how many steps of training.
    """

    found: Mapping[str, Detections]
    report: LevelReport
    num_steps: int


def held_out(
    course: Course,
    examples: Mapping[str, VideoExamples],
    folds: Sequence[Sequence[str]],
    checkpoints: Sequence[int],
    *,
    share: float = 1.0,
    on_step: Callable[[], object] = lambda: None,
) -> HeldOut:
    """Teach a head for each fold without its videos, and judge all of them together, after the
    number of steps that is best; training ends when the next one is worse.

    Args:
        course: What they are taught from.
        examples: What is known of the videos.
        folds: Names of the videos of each.
        checkpoints: Numbers of steps to choose from, ascending.
        share: Teach with this share of the other videos.
        on_step: Called after each step of training.
    """
    growing, videos, lock = [], [], Lock()

    def stepped() -> None:
        with lock:
            on_step()

    for number, fold in enumerate(folds):
        others = [name for name in sorted(examples) if name not in fold]
        drawn = np.random.default_rng((course.config.seed, number)).permutation(len(others))
        chosen = sorted(others[place] for place in drawn[: max(1, round(share * len(others)))])
        seen = {name: examples[name] for name in chosen}
        growing.append(course.teach(seen, checkpoints, stepped))
        videos.append([examples[name].video for name in fold])

    def found_after(fold: int) -> dict[str, Detections]:
        return course.detect(course.detector(next(growing[fold])), videos[fold])

    best: HeldOut | None = None
    with _one_thread_each() as workers, ThreadPoolExecutor(workers) as pool:
        for steps in checkpoints:
            found: dict[str, Detections] = {}
            for part in pool.map(found_after, range(len(folds))):
                found |= part
            report = judge(found, examples, course.behaviours)
            if best is not None and report.map[0] < best.report.map[0]:
                break
            if best is None or report.map[0] > best.report.map[0]:
                best = HeldOut(found, report, steps)
    assert best is not None
    return best


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """How many threads can work at once with one core each: small networks gain little from two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield min(threads, MOST_FOLDS)
    finally:
        torch.set_num_threads(threads)


def relabelled(found: Detections, places: Sequence[int]) -> Detections:
    """The detections with each label replaced by the number at its place."""
    return replace(found, labels=np.asarray(places, dtype=np.int64)[found.labels])
