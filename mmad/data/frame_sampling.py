"""Which frames of a clip a view has, in training and in evaluation.

Sources: "uniform" is the sampling of Li et al. (ACM MM 2024); "segments" that of TSN and TSM, and
"dense" that of 3D networks, both as SampleFrames of mmaction2 (1.x, and 0.x where they differ).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.views import ViewSettings

Frames = NDArray[np.int64]


@dataclass(frozen=True)
class Sampling:
    """How the frames of a view are chosen.

    Attributes:
        how: "uniform", "segments", "dense" or "random"; see `ViewSettings`.
        count: F, the frames of a view.
        interval: "dense": distance of neighbours in frames.
        places: "segments", "dense": where views lie in evaluation, from "ends" to ends, or in the
            "middles" of equal parts.
        stack: Images of optical flow that belong to each frame: its own and those after it, for
            which the last one, a copy of the one before, is not used; None for RGB images.
    """

    how: Literal["uniform", "segments", "dense", "random"]
    count: int
    interval: int = 1
    places: Literal["ends", "middles"] = "ends"
    stack: int | None = None

    @classmethod
    def of(cls, settings: ViewSettings, backbone: BackboneFamilySettings) -> "Sampling":
        """The sampling that the settings ask for."""
        stack = backbone.images_per_frame if backbone.reads_flow else None
        how, interval, places = settings.sampling, settings.frame_interval, settings.view_places
        return cls(how, backbone.clip_frames, interval, places, stack)

    @property
    def span(self) -> int:
        """Frames that a clip needs so that no view repeats one."""
        span = (self.count - 1) * self.interval + 1 if self.how == "dense" else self.count
        return span + (self.stack or 0)

    def training(self, num_frames: int, *, rng: np.random.Generator) -> Frames:
        """The frames of a random view, (F,); with stacks those of each, (F x S,)."""
        return self._stacked(self._training(self._num_starts(num_frames), rng=rng), num_frames)

    def evaluation(self, num_frames: int, *, num_views: int) -> Frames:
        """The frames of ``num_views`` views, (num_views, F); with stacks (num_views, F x S)."""
        starts = self._evaluation(self._num_starts(num_frames), num_views=num_views)
        return self._stacked(starts, num_frames)

    def _num_starts(self, num_frames: int) -> int:
        """Frames at which a whole stack begins; at least one."""
        return num_frames if self.stack is None else max(num_frames - self.stack, 1)

    def _stacked(self, starts: Frames, num_frames: int) -> Frames:
        """The frames of the stacks, in place of their first ones."""
        if self.stack is None:
            return starts
        frames = starts[..., None] + np.arange(self.stack)
        return np.minimum(frames, max(num_frames - 2, 0)).reshape(*starts.shape[:-1], -1)

    def _training(self, num_frames: int, *, rng: np.random.Generator) -> Frames:
        if self.how == "uniform":
            return training_frames(num_frames, count=self.count, rng=rng)
        if self.how == "random":
            repeats = num_frames < self.count
            return np.sort(rng.choice(num_frames, self.count, replace=repeats))
        if self.how == "segments":
            return _segments(num_frames, count=self.count, rng=rng)
        stretch = self.count * self.interval
        return self._stretches(
            np.array([rng.integers(max(num_frames - stretch, 0) + 1)]), num_frames
        )[0]

    def _evaluation(self, num_frames: int, *, num_views: int) -> Frames:
        if self.how in ("uniform", "random"):
            return evaluation_frames(num_frames, count=self.count, num_views=num_views)
        if self.how == "segments":
            return self._segments_in_evaluation(num_frames, num_views)
        if self.places == "ends":
            free = max(num_frames - self.span, 0)
            starts = _evenly(free, num_views) if num_views > 1 else np.array([free // 2])
        else:
            free = max(num_frames - self.count * self.interval + 1, 0)
            starts = _middles(free, num_views)
        return self._stretches(starts, num_frames)

    def _segments_in_evaluation(self, num_frames: int, num_views: int) -> Frames:
        count = self.count
        if self.places == "ends":
            if num_views * count == 1:
                return np.array([[(num_frames - 1) // 2]])
            # As in mmaction2 the views are consecutive: of two, the first has the first half.
            return _evenly(num_frames - 1, num_views * count).reshape(num_views, count)
        assert num_views <= 2, "settings refuse more"
        starts = (np.arange(count) * (num_frames / count)).astype(np.int64)
        return np.stack([_middles(num_frames, count), starts][:num_views])

    def _stretches(self, starts: Frames, num_frames: int) -> Frames:
        """Frames from each start on; beyond the end of the clip they begin again."""
        return (starts[:, None] + self.interval * np.arange(self.count)) % num_frames


def _evenly(last: int, count: int) -> Frames:
    """``count`` numbers from 0 to ``last``, at equal distances.

    >>> _evenly(10, 5).tolist()
    [0, 2, 5, 8, 10]
    """
    return np.round(np.arange(count) * (last / (count - 1))).astype(np.int64)


def _middles(length: int, count: int) -> Frames:
    """The middles of ``count`` equal parts of 0 to ``length``.

    >>> _middles(10, 4).tolist()
    [1, 3, 6, 8]
    """
    part = length / count
    return (np.arange(count) * part + part / 2).astype(np.int64)


def _segments(num_frames: int, *, count: int, rng: np.random.Generator) -> Frames:
    """One random frame from each of ``count`` segments of whole frames, those at the end left out.

    Of a clip with fewer frames the same ones are taken every time.
    """
    length = num_frames // count
    if length:
        return np.arange(count) * length + rng.integers(length, size=count)
    return np.round(np.arange(count) * (num_frames / count)).astype(np.int64) % num_frames


def training_frames(num_frames: int, *, count: int, rng: np.random.Generator) -> Frames:
    """One random frame from each of ``count`` equal parts of a clip, ends included, ascending."""
    edges = np.round((num_frames - 1) / count * np.arange(count + 1)).astype(np.int64)
    return rng.integers(edges[:-1], edges[1:] + 1)


def evaluation_frames(num_frames: int, *, count: int, num_views: int) -> Frames:
    """Frames of ``num_views`` views of a clip, shape (num_views, count).

    View k lies (k + 1) / (num_views + 1) of a part behind the start of each part.

    >>> evaluation_frames(33, count=4, num_views=1).tolist()
    [[4, 12, 20, 28]]
    """
    part = (num_frames - 1) / count
    starts = np.round(part * np.arange(count)).astype(np.int64)
    offsets = [int(part / (num_views + 1) * (k + 1)) for k in range(num_views)]
    return starts[None] + np.array(offsets)[:, None]
