"""What every figure has: its file, the CSV of its numbers, and its width."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmad.errors import MmadError
from mmad.files import check_output_file, write_csv

if TYPE_CHECKING:
    from mmad.report.figures import Drawn

_DPI = 300
# As in `mmad.report.figures`, which imports matplotlib.
_SUFFIXES = (".pdf", ".png", ".svg")


def _checked_figure(path: Path) -> Path:
    if path.suffix.lower() not in _SUFFIXES:
        raise MmadError(f"--out {path}: expected a file ending in {', '.join(_SUFFIXES)}")
    check_output_file(path)
    return path


def _checked_table(path: Path | None) -> Path | None:
    if path is not None:
        check_output_file(path)
    return path


OutOption = Annotated[
    Path,
    typer.Option(help="Figure to write, ending in .pdf, .png or .svg.", callback=_checked_figure),
]
CsvOption = Annotated[
    Path | None,
    typer.Option("--csv", help="Also write what the figure shows here.", callback=_checked_table),
]
Width = Literal["column", "page"]
WidthOption = Annotated[
    Width,
    typer.Option(help="Width of a column of a paper, 3.5 in, or of its page, 7 in."),
]
WidthAsNeeded = Annotated[
    Width | None,
    typer.Option(
        help="Width of a column of a paper, 3.5 in, or of its page, 7 in; default: as needed."
    ),
]


def inches_of(width: Width) -> float:
    """The width in inches."""
    from mmad.report.axes import COLUMN_INCHES, PAGE_INCHES

    return COLUMN_INCHES if width == "column" else PAGE_INCHES


def frames_of(width: Width) -> int:
    """As many frames side by side as can be recognised."""
    return 8 if width == "page" else 5


def write_drawn(drawn: "Drawn", *, out: Path, csv: Path | None) -> None:
    """Write the figure, and its numbers if asked, and tell where they are."""
    # Not at the top: matplotlib is slow to import, and only drawing needs it.
    from mmad.report.figures import save_figure

    save_figure(drawn.figure, out, dpi=_DPI)
    width, height = drawn.figure.get_size_inches()
    typer.echo(f"figure: {out} ({width:.1f} x {height:.1f} in)")
    if csv is not None:
        write_csv(csv, header=drawn.header, rows=drawn.rows)
        typer.echo(f"numbers: {csv}")
