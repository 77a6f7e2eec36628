"""What adapters gain on a frozen backbone, on the demo's data: the claim of the MMAD paper.

    bash tools/demo.sh                                   # makes the videos
    python -m benchmarks.compare_adapters --data demo/data --out demo/adapters \
        --backbone without_labels [--seeds 0 1 2 3 4] [--shares 5 10 25 100] [--epochs 16] \
        [--continued 20 [--rate 2e-4]] [--add]

Each row is a reading of an adapter, or an ablation of DSTA, trained with equal steps on the same
videos. Differences are paired: a method and the frozen backbone with the same seed see the same
videos, with the same crops, in the same order; the interval of their mean is Student's.

The backbone is that without labels, the labelled one, or the former with its pre-training continued
on the demo's own training videos (--continued, passes; --rate, its learning rate). With --shares,
only that percentage of the training videos is labelled: with one seed all methods train on the same
subset, for as many steps as on all videos.

Every finished run is kept, so that the command can be interrupted and repeated; rows are written
after each run, and --finished trains nothing more. Writes results/adapters_BACKBONE.csv (rows),
adapters_BACKBONE_runs.csv (runs) and docs/assets/adapters_BACKBONE.png, with several shares also
adapters_BACKBONE_shares.png. With --add, the runs that the CSV file has already, of other seeds,
shares and methods, stay in it.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.jobs import commit_of, over_seeds, validated_once, validation_of
from benchmarks.provenance import RESULTS, hardware, recorded_rows, write_rows
from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import load_any_config, load_config
from mmad.config.run import DetectionRun
from mmad.engine.runs.folder import RunFolder
from mmad.models.build import build_detector

_NONE = "backbone.adapter={name: none}"
_FULL = [_NONE, "backbone.freeze=false"]
METHODS = {
    "untrained": [_NONE],
    "frozen": [_NONE],
    "standard": ["backbone.adapter={name: standard}"],
    "TIA": ["backbone.adapter={name: tia}"],
    "TIA, Eq. 2": ["backbone.adapter={name: tia, temporal_pointwise: false}"],
    "DSTA": ["backbone.adapter={name: dsta}"],
    "DSTA, Eq. 3": [
        "backbone.adapter={name: dsta, spatial_kernel: 1, spatial_pointwise: false, "
        "temporal_pointwise: false}"
    ],
    "dsta_180": ["backbone.adapter={name: dsta_180}"],
    "DSTA, temporal path": ["backbone.adapter={name: dsta, paths: temporal}"],
    "DSTA, spatial path": ["backbone.adapter={name: dsta, paths: spatial}"],
    "DSTA, fixed scales": ["backbone.adapter={name: dsta, learned_scales: false}"],
    "full fine-tuning": [*_FULL, "training.backbone_learning_rate=1.0e-4"],
    "full, 10 times the rate": [*_FULL, "training.backbone_learning_rate=1.0e-3"],
}
# As tools/demo.sh trains: only the tokens that move are computed, for all methods alike.
TOKENS = "backbone.tokens={keep: moving, threshold: 3}"
_NO_LEARNING = ["training.learning_rate=1.0e-12", "training.adapter_learning_rate=1.0e-12"]
BACKBONES = {
    "with_labels": ["backbone.pretrained=demo_backbone.safetensors"],
    "without_labels": [
        "backbone.pretrained=demo_backbone_without_labels.safetensors",
        "backbone.final_norm=true",
    ],
}
_REFERENCE = "frozen"
_SCORES = {"action_map": "action", "body_map": "body"}
_PASSES = 4


@dataclass(frozen=True)
class Setting:
    """What all methods of a comparison share.

    Attributes:
        data: Folder that `mmad synthesize` has written.
        out: Folder of the runs.
        backbone: Name of the backbone, and of the passes if they differ, for folders and rows.
        weights: Its settings.
        epochs: Passes over all training videos; with fewer videos there are as many steps.
    """

    data: Path
    out: Path
    backbone: str
    weights: tuple[str, ...]
    epochs: int


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Mean of paired differences, and half the width of its 95 % interval, to two digits.

    >>> interval([1.0, 2.0, 3.0])
    (2.0, 2.48)
    >>> interval([1.0])
    (1.0, nan)
    """
    count = len(differences)
    mean = round(statistics.mean(differences), 2)
    if count < 2:
        return mean, math.nan
    quantile = float(student.ppf(0.975, count - 1))
    return mean, round(quantile * statistics.stdev(differences) / math.sqrt(count), 2)


def with_share(setting: Setting, share: int, seed: int) -> tuple[Path, int]:
    """Annotations of which a share of the training videos is left, and how many these are.

    Of a seed, the videos of a smaller share are among those of a larger one.
    """
    source = setting.data / "annotations" / "mma52.json"
    content: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    training = sorted(name for name, video in content.items() if video["subset"] == "train")
    if share == 100:
        return source, len(training)
    order = np.random.default_rng((seed, 52)).permutation(len(training))
    count = max(1, round(share / 100 * len(training)))
    kept = {training[place] for place in order[:count]}
    path = setting.out / f"labels_{share}_{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    left = {n: v for n, v in content.items() if v["subset"] != "train" or n in kept}
    path.write_text(json.dumps(left), encoding="utf-8")
    return path, count


def settings_of(setting: Setting, method: str, share: int, seed: int) -> DetectionRun:
    """Settings of a run."""
    _, num_whole = with_share(setting, 100, seed)
    annotations, count = with_share(setting, share, seed)
    config = load_config("configs/demo.yaml")
    batch = config.training.batch_videos
    # Fewer videos than a batch make one step of a pass.
    steps = setting.epochs * max(1, num_whole // batch)
    epochs = max(1, round(steps / max(1, count // batch)))
    if method == "untrained":
        epochs = 1
    return load_config(
        "configs/demo.yaml",
        overrides=[
            f"data.annotations={annotations}",
            f"data.videos={setting.data / 'videos'}",
            f"seed={seed}",
            f"training.epochs={epochs}",
            f"training.warmup_epochs={0.5 * epochs / setting.epochs:g}",
            "training.threads=1",
            f"training.validate_from_epoch={epochs}",
            TOKENS,
            *setting.weights,
            *METHODS[method],
            *(_NO_LEARNING if method == "untrained" else []),
        ],
    )


def folder_of(setting: Setting, method: str, share: int, seed: int) -> RunFolder:
    """The folder of a run."""
    plain = "".join(letter if letter.isalnum() else "_" for letter in method.lower())
    return RunFolder(setting.out / setting.backbone / f"{plain}_{share}_{seed}")


def run_once(setting: Setting, method: str, share: int, seed: int) -> dict[str, Any]:
    """The validation of a run; a finished one is read, an interrupted one resumed."""
    config = settings_of(setting, method, share, seed)
    folder = folder_of(setting, method, share, seed)
    row = validated_once(config, folder)
    features = build_detector(config, num_classes=52).features
    assert features is not None
    return {
        **{"commit": commit_of(folder), "hardware": hardware(), "backbone": setting.backbone},
        **{"method": method, "labels": share, "seed": seed},
        "action_map": 100 * row["action_map"],
        "body_map": 100 * row["body_map"],
        "trained_in_backbone": sum(p.numel() for p in features.parameters() if p.requires_grad),
    }


def gains_of(
    runs: Sequence[Mapping[str, Any]],
    share: int,
    method: str,
    score: str,
    *,
    over: str = _REFERENCE,
) -> list[float]:
    """How far a method is above another one, for each seed that both have."""
    mine, other = (
        {run["seed"]: run[score] for run in runs if (run["labels"], run["method"]) == (share, name)}
        for name in (method, over)
    )
    return [mine[seed] - other[seed] for seed in sorted(mine.keys() & other.keys())]


def rows_of(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """A row for each method and share: means, and paired differences from the frozen backbone and
    from DSTA.
    """
    rows: list[dict[str, object]] = []
    for share, method in dict.fromkeys((run["labels"], run["method"]) for run in runs):
        mine = [run for run in runs if (run["labels"], run["method"]) == (share, method)]
        row: dict[str, object] = {"labels": share, "method": method, "seeds": len(mine)}
        for name in _SCORES:
            row |= over_seeds(name, [run[name] for run in mine])
            for column, other in (("gain", _REFERENCE), ("over_dsta", "DSTA")):
                differences = gains_of(runs, share, method, name, over=other)
                empty = method == other or not differences
                mean, half = ("", "") if empty else interval(differences)
                row |= {f"{name}_{column}": mean, f"{name}_{column}_half": half}
        row["trained_in_backbone"] = mine[0]["trained_in_backbone"]
        rows.append(row)
    return rows


def in_order(runs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Runs by share, the largest first, then by seed and method."""
    order = list(METHODS)
    return sorted(runs, key=lambda run: (-run["labels"], run["seed"], order.index(run["method"])))


def draw_gains(path: Path, runs: Sequence[Mapping[str, Any]], *, title: str) -> None:
    """Paired gains over the frozen backbone with all labels, or the largest share.

    A dot a seed, and the mean with its interval; a panel for actions and one for body parts.
    """
    from matplotlib.figure import Figure

    from mmad.report.figures import save_figure

    share = max(run["labels"] for run in runs)
    shown = {run["method"] for run in runs if run["labels"] == share}
    methods = [name for name in METHODS if name in shown - {_REFERENCE, "untrained"}]
    if not methods:
        return
    figure = Figure(figsize=(7.5, 1.4 + 0.3 * len(methods)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (name, what) in zip(panels, _SCORES.items(), strict=True):
        for place, method in enumerate(reversed(methods)):
            gains = gains_of(runs, share, method, name)
            if not gains:
                continue
            mean, half = interval(gains)
            axes.plot(gains, [place] * len(gains), "o", color="0.6", markersize=3)
            axes.errorbar(
                mean,
                place,
                xerr=None if math.isnan(half) else half,
                fmt="D",
                color="tab:blue",
                capsize=3,
                markersize=5,
            )
        axes.axvline(0, color="0.4", lw=1)
        axes.set_yticks(range(len(methods)), reversed(methods), fontsize=9)
        axes.set_ylim(-0.6, len(methods) - 0.4)
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(f"{what} mAP, minus frozen", fontsize=9)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path, dpi=130)


def draw_shares(path: Path, runs: Sequence[Mapping[str, Any]], *, epochs: int) -> None:
    """The scores against the share of labels, of the methods and seeds that all shares have."""
    from matplotlib.figure import Figure

    from mmad.report.figures import save_figure

    shares = sorted({run["labels"] for run in runs})
    have = [{(r["method"], r["seed"]) for r in runs if r["labels"] == share} for share in shares]
    common = set.intersection(*have)
    if len(shares) < 2 or not common:
        return
    rows = rows_of([run for run in runs if (run["method"], run["seed"]) in common])
    seeds = sorted({seed for _, seed in common})
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (name, what) in zip(panels, _SCORES.items(), strict=True):
        for method in dict.fromkeys(row["method"] for row in rows):
            # Rows come with the largest share first.
            mine = [row for row in rows if row["method"] == method][::-1]
            axes.errorbar(
                range(len(shares)),
                [row[name] for row in mine],
                yerr=[row[f"{name}_std"] or math.nan for row in mine],
                marker="o",
                capsize=3,
                label=method,
            )
        axes.set_xticks(range(len(shares)), [f"{share} %" for share in shares])
        axes.set_xlabel("labelled training videos")
        axes.set_ylabel(f"{what} mAP")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=9,
    )
    noun = "seed" if len(seeds) == 1 else "seeds"
    title = f"Steps of {epochs} passes over all videos, {noun} {', '.join(map(str, seeds))}"
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path, dpi=130)


def rate_settings(rate: float | None) -> list[str]:
    """The settings of a learning rate; none for that of the config."""
    names = ("learning_rate", "backbone_learning_rate")
    return [] if rate is None else [f"training.{name}={rate}" for name in names]


def go_on_pretraining(run: Path, data: Path, *, passes: int, changes: Sequence[str] = ()) -> str:
    """The folder of a run that goes on with the pre-training of the backbone without labels.

    It sees the training videos of a folder of ``mmad synthesize`` alone: those to validate on are
    kept from pre-training, too.
    """
    videos = run.with_name(f"{run.name}_videos")
    if not videos.is_dir():
        videos.mkdir(parents=True)
        for path in sorted((data / "videos").glob("train*")):
            (videos / path.name).symlink_to(path.resolve())
    config = load_any_config(
        "configs/demo_backbone_without_labels.yaml",
        overrides=[
            f"data.videos={videos}",
            "data.val_share=0.05",
            BACKBONES["without_labels"][0],
            f"training.epochs={passes}",
            f"training.validate_from_epoch={passes}",
            *changes,
        ],
    )
    assert isinstance(config, PretrainingConfig)
    validated_once(config, RunFolder(run))
    return str(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backbone", default="without_labels", choices=list(BACKBONES))
    parser.add_argument("--continued", type=int, metavar="PASSES", help="go on pre-training first")
    parser.add_argument("--rate", type=float, help="learning rate of continued pre-training")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--shares", nargs="+", type=int, default=[100])
    parser.add_argument("--epochs", type=int, default=_PASSES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--finished", action="store_true", help="only runs that have finished")
    parser.add_argument("--add", action="store_true", help="to the runs of the CSV file")
    arguments = parser.parse_args()
    name, weights = arguments.backbone, tuple(BACKBONES[arguments.backbone])
    if arguments.continued:
        name = f"continued_{arguments.continued}"
        if arguments.rate is not None:
            name += f"_rate_{arguments.rate:g}"
        place = go_on_pretraining(
            arguments.out / name.replace("continued", "pretraining"),
            arguments.data,
            passes=arguments.continued,
            changes=rate_settings(arguments.rate),
        )
        weights = (f"backbone.pretrained={place}", "backbone.final_norm=true")
    if arguments.epochs != _PASSES:
        name += f"_{arguments.epochs}_passes"
    setting = Setting(arguments.data, arguments.out, name, weights, arguments.epochs)
    rows = recorded_rows(f"adapters_{name}_runs") if arguments.add else []
    runs = {(row["labels"], row["seed"], row["method"]): row for row in rows}
    # Seed by seed, so that what was measured so far is paired whenever the command is stopped.
    for share in arguments.shares:
        for seed in arguments.seeds:
            for method in arguments.methods:
                folder = folder_of(setting, method, share, seed)
                if arguments.finished and validation_of(folder) is None:
                    continue
                runs[share, seed, method] = run_once(setting, method, share, seed)
                print(runs[share, seed, method], flush=True)
                every = in_order(runs.values())
                write_rows(f"adapters_{name}_runs", every)
                write_rows(f"adapters_{name}", rows_of(every))
    if not runs:
        raise SystemExit(f"{setting.out}: none of these runs has finished")
    every = in_order(runs.values())
    plots = RESULTS.parents[1] / "docs" / "assets"
    title = f"{arguments.epochs} passes: a dot a seed, their mean and its 95 % interval"
    draw_gains(plots / f"adapters_{name}.png", every, title=title)
    draw_shares(plots / f"adapters_{name}_shares.png", every, epochs=arguments.epochs)
    print(RESULTS / f"adapters_{name}.csv")


if __name__ == "__main__":
    main()
