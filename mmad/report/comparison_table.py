"""The comparison of data sets, for the terminal and for a paper: CSV, Markdown, LaTeX."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from mmad.annotations.description.comparison import DataSetFacts
from mmad.errors import MmadError
from mmad.files import write_csv, write_text
from mmad.wording import rounded

_HEADER = (
    *("Dataset", "#C", "#Subj.", "H-L", "Resolution", "Video", "Instance", "Duration", "Total"),
    "Task",
)
_SPECIAL = re.compile(r"[&%$#_{}]")


def comparison_table(facts: Sequence[DataSetFacts], *, of: str = _HEADER[0]) -> Table:
    """One row for each data set, or other part ``of`` one; H-L: labels with a hierarchy."""
    table = Table(title="Size (Duration: mean of an instance)", title_justify="left")
    for place, name in enumerate((of, *_HEADER[1:])):
        table.add_column(name, justify="right" if 0 < place < len(_HEADER) - 1 else "left")
    for one in facts:
        table.add_row(*map(escape, _cells(one)))
    return table


def _cells(one: DataSetFacts) -> list[str]:
    def known(text: str, value: object) -> str:
        return "n/a" if value is None else text

    return [
        one.name,
        str(one.num_classes),
        known(str(one.num_subjects), one.num_subjects),
        "yes" if one.has_parents else "no",
        "n/a" if one.resolution is None else "{} x {}".format(*one.resolution),
        f"{one.num_videos:,}",
        f"{one.num_instances:,}",
        known(f"{rounded(one.mean_seconds)} s", one.mean_seconds),
        known(f"{rounded((one.total_seconds or 0) / 3600)} h", one.total_seconds),
        one.task,
    ]


def write_comparison(path: Path, facts: Sequence[DataSetFacts]) -> None:
    """Write the table as CSV, Markdown or LaTeX, by the suffix of ``path``.

    Raises: MmadError if it is another one.
    """
    check_table_path(path)
    _WRITERS[path.suffix.lower()](path, [_cells(one) for one in facts])


def check_table_path(path: Path) -> None:
    """Raises MmadError if the suffix of ``path`` is not that of a table."""
    if path.suffix.lower() not in _WRITERS:
        raise MmadError(f"--out {path}: expected a file ending in {', '.join(_WRITERS)}")


def _write_csv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    write_csv(path, header=_HEADER, rows=rows)


def _write_markdown(path: Path, rows: Sequence[Sequence[str]]) -> None:
    lines = [_HEADER, ["---", *["---:"] * (len(_HEADER) - 2), "---"], *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    write_text(path, "".join(f"| {' | '.join(line)} |\n" for line in cells))


def _write_latex(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Rows of a tabular with the rules of booktabs."""
    head, *body = [
        " & ".join(_SPECIAL.sub(r"\\\g<0>", cell) for cell in line) + r" \\"
        for line in (_HEADER, *rows)
    ]
    columns = "l" + "r" * (len(_HEADER) - 2) + "l"
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
    write_text(path, "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n")


_WRITERS: dict[str, Callable[[Path, Sequence[Sequence[str]]], None]] = {
    ".csv": _write_csv,
    ".md": _write_markdown,
    ".tex": _write_latex,
}
