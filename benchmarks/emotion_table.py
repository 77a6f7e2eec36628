"""Tables VI and VII of the MA-52 paper on synthetic videos: branches, and without lower limbs.

    python -m benchmarks.emotion_table WORK [--seeds 0 1 2] [--epochs 16] [--jobs 2]

Makes videos of drawn people with emotions below WORK (validation: other people) and their face
copies, and trains the narrow version of each shipped config in `ROWS` from random weights, with
one optimiser and one schedule. Finished runs are kept and interrupted ones resumed, so the same
command goes on where it was stopped. Writes benchmarks/results/emotion_table.csv, and both tables
in the paper's columns into docs/emotion.md, between its markers.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.jobs import Job, is_done, summary, train_all, train_or_resume
from benchmarks.provenance import commit, hardware, write_rows, write_table
from mmad.annotations.emotions.lists import of_subset, read_emotions
from mmad.config.emotion import EmotionConfig
from mmad.config.extending import merged
from mmad.config.reading import find_config, parse_any_config, read_settings
from mmad.engine.runs.folder import RunFolder
from mmad.evaluation.emotions.metrics import evaluate_emotions
from mmad.evaluation.emotions.predictions import read_emotion_predictions
from mmad.labels import EMOTIONS, LOWER_LIMBS, MA52
from mmad.models.build import build_emotion

SIDE = 64
NUM_TRAINING, NUM_VALIDATION = 480, 160
DOCS = Path(__file__).parents[1] / "docs" / "emotion.md"


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Attributes:
        title: Its name in the paper.
        config: Its shipped config, below configs/emotion.
    """

    title: str
    config: str


FULL = Row("Full model", "manet_r50")
WITHOUT = Row("w/o. lower limb labels D&G", "manet_r50_without_legs")
TABLE_VI = (
    Row("Face Branch", "manet_r50_faces"),
    Row("Micro-Action Branch", "manet_r50_bodies"),
    FULL,
)
TABLE_VII = (WITHOUT, FULL)
ROWS = (*TABLE_VI, WITHOUT)
# In place of the published recipe, which takes days from random weights.
OWN: dict[str, Any] = {
    "data": {
        **{"image_size": SIDE, "short_side": SIDE, "resize": "squash", "num_workers": 0},
        **{"subtract_background": True, "cache_gb": 2},
        "augmentation": {
            **{"multi_scale_crop": None, "crop_area": [0.8, 1.0], "crop_aspect": [0.9, 1.1]},
            **{"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0},
        },
    },
    "backbone": {"depth": 18, "base_channels": 16, "clip_frames": 4, "pretrained": None},
    "network": {
        **{"encoder_width": 64, "encoder_heads": 4, "encoder_hidden": 128, "dropout": 0.2},
    },
    "training": {
        **{"optimizer": "adamw", "momentum": None, "schedule": "cosine", "milestones": []},
        **{"learning_rate": 1e-3, "backbone_learning_rate": 1e-3, "weight_decay": 0.02},
        **{"bias_rate": 1.0, "last_layer_rate": 1.0, "batch_videos": 8, "warmup_epochs": 1},
        **{"clip_gradient": 5.0, "ema_decay": 0.9, "threads": 1},
    },
    "inference": {"batch_videos": 16},
}
# Figures of a report, and their names in Table VI.
COLUMNS = {
    "accuracy": "Acc",
    "f1_weighted": "F1_weight",
    "f1_macro": "UF1",
    "recall_macro": "UAR",
    "map_classes": "mAP",
}
# mAP of the actions that both rows of Table VII have.
UPPER = "map_without_lower_limbs"


def make_videos(work: Path) -> None:
    """The videos and their face copies; existing ones are kept."""
    data = work / "data"
    mmad = [sys.executable, "-m", "mmad"]
    sizes = ["--train", NUM_TRAINING, "--val", NUM_VALIDATION, "--test", 0, "--width", 128]
    sizes += ["--height", 128, "--fps", 8, "--min-seconds", 4, "--max-seconds", 8]
    command = [*mmad, "synthesize", data, *sizes, "--videos-per-subject", 4, "--emotions"]
    subprocess.run([*map(str, command), "--workers", "2"], check=True)
    command = [*mmad, "data", "faces", data / "videos", "--boxes", data / "face_boxes"]
    command += ["--out", work / "faces", "--size", SIDE, "--workers", 2]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)


def list_of(work: Path) -> Path:
    return work / "data" / "annotations" / "emotions.csv"


def config_of(row: Row, *, work: Path, seed: int, epochs: int) -> EmotionConfig:
    """The network of the shipped config, narrow, with the data and the recipe of this benchmark."""
    shipped = read_settings(find_config(f"emotion/{row.config}.yaml"))
    content = merged(shipped, OWN)
    places = {"videos": str(work / "data" / "videos"), "faces": str(work / "faces")}
    # What a branch does not read stays null.
    places = {name: place for name, place in places.items() if content["data"][name] is not None}
    content["data"] |= {"annotations": [str(list_of(work))], **places}
    # Nothing is chosen by validation: the last weights are scored.
    content["training"] |= {"epochs": epochs, "validate_from_epoch": epochs}
    config = parse_any_config({**content, "seed": seed}, source=row.config)
    assert isinstance(config, EmotionConfig)
    return config


def run_folder(row: Row, seed: int, arguments: argparse.Namespace) -> RunFolder:
    name = f"{row.config}_{seed}_{arguments.epochs}_passes"
    return RunFolder(arguments.work / "runs" / name)


def train_once(row: Row, seed: int, arguments: argparse.Namespace) -> None:
    """Train one run; an interrupted one is resumed."""
    config = config_of(row, work=arguments.work, seed=seed, epochs=arguments.epochs)
    train_or_resume(config, run_folder(row, seed, arguments))


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """The runs that are to be trained, each in a process of its own with one thread."""
    module = ("benchmarks.emotion_table", str(arguments.work), "--epochs", str(arguments.epochs))
    return [
        Job(f"{row.title}, seed {seed}", ((*module, "--one", str(ROWS.index(row)), str(seed)),))
        for seed in arguments.seeds
        for row in ROWS
        if not is_done(run_folder(row, seed, arguments))
    ]


def scores_of(folder: RunFolder, work: Path) -> dict[str, float]:
    """Figures (%) of the predictions of a run, and its seconds of training."""
    listed = read_emotions(list_of(work), labels=MA52)
    videos = of_subset(listed, "val", source=list_of(work))
    found = read_emotion_predictions(folder.predictions("val", ".csv"), labels=MA52)
    report = evaluate_emotions(found, videos, labels=MA52)
    figures = {name: getattr(report, name) for name in COLUMNS}
    figures |= dict(zip(EMOTIONS.names, report.recall_per_emotion.tolist(), strict=True))
    kept = np.isin(report.action_labels, MA52.without_parents(LOWER_LIMBS))
    figures[UPPER] = float(np.nanmean(report.precision_per_action[kept])) if kept.any() else None
    known = {name: 100 * value for name, value in figures.items() if value is not None}
    steps = [entry["seconds"] for entry in folder.rows() if entry["kind"] == "step"]
    return {**known, "seconds": sum(steps)}


def summarise(
    row: Row, runs: Sequence[dict[str, float]], arguments: argparse.Namespace
) -> dict[str, object]:
    """Mean and standard deviation of each figure over the seeds."""
    config = config_of(row, work=arguments.work, seed=0, epochs=arguments.epochs)
    model = build_emotion(config, labels=MA52)
    empty = dict.fromkeys((*COLUMNS, *EMOTIONS.names, UPPER), "-")
    return {
        "method": row.title,
        **empty,
        **summary(runs),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seeds": len(runs),
        "epochs": arguments.epochs,
        "config": f"emotion/{row.config}.yaml",
    }


def table_lines(
    title: str,
    rows: Sequence[Row],
    cells: Mapping[Row, Mapping[str, object]],
    columns: Mapping[str, str],
) -> list[str]:
    """A table in Markdown, in the columns of the paper."""
    names = [title, *columns.values(), "full size"]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for row in rows:
        if row in cells:
            cell = cells[row]
            shown = [row.title, *(cell[name] for name in columns), f"`{cell['config']}`"]
            lines.append(f"| {' | '.join(map(str, shown))} |")
    return lines


def pages_lines(
    cells: Mapping[Row, Mapping[str, object]], arguments: argparse.Namespace
) -> list[str]:
    """Both tables, and how they were made."""
    per_emotion = {name: f"Acc_{name.capitalize()}" for name in EMOTIONS.names}
    seventh = {"accuracy": "Acc_Avg", **per_emotion, **dict(list(COLUMNS.items())[1:])}
    seeds = ", ".join(f"{row.title} {cells[row]['seeds']}" for row in cells)
    return [
        *table_lines("Table VI", TABLE_VI, cells, COLUMNS),
        "",
        *table_lines("Table VII", TABLE_VII, cells, {**seventh, UPPER: "mAP without D&G"}),
        "",
        f"Mean ± standard deviation over seeds ({seeds}); {arguments.epochs} passes.",
        f"Commit {commit()}, {hardware()}, one thread a run.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--done", action="store_true", help="Write what is done; train nothing.")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        row, seed = arguments.one
        train_once(ROWS[row], seed, arguments)
        return
    if not arguments.done:
        make_videos(arguments.work)
        train_all(jobs_of(arguments), at_once=arguments.jobs)
    cells: dict[Row, dict[str, object]] = {}
    for row in ROWS:
        folders = [run_folder(row, seed, arguments) for seed in arguments.seeds]
        runs = [scores_of(folder, arguments.work) for folder in folders if is_done(folder)]
        if runs:
            cells[row] = summarise(row, runs, arguments)
            print(cells[row], flush=True)
    if cells:
        print(write_rows("emotion_table", list(cells.values())))
        print(write_table(DOCS, "emotion_table", pages_lines(cells, arguments)))


if __name__ == "__main__":
    main()
