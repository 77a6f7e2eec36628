"""The rows of the paper's Table 4 on the demo's data: equal passes for all, several seeds.

    bash tools/demo.sh                                   # makes the videos
    python -m benchmarks.compare_adapters --data demo/data --out demo/adapters [--seeds 0 1 2]

Runs that are finished are kept, so the command can be interrupted and repeated. Writes
benchmarks/results/adapters.csv with mean and standard deviation over the seeds.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.provenance import write_rows
from mmad.config.reading import load_config
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from mmad.errors import CheckpointError
from mmad.models.build import build_detector

METHODS = {
    "untrained": ["backbone.adapter={name: none}", "training.epochs=1"],
    "frozen, no adapters": ["backbone.adapter={name: none}"],
    "standard": ["backbone.adapter={name: standard}"],
    "tia": ["backbone.adapter={name: tia}"],
    "dsta": ["backbone.adapter={name: dsta}"],
    "dsta_180": ["backbone.adapter={name: dsta_180}"],
    "full fine-tuning": [
        "backbone.adapter={name: none}",
        "backbone.freeze=false",
        "training.backbone_learning_rate=1.0e-4",
    ],
}
NO_LEARNING = ["training.learning_rate=1.0e-12", "training.adapter_learning_rate=1.0e-12"]


def train_once(method: str, seed: int, *, data: Path, out: Path, epochs: int) -> dict[str, float]:
    """Best validation of a run; a finished one is read, an interrupted one resumed."""
    overrides = [
        f"data.annotations={data / 'annotations' / 'mma52.json'}",
        f"data.videos={data / 'videos'}",
        f"seed={seed}",
        f"training.epochs={epochs}",
        "training.threads=1",
        f"training.validate_from_epoch={epochs}",
        *METHODS[method],
        *(NO_LEARNING if method == "untrained" else []),
    ]
    config = load_config("configs/demo.yaml", overrides=overrides)
    folder = RunFolder(out / f"{method.replace(', ', '_').replace(' ', '_')}_{seed}")
    rows = [row for row in folder.rows() if row["kind"] == "validation"]
    if not rows:
        try:
            train_run(config, out=folder.path, resume=folder.last.is_file())
        except CheckpointError as error:
            raise SystemExit(f"{error}; remove {folder.path}") from None
        rows = [row for row in folder.rows() if row["kind"] == "validation"]
    model = build_detector(config, num_classes=52)
    trained = sum(p.numel() for p in model.features.parameters() if p.requires_grad)
    return {
        "action": 100 * rows[-1]["action_map"],
        "body": 100 * rows[-1]["body_map"],
        "trained_in_backbone": trained,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments = parser.parse_args()
    rows = []
    for method in arguments.methods:
        runs = [
            train_once(
                method, seed, data=arguments.data, out=arguments.out, epochs=arguments.epochs
            )
            for seed in arguments.seeds
        ]
        row: dict[str, object] = {"method": method, "seeds": len(runs), "epochs": arguments.epochs}
        for name in ("action", "body"):
            values = [run[name] for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            row |= {
                f"{name}_map": round(statistics.mean(values), 2),
                f"{name}_std": round(spread, 2),
            }
        row["trained_in_backbone"] = runs[0]["trained_in_backbone"]
        rows.append(row)
        print(row, flush=True)
    print(write_rows("adapters", rows))


if __name__ == "__main__":
    main()
