"""Pictures of what a recogniser looks at: class activation maps, and local features at their peaks.

Shapes: T steps of a clip, H W pixels of its images, h w cells of a map.

Source: the layout is that of Fig. 4 of Mi et al. (Pattern Recognition Letters 2022).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mmad.report.figures import save_figure

# As many columns as are still recognisable on a screen or a page.
MOST_STEPS = 8
_COLUMN_INCHES = 1.9
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


def draw_saliency(path: str | Path, clip: ClipSaliency) -> None:
    """Draw a column for each step, at most `MOST_STEPS`, evenly spread: the image, the activations
    over it with their peak and, for local features, the map of their stage and the window there.

    Each row has one scale for all steps, from its smallest to its largest value.

    Raises: MmadError if the suffix is none of .png, .svg and .pdf.
    """
    steps = np.unique(np.linspace(0, len(clip.images_THWC) - 1, MOST_STEPS).round().astype(int))
    height, width = clip.images_THWC.shape[1:3]
    rows = 2 if clip.local is None else 4
    figure = Figure(
        figsize=(
            _COLUMN_INCHES * len(steps) + 0.5,
            _COLUMN_INCHES * height / width * rows + 0.6,
        ),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0),
    )
    figure.suptitle(clip.title, fontsize=11, parse_math=False)
    grid = figure.subplots(rows, len(steps), squeeze=False)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    for column, step in enumerate(steps.tolist()):
        for axes in grid[: min(rows, 3), column]:
            axes.imshow(clip.images_THWC[step])
        _draw_map(grid[1, column], clip.activations_Thw, step, hw=(height, width), alpha=0.55)
        if clip.local is None:
            _mark_peak(grid[1, column], clip.activations_Thw[step], hw=(height, width))
        else:
            _draw_local(grid[:, column], clip, step, hw=(height, width))
        grid[0, column].set_title(f"step {step + 1}", fontsize=8, pad=3)
    _name_rows(grid[:, 0], clip.local)
    save_figure(figure, path, dpi=110)


def _name_rows(axes: Iterable[Axes], local: LocalMaps | None) -> None:
    names = ["image", "activation"]
    if local is not None:
        names += [local.stage, f"local features of {local.stage}"]
    for one, name in zip(axes, names, strict=True):
        one.set_ylabel(name, fontsize=8)


def _draw_local(rows: NDArray[Any], clip: ClipSaliency, step: int, *, hw: tuple[int, int]) -> None:
    local = clip.local
    assert local is not None
    row, column = local.places_T2[step].tolist()
    cells = clip.activations_Thw.shape[1:]
    size = hw[0] / cells[0], hw[1] / cells[1]
    for axes in rows[1:3]:
        axes.add_patch(
            Rectangle(
                (column * size[1] - 0.5, row * size[0] - 0.5),
                size[1],
                size[0],
                fill=False,
                edgecolor=_MARK,
                linewidth=1.4,
            )
        )
    _mark(rows[1], ((row + 0.5) * size[0], (column + 0.5) * size[1]))
    _draw_map(rows[2], local.map_Thw, step, hw=hw, alpha=0.75)
    _draw_map(rows[3], local.windows_Tyx, step, hw=hw, alpha=1.0)
    for side in rows[3].spines.values():
        side.set_edgecolor(_MARK)
        side.set_linewidth(1.4)


def _draw_map(
    axes: Axes,
    maps_Thw: NDArray[np.floating],
    step: int,
    *,
    hw: tuple[int, int],
    alpha: float,
) -> None:
    """Enlarge a map over the images; equal values everywhere are the lowest of the scale."""
    low, high = float(maps_Thw.min()), float(maps_Thw.max())
    axes.imshow(
        maps_Thw[step].astype(float),
        cmap=_MAP,
        vmin=low,
        vmax=high if high > low else low + 1,
        alpha=alpha,
        interpolation="bilinear",
        extent=(-0.5, hw[1] - 0.5, hw[0] - 0.5, -0.5),
    )


def _mark_peak(axes: Axes, map_hw: NDArray[np.floating], *, hw: tuple[int, int]) -> None:
    row, column = np.unravel_index(map_hw.argmax(), map_hw.shape)
    size = hw[0] / map_hw.shape[0], hw[1] / map_hw.shape[1]
    _mark(axes, ((int(row) + 0.5) * size[0], (int(column) + 0.5) * size[1]))


def _mark(axes: Axes, place: tuple[float, float]) -> None:
    axes.plot(
        place[1] - 0.5, place[0] - 0.5, marker="*", color=_MARK, markersize=9, mec="k", mew=0.5
    )
