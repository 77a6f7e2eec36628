"""``mmad teach`` on the command line."""

from pathlib import Path

from support.commands import run_mmad
from support.planted import decide, planted


def test_first_suggestions_and_what_is_missing(videos: Path, tmp_path: Path) -> None:
    project = planted(tmp_path / "p", videos, num_videos=6)
    folder = project.folder
    assert "nobody has decided anything yet" in run_mmad(["teach", folder], code=2).stderr
    decide(project, number=5, behaviours=(3,), whole=False)
    said = run_mmad(["teach", folder])
    assert "own: nearest stretches suggested" in said.stdout
    assert "of source 1, from 5 decisions of Ann, in" in said.stdout
    wrong = run_mmad(["teach", folder, "--annotator", "Bob"], code=2)
    assert "Bob has decided nothing; annotators: Ann" in wrong.stderr
