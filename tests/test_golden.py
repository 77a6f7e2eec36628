"""Losses, weights and predictions of every kind of run are those kept in ``golden``, and files that
an older version wrote give what they gave.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import golden_files  # noqa: E402
from golden_cases import CASES  # noqa: E402

import golden  # noqa: E402

FOLDER = ROOT / "tests/golden"
FILES = FOLDER / "files"


def require_equal(expected: object, found: object, *, strict: float) -> None:
    difference, place = golden.compare(expected, found)
    assert difference <= golden.tolerance(FOLDER, strict=strict), place


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_values_are_as_before(name: str) -> None:
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    found = golden.run_case(CASES[name], FILES / "data")
    require_equal(expected, found, strict=golden.TOLERANCE)


def test_every_kept_value_belongs_to_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CASES)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old files in a place where they were never before."""
    return shutil.copytree(FILES, tmp_path_factory.mktemp("moved") / "files")


@pytest.mark.slow
@pytest.mark.parametrize("name", golden_files.COMMANDS)
def test_old_files_give_what_they_gave(name: str, moved: Path) -> None:
    expected = json.loads((FILES / golden_files.RESULTS).read_text())[name]
    found = golden_files.result(name, moved)
    require_equal(expected, found, strict=golden_files.TOLERANCE)


@pytest.mark.parametrize(
    ("found", "place"),
    [
        ({"loss": [1.0, 2.00001], "name": "a"}, "/loss/1: expected 2.0, found 2.00001"),
        ({"loss": [1.0, float("nan")], "name": "a"}, "/loss/1: expected 2.0, found nan"),
        ({"loss": [1.0], "name": "a"}, "/loss: expected [1.0, 2.0], found [1.0]"),
        ({"loss": [1.0, 2.0], "name": "b"}, "/name: expected 'a', found 'b'"),
        ({"loss": [1.0, 2.0]}, ": expected ['name'], found []"),
    ],
)
def test_a_difference_is_found(found: object, place: str) -> None:
    expected = {"loss": [1.0, 2.0], "name": "a"}
    assert golden.compare(expected, expected) == (0.0, "")
    difference, named = golden.compare(expected, found)
    assert difference > golden.TOLERANCE
    assert named == place
