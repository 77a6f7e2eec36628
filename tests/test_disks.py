"""Disks that are full or may not be written to: one message, and nothing half-written."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from mmad.config.features import StoredGrid
from mmad.data.features.files import FeatureFile, PartWriter, StoredVideo
from mmad.data.features.manifest import FeatureManifest
from mmad.errors import OutputError, VideoError
from mmad.files import check_output_file, check_writable
from mmad.synthetic.dataset import SynthesisSettings, synthesize
from mmad.video import prepare
from mmad.video.copies import FinishedCopy
from mmad.video.prepare import prepare_videos
from support.commands import run_mmad
from support.processes import Ended, run_process
from support.synthetic_data import tiny_content

pytestmark = [pytest.mark.slow, pytest.mark.long]


def mmad(*arguments: object, largest_file: int | None = None) -> subprocess.CompletedProcess[str]:
    """A command in a process whose files may not grow beyond some bytes, as on a full disk."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.run(
        [sys.executable, "-m", "mmad", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


def require_one_message(result: subprocess.CompletedProcess[str] | Ended, path: Path) -> None:
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert "Traceback" not in result.stderr
    assert f"mmad: {path}" in result.stderr
    assert ": cannot be written (" in result.stderr


def test_a_disk_that_fills_stops_a_conversion(features: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.h5"
    result = mmad("features", "convert", features, out, largest_file=5000)
    require_one_message(result, tmp_path)
    folder = tmp_path / "g"
    arguments = ["features", "convert", features, folder, "--format", "csv"]
    result = mmad(*arguments, largest_file=4500)
    require_one_message(result, folder)
    # Nothing that a second try would take for a finished conversion.
    assert list(tmp_path.iterdir()) == []
    run_mmad(arguments)
    assert (folder / "manifest.json").is_file()


@pytest.fixture
def config_file(videos: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_content(videos)))
    return path


def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder")
    check_output_file(tmp_path / "new" / "a.csv")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/x: cannot be written \(Not a directory\)"):
        check_writable(tmp_path / "file" / "x")
    with pytest.raises(OutputError, match="is a folder; give the name of a file"):
        check_output_file(tmp_path)


@pytest.mark.parametrize("command", ["train", "extract-features", "detect", "convert"])
def test_long_work_does_not_begin_without_a_place(
    command: str, videos: Path, features: Path, config_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    arguments = {
        "train": ["train", config_file, "--out", out],
        "extract-features": [
            *("extract-features", config_file, videos / "videos", "--out", out / "f.h5"),
            "--random-weights",
        ],
        "detect": ["detect", videos / "videos", "--checkpoint", "no-run", "--out", out],
        "convert": ["features", "convert", features, out / "f"],
    }[command]
    said = run_mmad(arguments, code=2).stderr
    assert f"mmad: {out}" in said
    assert ": cannot be written (" in said


def test_a_disk_that_fills_stops_the_extraction(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    """HDF5 crashes at the end of a process in which it could not write."""
    out = tmp_path / "f.h5"
    arguments = ["extract-features", config_file, videos / "videos", "--random-weights"]
    result = mmad(*arguments, "--out", out, largest_file=5000)
    require_one_message(result, tmp_path / "f.h5.parts")
    assert not out.exists()
    assert [path.name for path in tmp_path.rglob("*.part*") if path.is_file()] == []


def test_a_disk_that_fills_stops_a_training(config_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ended = run_process(["train", config_file, "--out", out], largest_file=20_000)
    require_one_message(ended, out / "frozen.safetensors")


def test_a_part_on_a_disk_that_fills_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = FeatureManifest(grid=StoredGrid(stride_frames=4), step_shape=[8])
    video = StoredVideo(num_rows=4, num_steps=4, stride_frames=4, fps=30)
    path = tmp_path / "v.h5"

    def writer() -> PartWriter:
        return PartWriter(path, manifest=manifest, video_id="v", video=video, dtype="float32")

    whole = writer()
    rows = np.arange(32, dtype=np.float32).reshape(4, 8)
    whole.write(rows[:3])
    whole.write(rows[3:])
    whole.publish()
    np.testing.assert_array_equal(FeatureFile(path).read("v", 0, 4), rows)
    path.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        short = writer()
        with pytest.raises(OutputError, match=r"v\.h5: cannot be written \(File too large\)"):
            short.write(rows)
        short.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_not_the_fault_of_one_video(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch stops, and what was finished before is known when it is called again."""
    files = sorted((videos / "videos").glob("*.mp4"))[:4]
    write, tried = prepare.prepare_video, []

    def third_finds_no_space(video: Path, copy: Path, settings: object) -> FinishedCopy:
        tried.append(video)
        if len(tried) == 1:
            raise VideoError(f"{video}: damaged")
        if len(tried) == 3:
            raise OutputError(f"{copy}: cannot be written (No space left on device)")
        return write(video, copy, settings)

    monkeypatch.setattr(prepare, "prepare_video", third_finds_no_space)
    with pytest.raises(OutputError, match="No space left"):
        prepare_videos(files, tmp_path / "out", short_side=16)
    assert tried == files[:3]
    summary = prepare_videos(files, tmp_path / "out", short_side=16)
    assert [path.stem for path in summary.skipped] == [files[1].stem]
    assert len(summary.written) == 3


def test_a_disk_that_fills_stops_synthesize(tmp_path: Path) -> None:
    arguments = ["synthesize", tmp_path / "d", "--train", 2, "--val", 1, "--test", 0]
    size = ["--width", 64, "--height", 64, "--workers", 1]
    result = mmad(*arguments, *size, largest_file=10_000)
    require_one_message(result, tmp_path / "d" / "videos" / "train0000.mp4")
    assert sorted(path.name for path in (tmp_path / "d" / "videos").iterdir()) == []
    settings = SynthesisSettings(train=1, val=0, test=0, width=32, height=32)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/d: cannot be written|file/d/synthesize\.json"):
        synthesize(tmp_path / "file" / "d", settings)


def test_standard_output_on_a_full_disk_is_one_message(features: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "mmad", "features", "inspect", str(features)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2, result.stderr
    assert "cannot be written (No space left on device)" in result.stderr
    assert "Traceback" not in result.stderr
