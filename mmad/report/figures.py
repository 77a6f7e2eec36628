"""Figures with their numbers, and writing them to files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from mmad.errors import MmadError
from mmad.files import replaced
from mmad.report.axes import any_script

Cell = str | int | float

_SCREEN_DPI = 110
SUFFIXES = (".png", ".svg", ".pdf")
# Publishers refuse Type 3 fonts; equal figures give equal bytes.
_STYLE: Any = {"pdf.fonttype": 42, "svg.hashsalt": "mmad"}
_NO_DATE = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure and the numbers that it shows.

    Attributes:
        figure: The figure.
        header: Names of the columns of its table.
        rows: Cells of the table, with unrounded numbers.
    """

    figure: Figure
    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


class ShownFigure(Figure):
    """A figure that a notebook shows without pyplot, and without a display."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=_SCREEN_DPI)
        return out.getvalue()


def check_figure_path(path: str | Path) -> None:
    """Raises MmadError if the suffix of ``path`` is not that of a figure."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise MmadError(f"{path}: expected a figure ending in {', '.join(SUFFIXES)}")


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 130) -> None:
    """Write ``figure`` as PNG, SVG or PDF, by the suffix of ``path``, atomically.

    Raises: MmadError if the suffix is another one, OutputError if it cannot be written.
    """
    path = Path(path)
    check_figure_path(path)
    suffix = path.suffix.lower()
    with replaced(path) as partial, rc_context(_STYLE), any_script(figure):
        figure.savefig(partial, format=suffix.removeprefix("."), dpi=dpi, metadata=_NO_DATE[suffix])
