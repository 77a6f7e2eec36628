"""`mmad detect --camera`, with a file in the place of a camera, or a drawn one."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52
from mmad.video.sources import camera as camera_module
from support.commands import run_mmad

pytestmark = pytest.mark.slow


def test_a_camera_gives_what_the_file_gives(
    videos: Path, detection_run: Path, tmp_path: Path
) -> None:
    file = min((videos / "videos").glob("val*.mp4"))
    common = ["--checkpoint", detection_run, "--min-score", "0.001"]
    out = tmp_path / "camera"
    said = run_mmad(["detect", "--camera", file, *common, "--out", out])
    run_mmad(["detect", file, *common, "--out", tmp_path / "file", "--no-pictures"])
    assert "a detection comes at most 8.5 s after its end; Ctrl-C ends" in said.stdout
    (found,) = read_predictions(out / "detections.csv", labels=MA52).values()
    (wanted,) = read_predictions(tmp_path / "file" / "detections.csv", labels=MA52).values()
    # The best 200 of a window are kept of a file; OpenCV converts its colours a little differently.
    assert "of a recorded video, the best 200 are kept" in said.stderr
    best = found.by_score()[np.arange(200)]
    np.testing.assert_allclose(best.scores, wanted.by_score().scores, atol=0.005)
    facts = json.loads((out / "detections.json").read_text())["videos"]
    assert next(iter(facts.values()))["dropped_frames"] == 0
    said = run_mmad(["detect", "--camera", file, *common, "--out", out, "--seconds", "1"])
    assert " in 1.0 s, computed in " in said.stdout


class _Interrupted:
    """A capture whose user presses Ctrl-C after some frames."""

    def __init__(self) -> None:
        self.number = 0

    def read(self) -> tuple[bool, np.ndarray]:
        self.number += 1
        if self.number == 100:
            signal.raise_signal(signal.SIGINT)
        return True, np.random.default_rng(self.number).integers(0, 255, (32, 32, 3), np.uint8)

    def release(self) -> None:
        pass


def test_ctrl_c_writes_what_was_found(
    detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_module.Camera, "_open", lambda self, source: _Interrupted())
    out = tmp_path / "out"
    before = signal.getsignal(signal.SIGINT)
    said = run_mmad(
        ["detect", "--camera", "0", "--checkpoint", detection_run, "--out", out]
        + ["--min-score", "0.001"]
    )
    assert signal.getsignal(signal.SIGINT) is before
    found = read_predictions(out / "detections.csv", labels=MA52)
    assert set(found) <= {"camera0"}
    assert "written to" in said.stdout
    assert set(json.loads((out / "detections.json").read_text())["results"]) == {"camera0"}


def test_what_does_not_go_together_is_said(detection_run: Path, tmp_path: Path) -> None:
    common = ["detect", "--checkpoint", detection_run, "--out", tmp_path / "out"]
    for words, message in (
        ([], "name video files or folders, or pass --camera 0 for a camera"),
        (["a.mp4", "--camera", "0"], "pass either videos or --camera"),
        (["a.mp4", "--delay", "3"], "--seconds, --delay and --overlap are for --camera"),
        (["--camera", "rtsp://127.0.0.1:9/x"], "rtsp://127.0.0.1:9/x: OpenCV cannot open it"),
    ):
        assert message in run_mmad([*common, *words], code=2).stderr
