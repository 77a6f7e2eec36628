"""Ctrl-C and signals: everything stops soon, what is done is kept, and it is said how to resume."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.synthetic_data import tiny_content

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc"),
]

# It takes a fraction of a second; tests run on busy machines.
SOON_SECONDS = 5.0


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own, as a terminal starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mmad", *map(str, arguments)],
        start_new_session=True,
        # A test run in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if state not in "ZX" and int(of_session) == session:
            found.append(int(stat.parent.name))
    return found


def stop(process: subprocess.Popen[str], number: int, *, group: bool) -> str:
    """What the process says when it gets a signal; it and its children end soon."""
    began = time.monotonic()
    (os.killpg if group else os.kill)(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < SOON_SECONDS
    while running(process.pid):
        assert time.monotonic() - began < SOON_SECONDS
        time.sleep(0.02)
    assert "Traceback" not in said
    return said


@pytest.fixture
def many(videos: Path, tmp_path: Path) -> Path:
    """A folder of 200 videos."""
    folder = tmp_path / "many"
    folder.mkdir()
    files = sorted((videos / "videos").glob("*.mp4"))
    for number in range(200):
        (folder / f"v{number:03}.mp4").symlink_to(files[number % len(files)])
    return folder


@pytest.mark.parametrize(
    ("number", "group", "workers"),
    [(signal.SIGINT, True, 2), (signal.SIGTERM, False, 2), (signal.SIGINT, True, 1)],
)
def test_prepare_stops_and_knows_what_it_has_done(
    number: int, group: bool, workers: int, many: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["prepare", many, "--out", out, "--short-side", 16, "--workers", workers]
    with started(*command) as process:
        wait_until(lambda: len(list(out.glob("v*.mp4"))) > 10, process)
        said = stop(process, number, group=group)
        assert process.returncode == 128 + number
    assert "what is finished is kept; run the same command again to resume" in said
    noted = json.loads((out / "prepared.json").read_text())["copies"]
    files = {path.name for path in out.iterdir()} - {"prepared.json"}
    # A worker may have been stopped between the last step of a copy and its report.
    assert set(noted) <= files
    assert len(files - set(noted)) <= workers
    assert 10 - workers < len(noted) < 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_of_synthesize_outlives_it(number: int, tmp_path: Path) -> None:
    out = tmp_path / "d"
    size = ["--width", 32, "--height", 32, "--min-seconds", 2, "--max-seconds", 3]
    command = ["synthesize", out, "--train", 300, "--val", 0, "--test", 0, *size, "--workers", 2]
    with started(*command) as process:
        wait_until(lambda: len(list(out.glob("videos/train*.mp4"))) > 3, process)
        assert len(running(process.pid)) >= 3
        stop(process, number, group=False)
    done = len(list(out.glob("videos/train*.mp4")))
    with started(*command) as process:
        wait_until(lambda: len(list(out.glob("videos/train*.mp4"))) > done, process)
        said = stop(process, signal.SIGINT, group=True)
    assert "run the same command again to resume" in said
    assert list(out.rglob("*.part*")) == []


def test_an_interrupted_training_names_the_command_that_resumes(
    videos: Path, tmp_path: Path
) -> None:
    content = tiny_content(videos)
    content["training"] |= {"epochs": 100, "checkpoint_steps": 1}
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(content))
    out = tmp_path / "my run"
    with started("train", config, "data.max_videos=2", "--out", out) as process:
        wait_until((out / "last.pt").exists, process)
        said = stop(process, signal.SIGINT, group=True)
        assert process.returncode == 130
    command = shlex.split(said[said.index("to resume: ") :])[2:]
    assert command[0] == "mmad"
    with started(*command[1:]) as process:
        line = process.stderr.readline() if process.stderr is not None else ""
        assert line.startswith("train: resumed at step ")
        assert line.endswith(" of 100\n")
