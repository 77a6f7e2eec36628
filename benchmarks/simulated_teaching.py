"""How many labels teaching takes: a simulated coder decides along the queue, in two orders.

The coder knows what happens in the videos. For each detection that the queue offers, they accept
what overlaps a segment of its behaviour (tIoU of at least 0.5, with the true times), name the right
behaviour where another one is there, and reject the rest; what is within half a second of it and
unknown to the model they draw. After each round the project is taught, and the mAP is measured on
videos of other people that nobody decides about. With full labels, all that happens in the videos
of the coder is drawn and every video is reviewed.

Make the project first, then run this; each result is kept, so the same command resumes:

    mmad project new study --videos people/videos --checkpoint demo/run
    python -m benchmarks.simulated_teaching study people/annotations/mma52.json --out teaching

What it writes: OUT/ORDER-SEED.json, and OUT/summary.csv with the labels needed for 95 % of the mAP
of full labels.
"""

import argparse
import csv
import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.provenance import commit, hardware
from mmad.engine.jobs.teaching import teach
from mmad.errors import ProjectError
from mmad.evaluation.detection import evaluate_detections
from mmad.files import write_json
from mmad.labels import flat_labels
from mmad.projects.actions import Actions, Target
from mmad.projects.project import Project
from mmad.projects.queue import Order
from mmad.segments import tiou
from mmad.structures import Annotations, Detections, VideoRecord

CODER = "simulated coder"
CONTEXT_SECONDS = 0.5
ENOUGH = 0.95
# Behaviour, start and end in seconds.
Truth = Mapping[str, Sequence[tuple[int, float, float]]]


def read_truth(project: Project, path: Path) -> Truth:
    """What happens in each video, with the numbers of the behaviours of the project."""
    content = json.loads(path.read_text())
    durations = {one.name: one.duration_seconds for one in project.catalogue.videos()}
    return {
        name: [
            (int(label) + 1, float(start), min(float(end), durations[name]))
            for label, start, end in content[name]["actions"]
        ]
        for name in durations
    }


def split(project: Project, *, seed: int, test_share: float) -> tuple[list[str], list[str]]:
    """Names of the videos that the coder sees, and of those of other people."""
    names = sorted(one.name for one in project.catalogue.videos())
    drawn = np.random.default_rng(seed).permutation(len(names))
    number = round(test_share * len(names))
    return (
        sorted(names[place] for place in drawn[number:]),
        sorted(names[place] for place in drawn[:number]),
    )


def known_behaviours(project: Project, videos: Iterable[str]) -> set[int]:
    """The behaviours that the first source suggests somewhere."""
    found = project.findings
    return {one.behaviour for name in videos for one in found.detections(name, source=1)}


def decide(project: Project, truth: Truth, seen: Sequence[str], order: Order, number: int) -> int:
    """Make up to so many decisions along the queue; how many were made."""
    made = 0
    known = known_behaviours(project, truth)
    least = project.findings.sources()[-1].least_score
    for waiting in project.queue.waiting(CODER, order=order, videos=seen, min_score=least):
        if made >= number:
            break
        found, name = waiting.detection, waiting.video
        actions = Actions(project, CODER, name)
        mine = [(found.start_seconds, found.end_seconds)]
        given = truth[name]
        overlap = tiou(mine, [one[1:] for one in given]).ravel() if given else np.zeros(0)
        same = [place for place, one in enumerate(given) if one[0] == found.behaviour]
        best = max(same, key=lambda place: overlap[place], default=None)
        other = int(overlap.argmax()) if len(overlap) else None
        target = Target(detection=found.id)
        if best is not None and overlap[best] >= 0.5:
            actions.move(target, given[best][1], given[best][2])
        elif other is not None and overlap[other] >= 0.5:
            actions.relabel(target, given[other][0])
        else:
            actions.reject(target)
        made += 1
        for behaviour, start, end in given:
            near = start < mine[0][1] + CONTEXT_SECONDS and end > mine[0][0] - CONTEXT_SECONDS
            drawn = [
                one
                for one in project.decisions.instances(name, CODER)
                if one.behaviour == behaviour and abs(one.start_seconds - start) < 1e-3
            ]
            if near and behaviour not in known and not drawn:
                Actions(project, CODER, name).draw(behaviour, start, end)
                made += 1
    return made


def label_all(project: Project, truth: Truth, seen: Sequence[str]) -> int:
    """Draw everything in the videos of the coder; how many decisions that is."""
    for name in seen:
        for behaviour, start, end in truth[name]:
            Actions(project, CODER, name).draw(behaviour, start, end)
        seconds = project.catalogue.video(name).duration_seconds
        project.decisions.mark_reviewed(CODER, name, 0.0, seconds, blind=False)
    return sum(len(truth[name]) for name in seen)


def measured(project: Project, truth: Truth, others: Sequence[str]) -> dict[str, float]:
    """The mAP at a tIoU of 0.5 of the newest source in videos of other people: of all behaviours,
    and of those that the first source never suggests.
    """
    known = known_behaviours(project, truth)
    behaviours = sorted({one[0] for name in others for one in truth[name]})
    place = {one: number for number, one in enumerate(behaviours)}
    records, found = [], {}
    for name in others:
        rows = [one for one in project.findings.detections(name) if one.behaviour in place]
        found[name] = Detections(
            np.array([(one.start_seconds, one.end_seconds) for one in rows]).reshape(-1, 2),
            np.array([place[one.behaviour] for one in rows], dtype=np.int64),
            np.array([one.score for one in rows]),
        )
        given = Annotations(
            np.array([one[1:] for one in truth[name]]).reshape(-1, 2),
            np.array([place[one[0]] for one in truth[name]], dtype=np.int64),
        )
        seconds = project.catalogue.video(name).duration_seconds
        records.append(VideoRecord(name, seconds, "none", annotations=given))
    labels = flat_labels([str(one) for one in behaviours])
    report = evaluate_detections(
        found, records, labels=labels, tiou=np.array([0.5]), levels=["action"]
    )
    precision = report.levels["action"].per_class[0]
    unknown = [place[one] for one in behaviours if one not in known]
    return {
        "map": float(report.levels["action"].map[0]),
        "map_unknown": float(np.mean(precision[unknown])) if unknown else math.nan,
    }


def one_course(args: argparse.Namespace, how: str, seed: int, folder: Path) -> dict[str, Any]:
    """The rounds of a coder: decisions so far, mAP, seconds and processor seconds of each."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(args.study, folder)
    rounds: list[dict[str, float]] = []
    # A copy at another place, whose videos lie elsewhere from it.
    with Project.open(args.study) as original:
        places = {one.id: str(one.path.resolve()) for one in original.catalogue.videos()}
    with Project.open(folder) as project:
        for number, path in places.items():
            project.catalogue._database.connection.execute(
                "UPDATE videos SET path = ? WHERE id = ?", (path, number)
            )
        truth = read_truth(project, args.truth)
        seen, others = split(project, seed=seed, test_share=args.test_share)
        rounds.append({"decisions": 0, **measured(project, truth, others)})
        steps = [0] if how == "full" else args.decisions
        total = 0
        for reach in steps:
            if how == "full":
                total = label_all(project, truth, seen)
            else:
                total += decide(project, truth, seen, how, reach - total)  # type: ignore[arg-type]
            entry: dict[str, float] = {"decisions": total}
            try:
                done = teach(project, seed=seed)
                entry |= {"seconds": done.seconds, "processor_seconds": done.processor_seconds}
            except ProjectError as error:
                print(f"{how}, seed {seed}, {total} decisions: {error}", flush=True)
            entry |= measured(project, truth, others)
            print(f"{how}, seed {seed}: {entry}", flush=True)
            rounds.append(entry)
    shutil.rmtree(folder)
    return {"how": how, "seed": seed, "rounds": rounds, "hardware": hardware(), "commit": commit()}


def summarise(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each order and seed, the decisions that reach 95 % of the mAP of full labels, of all
    behaviours and of the unknown ones.
    """
    full = {one["seed"]: one["rounds"][-1] for one in results if one["how"] == "full"}
    rows = []
    for one in results:
        if one["how"] == "full" or one["seed"] not in full:
            continue
        whole, courses = full[one["seed"]], one["rounds"]
        row: dict[str, Any] = {
            "commit": one["commit"],
            "hardware": one["hardware"],
            "order": one["how"],
            "seed": one["seed"],
            "labels_full": whole["decisions"],
        }
        for figure, suffix in (("map", ""), ("map_unknown", "_unknown")):
            enough = [
                entry["decisions"] for entry in courses if entry[figure] >= ENOUGH * whole[figure]
            ]
            row |= {
                f"before{suffix}": courses[0][figure],
                f"last{suffix}": courses[-1][figure],
                f"full{suffix}": whole[figure],
                f"labels_needed{suffix}": enough[0] if enough else "",
            }
        rows.append(row)
    return rows


def main() -> None:
    """Run what is missing, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="project with detections and features")
    parser.add_argument("truth", type=Path, help="what happens in its videos (mma52.json)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--orders", nargs="+", default=["uncertain", "random"])
    parser.add_argument("--decisions", type=int, nargs="+", default=[60, 120, 240, 480])
    parser.add_argument("--test-share", type=float, default=0.33)
    args = parser.parse_args()
    if unknown := set(args.orders) - set(get_args(Order)):
        parser.error(f"there is no order {min(unknown)}")
    args.out.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in args.seeds:
        for how in ["full", *args.orders]:
            path = args.out / f"{how}-{seed}.json"
            if not path.is_file():
                write_json(path, one_course(args, how, seed, args.out / f".{how}-{seed}"))
            results.append(json.loads(path.read_text()))
    rows = summarise(results)
    with (args.out / "summary.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
