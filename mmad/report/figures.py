"""Writing a picture to a file."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from mmad.errors import MmadError

SUFFIXES = (".png", ".svg", ".pdf")


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 130) -> None:
    """Write ``figure`` as PNG, SVG or PDF, by the suffix of ``path``, whole or not at all.

    Raises: MmadError if the suffix is another one.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MmadError(f"{path}: expected a picture ending in {', '.join(SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(partial, format=suffix.removeprefix("."), dpi=dpi)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
