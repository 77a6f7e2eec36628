"""From one place to another: what a detector of the plain room finds in the street, in a ward, in a
studio, and what brings it back.

    python -m benchmarks.domain_shift WORK [--seeds 0 1 2] [--domains street ward studio]
        [--rate 2e-4] [--only-continued] [--add]

The detector (configs/demo.yaml, DSTA on the backbone without labels) is trained in the room. In
another domain, with other people, it is scored

- as it is;
- with its pre-training continued on the domain's unlabelled videos before it was trained in the
  room (--rate: its learning rate);
- with its adapters alone trained further on 1, 5 or 10 videos of the domain;
- with both.

Every finished run is kept, so that the command can be interrupted and repeated; rows are written
after each run. Writes results/domain_shift.csv and docs/assets/domain_shift.png. With --add, the
runs that the CSV file has already stay in it.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare_adapters import BACKBONES, TOKENS, go_on_pretraining, rate_settings
from benchmarks.drawn import CLASSES
from benchmarks.jobs import commit_of, over_seeds, validated_once
from benchmarks.provenance import RESULTS, hardware, recorded_rows, write_rows
from mmad.config.reading import load_config
from mmad.engine.runs.folder import RunFolder

# Frames per second, quality of the codec and noise of each domain's camera.
_CAMERAS: Mapping[str, tuple[str, ...]] = {
    "room": ("--fps", "15"),
    "street": ("--fps", "15", "--crf", "26", "--noise", "low"),
    "ward": ("--fps", "12", "--crf", "32", "--noise", "medium"),
    "studio": ("--fps", "25", "--crf", "18"),
}
# Each domain has people and sequences of actions of its own.
_FIRST_SUBJECT = {"room": 0, "street": 9000, "ward": 9400, "studio": 9800}
_DATA_SEED = {"room": 0, "street": 1, "ward": 2, "studio": 3}
SHOTS = (1, 5, 10)
_TINY_RATE = "1.0e-12"


@dataclass(frozen=True)
class Study:
    """The folder and the sizes of a study.

    Attributes:
        work: Folder of data and runs.
        epochs: Passes over the videos of the room.
        passes: Passes of continued pre-training over the videos of a domain.
        few_steps: Steps of training on a few videos of a domain, however few.
    """

    work: Path
    epochs: int
    passes: int
    few_steps: int

    def data(self, domain: str) -> Path:
        """Folder of the videos of a domain."""
        return self.work / domain


def make_data(study: Study, domain: str, *, train: int, val: int) -> None:
    """The videos of a domain; existing ones are kept."""
    command = [sys.executable, "-m", "mmad", "synthesize", str(study.data(domain))]
    command += ["--train", str(train), "--val", str(val), "--test", "0", "--domain", domain]
    command += ["--classes", CLASSES, "--class-weights", "uniform", "--width", "96"]
    command += ["--height", "96", "--first-subject", str(_FIRST_SUBJECT[domain])]
    command += ["--seed", str(_DATA_SEED[domain])]
    subprocess.run([*command, *_CAMERAS[domain]], check=True)


def few_of(study: Study, domain: str, shots: int, seed: int) -> Path:
    """Annotations of a few training videos of a domain, and all of its validation videos."""
    source = study.data(domain) / "annotations" / "mma52.json"
    content: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    training = sorted(name for name, video in content.items() if video["subset"] == "train")
    kept = set(training[seed * max(SHOTS) :][:shots])
    left = {n: v for n, v in content.items() if v["subset"] != "train" or n in kept}
    path = study.work / "few" / f"{domain}_{shots}_{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(left), encoding="utf-8")
    return path


def run(study: Study, name: str, domain: str, overrides: Sequence[str]) -> tuple[str, float]:
    """The folder and the action mAP of a run on a domain; a finished one is read."""
    data = study.data(domain)
    config = load_config(
        "configs/demo.yaml",
        overrides=[
            f"data.annotations={data / 'annotations' / 'mma52.json'}",
            f"data.videos={data / 'videos'}",
            "data.fps=15",
            "training.threads=1",
            TOKENS,
            *overrides,
        ],
    )
    folder = RunFolder(study.work / "runs" / name)
    return str(folder.path), 100 * float(validated_once(config, folder)["action_map"])


def source_run(study: Study, seed: int, backbone: str, name: str) -> tuple[str, float]:
    """The detector that is trained in the room, and its score there."""
    epochs = study.epochs
    changes = [f"seed={seed}", f"training.epochs={epochs}"]
    changes += [f"training.validate_from_epoch={epochs}", f"backbone.pretrained={backbone}"]
    return run(study, f"{name}_{seed}", "room", [*changes, "backbone.final_norm=true"])


def on_domain(study: Study, name: str, domain: str, start: str, seed: int, shots: int) -> float:
    """The score in a domain, after the adapters have seen a few of its videos."""
    changes = [f"seed={seed}", f"training.start={start}", "backbone.final_norm=true"]
    changes += [f"backbone.pretrained={start}", f"training.learning_rate={_TINY_RATE}"]
    batch = 1 if shots == 1 else 2
    if shots:
        epochs, rate = round(study.few_steps / (shots // batch)), "5.0e-4"
        changes.append(f"data.annotations={few_of(study, domain, shots, seed)}")
    else:
        epochs, rate = 1, _TINY_RATE
        changes.append(f"data.annotations={few_of(study, domain, 1, seed)}")
    changes += [f"training.epochs={epochs}", f"training.validate_from_epoch={epochs}"]
    changes += [f"training.adapter_learning_rate={rate}", "training.warmup_epochs=0"]
    changes.append(f"training.batch_videos={batch}")
    return run(study, f"{name}_{domain}_{shots}_{seed}", domain, changes)[1]


def _key(run: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(run[name] for name in ("domain", "start", "shots", "seed"))


def rows_of(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Mean and standard deviation over the seeds, in the domain and of the start in the room."""
    rows: list[dict[str, object]] = []
    for key in dict.fromkeys((one["domain"], one["start"], one["shots"]) for one in runs):
        mine = [one for one in runs if (one["domain"], one["start"], one["shots"]) == key]
        row = dict(zip(("domain", "start", "shots"), key, strict=True))
        row["seeds"] = len(mine)
        for name in ("action_map", "room_action_map"):
            row |= over_seeds(name, [one[name] for one in mine])
        rows.append(row)
    return rows


def draw(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The score against the number of labelled videos, a panel for each domain; dotted lines show
    the scores in the room.
    """
    from matplotlib.figure import Figure

    from mmad.report.figures import save_figure

    domains = list(dict.fromkeys(row["domain"] for row in rows))
    figure = Figure(figsize=(1 + 3 * len(domains), 3.2), layout="constrained")
    panels = figure.subplots(1, len(domains), squeeze=False, sharey=True)[0]
    for axes, domain in zip(panels, domains, strict=True):
        for place, start in enumerate(dict.fromkeys(row["start"] for row in rows)):
            mine = [r for r in rows if (r["domain"], r["start"]) == (domain, start)]
            if not mine:
                continue
            colour = f"C{place}"
            axes.errorbar(
                range(len(mine)),
                [row["action_map"] for row in mine],
                yerr=[row["action_map_std"] or math.nan for row in mine],
                marker="o",
                capsize=3,
                color=colour,
                label=start,
            )
            axes.axhline(mine[0]["room_action_map"], color=colour, lw=1, ls=":")
            axes.set_xticks(range(len(mine)), [str(row["shots"]) for row in mine])
        axes.set_title(domain, fontsize=10)
        axes.set_xlabel("labelled videos of the domain")
        axes.grid(alpha=0.25)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("action mAP")
    shown: dict[str, Any] = {}
    for axes in panels:
        lines, names = axes.get_legend_handles_labels()
        shown |= {f"trained in the {name}": line for name, line in zip(names, lines, strict=True)}
    figure.legend(
        shown.values(), shown, loc="outside lower center", ncols=3, frameon=False, fontsize=9
    )
    save_figure(figure, path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--domains", nargs="+", default=["street", "ward", "studio"], choices=list(_CAMERAS)
    )
    parser.add_argument("--train", type=int, default=280, help="training videos in the room")
    parser.add_argument("--val", type=int, default=70, help="validation videos of each domain")
    parser.add_argument("--target", type=int, default=60, help="unlabelled videos of each domain")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--passes", type=int, default=80)
    parser.add_argument("--few-steps", type=int, default=100)
    parser.add_argument("--rate", type=float, help="learning rate of continued pre-training")
    parser.add_argument("--only-continued", action="store_true", help="not the room's detector")
    parser.add_argument("--add", action="store_true", help="to the runs of the CSV file")
    given = parser.parse_args()
    study = Study(given.work, given.epochs, given.passes, given.few_steps)
    make_data(study, "room", train=given.train, val=given.val)
    rows = recorded_rows("domain_shift_runs") if given.add else []
    runs = {_key(row): row for row in rows}
    rate, slow = rate_settings(given.rate), "" if given.rate is None else f"_{given.rate:g}"
    how = "pre-training continued" + (f" at {given.rate:g}" if slow else "")
    shipped = BACKBONES["without_labels"][0].removeprefix("backbone.pretrained=")
    for domain in given.domains:
        make_data(study, domain, train=given.target, val=given.val)
        further = go_on_pretraining(
            study.work / "runs" / f"pretraining_{domain}{slow}",
            study.data(domain),
            passes=study.passes,
            changes=["data.fps=15", *rate],
        )
        starts = {} if given.only_continued else {"room": (shipped, "room")}
        starts[f"room, {how}"] = (further, f"continued_{domain}{slow}")
        for seed in given.seeds:
            for start, (backbone, name) in starts.items():
                source, in_room = source_run(study, seed, backbone, name)
                for shots in (0, *SHOTS):
                    score = on_domain(study, name, domain, source, seed, shots)
                    found: dict[str, Any] = {
                        **{"commit": commit_of(RunFolder(Path(source))), "hardware": hardware()},
                        **{"domain": domain, "start": start, "shots": shots, "seed": seed},
                        **{"action_map": round(score, 2), "room_action_map": round(in_room, 2)},
                    }
                    runs[_key(found)] = found
                    print(found, flush=True)
                    write_rows("domain_shift_runs", list(runs.values()))
                    write_rows("domain_shift", rows_of(list(runs.values())))
    plot = RESULTS.parents[1] / "docs" / "assets" / "domain_shift.png"
    draw(plot, rows_of(list(runs.values())))
    print(RESULTS / "domain_shift.csv")


if __name__ == "__main__":
    main()
