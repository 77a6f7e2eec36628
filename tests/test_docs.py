"""Every command in the README and the docs is run: on tiny data, and training with --smoke."""

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import typer

from mmad.cli.main import COMMANDS as COMMANDS_OF_MMAD
from mmad.config.reading import dump_config
from support.commands import run_mmad
from support.detector_checkpoints import (
    actionformer_checkpoint,
    opentad_checkpoint,
    random_detector,
    tiny_tia_config,
)
from support.emotions import PRO, put
from support.processes import run_process, run_ranks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_in(page: Path) -> list[str]:
    """Lines that begin with ``$`` in blocks of code, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [match.strip() for match in re.findall(r"^\$ (.+)$", text, flags=re.MULTILINE)]


COMMANDS = [(page, command) for page in PAGES for command in commands_in(page)]
# The other tutorials have the commands of the pages of commands.
# Of the tutorials those of a path from start to end; the others point to pages that are run.
WALKS = ("challenge", "elan", "own-behaviours")
RUN = [page for page in PAGES if page.parent.name != "tutorials" or page.stem in WALKS]


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
    command_of = typer.main.get_command(
        importlib.import_module(f"mmad.cli.{name.replace('-', '_')}").app
    )
    if hasattr(command_of, "commands"):
        command_of, rest = command_of.commands[rest[0]], rest[1:]
    # Parses options and arguments without running anything; a wrong one raises.
    command_of.make_context(name, list(rest)).close()


def run(arguments: Sequence[str], folder: Path) -> None:
    result = subprocess.run(
        arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"


def write_other_data_sets(folder: Path, content: dict) -> None:
    """The videos of ``content`` with three gestures, and one instance that ends too late."""
    gestures = ("nod", "wave", "shrug")
    database = {
        video_id: {
            "subset": video["subset"],
            "duration": video["duration"],
            "annotations": [
                {"segment": [start, end], "label": gestures[label]}
                for label, start, end in sorted(
                    {(label % 3, start, end) for label, start, end in video["actions"]}
                )
            ],
        }
        for video_id, video in content.items()
    }
    for name in ("gestures.json", "thumos14.json"):
        (folder / name).write_text(json.dumps({"classes": gestures, "database": database}))
        next(iter(database.values()))["annotations"][0]["segment"][1] = 99.0


def write_emotions(folder: Path) -> None:
    """A list of videos with emotions, one with errors, and the predictions of two models."""
    put(folder, "pro.csv", PRO)
    put(folder, "broken_emotions.csv", PRO.replace("c,val,joy", "c,val,happy"))
    put(folder, "face.csv", "video_id,emotion\nc,joy\nd,fear\n")
    put(folder, "full.csv", "video_id,emotion\nc,joy\nd,joy\n")


def write_interviews(folder: Path, videos: Path, annotations: Path, detections: Path) -> None:
    """Interviews with annotations, who is in them, and detections of some."""
    shutil.copytree(videos, folder / "interviews")
    shutil.copy(annotations, folder / "interviews")
    rows = [f"{name},P{name[-1]},patients" for name in json.loads(annotations.read_text())]
    (folder / "persons.csv").write_text("\n".join(["video,person,group", *rows]) + "\n")
    shutil.copy(detections, folder / "detections.json")


def write_own_clips(folder: Path, clips: Path) -> None:
    """Clips of three classes, with subjects for three folds."""
    shutil.copytree(clips, folder / "clips")
    names = sorted(path.name for path in clips.iterdir())
    classes = "name,body_part\nnod,head\nshake head,head\nwave,upper limb\n"
    (folder / "labels.csv").write_text(classes)
    rows = [f"{name},{place % 3},p{place}" for place, name in enumerate(names)]
    (folder / "clips.csv").write_text("\n".join(["clip,label,subject", *rows]) + "\n")


SMALL = ("--width", "32", "--height", "32", "--fps", "15", "--min-seconds", "2")
SMALL += ("--max-seconds", "3")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny files under the names that the pages use, and one run."""
    folder = tmp_path_factory.mktemp("world")
    sizes = ("--train", "4", "--val", "2", "--test", "2")
    run_mmad(["synthesize", "demo/data", *sizes, *SMALL, "--clips", "8"], folder=folder)
    data = folder / "demo/data"
    places = ["data.annotations=demo/data/annotations/mma52.json", "data.videos=demo/data/videos"]
    run_mmad(["train", "configs/demo.yaml", *places, "--smoke", "--out", "demo/run"], folder=folder)
    annotations = data / "annotations"
    shutil.copytree(annotations, folder / "annotations")
    shutil.copytree(annotations, folder / "data/mma52/annotations")
    shutil.copy(annotations / "mma52.json", folder / "data/mma52/annotations/mmad.json")
    shutil.copy(annotations / "mma52.json", folder / "truth.json")
    for name in ("videos", "videos_182", "my_videos", "data/mma52/videos", "folder_of_videos"):
        shutil.copytree(data / "videos", folder / name)
    shutil.copy(data / "videos/test0000.mp4", folder / "interview.mp4")
    for name in ("train", "val"):
        shutil.copy(annotations / f"ma52_{name}.txt", folder / f"{name}.txt")
    shutil.copy(data / "subjects.csv", folder / "subjects.csv")
    shutil.copy(data / "clips/val_00000.mp4", folder / "clip.mp4")
    # A run finds its data from where it is itself, so both are copied.
    shutil.copytree(folder / "demo/run", folder / "runs/dsta_b")
    shutil.copytree(data, folder / "runs/data")
    extract = ["extract-features", "runs/dsta_b", "videos", "--out", "features.h5"]
    run_mmad(extract, folder=folder)
    header, *rows = (annotations / "train.csv").read_text().splitlines()
    tiny = tiny_tia_config(data)  # of the detectors in epoch_59.pth
    (folder / "tiny_tia.yaml").write_text(dump_config(tiny))
    rows += (annotations / "val.csv").read_text().splitlines()[1:]
    (folder / "mine.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "broken.csv").write_text(f"{header}\n0,val0000,30,5,9,40,15\n")
    write_emotions(folder)
    found = folder / "demo/run/predictions/val.json"
    write_interviews(folder, data / "videos", annotations / "mma52.json", found)
    write_own_clips(folder / "data/own", data / "clips")
    write_other_data_sets(folder, json.loads((annotations / "mma52.json").read_text()))
    torch.save(opentad_checkpoint(random_detector(data)), folder / "epoch_59.pth")
    torch.save(actionformer_checkpoint(), folder / "epoch_034.pth.tar")
    backbone = random_detector(data).features.backbone
    torch.save({"model": backbone.state_dict()}, folder / "videomae_k400.pth")
    with zipfile.ZipFile(folder / "submission.zip", "w") as archive:
        archive.write(folder / "demo/run/predictions/val.csv", "prediction.csv")
    return folder


def made_small(words: list[str]) -> list[str] | None:
    """The command as it is run here; None for one that cannot be run inside the tests."""
    program, *rest = words
    if program == "bash":
        # The tests run inside tools/test.sh; the demo takes .venv as it finds it.
        is_demo = rest[0] == "tools/demo.sh" and (ROOT / ".venv/.installed-dev").is_file()
        return ["bash", str(ROOT / rest[0]), "demo_again", "--smoke"] if is_demo else None
    if program == "python":
        script, config, folder, _ = rest
        limits = ("training.epochs=1", "training.batch_videos=2", "training.threads=1")
        return [sys.executable, str(ROOT / script), config, folder, "backbone.safetensors", *limits]
    if program == "torchrun":
        rest = rest[rest.index("mmad") + 1 :]
        return ["torchrun", *rest, *(["--smoke"] if "train" in rest else [])]
    if rest[0] == "synthesize":
        for place, word in enumerate(rest):
            if word in ("--train", "--val", "--test", "--clips"):
                rest[place + 1] = str(min(int(rest[place + 1]), 2))
        rest += ["--min-seconds", "1", "--max-seconds", "2"]
    if rest[0] == "profile":
        rest += ["--repeats", "1"]
    if "--camera" in rest:  # a file takes its place
        rest[rest.index("--camera") + 1] = "interview.mp4"
    if any(word.startswith("my-lab/") for word in rest) and "--dry-run" not in rest:
        return None  # tests/engine/runs/test_hub.py has a server for it
    if rest[0] == "review":  # serves until it is stopped; tests/review/test_page.py does
        return None
    if rest[:2] == ["project", "export"]:  # needs decisions; tests/cli/test_review.py makes some
        return None
    if rest[:2] == ["weights", "fetch"]:  # tests/weights/test_hub.py has a server for it
        return None
    if rest[:2] == ["weights", "convert"] and "--config" in rest:
        rest[rest.index("--config") + 1] = "tiny_tia.yaml"
    if rest[0] in ("train", "pretrain") and not {"--smoke", "--show-config"} & set(rest):
        rest.append("--smoke")
    return ["mmad", *rest]


@pytest.mark.long
@pytest.mark.parametrize(
    "page", RUN, ids=[page.relative_to(ROOT).with_suffix("").as_posix() for page in RUN]
)
def test_commands_of_the_page_run(page: Path, world: Path, tmp_path: Path) -> None:
    """In order, in a folder of their own, with the results of the earlier ones."""
    folder = tmp_path / "here"
    shutil.copytree(world, folder)
    if page.stem == "train":  # makes this run itself
        shutil.rmtree(folder / "runs/dsta_b")
    for command in commands_in(page):
        words = made_small(shlex.split(command, comments=True))
        if words is None:
            continue
        program, *rest = words
        if program == "mmad":
            run_mmad(rest, folder=folder, code=2 if "broken" in command else 0)
        elif program == "torchrun":
            for rank in run_ranks(2, rest, cwd=folder):
                assert rank.returncode == 0, rank.stderr
        else:
            run(words, folder)


@pytest.mark.long
def test_detect_makes_its_files(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    said = run_mmad(
        ["detect", "interview.mp4", "--checkpoint", "demo/run", "--out", out], folder=world
    )
    assert f"written to {out}" in said.stdout
    assert {path.name for path in out.iterdir()} == {
        *("detections.csv", "detections.json", "interview.eaf", "interview.png"),
        *("detections_table.csv", "detections_table.xlsx"),
    }


def test_a_wrong_command_line_exits_with_2(tmp_path: Path) -> None:
    for arguments in (["nothing"], ["train"], ["train", "none.yaml"], ["eval", "none.csv"]):
        result = run_process(arguments, cwd=tmp_path)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
