"""The paper's Table 3 on synthetic videos: all detectors on the same features, several seeds.

    python -m benchmarks.compare_detectors WORK [--data demo/data] [--seeds 0 1 2] [--jobs 2]

Makes the demo's videos below WORK (or takes those of --data), extracts the features of the demo's
frozen backbone, and trains each row of `ROWS`: the detector of a shipped config, made narrow for
short videos, equal passes for all. Existing results are kept, so the same command resumes an
interrupted comparison. Prints the table with mean and standard deviation over the seeds,
parameters, multiply-adds and time, and writes it to benchmarks/results/detectors.csv and
detectors.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.drawn import CLASSES
from benchmarks.jobs import Job, summary, train_all
from benchmarks.provenance import RESULTS, commit, hardware, write_rows
from mmad.config.reading import load_config
from mmad.config.run import DetectionRun
from mmad.data.features.windows import TrainingFeatures, stack_features
from mmad.engine.detection import DetectionTask, read_data, records_of
from mmad.engine.distributed import Processes
from mmad.engine.inference import feature_reader
from mmad.engine.profile.counting import count_operations
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from mmad.evaluation.detection import evaluate_detections, parse_tiou
from mmad.evaluation.predictions import read_predictions
from mmad.models.build import build_detector

RANGES = "detector.regression_ranges=[[0,6],[4,12],[8,24],[16,48],[32,10000]]"
PYRAMID = ("detector.channels=96", "detector.num_branch=4", RANGES)
# Name in the table -> shipped config, its settings made small, learning rate.
ROWS: dict[str, tuple[str, tuple[str, ...], float]] = {
    "MS-TCT": (
        "mstct",
        (
            "detector.stage_channels=[64,96,144,216]",
            "detector.mixer_channels=128",
            "detector.mlp_ratio=4",
        ),
        1e-3,
    ),
    "PointTAD": (
        "pointtad",
        (
            "detector.channels=96",
            "detector.hidden_channels=192",
            "detector.dynamic_channels=16",
            "inference.nms=hard",
            "inference.iou_threshold=1.0",
        ),
        1e-3,
    ),
    "ActionFormer": ("actionformer", (*PYRAMID, "detector.num_stem=1"), 1e-3),
    "TemporalMaxer": ("temporalmaxer", PYRAMID, 1e-3),
    "TriDet": (
        "tridet",
        (*PYRAMID, "detector.num_stem=1", "detector.hidden_channels=192"),
        1e-3,
    ),
    "DyFADet": (
        "dyfadet",
        (*PYRAMID, "detector.num_stem=1", "detector.hidden_channels=192"),
        1e-3,
    ),
    "VideoMamba": ("videomamba", (*PYRAMID, "detector.num_stem=1"), 1e-3),
    "TadTR": (
        "tadtr",
        ("detector.channels=96", "detector.num_groups=8", "detector.hidden_channels=192"),
        1e-3,
    ),
}
THRESHOLDS = (0.2, 0.5, 0.7)


def config_of(
    method: str, *, annotations: Path, features: Path, seed: int, epochs: int
) -> DetectionRun:
    """Settings of one run."""
    name, small, rate = ROWS[method]
    return load_config(
        f"configs/features/{name}.yaml",
        overrides=[
            f"data.annotations={annotations}",
            f"data.features={features}",
            "data.window_steps=128",
            "data.num_workers=0",
            f"seed={seed}",
            f"training.epochs={epochs}",
            "training.schedule_epochs=null",
            "training.batch_videos=8",
            "training.accumulate=1",
            "training.warmup_epochs=1",
            "training.weight_decay=0.02",
            "training.clip_gradient=1.0",
            "training.ema_decay=0.99",
            "training.threads=1",
            f"training.learning_rate={rate}",
            f"training.validate_from_epoch={epochs}",
            "inference.max_candidates=500",
            "inference.max_detections=200",
            "inference.batch_windows=8",
            *small,
        ],
    )


def prepare(work: Path, data: Path | None) -> Path:
    """The videos and their features; the folder of the videos."""
    work.mkdir(parents=True, exist_ok=True)
    mmad = [sys.executable, "-m", "mmad"]
    if data is None:
        data = work / "data"
        if not (data / "annotations" / "mma52.json").is_file():
            sizes = ("--train", "280", "--val", "70", "--test", "10", "--workers", "2")
            size = ("--fps", "15", "--width", "96", "--height", "96")
            names = ("--classes", CLASSES, "--class-weights", "uniform")
            subprocess.run([*mmad, "synthesize", str(data), *sizes, *size, *names], check=True)
    frozen = ("--set", "backbone.adapter={name: none}")
    videos, out = str(data / "videos"), str(work / "features.h5")
    command = [*mmad, "extract-features", "configs/demo.yaml", videos, "--out", out, *frozen]
    subprocess.run(command, check=True)
    return data


def train_once(method: str, seed: int, *, work: Path, data: Path, epochs: int) -> None:
    """Train one run; a finished one is left alone, an interrupted one is resumed."""
    folder = run_folder(work, method, seed)
    if not folder.predictions("val", ".csv").is_file():
        config = config_of(method, **places_of(work, data), seed=seed, epochs=epochs)
        train_run(config, out=folder.path, resume=folder.last.is_file(), quiet=True)


def places_of(work: Path, data: Path) -> dict[str, Path]:
    annotations = data / "annotations" / "mma52.json"
    return {"annotations": annotations, "features": work / "features.h5"}


def run_folder(work: Path, method: str, seed: int) -> RunFolder:
    return RunFolder(work / "runs" / f"{method.lower().replace('-', '')}_{seed}")


def jobs_of(arguments: argparse.Namespace, data: Path) -> list[Job]:
    """The runs that are to be trained, each in a process of its own with one thread."""
    places = ("benchmarks.compare_detectors", str(arguments.work), "--data", str(data))
    module = (*places, "--epochs", str(arguments.epochs))
    return [
        Job(f"{method}, seed {seed}", ((*module, "--one", method, str(seed)),))
        for seed in arguments.seeds
        for method in arguments.methods
        if not run_folder(arguments.work, method, seed).predictions("val", ".csv").is_file()
    ]


def score(folder: RunFolder, config: DetectionRun) -> dict[str, float]:
    """mAP (%) of the predictions of a run, in the columns of Table 3."""
    annotations, labels = read_data(config)
    records = records_of(config, annotations, ["val"])
    found = read_predictions(folder.predictions("val", ".csv"), labels=labels)
    report = evaluate_detections(found, records, labels=labels, tiou=parse_tiou("0.1:0.9"))
    columns = {}
    for name, level in report.levels.items():
        for tiou in THRESHOLDS:
            columns[f"{name}@{tiou}"] = 100 * (level.map_at(tiou) or 0.0)
        columns[f"{name}_avg"] = 100 * level.average
    return {**columns, "AVG": 100 * report.avg}


def cost(config: DetectionRun, *, repeats: int = 20) -> dict[str, float]:
    """Parameters; multiply-adds of a video of 10 s (75 steps); ms of a step of 8 videos."""
    torch.set_num_threads(1)
    annotations, labels = read_data(config)
    records = records_of(config, annotations, ["train"])[:8]
    reader = feature_reader(config)
    channels = reader.source.manifest.channels
    model = build_detector(config, num_classes=len(labels), feature_channels=channels).train()
    task = DetectionTask(
        config,
        labels=labels,
        validation=[],
        processes=Processes(0, 1, torch.device("cpu")),
        folder=RunFolder(Path()),
    )
    dataset = TrainingFeatures(records, reader, config.data, seed=0)  # type: ignore[arg-type]
    batch, _ = stack_features([dataset[0, index] for index in range(len(records))])
    assert batch is not None
    prepared = task.prepare(batch, torch.device("cpu"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        losses, count = task.losses(model, prepared)
        (losses["loss"] / count.clamp(min=1)).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - began)
    model.eval()
    video = torch.randn(1, channels, 75), torch.ones(1, 75, dtype=torch.bool)
    with torch.no_grad():
        found = count_operations(model, lambda: model(*video))
    assert not found.unknown, found.unknown
    return {
        "params_k": sum(p.numel() for p in model.parameters()) / 1e3,
        "multiply_adds_m": sum(found.forward.values()) / 1e6,
        "ms_per_step": 1e3 * statistics.median(times),
    }


def write_table(rows: Sequence[dict[str, object]]) -> Path:
    """The table as Markdown, with where it was measured."""
    names = [name for name in rows[0] if name != "epochs"]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]
    path = RESULTS / "detectors.md"
    note = f"Commit {commit()}, {hardware()}; {rows[0]['epochs']} passes, one thread a run."
    path.write_text("\n".join([*lines, "", note]) + "\n", encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--methods", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        method, seed = arguments.one[0], int(arguments.one[1])
        train_once(method, seed, work=arguments.work, data=arguments.data, epochs=arguments.epochs)
        return
    data = prepare(arguments.work, arguments.data)
    train_all(jobs_of(arguments, data), at_once=arguments.jobs)
    rows: list[dict[str, object]] = []
    for method in arguments.methods:
        runs = []
        for seed in arguments.seeds:
            config = config_of(
                method, **places_of(arguments.work, data), seed=seed, epochs=arguments.epochs
            )
            runs.append(score(run_folder(arguments.work, method, seed), config))
        spent = {name: round(value, 2) for name, value in cost(config).items()}
        rows.append(
            {
                "method": method,
                **summary(runs),
                **spent,
                "seeds": len(arguments.seeds),
                "epochs": arguments.epochs,
            }
        )
        print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
    print(write_rows("detectors", rows))
    print(write_table(rows).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
