"""Images of masked pre-training: clips, what was seen of them, and what was painted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmad.report.figures import save_figure
from mmad.video.sampling import evenly_spread

_MOST_FRAMES = 8
_ROWS = ("clip", "seen", "painted")
_INCHES = 0.95


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A clip and its reconstruction, uint8 (F, H, W, 3) each.

    Attributes:
        name: The video.
        clip: The images that the network was given.
        seen: The same, grey where they were masked.
        painted: What the network saw, and what it painted in the rest.
    """

    name: str
    clip: NDArray[np.uint8]
    seen: NDArray[np.uint8]
    painted: NDArray[np.uint8]


def draw_reconstructions(path: str | Path, shown: Sequence[Reconstruction]) -> None:
    """Draw a few frames of each clip, as it is, as it was seen, and as it was painted.

    Raises: MmadError as `save_figure`.
    """
    count = min(_MOST_FRAMES, len(shown[0].clip))
    height, width = shown[0].clip.shape[1:3]
    side = _INCHES * height / width
    figure = Figure(
        figsize=(0.8 + count * _INCHES, len(shown) * (len(_ROWS) * side + 0.3)),
        layout="constrained",
    )
    for axes, one in zip(figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        frames = evenly_spread(len(one.clip), count)
        rows = [np.concatenate(list(part[frames]), axis=1) for part in _parts(one)]
        axes.imshow(np.concatenate(rows, axis=0), interpolation="nearest")
        axes.set_title(one.name, fontsize=7, loc="left")
        axes.set_yticks([(row + 0.5) * height for row in range(len(_ROWS))], _ROWS, fontsize=7)
        axes.set_xticks(
            [(column + 0.5) * width for column in range(count)],
            [f"{frame}" for frame in frames],
            fontsize=6,
        )
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    save_figure(figure, path, dpi=120)


def _parts(one: Reconstruction) -> tuple[NDArray[np.uint8], ...]:
    return one.clip, one.seen, one.painted
