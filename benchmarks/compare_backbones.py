"""Backbones of about equal cost under one detector, end to end, on synthetic videos, several seeds.

    python -m benchmarks.compare_backbones WORK [--seeds 0 1 2] [--jobs 2] [--rows I3D ...]

Trains every backbone of `ROWS` from its start (benchmarks/drawn.py) together with an ActionFormer,
with equal images, videos, passes and rates for all. Finished runs are kept and interrupted ones
resumed. Prints the table, with the multiply-adds and milliseconds for each second of video of
`mmad profile`, and writes it to benchmarks/results/backbones.csv, and with its picture into
docs/detectors.md and docs/backbones.png.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.drawn import (
    BACKBONES,
    FPS,
    backbone_of,
    detector_of,
    folder_name,
    make_data,
    start_of,
    train_starts,
)
from benchmarks.jobs import Job, is_done, seeds_text, summary, train_all, train_or_resume
from benchmarks.provenance import commit, hardware, write_rows, write_table
from mmad.config.run import AnyConfig
from mmad.engine.profile.inputs import InputSize
from mmad.engine.profile.measuring import profile_run
from mmad.engine.runs.folder import RunFolder

ROWS = (
    *("VideoMAE", "TSN", "TSM", "I3D", "SlowFast", "reversible SlowFast"),
    *("Video Swin", "reversible Video Swin", "TimeSformer", "UniFormer"),
)
VIDEOS = 120
PROFILED_SECONDS = 8
DOCS = Path(__file__).parents[1] / "docs"


def config_of(row: str, seed: int, arguments: argparse.Namespace) -> AnyConfig:
    backbone = backbone_of(row, arguments.work, arguments.start_epochs)
    return detector_of(
        backbone,
        steps=BACKBONES[row].steps,
        work=arguments.work,
        seed=seed,
        epochs=arguments.epochs,
    )


def run_of(row: str, seed: int, arguments: argparse.Namespace) -> RunFolder:
    name = f"{folder_name(row)}_{seed}_{arguments.start_epochs}_{arguments.epochs}"
    return RunFolder(arguments.work / "backbones" / name)


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """The runs that are to be trained, each in a process of its own with one thread."""
    module = ("benchmarks.compare_backbones", str(arguments.work))
    passes = ("--epochs", str(arguments.epochs), "--start-epochs", str(arguments.start_epochs))
    return [
        Job(f"{row}, seed {seed}", ((*module, *passes, "--one", row, str(seed)),))
        for seed in arguments.seeds
        for row in arguments.rows
        if not is_done(run_of(row, seed, arguments))
    ]


def last_validation(folder: RunFolder) -> dict[str, Any]:
    return [row for row in folder.rows() if row["kind"] == "validation"][-1]


def cells_of(row: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of a row: over its seeds, of its start, and its cost."""
    runs = [last_validation(run_of(row, seed, arguments)) for seed in arguments.seeds]
    started = last_validation(start_of(row, arguments.work, arguments.start_epochs))
    size = InputSize(length=PROFILED_SECONDS * FPS, classes=52)
    cost = profile_run(config_of(row, 0, arguments), size=size)
    return {
        "backbone": row,
        **summary(
            [{level: 100 * run[f"{level}_map"] for level in ("action", "body")} for run in runs]
        ),
        "start_f1": round(100 * started["f1_mean"], 2),
        "multiply_adds_g": round(cost.forward.total / cost.units / 1e9, 3),
        "forward_ms": round(cost.forward.milliseconds / cost.units, 1),
        "training_ms": round(cost.training.milliseconds / cost.units, 1),
        "parameters_m": round(cost.whole.parameters / 1e6, 2),
        "seeds": len(runs),
    }


def table_lines(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table in Markdown."""
    columns = {
        **{"backbone": "backbone", "action": "action mAP", "body": "body mAP"},
        **{"start_f1": "F1_mean of its start", "multiply_adds_g": "multiply-adds (G)"},
        **{"forward_ms": "forward (ms)", "training_ms": "training (ms)"},
        "parameters_m": "parameters (M)",
    }
    lines = [f"| {' | '.join(columns.values())} |", "|" + "---|" * len(columns)]
    return lines + [f"| {' | '.join(str(cell[name]) for name in columns)} |" for cell in cells]


def draw(cells: Sequence[Mapping[str, Any]], path: Path) -> None:
    """mAP over the time of a second of video, each backbone with its name and spread."""
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    axes.set_xlim(0, 1.3 * max(float(cell["forward_ms"]) for cell in cells))
    points = []
    for cell in cells:
        mean, *spread = (float(part) for part in str(cell["action"]).split(" ± "))
        points.append((float(cell["forward_ms"]), mean))
        axes.errorbar(*points[-1], yerr=spread or None, fmt="o", color="#0b6e8a", capsize=3)
    axes.set_xlabel("milliseconds for a second of video")
    axes.set_ylabel("action mAP (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.margins(y=0.15)
    height = max(mean for _, mean in points) - min(mean for _, mean in points)
    for cell, point in zip(cells, points, strict=True):
        x, y = point
        near = [
            other for other in points if abs(other[0] - x) < 5 and abs(other[1] - y) < height / 12
        ]
        shift, side = (7, 3), "left"
        if len(near) > 1 and point == min(near):
            shift, side = (-7, -3), "right"
        elif any(other[1] > y for other in near if other != min(near)):
            shift = (7, -11)  # below the other one
        axes.annotate(
            cell["backbone"], point, shift, textcoords="offset points", ha=side, fontsize=9
        )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--start-epochs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        row, seed = arguments.one[0], int(arguments.one[1])
        train_or_resume(config_of(row, seed, arguments), run_of(row, seed, arguments))
        return
    make_data(arguments.work, videos=VIDEOS)
    train_starts(
        arguments.rows, arguments.work, epochs=arguments.start_epochs, at_once=arguments.jobs
    )
    train_all(jobs_of(arguments), at_once=arguments.jobs)
    cells = []
    for row in arguments.rows:
        cells.append(cells_of(row, arguments))
        print(cells[-1], flush=True)
    print(write_rows("backbones", cells))
    if arguments.rows == list(ROWS):
        draw(cells, DOCS / "backbones.png")
        note = (
            f"{seeds_text(arguments.seeds)}, {arguments.epochs} "
            f"passes; costs of a second of video, one thread. Commit {commit()}, {hardware()}."
        )
        lines = [*table_lines(cells), "", note]
        print(write_table(DOCS / "detectors.md", "compare_backbones", lines))


if __name__ == "__main__":
    main()
