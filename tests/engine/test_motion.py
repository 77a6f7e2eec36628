"""How much of a video moves: shares, film strip, bad inputs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.config.data import ImageSettings
from mmad.config.tokens import TokenSettings
from mmad.engine.motion import MotionSettings, measure_motion
from mmad.video.writer import VideoWriter
from support.commands import run_mmad

SIDE = 64


def settings(**tokens: object) -> MotionSettings:
    return MotionSettings.of(
        ImageSettings(image_size=SIDE),
        VideoMAESettings(size="small"),
        TokenSettings(keep="moving", **tokens),
    )


def write(path: Path, frames: list[np.ndarray], *, fps: int = 20) -> Path:
    with VideoWriter(path, fps=fps, width=SIDE, height=SIDE, crf=5) as writer:
        for frame in frames:
            writer.write(frame.astype(np.uint8))
    return path


def square(column: int) -> np.ndarray:
    """A grey image with a bright square of a patch."""
    frame = np.full((SIDE, SIDE, 3), 90)
    frame[16:32, column : column + 16] = 220
    return frame


@pytest.fixture
def walking(tmp_path: Path) -> Path:
    """A square that moves along the second row of patches for a clip, then stands for 24 frames."""
    return write(tmp_path / "walking.mp4", [square(min(3 * k, 45)) for k in range(40)])


def test_what_moves_is_computed_and_what_stands_is_not(walking: Path) -> None:
    motion = measure_motion(walking, settings(buckets=128), num_shown=3)
    assert motion.seconds == pytest.approx(2.0)
    assert motion.shares_T.shape == (20,)
    assert motion.shares_T[::8].tolist() == [1.0, 1.0, 1.0]
    assert 1 / 16 <= motion.shares_T[1:8].mean() <= 4 / 16
    assert motion.shares_T[9:16].max() == motion.shares_T[17:].max() == 0
    assert [round(one.seconds, 1) for one in motion.shown] == [0.1, 1.0, 1.9]
    # The square walks in the second row of patches.
    assert np.flatnonzero(motion.shown[0].kept_hw.any(axis=1)).tolist() == [1]
    assert not motion.is_much


def test_a_threshold_of_0_computes_all(walking: Path) -> None:
    assert measure_motion(walking, settings(threshold=0)).share == 1


def test_the_command_draws_tells_and_writes(walking: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pans = rng.integers(0, 255, (SIDE, 3 * SIDE, 3))
    camera = write(tmp_path / "pan.mp4", [pans[:, 2 * k : 2 * k + SIDE] for k in range(32)])
    out, numbers = tmp_path / "strips", tmp_path / "shares.json"
    options = ["--image-size", SIDE, "--out", out, "--json", numbers]
    said = run_mmad(["data", "motion", walking, camera, *options])
    assert "notice: pan.mp4: 100 % of its tokens move; does the camera?" in said.stderr
    assert "walking.mp4: " not in said.stderr
    assert sorted(path.name for path in out.iterdir()) == ["pan.png", "walking.png"]
    moving, panned = json.loads(numbers.read_text())
    assert moving["share"] == pytest.approx(np.mean(moving["shares"]))
    assert moving["share"] < 0.35 < panned["share"]
    assert "pan.mp4" in said.stdout


def test_settings_of_a_run_are_taken_from_its_config(walking: Path, tmp_path: Path) -> None:
    config = "configs/demo.yaml"
    said = run_mmad(["data", "motion", walking, "--config", config, "--json", tmp_path / "a.json"])
    assert "walking.mp4" in said.stdout
    for bad, expected in (
        ("configs/frozen_video_swin_t.yaml", "its backbone computes all tokens"),
        ("configs/features/actionformer.yaml", "reads stored features"),
    ):
        refused = run_mmad(["data", "motion", walking, "--config", bad], code=2)
        assert expected in refused.stderr


def test_bad_inputs_are_told(walking: Path, tmp_path: Path) -> None:
    still = write(tmp_path / "one.mp4", [square(0)])
    refused = run_mmad(["data", "motion", still, walking, "--image-size", SIDE], code=2)
    assert "one.mp4: has 1 frame, and a step of the network 2" in refused.stderr
    assert "walking.mp4" in refused.stdout  # the others are not lost
    for options, expected in (
        (["--block", 5], "tokens.block 5 does not divide a patch of 16 pixels; set it to 4"),
        (["--image-size", 100], "data.image_size 100 is not a multiple of 16 pixels"),
    ):
        assert expected in run_mmad(["data", "motion", walking, *options], code=2).stderr
    assert run_mmad(["data", "motion", walking, "--threshold", -1], code=2).stderr


def test_videos_of_one_name_have_strips_of_their_own(walking: Path, tmp_path: Path) -> None:
    for name in ("P01", "P02"):
        (tmp_path / name).mkdir()
        shutil.copy(walking, tmp_path / name / "cam1.mp4")
    words = ("data", "motion", "P01", "P02", "--image-size", SIDE, "--out", "strips")
    said = run_mmad(words, folder=tmp_path)
    names = sorted(path.name for path in (tmp_path / "strips").iterdir())
    assert names == ["P01%2Fcam1.png", "P02%2Fcam1.png"]
    assert "P02/cam1.mp4" in said.stdout
