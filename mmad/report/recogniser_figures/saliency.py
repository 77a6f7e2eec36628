"""Where a recogniser sees a class: activation maps of clips, and local features at their peaks.

Shapes: T steps of a clip, H W pixels of its images, h w cells of a map.

Source: the layout is that of Fig. 4 of Mi et al. (Pattern Recognition Letters 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mmad.report.axes import COLUMN_INCHES, LARGE, SMALL, TINY, fitted
from mmad.report.figures import Cell, Drawn
from mmad.video.sampling import evenly_spread

# As many steps as are still recognisable side by side.
_MOST_STEPS, _MOST_STEPS_ON_COLUMN = 8, 5
_LEFT_INCHES, _RIGHT_INCHES, _GAP_INCHES = 0.16, 0.04, 0.03
_TITLE_INCHES, _STEPS_INCHES, _BELOW_INCHES = 0.16, 0.11, 0.06
_MAP = "inferno"
_MARK = "#35e0ff"


@dataclass(frozen=True, eq=False)
class LocalMaps:
    """Local features of a lower stage, as means over its channels.

    Attributes:
        stage: Name of the stage.
        map_Thw: Its map.
        places_T2: Row and column of the cell of the activations that they belong to.
        windows_Tyx: The features there.
    """

    stage: str
    map_Thw: NDArray[np.floating]
    places_T2: NDArray[np.integer]
    windows_Tyx: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ClipSaliency:
    """What a recogniser sees of one view of a clip for one class.

    Attributes:
        title: Clip, class and its probability.
        images_THWC: An image of each step, uint8.
        activations_Thw: The class activation map of each step.
        local: Local features, if the recogniser has any.
    """

    title: str
    images_THWC: NDArray[np.uint8]
    activations_Thw: NDArray[np.floating]
    local: LocalMaps | None = None

    @property
    def maps(self) -> dict[str, NDArray[np.floating]]:
        """The maps that are drawn, by name."""
        found = {"activation": self.activations_Thw}
        if self.local is not None:
            found[self.local.stage] = self.local.map_Thw
            found["local features"] = self.local.windows_Tyx
        return found


def draw_saliency(clips: Sequence[ClipSaliency], *, width_inches: float) -> Drawn:
    """For each clip a column of images for each step, evenly spread ones of many: the image, the
    activations over it with their peak and, for local features, the map of their stage and the
    window there.

    Each row has one scale for all steps, from its smallest to its largest value.
    """
    most = _MOST_STEPS_ON_COLUMN if width_inches <= COLUMN_INCHES else _MOST_STEPS
    shown = [evenly_spread(len(clip.images_THWC), most).tolist() for clip in clips]
    heights = [
        _height(clip, len(steps), width_inches) for clip, steps in zip(clips, shown, strict=True)
    ]
    figure = Figure(figsize=(width_inches, sum(heights)))
    top = sum(heights)
    for clip, steps, height in zip(clips, shown, heights, strict=True):
        _draw_clip(figure, clip, steps, top=top)
        top -= height
    rows: list[tuple[Cell, ...]] = [
        (clip.title, name, step + 1, row, column, float(value))
        for clip, steps in zip(clips, shown, strict=True)
        for name, maps in clip.maps.items()
        for step in steps
        for (row, column), value in np.ndenumerate(maps[step])
    ]
    return Drawn(figure, ("clip", "map", "step", "row", "column", "value"), rows)


def _tile(clip: ClipSaliency, num_steps: int, width_inches: float) -> tuple[float, float]:
    """Width and height of an image in inches; few steps do not fill the width."""
    free = width_inches - _LEFT_INCHES - _RIGHT_INCHES
    most = _MOST_STEPS_ON_COLUMN if width_inches <= COLUMN_INCHES else _MOST_STEPS
    columns = max(num_steps, most // 2)
    width = (free - _GAP_INCHES * (columns - 1)) / columns
    height, pixels = clip.images_THWC.shape[1:3]
    return width, width * height / pixels


def _height(clip: ClipSaliency, num_steps: int, width_inches: float) -> float:
    _, height = _tile(clip, num_steps, width_inches)
    rows = 1 + len(clip.maps)
    return _TITLE_INCHES + _STEPS_INCHES + rows * (height + _GAP_INCHES) + _BELOW_INCHES


def _draw_clip(figure: Figure, clip: ClipSaliency, steps: Sequence[int], *, top: float) -> None:
    """The title, and a grid of images from ``top`` downwards."""
    width, height = figure.get_size_inches().tolist()
    tile_width, tile_height = _tile(clip, len(steps), width)
    title = fitted(clip.title, inches=width - 0.1, points=LARGE, bold=True)
    figure.text(0.04 / width, (top - _TITLE_INCHES + 0.05) / height, title, fontsize=LARGE,
                fontweight="bold", parse_math=False)  # fmt: skip
    top -= _TITLE_INCHES + _STEPS_INCHES
    for row, name in enumerate(("image", *clip.maps)):
        bottom = top - (row + 1) * tile_height - row * _GAP_INCHES
        for column, step in enumerate(steps):
            left = _LEFT_INCHES + column * (tile_width + _GAP_INCHES)
            axis = figure.add_axes(
                (left / width, bottom / height, tile_width / width, tile_height / height)
            )
            axis.set(xticks=(), yticks=())
            axis.spines[:].set_linewidth(0.3)
            _draw_tile(axis, clip, name, step)
            if row == 0:
                axis.set_title(f"step {step + 1}", fontsize=TINY, pad=2)
            if column == 0:
                axis.set_ylabel(
                    fitted(name, inches=tile_height, points=SMALL), fontsize=SMALL, labelpad=2
                )


def _draw_tile(axis: Axes, clip: ClipSaliency, name: str, step: int) -> None:
    height, width = clip.images_THWC.shape[1:3]
    if name != "local features":
        axis.imshow(clip.images_THWC[step])
    if name == "image":
        return
    alpha = {"activation": 0.55, "local features": 1.0}.get(name, 0.75)
    _draw_map(axis, clip.maps[name], step, hw=(height, width), alpha=alpha)
    cells = clip.activations_Thw[step]
    size = height / cells.shape[0], width / cells.shape[1]
    if clip.local is None:
        row, column = np.unravel_index(cells.argmax(), cells.shape)
    else:
        row, column = clip.local.places_T2[step].tolist()
    y, x = int(row) * size[0] - 0.5, int(column) * size[1] - 0.5
    if name == "local features":
        axis.spines[:].set(edgecolor=_MARK, linewidth=1.0)
    elif clip.local is not None:
        axis.add_patch(Rectangle((x, y), size[1], size[0], fill=False, ec=_MARK, lw=0.8))
    if name == "activation":
        axis.plot(x + size[1] / 2, y + size[0] / 2, marker="*", color=_MARK, markersize=5,
                  mec="k", mew=0.3)  # fmt: skip


def _draw_map(
    axis: Axes, maps_Thw: NDArray[np.floating], step: int, *, hw: tuple[int, int], alpha: float
) -> None:
    """Enlarge a map over the images; equal values everywhere are the lowest of the scale."""
    low, high = float(maps_Thw.min()), float(maps_Thw.max())
    axis.imshow(
        maps_Thw[step].astype(float),
        cmap=_MAP,
        vmin=low,
        vmax=high if high > low else low + 1,
        alpha=alpha,
        interpolation="bilinear",
        extent=(-0.5, hw[1] - 0.5, hw[0] - 0.5, -0.5),
    )
