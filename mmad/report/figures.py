"""Writing figures to files."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from mmad.errors import MmadError
from mmad.files import replaced

SUFFIXES = (".png", ".svg", ".pdf")
# Publishers refuse Type 3 fonts; equal figures give equal bytes.
_STYLE: Any = {"pdf.fonttype": 42, "svg.hashsalt": "mmad"}
_NO_DATE = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 130) -> None:
    """Write ``figure`` as PNG, SVG or PDF, by the suffix of ``path``, atomically.

    Raises: MmadError if the suffix is another one, OutputError if it cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MmadError(f"{path}: expected a figure ending in {', '.join(SUFFIXES)}")
    with replaced(path) as partial, rc_context(_STYLE):
        figure.savefig(partial, format=suffix.removeprefix("."), dpi=dpi, metadata=_NO_DATE[suffix])
