"""The last line of a command is a command that works as it is printed."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.cli._next_command import tell_next
from mmad.cli.main import app

pytestmark = pytest.mark.slow

# A command that trains is tried with these, so that it takes seconds.
SMALL = ("training.epochs=1", "backbone.pretrained=null", "--smoke")


def mmad(*arguments: object) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def next_of(output: str) -> list[str]:
    """The words of the command in the last line, after ``mmad``."""
    last = output.rstrip().splitlines()[-1]
    assert last.startswith("next: mmad "), output
    return shlex.split(last)[2:]


def follow(output: str, *commands: str) -> str:
    """Run the next command, and the next of it, which are to be these; the last one's output."""
    for name in commands:
        words = next_of(output)
        assert " ".join(words).startswith(name)
        if words[0] == "train" and "--show-config" not in words:
            words += [
                word for word in SMALL if "features" not in words[1] or "backbone" not in word
            ]
        output = mmad(*words)
    return output


@pytest.fixture
def here(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data in "my data"."""
    shutil.copytree(videos, tmp_path / "my data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_synthesize_to_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ("--width", 32, "--height", 32, "--fps", 15, "--min-seconds", 2, "--max-seconds", 3)
    numbers = ("--train", 2, "--val", 2, "--test", 0)
    output = mmad("synthesize", "some data", *numbers, *sizes, "--workers", 1)
    follow(output, "train configs/demo.yaml", "eval", "error-analysis", "report")
    # Another run gets another folder.
    words = next_of(mmad("synthesize", "some data", *numbers, *sizes, "--workers", 1))
    assert words[-2:] == ["--out", "runs/demo2"]


def test_after_training_with_another_validation_subset(here: Path) -> None:
    annotations = Path("my data/annotations/mma52.json")
    annotations.write_text(annotations.read_text().replace('"val"', '"minival"'))
    places = (f"data.annotations={annotations}", "data.videos=my data/videos")
    output = mmad("train", "configs/demo.yaml", *places, "data.val_subset=minival", *SMALL)
    assert next_of(output) == ["eval", "runs/demo/predictions/minival.csv"]
    follow(output, "eval", "error-analysis", "report")


def test_after_training_without_validation(here: Path) -> None:
    places = ("data.annotations=my data/annotations/train.csv", "data.videos=my data/videos")
    output = mmad("train", "configs/demo.yaml", *places, *SMALL)
    follow(output, "predict runs/demo --subset train", "eval")


def test_after_training_a_recogniser(here: Path) -> None:
    output = mmad(
        "synthesize",
        "clips",
        "--train",
        0,
        "--val",
        0,
        "--test",
        0,
        "--clips",
        8,
        *("--width", 32, "--height", 32, "--min-seconds", 1, "--max-seconds", 2),
    )
    output = follow(output, "train configs/recognition/demo.yaml")
    follow(output, "report runs/clips")
    assert "F1" in mmad("eval", "runs/clips/predictions/val.csv")  # against the lists of the run
    lists = 'data.test=["clips/annotations/ma52_val.txt"]'
    predicted = mmad("predict", "runs/clips", lists)
    follow(predicted, "report")
    mmad("recognize", "clips/clips", "--checkpoint", "runs/clips", "--out", "guesses.csv")
    named = [line.partition(",")[0] for line in Path("guesses.csv").read_text().splitlines()]
    assert sorted(named[1:]) == sorted(path.name for path in Path("clips/clips").iterdir())


def test_after_predict_detect_and_extraction(here: Path) -> None:
    data = Path("my data")
    places = (
        f"data.annotations={data / 'annotations/mma52.json'}",
        f"data.videos={data / 'videos'}",
    )
    mmad("train", "configs/demo.yaml", *places, *SMALL, "--out", "run")
    follow(mmad("predict", "run", "--subset", "val", "--out", "mine/p.csv"), "eval mine/p.csv")
    hidden = json.loads((data / "annotations/mma52.json").read_text())
    for video in hidden.values():
        video["actions"] = []
    Path("hidden.json").write_text(json.dumps(hidden))
    predicted = mmad("predict", "run", "--subset", "val", "--annotations", "hidden.json")
    follow(predicted, "submit run/predictions/val.csv", "submit --check")

    first = sorted((data / "videos").glob("val*"))[0]
    detect = ("detect", first, "--checkpoint", "run", "--no-pictures")
    follow(mmad(*detect, "--min-score", 0), "data stats detections/val0000.eaf")
    follow(mmad(*detect, "--min-score", 1), "detect my data", "data stats")
    flags = ("--annotations", data / "annotations/mma52.json")
    follow(mmad(*detect, *flags), "eval detections/detections.csv", "error-analysis", "report")

    output = mmad("extract-features", "run", first, "--out", "one.h5")
    follow(output, "features inspect")
    output = mmad("extract-features", "run", data / "videos", "--out", "all.h5")
    follow(output, "train configs/features/actionformer.yaml", "eval")
    follow(mmad("weights", "export", "run", "exported"), "weights inspect")
    trained = mmad("weights", "export", "run", "trained", "--trained-only")
    follow(trained, "weights inspect trained/trained.safetensors")


def test_after_copies_of_videos(here: Path) -> None:
    output = mmad("prepare", "my data/videos", "--out", "small", "--short-side", 32)
    follow(output, "train configs/demo.yaml", "eval")
    video = sorted(Path("my data/videos").iterdir())[0]
    follow(mmad("prepare", video, "--out", "alone/one"), "train configs/dsta_videomae_s.yaml")
    follow(mmad("data", "crop", video, "--motion", "--out", "alone/crop"), "train configs/dsta")
    follow(mmad("data", "flow", video, "--out", "alone/flow"), "train configs/recognition/dsta")


@pytest.mark.parametrize("kind", ["detection", "recognition"])
def test_a_submission_is_checked_next(here: Path, kind: str) -> None:
    if kind == "detection":
        Path("p.csv").write_text(",video_id,t_start,t_end,class,score\n0,v,0,1,9,0.5\n")
    else:
        columns = [f"{level}_pred_{k}" for level in ("action", "body") for k in range(1, 6)]
        Path("p.csv").write_text(f"vid,{','.join(columns)}\nv.mp4,0,1,2,3,4,0,1,2,3,4\n")
    follow(mmad("submit", "p.csv", "--out", "s.zip"), "submit --check")


def test_a_file_that_looks_like_an_option_is_still_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_next("detect", Path("-a b.mp4"), "--out", Path("c"))
    assert capsys.readouterr().out == "next: mmad detect './-a b.mp4' --out c\n"
