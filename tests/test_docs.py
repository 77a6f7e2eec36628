"""Every command in the README and the docs exists, with its options; the small ones are run."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mmad.cli.main import COMMANDS as COMMANDS_OF_MMAD

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_in(page: Path) -> list[str]:
    """Lines that begin with ``$`` in blocks of code, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [match.strip() for match in re.findall(r"^\$ (.+)$", text, flags=re.MULTILINE)]


COMMANDS = [(page, command) for page in PAGES for command in commands_in(page)]


def mmad_arguments(command: str) -> list[str] | None:
    """Arguments of an mmad command, also under torchrun; None for another command."""
    words = shlex.split(command, comments=True)
    if words[0] == "torchrun":
        return words[words.index("mmad") + 1 :]
    return words[1:] if words[0] == "mmad" else None


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page.stem}: {c[:50]}" for page, c in COMMANDS]
)
def test_command_is_understood(page: Path, command: str) -> None:
    arguments = mmad_arguments(command)
    if arguments is None:
        words = [word for word in shlex.split(command) if word.endswith((".py", ".sh"))]
        assert words, f"{page.name}: {command}: neither mmad nor a script of this project"
        assert (ROOT / words[0]).is_file()
        return
    name, *rest = arguments
    assert name in COMMANDS_OF_MMAD, f"{page.name}: there is no mmad {name}"
    command_of = typer.main.get_command(importlib.import_module(f"mmad.cli.{name}").app)
    if hasattr(command_of, "commands"):
        command_of, rest = command_of.commands[rest[0]], rest[1:]
    # Parses options and arguments without running anything; a wrong one raises.
    command_of.make_context(name, list(rest)).close()


def run(arguments: list[str], folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "mmad", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_main_job_by_hand(tmp_path: Path) -> None:
    """Videos, training, scores, detections: the steps of tools/demo.sh, made tiny."""
    run(
        [
            "synthesize",
            "data",
            "--train",
            "3",
            "--val",
            "2",
            "--test",
            "1",
            "--width",
            "32",
            "--height",
            "32",
            "--fps",
            "15",
            "--min-seconds",
            "2",
            "--max-seconds",
            "3",
        ],
        tmp_path,
    )
    assert "Instances" in run(["data", "stats", "data/annotations/mma52.json"], tmp_path)
    checked = run(
        ["data", "check", "data/annotations/mma52.json", "--videos", "data/videos"], tmp_path
    )
    assert "error:" not in checked
    places = ["data.annotations=data/annotations/mma52.json", "data.videos=data/videos"]
    run(["train", "configs/demo.yaml", *places, "--smoke", "--out", "runs/smoke"], tmp_path)
    assert "runs/smoke/predictions/val.csv" in run(["eval"], tmp_path)
    run(["predict", "runs/smoke", "--subset", "test"], tmp_path)
    said = run(["detect", "data/videos/test0000.mp4", "--checkpoint", "runs/smoke"], tmp_path)
    assert "written to detections" in said
    made = {path.name for path in (tmp_path / "detections").iterdir()}
    assert made == {"detections.csv", "detections.json", "test0000.eaf", "test0000.png"}


def test_a_wrong_command_line_exits_with_2(tmp_path: Path) -> None:
    for arguments in (["nothing"], ["train"], ["train", "none.yaml"], ["eval", "none.csv"]):
        result = subprocess.run(
            [sys.executable, "-m", "mmad", *arguments],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert result.returncode == 2
        assert b"Traceback" not in result.stderr
