"""Provenance of measurements: hardware, commit, and the CSV file of results."""

import csv
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def hardware() -> str:
    """The processor and its cores, or the GPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    return f"{name}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit that is checked out; "+" if files differ from it, other than results and docs."""
    folder = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False
        ).stdout

    name = git("rev-parse", "--short", "HEAD").strip() or "unknown"
    code = ("--untracked-files=no", "--", ".", ":!benchmarks/results", ":!docs", ":!*.md")
    return name + ("+" if git("status", "--porcelain", *code).strip() else "")


def write_rows(name: str, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows with commit and hardware to results/NAME.csv and return the path.

    Rows that have them already, from an earlier measurement, keep theirs.
    """
    path = RESULTS / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    whole = [{"commit": commit(), "hardware": hardware(), **row} for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(whole[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(whole)
    return path


def recorded_rows(name: str) -> list[dict[str, Any]]:
    """The rows of results/NAME.csv, with its numbers as numbers; none if there is no such file."""
    path = RESULTS / f"{name}.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: _value(key, cell) for key, cell in row.items()} for row in csv.DictReader(file)
        ]


def _value(column: str, cell: str) -> str | int | float:
    # A commit such as 1234567 or 12e4567 looks like a number.
    if column in ("commit", "hardware"):
        return cell
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def write_table(page: Path, name: str, lines: Sequence[str]) -> Path:
    """Put ``lines`` between the markers of a benchmark in a page of the docs, and return its path.

    The markers are comments, ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    assert text.count(begin) == text.count(end) == 1, f"{page}: expected {begin} and {end} once"
    content = "\n".join([begin, "", *lines, "", end])
    pattern = re.escape(begin) + ".*" + re.escape(end)
    # A function, so that nothing in the lines counts as a reference to a group.
    text = re.sub(pattern, lambda _: content, text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")
    return page
