"""Files that another version of the code has written, and what it said of them.

    python tools/golden_files.py make FOLDER
    python tools/golden_files.py check FOLDER

``make`` writes, from the videos in FOLDER/data (of tools/golden.py), run folders of every kind,
stored features and exported weights, all tiny, and what every command that reads them gives, as
FOLDER/results.json. ``check`` uses them, in another place, with the code of today: exit code 1 if a
result differs by more than 1e-5, relative to max(1, |value|). Make them with an old version only:
files of today are read by the other tests.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from golden_cases import CASES, merged

from golden import (
    clip_scores,
    compare,
    detections,
    ends_of,
    mmad,
    read_steps,
    round_all,
    tolerance,
)

TOLERANCE = 1e-5
RESULTS = "results.json"
DATA = Path("data")
VIDEO = DATA / "videos/val0000.mp4"
CLIP_FOLDER = DATA / "clips"
# Smaller than those of the cases, since their weights are kept.
_BACKBONE = {"size": {"width": 16, "depth": 2, "num_heads": 2, "patch": 8}}
_DETECTOR = {"channels": 8, "num_heads": 1}
# The start of trainings when the files were written.
_OLD_START = {"regression_bias": 0.0}
# What no command reads, or what says more of the computer than of the run.
_LEFT_OUT = ("curves.png", "environment.json", ".lock")


def main() -> int:
    """0, or 1 if a result differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=["make", "check"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.action == "make":
        make(folder)
    worst = 0.0
    expected = json.loads((folder / RESULTS).read_text())
    for name, values in results(folder):
        difference, place = compare(expected[name], values)
        worst = max(worst, difference)
        print(f"{name}: {difference:.1e}{f' at {place}' if difference else ''}")
    return int(worst > tolerance(folder.parent, strict=TOLERANCE))


def make(folder: Path) -> None:
    """Write all files and their results; paths in them are relative."""
    with contextlib.chdir(folder):
        for name in ("run_videos", "run_features", "run_tsn", "run_timesformer", "exported"):
            shutil.rmtree(name, ignore_errors=True)
        train("videos_dsta", "run_videos", backbone=_BACKBONE, detector=_DETECTOR)
        train("clips_tsn", "run_tsn", backbone=_BACKBONE)
        timesformer = {"primary": "timesformer"}
        train("clips_soft", "run_timesformer", backbone=_BACKBONE, heads=timesformer)
        mmad("weights", "export", "run_videos", "exported")
        config = write_config("videos_dsta", backbone=_BACKBONE)
        options = ("--random-weights", "--out", "features.h5", "--overwrite")
        mmad("extract-features", config, DATA / "videos", *options)
        shutil.rmtree("features", ignore_errors=True)
        mmad("features", "convert", "features.h5", "features")
        # Without validation there is no best checkpoint, so last.pt is used and kept.
        features = {"features": "features.h5", "grid": None, "val_subset": "none"}
        train("temporalmaxer", "run_features", data=features, detector={"channels": 8})
        config.unlink()
        for path in Path().glob("run_*/*"):
            is_replaced = path.name == "last.pt" and path.with_name("best.safetensors").is_file()
            if is_replaced or path.name in _LEFT_OUT:
                path.unlink()
        for path in Path().glob("run_*/predictions"):
            shutil.rmtree(path)
    values = json.dumps(dict(results(folder)), separators=(",", ":"))
    (folder / RESULTS).write_text(values + "\n")


def write_config(case: str, **changes: Mapping[str, Any]) -> Path:
    """The config of a case, on the videos below the working folder."""
    path = Path("config.yaml")
    content = merged(CASES[case].content(DATA, Path()), changes)
    path.write_text(yaml.safe_dump(content))
    return path


def train(case: str, run: str, **changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Train a case with changes; the losses of its steps."""
    mmad("train", write_config(case, **changes), "--out", run, "--device", "cpu")
    return read_steps(Path(run))


def results(folder: Path) -> Iterator[tuple[str, Any]]:
    """What every command gives, by name, rounded."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        moved = Path(work).resolve() / "moved"
        shutil.copytree(folder, moved)
        for name in COMMANDS:
            yield name, result(name, moved)


def result(name: str, folder: Path) -> Any:
    """What a command gives, rounded; it writes into the folder, and into no file that was there."""
    with contextlib.chdir(folder):
        return round_all(COMMANDS[name]())


def _predict_videos(run: str, *options: object) -> Any:
    return detections(_predict(run, *options).with_suffix(".json"))


def _predict_clips(run: str) -> Any:
    return clip_scores(_predict(run).with_suffix(".npz"))


def _predict(run: str, *options: object) -> Path:
    out = Path("predictions.csv")
    mmad("predict", run, "--subset", "val", "--out", out, "--device", "cpu", *options)
    return out


def _detect(run: str) -> Any:
    mmad("detect", VIDEO, "--checkpoint", run, "--no-pictures", "--out", "found", "--device", "cpu")
    return detections(Path("found/detections.json"))


def _recognize(run: str) -> Any:
    clips = sorted(CLIP_FOLDER.glob("val*"))
    out = Path("recognized.csv")
    mmad("recognize", *clips, "--checkpoint", run, "--out", out, "--device", "cpu")
    return clip_scores(out.with_suffix(".npz"))


def _extract(run: str) -> Any:
    mmad("extract-features", run, VIDEO, "--out", f"of_{run}.h5", "--device", "cpu")
    return _arrays(f"of_{run}.h5")


def _arrays(features: str) -> Any:
    out = Path("arrays")
    shutil.rmtree(out, ignore_errors=True)
    mmad("features", "convert", features, out)
    return {path.stem: ends_of(path) for path in sorted(out.glob("*.npy"))}


def _resume() -> Any:
    """Losses of another epoch, from the last checkpoint."""
    run = Path("resumed")
    shutil.copytree("run_features", run)
    config = run / "config.yaml"
    content = yaml.safe_load(config.read_text())
    content["training"] |= {"epochs": 2, "schedule_epochs": 2}
    config.write_text(yaml.safe_dump(content))
    mmad("train", config, "--out", run, "--resume", "--device", "cpu")
    return read_steps(run)


_ON_FILE = {"features": "features.h5", "grid": None}
_ON_FOLDER = {"features": "features", "grid": None}
COMMANDS: Mapping[str, Callable[[], Any]] = {
    "predict videos": lambda: _predict_videos("run_videos"),
    "detect": lambda: _detect("run_videos"),
    "predict features of a file": lambda: _predict_videos("run_features"),
    "predict features of a folder": lambda: _predict_videos(
        "run_features", "--features", "features"
    ),
    "detect with a run on features": lambda: _detect("run_features"),
    "predict clips, tsn": lambda: _predict_clips("run_tsn"),
    "predict clips, timesformer": lambda: _predict_clips("run_timesformer"),
    "recognize": lambda: _recognize("run_timesformer"),
    "extract with a detector": lambda: _extract("run_videos"),
    "extract with a recogniser": lambda: _extract("run_tsn"),
    "features of a file": lambda: _arrays("features.h5"),
    "train on a file of features": lambda: train(
        "tridet", "on_file", data=_ON_FILE, detector=_OLD_START
    ),
    "train on a folder of features": lambda: train(
        "tridet", "on_folder", data=_ON_FOLDER, detector=_OLD_START
    ),
    "train from a run": lambda: train(
        "videos_dsta",
        "on_run",
        backbone=_BACKBONE,
        detector=_DETECTOR,
        training={"start": "run_videos"},
    ),
    "train on a run's backbone": lambda: train(
        "videos_dsta",
        "on_backbone",
        backbone={**_BACKBONE, "pretrained": "run_tsn"},
        detector=_OLD_START,
    ),
    "train on exported weights": lambda: train(
        "videos_dsta",
        "on_exported",
        backbone={**_BACKBONE, "pretrained": "exported"},
        detector=_OLD_START,
    ),
    "resume": _resume,
}


if __name__ == "__main__":
    sys.exit(main())
