"""The table of docs/formats.md is that of the code."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_of_formats_is_that_of_the_code() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    from formats_table import PAGE, with_table

    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text), "run python tools/formats_table.py"
