"""Writing figures to files."""

from pathlib import Path

from matplotlib.figure import Figure

from mmad.errors import MmadError
from mmad.files import replaced

SUFFIXES = (".png", ".svg", ".pdf")


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 130) -> None:
    """Write ``figure`` as PNG, SVG or PDF, by the suffix of ``path``, atomically.

    Raises: MmadError if the suffix is another one, OutputError if it cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MmadError(f"{path}: expected a figure ending in {', '.join(SUFFIXES)}")
    with replaced(path) as partial:
        figure.savefig(partial, format=suffix.removeprefix("."), dpi=dpi)
