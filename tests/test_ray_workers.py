"""Work on a local cluster of Ray with two workers, of which some are killed."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmad.cli import prepare as command
from mmad.errors import ConfigError, MmadError
from mmad.ray_workers import RayWorkers
from mmad.video.copies import FinishedCopy, make_copies
from mmad.video.prepare import MANIFEST_FILE, PrepareSettings, prepare_video, prepare_videos
from support.clips import write_clip
from support.commands import run_mmad

# What runs on the cluster is defined within the tests, since workers cannot import them.


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a", "mortal", "z"):
        write_clip(folder / f"{name}.mp4", width=64, height=64, num_frames=10)
    return folder


def test_without_ray_the_command_says_how_to_get_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'mmad\[ray\]'"):
        command.prepare([folder], tmp_path / "out", on="ray")


def test_a_cluster_that_does_not_answer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    pytest.importorskip("ray")
    expected = "no cluster of Ray can be reached at RAY_ADDRESS=127.0.0.1:1 .*`ray start --head`"
    with pytest.raises(ConfigError, match=expected):
        command.prepare([folder], tmp_path / "out", on="ray")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("cluster")
def test_the_video_of_a_lost_worker_is_done_again(folder: Path, tmp_path: Path) -> None:

    def copy_or_die(video: Path, copy: Path, settings: PrepareSettings) -> FinishedCopy:
        died = copy.with_suffix(".died")
        if video.stem == "mortal" and not died.exists():
            died.touch()
            copy.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare_video(video, copy, settings)

    videos = sorted(folder.iterdir())
    here, there = tmp_path / "here", tmp_path / "there"
    prepare_videos(videos, here, short_side=32)
    settings = dict.fromkeys(videos, PrepareSettings(32))
    done = make_copies(
        settings, there, copy_or_die, manifest_file=MANIFEST_FILE, workers=RayWorkers()
    )
    assert (there / "mortal.died").exists()
    assert not done.failed
    for path in here.glob("*.mp4"):
        assert (there / path.name).read_bytes() == path.read_bytes()
    assert (here / MANIFEST_FILE).read_text() == (there / MANIFEST_FILE).read_text()
    said = run_mmad(["prepare", folder, "--out", there, "--short-side", "32", "--on", "ray"])
    assert "0 copies written (0 frames" in said.stdout
    assert "3 already there" in said.stdout


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("cluster")
def test_a_job_that_kills_its_worker_each_time_is_named_after_the_others() -> None:
    def die(job: str) -> str:
        if job == "mortal":
            os.kill(os.getpid(), signal.SIGKILL)
        return job.upper()

    def fail(job: str) -> str:
        raise ValueError(f"no {job}")

    done: list[str] = []
    with pytest.raises(MmadError, match=r"1 job lost the worker 4 times.*: mortal; what is fin"):
        RayWorkers().run(die, ["mortal", "a", "b"], lambda _, result: done.append(result))
    assert sorted(done) == ["A", "B"]
    with pytest.raises(ValueError, match="no a"):
        RayWorkers().run(fail, ["a"], lambda *_: None)
