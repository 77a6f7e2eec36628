"""What each switch for overlapping actions gains over the published head, on synthetic videos.

    python -m benchmarks.overlap_ablation WORK [--seeds 0 1 2] [--jobs 2]

Draws videos with the statistics of MMA-52 (86 % of the instances overlap another, long-tailed
classes) and clips of one action below WORK, extracts the features of the demo's frozen backbone
once, and trains ActionFormer with each of `SWITCHES`, with the same number of steps (those that
start from body parts have as many before). The switches that gain are then trained together, with
two other detectors too. Scores action mAP over tIoU 0.1:0.9 on the validation videos in which every
instance overlaps another, and on all of them; the interval of a difference (95 %) is of a bootstrap
over videos, the same for both and all seeds. Finished runs are kept, so the same command resumes.
Writes benchmarks/results/overlap.csv and the table in docs/detectors.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.drawn import CLASSES
from benchmarks.jobs import Job, train_all
from benchmarks.provenance import write_rows, write_table
from mmad.config.reading import load_config
from mmad.config.run import FeatureRun
from mmad.data.balance import BalancedOrder, rarest_classes
from mmad.engine.detection import read_data, records_of
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from mmad.evaluation.breakdown import draw_videos, interval, resample
from mmad.evaluation.detection import LevelReport, evaluate_detections, parse_tiou
from mmad.evaluation.detection_fusion import fuse_detections
from mmad.evaluation.predictions import read_predictions
from mmad.files import write_text
from mmad.labels import LabelMap
from mmad.segments import intersections
from mmad.structures import Detections, VideoRecord

NUM_VIDEOS, NUM_CLIPS = 240, 240
EPOCHS = 10  # over the videos; with more items than these, fewer
NUM_RESAMPLES = 1000
PAGE = Path(__file__).parent.parent / "docs" / "detectors.md"

SMALL = (
    "detector.channels=64",
    "detector.num_branch=3",
    "detector.regression_ranges=[[0,6],[4,12],[8,24],[16,10000]]",
)
# Name in the table -> shipped config, its settings made small.
DETECTORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ActionFormer": ("actionformer", (*SMALL, "detector.num_stem=1")),
    "TriDet": ("tridet", (*SMALL, "detector.num_stem=1", "detector.hidden_channels=128")),
    "TemporalMaxer": ("temporalmaxer", SMALL),
}

EVERY_LABEL = ("detector.shortest_labels_only=false",)
CLASS_OFFSETS = (*EVERY_LABEL, "detector.class_offsets=true")
STARTED, BODY_HEAD = "started from body parts", "body-level head"
SHARED, OWN = "all classes of a point", "all classes, offsets for each"
SWITCHES: dict[str, tuple[str, ...]] = {
    "published head": (),
    "rare classes repeated": ("data.repeat_below=100",),
    "rare classes drawn more often": ("data.balance_exponent=0.5",),
    "clips as further videos": ("data.extra_clips=[{data}/annotations/ma52_train.txt]",),
    SHARED: EVERY_LABEL,
    OWN: CLASS_OFFSETS,
    BODY_HEAD: ("detector.body_head=true",),
    STARTED: ("training.start={body}",),
    "background capped": ("detector.background_cap=1",),
}
FUSION = "fusion of the three detectors"
TOGETHER = "best together"
OTHERS = ("TriDet", "TemporalMaxer")
# What holds alone with ActionFormer, and is tested alone with the others.
HOLDS = SHARED
NO_SIMOTA = "detector.assigner=null"


@dataclass(frozen=True)
class Run:
    """A run of the ablation.

    Attributes:
        detector, switch: Names in `DETECTORS` and `SWITCHES`, or `TOGETHER`.
        seed: Random seed.
        work: Folder of the ablation.
        of_body: Whether it learns body parts alone, for the run that starts from it.
    """

    detector: str
    switch: str
    seed: int
    work: Path
    of_body: bool = False

    @property
    def folder(self) -> RunFolder:
        """Its run folder."""
        name = f"{self.detector}_{self.switch}_{self.seed}{'_body' if self.of_body else ''}"
        name = name.lower().replace(" ", "_")
        return RunFolder(self.work / "runs" / name.replace(",", "").replace(".", ""))

    @property
    def is_done(self) -> bool:
        """Whether it has been trained."""
        return self.folder.predictions("val", ".csv").is_file()

    def config(self) -> FeatureRun:
        """Its settings, with as many steps as every other run."""
        config = self._config(EPOCHS)
        annotations, _ = read_data(config)
        records = records_of(config, annotations, ["train"])
        classes, counts = rarest_classes([record.annotations for record in records])
        items = len(BalancedOrder(classes, counts, config.data))
        items += NUM_CLIPS if config.data.extra_clips else 0
        return self._config(max(1, round(EPOCHS * NUM_VIDEOS / items)))

    def _config(self, epochs: int) -> FeatureRun:
        name, small = DETECTORS[self.detector]
        chosen = [self.switch]
        if self.switch == TOGETHER:
            chosen = json.loads((self.work / "best.json").read_text(encoding="utf-8"))
        changes = []
        if self.of_body:
            chosen = [one for one in chosen if one not in (STARTED, BODY_HEAD)]
            changes.append("data.level=body")
        changes += [change for one in chosen for change in SWITCHES[one]]
        if self.detector == "TemporalMaxer" and EVERY_LABEL[0] in changes:
            changes.append(NO_SIMOTA)
        places = {"data": self.work / "data", "body": replace(self, of_body=True).folder.path}
        config = load_config(
            f"configs/features/{name}.yaml",
            overrides=[
                f"data.annotations={self.work / 'data' / 'annotations' / 'mma52.json'}",
                f"data.features={self.work / 'features.h5'}",
                "data.window_steps=128",
                "data.num_workers=0",
                f"seed={self.seed}",
                f"training.epochs={epochs}",
                "training.schedule_epochs=null",
                "training.batch_videos=16",
                "training.accumulate=1",
                "training.warmup_epochs=1",
                "training.weight_decay=0.02",
                "training.ema_decay=0.98",
                "training.threads=1",
                "training.learning_rate=2e-3",
                f"training.validate_from_epoch={epochs}",
                "inference.max_candidates=500",
                "inference.max_detections=200",
                "inference.batch_windows=16",
                *small,
                *(change.format(**places) for change in changes),
            ],
        )
        assert isinstance(config, FeatureRun)
        return config

    def train(self) -> None:
        """Train it, unless it is done; an interrupted one is resumed."""
        if self.is_done:
            return
        config = self.config()
        if config.training.start is not None:
            replace(self, of_body=True).train()
        train_run(config, out=self.folder.path, resume=self.folder.last.is_file(), quiet=True)


def alone_with(detector: str) -> list[str]:
    """The switches that a detector is trained with alone."""
    return ["published head", HOLDS] if detector in OTHERS else list(SWITCHES)


def runs_of(detector: str, seed: int, work: Path, *, together: bool) -> list[Run]:
    """The runs of a detector and seed that are trained with each switch alone, or together."""
    switches = [TOGETHER] if together else alone_with(detector)
    return [Run(detector, switch, seed, work) for switch in switches]


def prepare(work: Path) -> None:
    """Draw the videos and clips, and extract their features."""
    data, features = work / "data", work / "features.h5"
    mmad = [sys.executable, "-m", "mmad"]
    sizes = ("--train", str(NUM_VIDEOS), "--val", "110", "--test", "0", "--clips", str(NUM_CLIPS))
    size = ("--fps", "15", "--width", "96", "--height", "96", "--workers", "2")
    subprocess.run(
        [*mmad, "synthesize", str(data), *sizes, *size, "--classes", CLASSES], check=True
    )
    frozen = ("--set", "backbone.adapter={name: none}")
    for folder in ("videos", "clips"):
        places = ("configs/demo.yaml", str(data / folder), "--out", str(features))
        subprocess.run([*mmad, "extract-features", *places, *frozen], check=True)


@dataclass(frozen=True)
class Scorer:
    """Scores detections on two sets of validation videos, and compares them on resamples."""

    sets: Mapping[str, Sequence[VideoRecord]]
    labels: LabelMap

    def levels(self, found: Mapping[str, Detections]) -> dict[str, LevelReport]:
        """The report on actions for each set of videos."""
        reports = {}
        for name, records in self.sets.items():
            mine = {record.video_id: found[record.video_id] for record in records}
            report = evaluate_detections(
                mine, records, labels=self.labels, tiou=parse_tiou("0.1:0.9")
            )
            reports[name] = report.levels["action"]
        return reports

    def mean(self, found: Sequence[Mapping[str, Detections]]) -> float:
        """mAP on the overlapping videos, over the seeds."""
        return statistics.mean(self.levels(one)["overlapping"].average for one in found)

    def row(
        self, ours: Sequence[Mapping[str, Detections]], base: Sequence[Mapping[str, Detections]]
    ) -> dict[str, str]:
        """mAP (%) over the seeds, and the difference to ``base`` with its interval."""
        cells = {}
        reports = [self.levels(one) for one in ours]
        others = [self.levels(one) for one in base]
        for name, records in self.sets.items():
            values = [100 * report[name].average for report in reports]
            known = [100 * report[name].average for report in others]
            cells[name] = f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
            if ours is base:
                continue
            copies = draw_videos(len(records), num_resamples=NUM_RESAMPLES)
            gain = np.mean(
                [
                    resample(one[name], copies).average - resample(other[name], copies).average
                    for one, other in zip(reports, others, strict=True)
                ],
                axis=0,
            )
            difference = statistics.mean(values) - statistics.mean(known)
            low, high = interval(100 * gain, difference)
            cells[f"{name}, difference"] = f"{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
        return cells


def all_overlap(record: VideoRecord) -> bool:
    """Whether every instance of the video overlaps another one."""
    segments = record.annotations.segments_seconds
    return bool(((intersections(segments, segments) > 0).sum(axis=1) > 1).all())


@dataclass(frozen=True)
class Results:
    """The detections of finished runs, and their scores."""

    work: Path
    seeds: Sequence[int]
    scorer: Scorer

    @classmethod
    def of(cls, work: Path, seeds: Sequence[int]) -> Self:
        """The results below ``work``."""
        config = Run("ActionFormer", "published head", 0, work).config()
        annotations, labels = read_data(config)
        videos = records_of(config, annotations, ["val"])
        crowded = [one for one in videos if all_overlap(one)]
        return cls(work, seeds, Scorer({"overlapping": crowded, "all": videos}, labels))

    def found(self, detector: str, switch: str) -> list[dict[str, Detections]]:
        """The detections of each seed."""
        paths = [Run(detector, switch, seed, self.work).folder for seed in self.seeds]
        labels = self.scorer.labels
        return [read_predictions(one.predictions("val", ".csv"), labels=labels) for one in paths]

    def best(self) -> list[str]:
        """The switches that gain on the overlapping videos; a part of another is left out."""
        known = self.scorer.mean(self.found("ActionFormer", "published head"))
        gains = {one: self.scorer.mean(self.found("ActionFormer", one)) - known for one in SWITCHES}
        chosen = [one for one, gain in gains.items() if gain > 0]
        return [one for one in chosen if one != SHARED or OWN not in chosen]

    def rows(self) -> Iterator[dict[str, object]]:
        """The rows of the table."""
        for detector in ("ActionFormer", *OTHERS):
            base = self.found(detector, "published head")
            for switch in (*alone_with(detector), TOGETHER):
                ours = base if switch == "published head" else self.found(detector, switch)
                yield {"detector": detector, "switch": switch, **self.scorer.row(ours, base)}
        base = self.found("ActionFormer", "published head")
        for switch in ("published head", TOGETHER):
            members = [self.found(detector, switch) for detector in ("ActionFormer", *OTHERS)]
            fused = [fuse_detections(one, max_per_video=200) for one in zip(*members, strict=True)]
            yield {"detector": FUSION, "switch": switch, **self.scorer.row(fused, base)}


def table_of(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """The lines of a Markdown table of the rows."""
    names = [name for name in rows[1] if name not in ("seeds", "epochs")]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    return lines + [f"| {' | '.join(str(row.get(name, '')) for name in names)} |" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    work, seeds = arguments.work, arguments.seeds
    if arguments.one:
        detector, seed, part = arguments.one
        for run in runs_of(detector, int(seed), work, together=part == "together"):
            run.train()
        return
    prepare(work)
    for part in ("alone", "together"):
        if part == "together" and not (work / "best.json").is_file():
            best = Results.of(work, seeds).best()
            write_text(work / "best.json", json.dumps(best))
        jobs = [
            Job(
                f"{detector}, seed {seed}, {part}",
                (("benchmarks.overlap_ablation", str(work), "--one", detector, str(seed), part),),
            )
            for detector in ("ActionFormer", *OTHERS)
            for seed in seeds
            if not all(
                run.is_done for run in runs_of(detector, seed, work, together=part != "alone")
            )
        ]
        train_all(jobs, at_once=arguments.jobs)
    rows = []
    for row in Results.of(work, seeds).rows():
        rows.append({**row, "seeds": len(seeds), "epochs": EPOCHS})
        print(rows[-1], flush=True)
    whole = [{name: row.get(name, "") for name in rows[1]} for row in rows]
    print(write_rows("overlap", whole))
    print(write_table(PAGE, "overlap", table_of(whole)))


if __name__ == "__main__":
    main()
