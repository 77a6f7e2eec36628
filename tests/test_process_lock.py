"""Two processes on one output: the second is told who holds it."""

import multiprocessing
import os
import socket
import time
from pathlib import Path

import pytest

from mmad import process_lock
from mmad.engine.runs.folder import RunFolder, create_run
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError, OutputError
from mmad.labels import MA52
from mmad.process_lock import LOCK_FILE, ProcessLock, held
from mmad.synthetic.dataset import SynthesisSettings, synthesize
from mmad.video.prepare import prepare_videos
from support.synthetic_data import tiny_config

HELD = rf"process {os.getpid()} on {socket.gethostname()} since 20.* is writing to this folder"


def test_the_second_is_told_who_holds_the_folder(videos: Path, tmp_path: Path) -> None:
    files = sorted((videos / "videos").glob("*.mp4"))
    out = tmp_path / "out"
    with held(out):
        before = sorted(out.iterdir())
        with pytest.raises(OutputError, match=HELD):
            prepare_videos(files, out, short_side=16)
        with pytest.raises(OutputError, match=HELD):
            synthesize(out, SynthesisSettings(train=1, val=0, test=0))
        with pytest.raises(OutputError, match=HELD):
            train_run(tiny_config(videos), out=out, quiet=True)
        with pytest.raises(OutputError, match=HELD):
            train_run(tiny_config(videos), out=out, resume=True, quiet=True)
        assert sorted(out.iterdir()) == before
    assert not out.exists()


def write_lock(folder: Path, text: str, *, age_seconds: float = 0.0) -> None:
    path = folder / LOCK_FILE
    path.write_text(text)
    os.utime(path, (time.time() - age_seconds,) * 2)


@pytest.mark.parametrize(
    ("text", "age_seconds", "is_taken_over"),
    [
        (f"{socket.gethostname()} 999999", 0, True),
        (f"{socket.gethostname()} {os.getpid()}", 1000, False),
        # The number of a process that was killed was given to this one.
        (f"{socket.gethostname()} {os.getpid()} - 1 2026-01-01T00:00", 0, True),
        # Another boot, or a container: its numbers of processes say nothing.
        (f"{socket.gethostname()} 999999 elsewhere 1 2026-01-01T00:00", 0, False),
        (f"{socket.gethostname()} 999999 elsewhere 1 2026-01-01T00:00", 121, True),
        ("another-machine 999999", 100, False),
        ("another-machine 999999", 121, True),
        ("", 0, False),
        ("no words of ours, and too many of them", 121, True),
    ],
    # Without ids the numbers of processes would name the tests, and differ between workers.
    ids=["dead", "alive", "number given again", "elsewhere", "elsewhere, old"]
    + ["another machine", "another machine, old", "empty", "other words"],
)
def test_only_a_dead_process_loses_its_lock(
    text: str, age_seconds: float, is_taken_over: bool, tmp_path: Path
) -> None:
    write_lock(tmp_path, text, age_seconds=age_seconds)
    lock = ProcessLock(tmp_path / LOCK_FILE)
    assert lock.acquire() == is_taken_over
    if is_taken_over:
        assert lock.holder().startswith(f"process {os.getpid()} on ")
        lock.release()
        assert list(tmp_path.iterdir()) == []


def _try(folder: Path, start: object, results: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    results.put(ProcessLock(folder / LOCK_FILE).acquire())  # type: ignore[attr-defined]
    time.sleep(0.5)


@pytest.mark.slow
def test_one_of_many_takes_over(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        write_lock(folder, f"{socket.gethostname()} 999999")
        start, results = context.Event(), context.Queue()
        processes = [context.Process(target=_try, args=(folder, start, results)) for _ in range(6)]
        for process in processes:
            process.start()
        start.set()
        assert sum(results.get(timeout=30) for _ in processes) == 1
        for process in processes:
            process.join()


def test_a_lock_is_refreshed_while_its_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "_REFRESH_SECONDS", 0.01)
    with held(tmp_path):
        os.utime(tmp_path / LOCK_FILE, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / LOCK_FILE).stat().st_mtime < 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_first_seconds_were_cut_off_starts_anew(videos: Path, tmp_path: Path) -> None:
    config, out = tiny_config(videos, training__epochs=1), tmp_path / "run"
    folder = create_run(out, tiny_config(videos, seed=9), labels=MA52)
    folder.append({"kind": "data", "step": 0, "fps": 1.0})
    with pytest.raises(CheckpointError, match=r"nothing was trained in it yet \(no last\.pt\)"):
        train_run(config, out=out, resume=True, quiet=True)
    train_run(config, out=out, quiet=True)
    assert [row["kind"] for row in RunFolder(out).rows()].count("data") == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").touch()
    with pytest.raises(ConfigError, match="exists already"):
        train_run(config, out=tmp_path / "other", quiet=True)
