"""The workbook of a time budget."""

from pathlib import Path

import openpyxl
import pytest

from mmad.report.budget import workbook
from mmad.report.budget.workbook import write_budget_workbook
from tests.report.budget.test_page import budget_of


def test_sheets_have_the_numbers_of_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "budget.xlsx"
    assert write_budget_workbook(path, budget_of(tmp_path)) == []
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Budget", "Videos", "Bins", "Together", "Follows", "About"]
    header, *rows = book["Budget"].iter_rows(values_only=True)
    assert "body part" not in header  # which no label has
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    nod = next(one for one in cells if (one["table"], one["behaviour"]) == ("group", "nod"))
    assert (nod["group"], nod["count"], nod["total seconds"]) == ("old", 2, 6)
    assert book["Budget"].cell(2, header.index("share of time") + 1).number_format == "0.0%"
    assert "bootstrap over videos, 50 resamples" in str(book["About"]["A3"].value)


def test_a_table_too_long_for_a_sheet_is_left_to_the_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 15)
    told = write_budget_workbook(tmp_path / "budget.xlsx", budget_of(tmp_path))
    assert any(one.startswith("Bins: ") and "they are in the CSV" in one for one in told)
    assert "Bins" not in openpyxl.load_workbook(tmp_path / "budget.xlsx").sheetnames
