"""What long work shows of its progress."""

import io
import sys

import pytest

from mmad import progress as module
from mmad.errors import ConfigError
from mmad.progress import Progress, tracked, watched


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as its only element."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_file_gets_a_line_a_minute_with_what_is_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("train", total=1000, unit="steps", done=100) as progress:
        for step in range(30):
            clock[0] += 10
            progress.update(detail=f"loss {step}")
    # 10 s a step; after the first minute 106 are done and 894 left.
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[0] == "train: 106 of 1000 steps (11%), loss 5, about 2 h 29 min left"


def test_short_and_quiet_work_leaves_no_line(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in tracked(range(5), "prepare", total=5, unit="videos"):
        clock[0] += 11
    with Progress("train", total=10, unit="steps", quiet=True) as progress:
        clock[0] += 100
        progress.update()
        progress.say("validation")
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("train", total=10, unit="steps") as progress:
        clock[0] += 100
        progress.update(4, "loss 0.5")
        progress.say("validation at step 4 of 10: action_map 0.1")
    shown = terminal.getvalue()
    assert "train:  40%" in shown
    assert "| 4/10" in shown
    assert "train: validation at step 4 of 10: action_map 0.1\n" in shown
    assert "steps (" not in shown


def test_a_log_that_cannot_be_written_does_not_stop_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class FullDisk(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", FullDisk())
    with Progress("train", total=10, unit="steps") as progress:
        progress.say("validation")


def test_progress_that_is_none() -> None:
    with pytest.raises(ConfigError, match="progress: expected True, False or a function"):
        watched("detect", "yes", total=1, unit="videos")  # type: ignore[arg-type]
