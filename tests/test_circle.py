"""A project from videos to counts, in a browser: tools/circle.py, shortened."""

import importlib
import shutil
from pathlib import Path

import pytest

from mmad.labels import MA52
from mmad.synthetic.dataset import SynthesisSettings, synthesize
from support.commands import run_mmad

pytestmark = pytest.mark.slow

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Short videos in which a person turns around, among other things."""
    settings = SynthesisSettings(
        train=0,
        val=0,
        test=14,
        width=32,
        height=32,
        fps=15,
        min_seconds=2.0,
        max_seconds=3.0,
        classes=(MA52.names.index("turning around"), MA52.names.index("nodding")),
        class_weights="uniform",
        seed=3,
    )
    synthesize(tmp_path / "people", settings)
    return tmp_path / "people"


def test_a_coder_goes_from_videos_to_counts(
    people: Path,
    detection_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("uvicorn", reason="mmad[review] is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium on PATH")
    monkeypatch.syspath_prepend(str(TOOLS))
    circle = importlib.import_module("circle")
    plan = circle.Plan(
        decisions=2, drawn=6, blind_share=0.2, min_score=0.0, screenshots=tmp_path / "shots"
    )
    circle.play(
        people / "videos",
        people / "annotations" / "mma52.json",
        checkpoint=detection_run,
        out=tmp_path / "out",
        plan=plan,
        run=lambda words: run_mmad(words).stdout,
    )
    said = capsys.readouterr().out
    assert "decided 2" in said
    assert {path.name for path in (tmp_path / "shots").iterdir()} == {
        *("review.png", "review_phone.png", "review_blind.png", "teach.png")
    }
    assert plan.own in (tmp_path / "out" / "coded.csv").read_text(encoding="utf-8-sig")
    assert (tmp_path / "out" / "methods.md").stat().st_size > 0
