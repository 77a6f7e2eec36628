"""What computing only moving tokens costs in accuracy, on drawn people before a noisy camera.

    python -m benchmarks.moving_accuracy --out night/moving [--seeds 0 1 2] [--noise low high]

For each strength of noise (sensor, flicker, compression), the demo's detector is trained on videos
like the demo's with all tokens, with moving ones at several thresholds, and with as many random
ones, for equally many passes, and tested as it was trained; the one trained with all tokens is
tested with the others, too. Each result is a file of its own in OUT/results, so the command can be
interrupted, repeated, and extended by seeds; --finished trains nothing more. Writes
results/moving_accuracy.csv (mean and standard deviation over seeds), moving_actions.csv (average
precision of each action), and with --plot a plot of mAP against the share of tokens computed.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.drawn import CLASSES
from benchmarks.jobs import over_seeds, validated_once
from benchmarks.provenance import write_rows
from mmad.config.reading import load_config
from mmad.config.run import VideoRun, require_videos
from mmad.data.samples import Packer
from mmad.data.videos import WindowStream
from mmad.engine.detection import read_data, records_of, score
from mmad.engine.runs.folder import RunFolder
from mmad.engine.trained.opening import open_trained
from mmad.files import write_text
from mmad.labels import MA52
from mmad.models.backbones.families import build_backbone
from mmad.report.figures import save_figure
from mmad.synthetic.dataset import SynthesisSettings, synthesize
from mmad.wording import count

# Compression of each strength of noise, as x264's crf.
CRF = {"none": 20, "low": 20, "medium": 26, "high": 32}
# Videos whose share of kept tokens is measured.
MEASURED = 12
# Points of average precision that an action may lose beyond its spread.
LOST = 2.0


class Tokens(NamedTuple):
    """The tokens that are computed."""

    keep: str
    threshold: float = 0.0

    def __str__(self) -> str:
        return self.keep if self.keep == "all" else f"{self.keep} {self.threshold:g}"

    @property
    def override(self) -> str:
        """The setting."""
        return f"backbone.tokens={{keep: {self.keep}, threshold: {self.threshold:g}}}"

    @property
    def file_name(self) -> str:
        """Part of names of files."""
        return str(self).replace(" ", "_")


ALL = Tokens("all")


class Case(NamedTuple):
    """One number of the tables."""

    noise: str
    trained: Tokens
    tested: Tokens
    seed: int

    def file(self, out: Path) -> Path:
        """The file of its result."""
        tokens = f"{self.trained.file_name}-{self.tested.file_name}"
        return out / "results" / f"{self.noise}-{tokens}-{self.seed}.json"


def make_data(out: Path, noise: str, arguments: argparse.Namespace) -> Path:
    """The drawn videos of a strength of noise; those that are there are kept."""
    settings = SynthesisSettings(
        train=arguments.train,
        val=arguments.val,
        test=0,
        first_subject=2000,
        classes=tuple(MA52.index(code) for code in CLASSES.split(",")),
        class_weights="uniform",
        fps=15,
        width=96,
        height=96,
        noise=noise,  # type: ignore[arg-type]
        crf=CRF[noise],
    )
    synthesize(out / f"data_{noise}", settings, num_workers=1)
    return out / f"data_{noise}"


def config_of(data: Path, tokens: Tokens, seed: int, epochs: int) -> VideoRun:
    """The settings of the demo on these data."""
    overrides = [
        f"data.annotations={data / 'annotations' / 'mma52.json'}",
        f"data.videos={data / 'videos'}",
        f"seed={seed}",
        f"training.epochs={epochs}",
        "training.threads=1",
        f"training.validate_from_epoch={epochs}",
        tokens.override,
    ]
    return require_videos(load_config("configs/demo.yaml", overrides=overrides))


def train(out: Path, config: VideoRun, name: str) -> Path:
    """The folder of a run; a finished one is kept, an interrupted one resumed."""
    folder = RunFolder(out / "runs" / name)
    validated_once(config, folder)
    return folder.path


def kept_share(config: VideoRun) -> float:
    """The share of tokens that validation videos keep."""
    annotations, _ = read_data(config)
    records = records_of(config, annotations, ["val"])[:MEASURED]
    backbone = build_backbone(config.backbone.model_copy(update={"pretrained": None}))
    stream = WindowStream(
        records, config.data, backbone=config.backbone, upsampling=config.upsampling
    )
    shares = []
    for sample in stream:
        batch, _ = Packer(clip_frames=config.backbone.clip_frames)([sample])
        assert batch is not None
        kept_NTS = backbone.choose(batch.clips)
        shares += [1.0] if kept_NTS is None else kept_NTS.float().mean(dim=(1, 2)).tolist()
    return statistics.mean(shares)


def measure(case: Case, data: Path, out: Path, epochs: int) -> dict[str, Any]:
    """Average mAP, average precision of each action, and the share of tokens."""
    name = f"{case.noise}-{case.trained.file_name}-{case.seed}"
    run = train(out, config_of(data, case.trained, case.seed, epochs), name)
    wanted = config_of(data, case.tested, case.seed, epochs)
    trained = open_trained(run, device="cpu")
    records, found = trained.predict(wanted, "val", progress=False)  # type: ignore[arg-type]
    report = score(found.detections, records, labels=trained.labels)
    action = report.levels["action"]
    precision_K = np.mean(action.per_class, axis=0)
    return {
        "action_map": 100 * action.average,
        "body_map": 100 * report.levels["body"].average,
        "kept": kept_share(wanted),
        "actions": {
            action.labels.names[k]: 100 * float(value)
            for k, value in enumerate(precision_K)
            if not np.isnan(value)
        },
    }


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """All of one seed before the next, so that an interrupted study has whole seeds."""
    others = [
        Tokens(keep, threshold) for threshold in arguments.thresholds for keep in arguments.keep
    ]
    for seed, noise in itertools.product(arguments.seeds, arguments.noise):
        yield Case(noise, ALL, ALL, seed)
        for tokens in others:
            yield Case(noise, tokens, tokens, seed)
        for tokens in others:
            yield Case(noise, ALL, tokens, seed)


def summarise(results: Mapping[Case, Mapping[str, Any]]) -> Sequence[dict[str, object]]:
    """A row for each case, over the seeds that are there."""
    rows = []
    for key in sorted({case[:3] for case in results}):
        noise, trained, tested = key
        found = {case.seed: results[case] for case in results if case[:3] == key}
        dense = {case.seed: results[case] for case in results if case[:3] == (noise, ALL, ALL)}
        row: dict[str, object] = {"noise": noise, "trained": trained, "tested": tested}
        kept = statistics.mean(one["kept"] for one in found.values())
        row |= {"seeds": len(found), "kept": round(kept, 3)}
        for name in ("action_map", "body_map"):
            row |= over_seeds(name, [one[name] for one in found.values()])
        shared = sorted(found.keys() & dense.keys())
        rows.append(row | changes([(found[seed], dense[seed]) for seed in shared]))
    return rows


def changes(paired: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, object]:
    """What results lose or gain against those with all tokens of the same seeds.

    An action is worse if it loses more than `LOST` points beyond the deviation of its average
    precision with all tokens over the seeds.
    """
    gains = [one["action_map"] - other["action_map"] for one, other in paired]
    row: dict[str, object] = {"action_change": "", "action_change_std": "", "actions_worse": ""}
    if gains:
        row["action_change"] = round(statistics.mean(gains), 2)
    if len(gains) < 2:
        return row
    worse = []
    for name in paired[0][1]["actions"]:
        before = [other["actions"][name] for _, other in paired]
        after = [one["actions"][name] for one, _ in paired]
        lost = statistics.mean(before) - statistics.mean(after)
        worse += [name] if lost > LOST + statistics.stdev(before) else []
    spread = round(statistics.stdev(gains), 2)
    return row | {"action_change_std": spread, "actions_worse": "; ".join(worse)}


def of_actions(results: Mapping[Case, Mapping[str, Any]]) -> Sequence[dict[str, object]]:
    """A row for each action of each case and seed."""
    return [
        {
            **{"noise": case.noise, "trained": case.trained, "tested": case.tested},
            **{"seed": case.seed, "action": name, "precision": round(value, 2)},
        }
        for case, result in sorted(results.items())
        for name, value in result["actions"].items()
    ]


COLOURS = {"moving": "#004488", "random": "#bb5566"}


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The mAP against the share of tokens, a panel for each noise; bars are deviations."""
    noises = [name for name in CRF if any(row["noise"] == name for row in rows)]
    figure = Figure(figsize=(1.2 + 3.4 * len(noises), 3.4), layout="constrained")
    panels = figure.subplots(1, len(noises), squeeze=False, sharey=True)[0]
    for axes, noise in zip(panels, noises, strict=True):
        for keep, alike in itertools.product(COLOURS, (True, False)):
            chosen = [
                row
                for row in rows
                if row["noise"] == noise
                and row["tested"].keep in (keep, "all")
                and (row["trained"] == row["tested"] if alike else row["trained"].keep == "all")
            ]
            chosen.sort(key=lambda row: row["kept"])
            axes.errorbar(
                [100 * row["kept"] for row in chosen],
                [row["action_map"] for row in chosen],
                [row["action_map_std"] or 0.0 for row in chosen],
                color=COLOURS[keep],
                marker="o" if alike else "s",
                markersize=5,
                markerfacecolor=None if alike else "white",
                linestyle="-" if alike else ":",
                capsize=2,
                label=f"{keep} tokens" if alike else f"{keep}, trained with all tokens",
            )
        seeds = max(row["seeds"] for row in rows if row["noise"] == noise)
        axes.set_title(f"{noise} noise, {count(seeds, 'seed')}", fontsize=10)
        axes.set_xlabel("tokens computed, %")
        axes.set_xlim(0, 104)
        axes.grid(color="#dddddd", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("average mAP of actions, %")
    panels[0].margins(y=0.15)
    panels[-1].legend(fontsize=8, frameon=False, loc="lower right")
    save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--noise", nargs="+", default=["low", "medium", "high"], choices=list(CRF))
    parser.add_argument("--keep", nargs="+", default=["moving", "random"])
    parser.add_argument("--thresholds", nargs="+", type=float, default=[3.0, 6.0, 1.5])
    parser.add_argument("--train", type=int, default=280)
    parser.add_argument("--val", type=int, default=70)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--finished", action="store_true", help="only what has finished so far")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[Case, Mapping[str, Any]] = {}
    for case in cases(arguments):
        file = case.file(arguments.out)
        if not file.is_file():
            if arguments.finished:
                continue
            data = make_data(arguments.out, case.noise, arguments)
            result = measure(case, data, arguments.out, arguments.epochs)
            write_text(file, json.dumps(result, indent=1) + "\n")
        results[case] = json.loads(file.read_text(encoding="utf-8"))
        shown = {name: round(results[case][name], 2) for name in ("action_map", "kept")}
        print(case.noise, f"{case.trained} -> {case.tested}", case.seed, shown, flush=True)
    rows = summarise(results)
    print(write_rows("moving_accuracy", rows))
    if arguments.plot is not None:
        draw(rows, arguments.plot)
    print(write_rows("moving_actions", of_actions(results)))


if __name__ == "__main__":
    main()
