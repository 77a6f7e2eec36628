"""A small study, from videos to counts: tools/study.py, with commands in this process."""

import importlib.util
from pathlib import Path

import pytest

from support.commands import run_mmad

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "tools" / "study.py"


def test_nothing_is_lost_from_videos_to_counts(
    videos: Path, detection_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("study", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    files = sorted((videos / "videos").glob("val*.mp4"))[:2]
    study.play(
        files,
        checkpoint=detection_run,
        out=tmp_path,
        min_score=0.0,
        run=lambda words: run_mmad(words).stdout,
    )
    assert "from ELAN to BORIS and back" in capsys.readouterr().out
