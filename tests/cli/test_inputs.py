"""No command writes to a file that it reads."""

from pathlib import Path

import pytest

from support.commands import run_mmad

CODED = "video,start,end,label,video_seconds\nP01,1,2,nodding,9\nP02,3,4,waving,9\n"


@pytest.mark.parametrize(
    "words",
    [
        ("data", "stats", "a.csv", "--json", "a.csv"),
        ("data", "stats", "b.csv", "--subjects", "a.csv", "--json", "../{folder}/a.csv"),
        ("data", "compare", "one=b.csv", "two=a.csv", "--out", "a.csv"),
        ("figures", "durations", "a.csv", "--out", "f.png", "--csv", "a.csv"),
        ("agreement", "a.csv", "b.csv", "--json", "a.csv"),
        ("agreement", "a.csv", "b.csv", "--consensus", "a.csv"),
        ("eval", "b.csv", "--annotations", "a.csv", "--json", "a.csv"),
    ],
)
def test_outputs_are_no_inputs(tmp_path: Path, words: tuple[str, ...]) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(CODED)
    words = tuple(word.format(folder=tmp_path.name) for word in words)
    said = run_mmad(words, folder=tmp_path, code=2).stderr
    assert "a.csv: is an input, which is never overwritten; name another file to write" in said
    assert (tmp_path / "a.csv").read_text() == CODED


def test_other_files_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CODED)
    for _ in range(2):  # an earlier output is replaced
        run_mmad(("data", "stats", "a.csv", "--json", "b.json"), folder=tmp_path)
    assert (tmp_path / "b.json").is_file()
