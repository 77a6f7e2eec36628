"""Detections of a corpus in shares: the files of one process, nothing done twice."""

import json
import shutil
from pathlib import Path

import pytest

from mmad.engine.jobs import detection
from support.commands import run_mmad
from support.synthetic_data import files_of

pytestmark = pytest.mark.slow


def test_shares_give_the_files_of_one_process(detection_run: Path, tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone.csv", tmp_path / "shared.csv"
    words = ["predict", detection_run, "--subset", "train", "--out"]
    run_mmad([*words, alone])
    first = run_mmad([*words, shared, "--share", "2/2"])
    assert f"{shared}.parts: waiting for the other shares" in first.stdout
    assert not shared.exists()
    last = run_mmad([*words, shared, "--share", "1/2"])
    assert f"{shared}: " in last.stdout
    assert shared.read_bytes() == alone.read_bytes()
    assert shared.with_suffix(".json").read_bytes() == alone.with_suffix(".json").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{kind}" for name in ("alone", "shared") for kind in ("csv", "json")
    }


def test_a_share_keeps_what_it_has_found_and_names_what_failed(
    detection_run: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    for name, path in files_of(videos)[:3]:
        shutil.copy(path, folder / f"{name}.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    words = ["detect", folder, "--checkpoint", detection_run, "--out", out, "--no-pictures"]
    said = run_mmad([*words, "--share", "1/2"], code=2)
    assert "broken.mp4" in said.stderr
    assert "waiting for the other shares" in said.stdout
    done: list[str] = []
    whole = detection.detect_video

    def counted(job: detection.DetectionJob, **options: object) -> object:
        done.append(str(job))
        return whole(job, **options)

    monkeypatch.setattr(detection, "detect_video", counted)
    assert "broken.mp4" in run_mmad([*words, "--share", "1/2"], code=2).stderr
    assert done == ["broken"]  # the others were found before
    run_mmad([*words, "--share", "2/2"])
    assert len(done) == 3
    found = json.loads((out / "detections.json").read_text())
    assert sorted(found["results"]) == sorted(name for name, _ in files_of(videos)[:3])
    assert "error" in found["videos"]["broken"]
    assert len(list(out.glob("*.eaf"))) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--share", "0/2"], "expected I/N with I from 1 to N"),
        (["--share", "1/2", "--on", "ray"], "pass one of the two"),
    ],
)
def test_wrong_options(
    options: list[str], expected: str, detection_run: Path, tmp_path: Path
) -> None:
    words = ["predict", detection_run, "--out", tmp_path / "p.csv"]
    assert expected in run_mmad([*words, *options], code=2).stderr
    assert not list(tmp_path.iterdir())
