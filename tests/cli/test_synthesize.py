from pathlib import Path

import pytest

from support.commands import run_mmad

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (["--width", "33"], "even sides"),
        (["--classes", "noding"], "did you mean 'nodding'"),
        (["--min-seconds", "9", "--max-seconds", "8"], "is more than"),
        (["--class-weights", "none"], "class-weights"),
        (["--train", "-1"], "train"),
        (["--workers", "0"], "workers: expected at least 1 process, found 0"),
    ],
)
def test_bad_options_give_one_message(tmp_path: Path, option: list[str], expected: str) -> None:
    assert expected in run_mmad(["synthesize", tmp_path / "x", *option], code=2).stderr
