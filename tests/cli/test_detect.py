import os
from pathlib import Path

import pytest

from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52
from support.processes import run_process

pytestmark = pytest.mark.slow


def test_an_unreadable_video_does_not_lose_the_others(
    videos: Path, tmp_path: Path, detection_run: Path
) -> None:
    good = next((videos / "videos").glob("val*.mp4"))
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    # A name that is not UTF-8.
    odd = tmp_path / os.fsdecode(b"odd\xff.mp4")
    odd.write_bytes(good.read_bytes())
    out = tmp_path / "out"
    result = run_process(
        ["detect", good, bad, odd, "--checkpoint", detection_run, "--out", out], cwd=tmp_path
    )
    assert result.returncode == 2
    assert "bad.mp4" in result.stderr
    assert "Traceback" not in result.stderr
    assert f"{good.stem}.eaf" in {path.name for path in (tmp_path / "out").iterdir()}
    assert f"{good.name}: " in result.stdout
    assert r"odd\udcff.mp4: " in result.stdout
    found = read_predictions(tmp_path / "out" / "detections.csv", labels=MA52)
    assert set(found) == {good.stem, "odd%FF"}
