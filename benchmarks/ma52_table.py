"""Table II of the MA-52 paper and Table 1 of MLFE's on synthetic clips, with three seeds.

    python -m benchmarks.ma52_table WORK [--seeds 0 1 2] [--epochs 3] [--jobs 2] [--rows TSM ...]

Makes clips of 20 actions of drawn people below WORK (validation: other people), and trains the
narrow version of each shipped config in `ROWS` from random weights, with one optimiser and one
schedule. Finished runs are kept and interrupted ones resumed, so the same command goes on where
it was stopped. Writes benchmarks/results/ma52_table.csv, and the table in the paper's columns into
docs/recognition.md, between its markers.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.drawn import CLASSES
from benchmarks.jobs import Job, is_done, summary, train_all, train_or_resume
from benchmarks.provenance import commit, hardware, write_rows, write_table
from mmad.annotations.clips.lists import read_clip_list
from mmad.config.reading import find_config, parse_any_config, read_settings
from mmad.config.recognition import RecognitionConfig
from mmad.engine.runs.folder import RunFolder
from mmad.evaluation.clips.recognition import evaluate_recognition, read_recognitions
from mmad.labels import MA52
from mmad.models.build import build_recogniser

SIDE = 64
DOCS = Path(__file__).parents[1] / "docs" / "recognition.md"


@dataclass(frozen=True)
class Row:
    """A network of the table.

    Attributes:
        title: Its name in the paper.
        config: Its shipped config, below configs/recognition.
        backbone: What makes its backbone narrow.
        heads: What differs in its heads.
        frames: Frames of a clip.
        rate: Learning rate.
        passes: How often it sees the clips for each time that the others do.
    """

    title: str
    config: str
    backbone: Mapping[str, Any]
    heads: Mapping[str, Any] = field(default_factory=dict)
    frames: int = 8
    rate: float = 2e-3
    passes: int = 1


RESNET = {"depth": 18, "base_channels": 16}
SWIN = {"width": 24, "depths": [1, 1, 2, 1], "num_heads": [2, 4, 8, 16]}
TIMESFORMER = {"width": 96, "depth": 4, "num_heads": 4, "position_image_size": SIDE}
UNIFORMER = {"widths": [16, 32, 64, 128], "depths": [1, 1, 2, 1], "head_width": 16}
# Without batch norms, random weights need scaled colours, and no dropout.
C3D = {
    **{"base_channels": 6, "hidden_channels": 256, "image_size": SIDE},
    **{"statistics": "imagenet", "dropout": 0.0},
}
LETTERS = {"embedding": "letters", "word_vectors": None}
ROWS = (
    Row("TSN", "tsn_r50", RESNET),
    Row("TSM", "tsm_r50", RESNET),
    Row("TIN", "tin_r50", RESNET),
    Row("C3D", "c3d", C3D, frames=16, rate=5e-4, passes=2),  # halves them four times
    Row("I3D", "i3d_r50", RESNET),
    Row("SlowFast", "slowfast_r50", {**RESNET, "slow_stride": 4, "speed_ratio": 4}),
    Row(
        "Video Swin-T",
        "video_swin_t",
        {"size": SWIN, "window": [4, 4, 4], "drop_path": 0.0},
        rate=1e-3,
        passes=4,
    ),
    Row("TimeSformer", "timesformer_divided", TIMESFORMER, rate=1e-3, passes=4),
    Row("UniFormer", "uniformer_s", {"size": UNIFORMER}, rate=1e-3),
    Row("MANet", "manet_r50", RESNET, LETTERS),
    Row("TSM + LFE (conv2)", "mlfe_conv2", RESNET),
    Row("TSM + LFE (conv3)", "mlfe_conv3", RESNET),
    Row("TSM + LFE (conv4)", "mlfe_conv4", RESNET),
    Row("TSM + MLFE", "mlfe_r50", RESNET),
    Row("TSM* + MLFE", "mlfe_loss_only", RESNET),
)
# Equal for all, in place of the published recipes, which take days from random weights.
DATA: dict[str, Any] = {
    **{"image_size": SIDE, "short_side": SIDE, "resize": "squash", "subtract_background": True},
    **{"sampling": "segments", "val_clips": 1, "num_workers": 0, "cache_gb": 2},
    "augmentation": {"crop_area": [0.8, 1.0], "crop_aspect": [0.9, 1.1], "brightness": 0, "hue": 0},
}
TRAINING: dict[str, Any] = {
    **{"batch_videos": 8, "warmup_epochs": 1, "weight_decay": 0.02, "clip_gradient": 5.0},
    **{"ema_decay": 0.9, "threads": 1},
}
# Columns: level, figure of the report, and the name in the paper.
COLUMNS = {
    "f1_mean": "F1_mean",
    "body_f1_macro": "F1_macro, coarse",
    "action_f1_macro": "F1_macro, fine",
    "body_f1_micro": "F1_micro, coarse",
    "action_f1_micro": "F1_micro, fine",
    "body_top1": "Acc-Top1, coarse",
    "action_top1": "Acc-Top1, fine",
    "body_top5": "Acc-Top5, coarse",
    "action_top5": "Acc-Top5, fine",
}


def make_clips(work: Path) -> None:
    """The clips; existing ones are kept."""
    command = [sys.executable, "-m", "mmad", "synthesize", str(work / "data")]
    command += ["--train", "0", "--val", "0", "--test", "0", "--clips", "640", "--fps", "15"]
    command += ["--width", str(SIDE), "--height", str(SIDE), "--workers", "2"]
    command += ["--classes", CLASSES, "--class-weights", "uniform"]
    subprocess.run(command, check=True)


def lists_of(work: Path, *subsets: str) -> list[str]:
    return [str(work / "data" / "annotations" / f"ma52_{subset}.txt") for subset in subsets]


def config_of(row: Row, *, work: Path, seed: int, epochs: int) -> RecognitionConfig:
    """The network of the shipped config, narrow, with the data and the recipe of this benchmark.

    Args:
        row: The network.
        work: Folder of the clips.
        seed: Random seed.
        epochs: Passes over the clips, those of the row for each.
    """
    epochs *= row.passes
    shipped = read_settings(find_config(f"recognition/{row.config}.yaml"))
    places = {"train": lists_of(work, "train"), "val": lists_of(work, "val", "test")}
    rates = {"learning_rate": row.rate, "backbone_learning_rate": row.rate}
    own = {"pretrained": None, "clip_frames": row.frames, **row.backbone}
    content = {
        **{"task": "recognition", "seed": seed},
        "data": {"clips": str(work / "data" / "clips"), **places, **DATA},
        "backbone": {**shipped["backbone"], **own},
        "heads": {**shipped["heads"], "dropout": 0.2, **row.heads},
        "losses": {**shipped["losses"], "mixup": 0.0},
        # Nothing is chosen by validation: the last weights are scored.
        "training": {"epochs": epochs, "validate_from_epoch": epochs, **rates, **TRAINING},
        "inference": {"batch_clips": 32},
    }
    config = parse_any_config(content, source=row.config)
    assert isinstance(config, RecognitionConfig)
    return config


def run_folder(row: Row, seed: int, arguments: argparse.Namespace) -> RunFolder:
    name = f"{row.config}_{seed}_{arguments.epochs}_passes"
    return RunFolder(arguments.work / "runs" / name)


def train_once(row: Row, seed: int, arguments: argparse.Namespace) -> None:
    """Train one run; an interrupted one is resumed."""
    config = config_of(row, work=arguments.work, seed=seed, epochs=arguments.epochs)
    train_or_resume(config, run_folder(row, seed, arguments))


def jobs_of(arguments: argparse.Namespace, rows: Sequence[Row]) -> list[Job]:
    """The runs that are to be trained, each in a process of its own with one thread."""
    module = ("benchmarks.ma52_table", str(arguments.work), "--epochs", str(arguments.epochs))
    return [
        Job(f"{row.title}, seed {seed}", ((*module, "--one", row.title, str(seed)),))
        for seed in arguments.seeds
        for row in rows
        if not is_done(run_folder(row, seed, arguments))
    ]


def scores_of(folder: RunFolder, work: Path) -> dict[str, float]:
    """Figures (%) of the predictions of a run, and its seconds of training."""
    lists = lists_of(work, "val", "test")
    truth = [clip for path in lists for clip in read_clip_list(path, labels=MA52)]
    found = read_recognitions(folder.predictions("val", ".csv"), labels=MA52)
    report = evaluate_recognition(found, truth, labels=MA52)
    figures = {"f1_mean": 100 * report.f1_mean}
    for name in COLUMNS:
        level, _, figure = name.partition("_")
        if level in report.levels:
            figures[name] = 100 * getattr(report.levels[level], figure)
    steps = [entry["seconds"] for entry in folder.rows() if entry["kind"] == "step"]
    return {**figures, "seconds": sum(steps)}


def summarise(
    row: Row, runs: Sequence[dict[str, float]], arguments: argparse.Namespace
) -> dict[str, object]:
    """Mean and standard deviation of each figure over the seeds."""
    config = config_of(row, work=arguments.work, seed=0, epochs=arguments.epochs)
    model = build_recogniser(config, labels=MA52)
    return {
        "network": row.title,
        **summary(runs),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seeds": len(runs),
        "epochs": arguments.epochs * row.passes,
        "config": f"recognition/{row.config}.yaml",
    }


def note_of(arguments: argparse.Namespace) -> str:
    slow = [f"{row.title} {arguments.epochs * row.passes}" for row in ROWS if row.passes > 1]
    return (
        f"Mean ± standard deviation over {len(arguments.seeds)} seeds; {arguments.epochs} passes "
        f"({', '.join(slow)}, which learn more slowly).\n"
        f"Commit {commit()}, {hardware()}, one thread a run. Parameters are the narrow network's."
    )


def table_lines(cells: Sequence[Mapping[str, object]]) -> list[str]:
    """The table in Markdown, its columns in the order of the paper."""
    names = ["", *COLUMNS.values(), "parameters", "full size"]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for cell in cells:
        shown = [cell["network"], *(cell[name] for name in COLUMNS)]
        shown += [f"{cell['parameters'] / 1e6:.2f} M", f"`{cell['config']}`"]  # type: ignore[operator]
        lines.append(f"| {' | '.join(map(str, shown))} |")
    return lines


def main() -> None:
    titles = [row.title for row in ROWS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rows", nargs="+", default=titles, choices=titles)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        title, seed = arguments.one
        train_once(ROWS[titles.index(title)], int(seed), arguments)
        return
    rows = [ROWS[titles.index(title)] for title in arguments.rows]
    make_clips(arguments.work)
    train_all(jobs_of(arguments, rows), at_once=arguments.jobs)
    cells = []
    for row in rows:
        runs = [
            scores_of(run_folder(row, seed, arguments), arguments.work) for seed in arguments.seeds
        ]
        cells.append(summarise(row, runs, arguments))
        print(cells[-1], flush=True)
    print(write_rows("ma52_table", cells))
    if arguments.rows == titles:
        lines = [*table_lines(cells), "", *note_of(arguments).splitlines()]
        print(write_table(DOCS, "ma52_table", lines))


if __name__ == "__main__":
    main()
