"""Random annotations with the statistics of MMA-52.

The figures are counted from the published training annotations: counts of the classes, instances of
a video, length of an instance (median 2.6 s, 13 % under 1 s), share of instances that overlap
another (86 %).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.labels import MA52
from mmad.synthetic.motions import BOTH_HANDS, HAND, HEAD, MOTIONS, Instance

# Instances of each class in the training split of MMA-52, and in the training list of MA-52.
MMA52_COUNTS = (
    *(368, 201, 128, 1, 96, 357, 168, 887, 2039, 1274, 651, 239, 407, 109, 26, 73, 26, 391),
    *(47, 946, 136, 879, 191, 250, 915, 217, 122, 111, 110, 254, 314, 73, 44, 20, 22, 17),
    *(3, 109, 50, 24, 26, 51, 24, 73, 38, 1, 10, 34, 284, 743, 111, 8),
)
MA52_COUNTS = (
    *(309, 150, 20, 9, 156, 337, 242, 456, 962, 1283, 1193, 227, 112, 95, 42, 82, 76, 355),
    *(87, 277, 147, 356, 373, 397, 238, 66, 92, 97, 60, 231, 259, 398, 63, 82, 53, 33),
    *(43, 43, 89, 82, 58, 126, 66, 147, 52, 6, 25, 68, 421, 497, 92, 20),
)
# Videos of the training split of MMA-52 with 2, 3, ... 10 instances.
VIDEOS_BY_INSTANCES = (2037, 1261, 643, 380, 152, 39, 17, 2, 3)

SHORTEST_SECONDS = 0.3
_MEDIAN_SECONDS, _SPREAD = 2.25, 0.82
# Some movements last through most of the video.
_SHARE_LONG = 0.19
_SHARE_AT_START = 0.22
_SHARE_OVERLAPPING = 0.62
_SHARE_SAME_PART = 0.2


@dataclass(frozen=True)
class VideoPlan:
    """A video before it is rendered; ``instances`` are in order of start."""

    fps: int
    num_frames: int
    instances: tuple[Instance, ...]

    @property
    def duration_seconds(self) -> float:
        """Duration of the video."""
        return self.num_frames / self.fps


def class_weights(
    kind: str, *, classes: Sequence[int], counts: Sequence[int]
) -> NDArray[np.float64]:
    """Probability of each of the 52 classes: 0 outside ``classes``, uniform or as ``counts``."""
    weights = np.zeros(len(MA52))
    chosen = np.asarray(classes, dtype=np.int64)
    weights[chosen] = 1.0 if kind == "uniform" else np.asarray(counts, dtype=np.float64)[chosen]
    return weights / weights.sum()


def random_instance(
    label: int, start_seconds: float, end_seconds: float, rng: np.random.Generator
) -> Instance:
    """An instance with random amplitude, speed, side and phase."""
    return Instance(
        label=label,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        amplitude=float(rng.uniform(0.75, 1.3)),
        speed=float(rng.uniform(0.75, 1.3)),
        side=int(rng.integers(2)),
        phase=float(rng.uniform(0, 2 * math.pi)),
    )


def _conflict(new: Instance, old: Instance) -> bool:
    """Whether two instances would need the same part of the body at the same time."""
    if new.end_seconds <= old.start_seconds or old.end_seconds <= new.start_seconds:
        return False
    if new.label == old.label:
        return True
    a, b = MOTIONS[new.label].part, MOTIONS[old.label].part
    if {a, b} <= {HAND, BOTH_HANDS}:
        return BOTH_HANDS in (a, b) or new.side == old.side
    return a == b


def plan_video(
    *,
    weights: NDArray[np.float64],
    fps: int,
    min_seconds: float,
    max_seconds: float,
    rng: np.random.Generator,
    number: float = 1.0,
) -> VideoPlan:
    """A random video.

    Args:
        weights: Probability of each class.
        fps: Frames per second.
        min_seconds, max_seconds: Limits of the duration of the video.
        rng: Generator of all choices.
        number: Factor of the number of instances.
    """
    num_frames = round(rng.uniform(min_seconds, max_seconds) * fps)
    duration = num_frames / fps
    share = np.array(VIDEOS_BY_INSTANCES) / sum(VIDEOS_BY_INSTANCES)
    wanted = max(1, round(number * (2 + int(rng.choice(len(share), p=share)))))
    instances: list[Instance] = []
    for _ in range(40 * wanted):
        if len(instances) == wanted:
            break
        new = _propose(instances, duration=duration, weights=weights, rng=rng)
        clashes = [old for old in instances if _conflict(new, old)]
        # Two simultaneous movements of the head add up, as when a tilted head nods.
        both_head = all(MOTIONS[x.label].part == HEAD for x in (new, *clashes))
        distinct = all(new.label != old.label for old in clashes)
        if not clashes or (both_head and distinct and rng.random() < _SHARE_SAME_PART):
            instances.append(new)
    instances.sort(key=lambda instance: instance.start_seconds)
    return VideoPlan(fps=fps, num_frames=num_frames, instances=tuple(instances))


def _propose(
    instances: list[Instance],
    *,
    duration: float,
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> Instance:
    length = float(np.exp(rng.normal(math.log(_MEDIAN_SECONDS), _SPREAD)))
    if rng.random() < _SHARE_LONG:
        length = float(rng.uniform(0.55, 1.0)) * duration
    length = min(max(length, SHORTEST_SECONDS), duration)
    latest = duration - length
    if rng.random() < _SHARE_AT_START:
        start = 0.0
    elif instances and rng.random() < _SHARE_OVERLAPPING:
        other = instances[int(rng.integers(len(instances)))]
        low = max(other.start_seconds - 0.7 * length, 0.0)
        high = min(other.end_seconds - 0.3 * min(length, 1.0), latest)
        start = float(rng.uniform(low, high)) if low < high else min(low, latest)
    else:
        start = float(rng.uniform(0, latest)) if latest > 0 else 0.0
    label = int(rng.choice(len(weights), p=weights))
    return random_instance(label, start, start + length, rng)


def plan_clip(label: int, *, fps: int, rng: np.random.Generator) -> VideoPlan:
    """A clip of 1 to 7 s that shows one action, as those of MA-52 (mean 1.9 s)."""
    seconds = float(np.clip(np.exp(rng.normal(math.log(1.75), 0.45)), 1.0, 7.0))
    num_frames = round(seconds * fps)
    margin = min(0.1, 0.05 * seconds)
    instance = random_instance(label, margin, num_frames / fps - margin, rng)
    return VideoPlan(fps=fps, num_frames=num_frames, instances=(instance,))
