"""Workbooks: what is read back is what was written, and nothing becomes a formula."""

import os
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmad.errors import OutputError
from mmad.report.workbook import writing
from mmad.report.workbook.writing import Column, Sheet, sheet_title, write_workbook

COLUMNS = (
    *(Column("video"), Column("start (s)", "seconds"), Column("count", "count")),
    *(Column("share", "share"), Column("seen")),
)


def sheets_of(path: Path) -> dict[str, list[tuple]]:
    book = openpyxl.load_workbook(path)
    return {page.title: list(page.iter_rows(values_only=True)) for page in book.worksheets}


def test_sheets_have_formats_a_frozen_header_and_a_filter(tmp_path: Path) -> None:
    path = tmp_path / "table.xlsx"
    rows = [("P01/cam1", 1.23456, 12, 0.5, True), ("P02", 3.0, 0, None, False)]
    about = Sheet("About", (Column("x"),), [("y",)], is_table=False)
    write_workbook(path, [Sheet("Events", COLUMNS, rows), about])
    book = openpyxl.load_workbook(path)
    page = book["Events"]
    assert [cell.value for cell in page[1]] == ["video", "start (s)", "count", "share", "seen"]
    assert all(cell.font.bold for cell in page[1])
    assert list(page.iter_rows(min_row=2, values_only=True)) == rows
    assert (page["B2"].number_format, page["D2"].number_format) == ("0.000", "0.0%")
    assert page.freeze_panes == "A2"
    assert page.auto_filter.ref == "A1:E3"
    assert book["About"].freeze_panes is None
    assert page.column_dimensions["B"].width > 10
    assert not list(tmp_path.glob(".*"))


HOSTILE = ["=1+1", '=HYPERLINK("http://x")', "+1", "-2", "@SUM(A1)", "#REF!", "a\x07b\ud800\uffff"]


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "hostile.xlsx"
    column = Column("=name")
    write_workbook(path, [Sheet("=1", (column,), [(text,) for text in HOSTILE])], title="\x00=")
    page = openpyxl.load_workbook(path).worksheets[0]
    cells = [row[0] for row in page.iter_rows()]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell.value for cell in cells] == ["=name", *HOSTILE[:-1], r"a\x07b\ud800\uffff"]
    assert [cell.quotePrefix for cell in cells[1:6]] == [True] * 5


def test_numbers_that_a_sheet_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "numbers.xlsx"
    rows = [(float("nan"),), (float("inf"),), (10**18,), ("0012",), ("x" * 40_000,)]
    write_workbook(path, [Sheet("n", (Column("n", "number"),), rows)])
    values = [row[0] for row in sheets_of(path)["n"]]
    assert values[1:5] == [None, None, str(10**18), "0012"]
    assert len(values[5]) == 32_767


def test_a_long_sheet_continues_on_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_MOST_ROWS", 3)
    path = tmp_path / "long.xlsx"
    write_workbook(path, [Sheet("Events", (Column("n", "count"),), [(n,) for n in range(5)])])
    assert sheets_of(path) == {
        "Events": [("n",), (0,), (1,)],
        "Events 2": [("n",), (2,), (3,)],
        "Events 3": [("n",), (4,)],
    }


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("a/b:c", "a b c"), ("''", "Sheet"), ("History", "History 1"), ("x" * 40, "x" * 31)],
)
def test_titles_of_sheets(wanted: str, expected: str) -> None:
    assert sheet_title(wanted, taken=set()) == expected


def test_long_titles_differ_from_each_other(tmp_path: Path) -> None:
    path = tmp_path / "titles.xlsx"
    write_workbook(path, [Sheet("x" * 40, (Column("a"),), [])] * 3)
    titles = list(sheets_of(path))
    assert titles == ["x" * 31, "x" * 29 + " 2", "x" * 29 + " 3"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder without rights")
def test_a_folder_without_rights_is_one_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        write_workbook(tmp_path / "a.xlsx", [Sheet("a", (Column("a"),), [])])


def test_a_folder_in_place_of_the_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_workbook(tmp_path / "a.xlsx", [Sheet("a", (Column("a"),), [])])
    assert not list(tmp_path.glob(".*"))


TEXTS = st.text(st.characters(codec=None, exclude_characters="\r"), max_size=12)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), TEXTS)
def test_any_text_can_be_written(tmp_path_factory, texts: list[str], title: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.xlsx"
    write_workbook(path, [Sheet(title, (Column("text"),), [(text,) for text in texts])])
    book = openpyxl.load_workbook(path)
    cells = [row[0] for row in book.worksheets[0].iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} <= {"s", "n"}  # "n" is an empty cell
    for cell, text in zip(cells, texts, strict=False):
        if text.isprintable() and text and "_x" not in text:
            assert cell.value == text
