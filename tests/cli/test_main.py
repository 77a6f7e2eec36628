"""What all commands have in common: completion, help, unknown names."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from mmad.cli import _options as options
from mmad.cli.main import COMMANDS, app
from mmad.engine.distributed import choose_device
from mmad.errors import ConfigError, MmadError
from mmad.evaluation.clips.ensemble import METRICS
from mmad.evaluation.clips.recognition import F1_RULES
from mmad.evaluation.detection import PROTOCOLS
from mmad.evaluation.submission import TASKS

pytestmark = pytest.mark.slow

# The script that `mmad --install-completion` installs runs mmad with these variables.
COMPLETERS = {
    "bash": lambda line: {
        "_MMAD_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    },
    "zsh": lambda line: {"_MMAD_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line},
    "fish": lambda line: {
        "_MMAD_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
    },
}


def mmad(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmad", *arguments],
        env={**os.environ, "COLUMNS": "100", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shell", COMPLETERS)
def test_shells_complete_the_names_of_commands(shell: str) -> None:
    done = mmad(**COMPLETERS[shell]("mmad e"))
    assert (done.returncode, done.stderr) == (0, "")
    found = re.findall(r'(?:^|\(\()"?([a-z-]+)(?="|\t|$)', done.stdout, flags=re.MULTILINE)
    assert found == [name for name in COMMANDS if name.startswith("e")]


def test_shells_complete_options_and_their_values() -> None:
    assert "--annotations" in mmad(**COMPLETERS["bash"]("mmad eval --")).stdout.split()
    assert mmad(**COMPLETERS["bash"]("mmad eval --level b")).stdout.split() == ["body", "both"]


def test_completing_names_imports_nothing_slow() -> None:
    code = (
        "import sys\nfrom mmad.cli.main import run\nsys.argv = ['mmad']\n"
        "try:\n    run()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print([m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **COMPLETERS["bash"]("mmad tr")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["train", "[]"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("evla", "there is no command 'evla'; did you mean 'mmad eval'?"),
        ("recognise", "there is no command 'recognise'; did you mean 'mmad recognize'?"),
        ("zzz", "there is no command 'zzz'; mmad --help lists the commands"),
    ],
)
def test_an_unknown_command_gets_the_nearest_name(typed: str, message: str) -> None:
    done = mmad(typed)
    assert done.returncode == 2
    assert done.stderr == f"mmad: {message}\n"


def test_mmad_alone_shows_its_help() -> None:
    assert "extract-features" in mmad().stdout + mmad().stderr


def every_command() -> list[tuple[str, Any]]:
    group = typer.main.get_command(app)
    found = []
    for name in COMMANDS:
        command = group.get_command(None, name)
        inner = getattr(command, "commands", {})
        found += [(f"{name} {key}", one) for key, one in inner.items()] or [(name, command)]
    return found


EVERY_COMMAND = every_command()


def help_of(command: str) -> str:
    result = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("command", [name for name, _ in EVERY_COMMAND])
def test_help_speaks_of_the_command_alone(command: str) -> None:
    text = help_of(command)
    assert "completion" not in text
    assert "--no-" not in text.replace("--no-pictures", "")
    # Square brackets in a help text are taken for markup, and what is in them is lost.
    assert not re.search(r" [.,;:](\s|$)", text), text


@pytest.mark.parametrize("name", ["train", "predict", "detect", "recognize", "extract-features"])
def test_every_command_that_computes_has_a_device(name: str) -> None:
    assert "--device" in help_of(name)


# Option, and the table whose names it takes.
CHOICES = {
    ("eval", "--level"): ["action", "body", "both"],
    ("error-analysis", "--level"): ["action", "body", "both"],
    ("agreement", "--level"): ["action", "body", "both"],
    ("report", "--level"): ["action", "both"],
    ("eval", "--protocol"): list(PROTOCOLS),
    ("report", "--protocol"): list(PROTOCOLS),
    ("eval", "--f1"): list(F1_RULES),
    ("submit", "--task"): list(TASKS),
    ("ensemble", "--metric"): list(METRICS),
    ("synthesize", "--class-weights"): ["mma52", "uniform"],
    ("data flow", "--scale"): ["fixed", "per-frame"],
    ("data stats", "--format"): ["auto", "mma52-json", "elan"],
    ("features convert", "--format"): ["npy", "npz", "pt", "csv", "pkl"],
    ("extract-features", "--dtype"): ["float32", "float16"],
    ("extract-features", "--precision"): ["auto", "fp32", "bf16", "fp16"],
}


@pytest.mark.parametrize(("command", "option"), CHOICES, ids=" ".join)
def test_choices_are_listed_and_checked(command: str, option: str) -> None:
    text = help_of(command)
    for name in CHOICES[command, option]:
        assert name in text
    files = ["x"] * (1 + (command in ("agreement", "ensemble", "features convert")))
    result = CliRunner().invoke(
        app, [*command.split(), *files, option, "nonsense"], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 2
    assert "'nonsense' is not one of" in result.output
    assert option in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("detect", "x.mp4", "--checkpoint", "run", "--min-score", "5"),
        ("agreement", "a.json", "b.json", "--min-score", "5"),
        ("agreement", "a.json", "b.json", "--step", "0"),
    ],
    ids=" ".join,
)
def test_numbers_out_of_range_are_refused(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in result.output


def test_what_can_be_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device().type == choose_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match=r"--device cuda: expected .* \(this machine has no GPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(choose_device(rank=1)) == str(choose_device("cuda:1")) == "cuda:1"
    assert str(choose_device("cuda", rank=3)) == "cuda:1"
    for name in ("cuda:2", "tpu", "cuda:x", "cuda:-1", "gpu"):
        message = f"--device {name}: expected auto, cpu or a GPU \\(cuda, cuda:0, cuda:1\\)"
        with pytest.raises(ConfigError, match=message):
            choose_device(name)


def test_overrides_are_written_in_one_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.mp4").write_bytes(b"")
    (tmp_path / "a=b.mp4").write_bytes(b"")
    files, overrides = options.split_overrides([Path("v.mp4"), Path("a=b.mp4"), Path("seed=x")])
    assert ([str(path) for path in files], overrides) == (["v.mp4", "a=b.mp4"], ["seed=x"])
    wrong = "data.image_sise=3"
    for arguments in (
        ("train", "configs/demo.yaml", wrong),
        ("extract-features", "configs/demo.yaml", "v.mp4", wrong, "--out", "f.h5"),
        ("extract-features", "configs/demo.yaml", "v.mp4", "--set", wrong, "--out", "f.h5"),
        ("weights", "inspect", "v.pth", wrong, "--config", "configs/demo.yaml"),
    ):
        with pytest.raises(ConfigError, match=r"data\.image_sise: there is no such setting"):
            CliRunner().invoke(app, arguments, catch_exceptions=False)
    with pytest.raises(MmadError, match="seed=3: changes a setting of a config; pass --config"):
        CliRunner().invoke(app, ["weights", "inspect", "v.pth", "seed=3"], catch_exceptions=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("detect", "empty", "--checkpoint", "run"),
        ("recognize", "empty", "--checkpoint", "run"),
        ("prepare", "empty", "--out", "out"),
        ("data", "crop", "empty", "--motion", "--out", "out"),
        ("data", "flow", "empty", "--out", "out"),
        ("extract-features", "configs/demo.yaml", "empty", "--random-weights", "--out", "f.h5"),
    ],
    ids=" ".join,
)
def test_an_empty_folder_of_videos_is_an_error(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MmadError, match=r"no video file in empty; expected names that end in \."):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "--runs", "empty"), "empty: no run in it has predictions"),
        (("report", "empty"), "empty: no run in it has predictions"),
        (("predict", "empty"), "empty: is not a run folder"),
        (("data", "stats", "empty"), "empty"),
        (("features", "inspect", "empty"), "empty"),
    ],
)
def test_any_other_empty_folder_is_an_error(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MmadError, match=message):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_agreement_of_nothing_with_nothing_is_an_error(tmp_path: Path) -> None:
    nothing = json.dumps({"v": {"subset": "val", "duration": 9.0, "actions": []}})
    paths = [tmp_path / "ada.json", tmp_path / "ben.json"]
    for path in paths:
        path.write_text(nothing)
    with pytest.raises(MmadError, match=r"ada, ben: none has an annotation .* no agreement"):
        CliRunner().invoke(app, ["agreement", *map(str, paths)], catch_exceptions=False)
