"""Windows and macOS, as far as they can be simulated: names, locks, consoles, new processes."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from torch.utils.data import DataLoader

from mmad import files, limits, names, workers
from mmad.config.reading import dump_config
from mmad.engine import clip_inference, emotion_inference, loop
from mmad.engine.features import extraction
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from mmad.errors import OutputError, VideoError
from mmad.files import replaced_folder, write_text
from mmad.video.copies import check_copies
from mmad.video.find import find_videos
from mmad.video.records import named_videos
from support.commands import run_mmad
from support.emotions import felt_config
from support.synthetic_data import files_of, tiny_clip_config, tiny_config

# What Python has on POSIX systems alone, and the files that ask before they use it.
POSIX_ONLY = re.compile(
    r"\bimport (fcntl|resource|pwd|grp|termios|pty)\b"
    r"|\bos\.(fork|uname|getuid|geteuid|getpgid|killpg|setsid|sched_\w+|mkfifo|statvfs|chown|wait\w*)\b"
    r"|\bsignal\.(SIGKILL|SIGHUP|SIGUSR1|SIGALRM|alarm|pthread_\w+)\b|preexec_fn|get_context\(.fork"
)
GUARDED = {"limits.py", "workers.py", "video/guarded/limits.py"}


def test_what_only_posix_has_is_asked_for_first() -> None:
    package = Path(names.__file__).parent
    found = {
        path.relative_to(package).as_posix(): match[0]
        for path in package.rglob("*.py")
        if (match := POSIX_ONLY.search(path.read_text(encoding="utf-8")))
    }
    assert set(found) == GUARDED, found


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often a file will not be renamed, as while a virus scanner reads it."""
    times, replace = [0], os.replace

    def sometimes(source: Path, target: Path) -> None:
        if times[0]:
            times[0] -= 1
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", sometimes)
    monkeypatch.setattr(files, "_WAITS_SECONDS", (0.0, 0.0))
    return times


def test_a_file_that_another_program_reads_is_replaced_a_little_later(
    refused: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    monkeypatch.setattr(files, "_IS_WINDOWS", True)
    refused[0] = 2
    write_text(path, "new")
    assert path.read_text() == "new"
    for is_windows, times in ((True, 3), (False, 1)):
        monkeypatch.setattr(files, "_IS_WINDOWS", is_windows)
        refused[0] = times
        with pytest.raises(OutputError, match="choose a folder with write permission"):
            write_text(path, "newer")
        assert refused[0] == 0
    assert path.read_text() == "new"


def test_an_empty_folder_is_replaced_where_a_rename_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    replace, out = os.replace, tmp_path / "out"

    def onto_nothing(source: Path, target: Path) -> None:
        assert not target.exists()
        replace(source, target)

    monkeypatch.setattr(os, "replace", onto_nothing)
    out.mkdir()
    with replaced_folder(out) as partial:
        (partial / "a").touch()
    assert [path.name for path in out.iterdir()] == ["a"]


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
def test_names_that_differ_in_case_are_one_file_there(
    platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = [tmp_path / "1" / "Übung.mp4", tmp_path / "2" / "u\u0308bung.mp4"]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    monkeypatch.setattr(names.sys, "platform", platform)
    if platform == "linux":
        assert len(find_videos(tmp_path)) == len(named_videos(paths)) == 2
        assert check_copies(paths, tmp_path / "out", manifest_file="prepared.json") == []
        return
    with pytest.raises(VideoError, match="would both be video"):
        find_videos(tmp_path)
    with pytest.raises(VideoError, match="would both be video"):
        named_videos(paths)
    (problem,) = check_copies(paths, tmp_path / "out", manifest_file="prepared.json")
    assert "would both become" in problem


def test_without_fork_nothing_is_tried_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.sys, "platform", "win32")
    assert limits.survives(lambda: pytest.fail("was read"), cpu_seconds=1)


def test_a_worker_leaves_ctrl_c_to_its_parent_where_signals_cannot_be_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.delattr(signal, "pthread_sigmask")
    monkeypatch.setattr(workers.threading, "Thread", Mock())
    receiver, _ = multiprocessing.Pipe(duplex=False)
    try:
        with workers.interrupts_held_back():
            workers.end_with_parent(receiver)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_a_console_of_windows_gets_tables_it_can_show(videos: Path, tmp_path: Path) -> None:
    """Its code page has no box characters, and not every letter of a name."""
    annotations = tmp_path / "Übung 手.json"
    shutil.copy(videos / "annotations/mma52.json", annotations)
    done = subprocess.run(
        [sys.executable, "-m", "mmad", "data", "stats", str(annotations)],
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    said = done.stdout.decode("cp1252")
    assert done.returncode == 0, done.stderr
    assert "+---" in said
    assert "\\u" not in said


@pytest.mark.long
@pytest.mark.slow
def test_readers_of_frames_are_started_anew(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and macOS cannot fork, so all that a reader needs is sent to it."""
    method = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    changes = {"training__epochs": 1, "data__max_videos": 2}
    try:
        spawned = tiny_config(videos, data__num_workers=1, **changes)
        train_run(spawned, out=tmp_path / "spawned", quiet=True)
    finally:
        multiprocessing.set_start_method(method, force=True)
    train_run(tiny_config(videos, **changes), out=tmp_path / "here", quiet=True)
    one, other = (RunFolder(tmp_path / name).rows() for name in ("spawned", "here"))
    losses = [[row["loss"] for row in rows if row["kind"] == "step"] for rows in (one, other)]
    assert losses[0] == losses[1]
    assert losses[0]


@pytest.mark.slow
def test_all_readers_of_frames_can_be_sent_to_a_new_process(
    videos: Path, felt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    class Sent(DataLoader):  # type: ignore[type-arg]
        """Pickles what another process would get, and reads in this one."""

        def __init__(self, dataset: object, **settings: Any) -> None:
            parts = dataset, settings.get("collate_fn"), settings.get("worker_init_fn")
            ForkingPickler.dumps(parts)
            sent.append(type(dataset).__name__)
            ours = ("batch_size", "sampler", "batch_sampler", "collate_fn")
            super().__init__(dataset, **{key: settings[key] for key in ours if key in settings})

    for module in (loop, clip_inference, emotion_inference, extraction):
        monkeypatch.setattr(module, "DataLoader", Sent)
    changes = {"training__epochs": 1, "data__num_workers": 1}
    train_run(tiny_clip_config(videos, **changes), out=tmp_path / "clips", quiet=True)
    train_run(felt_config(felt, **changes), out=tmp_path / "felt", quiet=True)
    config = tmp_path / "tiny.yaml"
    config.write_text(dump_config(tiny_config(videos)))
    video = files_of(videos)[0][1]
    words = ["--random-weights", "--workers", "1", "--out", tmp_path / "f.h5"]
    run_mmad(["extract-features", config, video, *words])
    assert len(set(sent)) == 5
