"""Modes and options of recognition on synthetic clips of all 52 actions.

Rows of the paper of Li et al. (2024) are `benchmarks.winner_tables`.

    python -m benchmarks.recognition_ablation WORK [--clips 2080] [--epochs 2] [--seed 0]

Makes the clips and crops below the folder WORK, trains every row of `ROWS`, and scores it on
clips of people not seen in training. Existing results are kept, so the same command resumes an
interrupted ablation. Writes benchmarks/results/recognition.csv after every row.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np

from benchmarks.provenance import write_rows
from mmad.annotations.clips.lists import read_clip_list
from mmad.config.reading import load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.engine.clip_inference import recognize_clips
from mmad.engine.distributed import start_processes
from mmad.engine.recognition import read_clips
from mmad.engine.runs.load import load_recogniser
from mmad.engine.training import train_run
from mmad.evaluation.clips.recognition import evaluate_recognition
from mmad.evaluation.clips.scores import (
    RecognitionScores,
    read_scores,
    to_recognitions,
    write_scores,
)
from mmad.labels import MA52
from mmad.synthetic.dataset import SynthesisSettings, synthesize
from mmad.video.crop import crop_videos
from mmad.video.find import find_videos

FULL = ("backbone.adapter={name: none}", "backbone.freeze=false")
# Name -> what differs from configs/recognition/demo.yaml: DSTA adapters, TSN head, ArcFace, F1 and
# all auxiliary heads.
# Measured with the frame heads of the reference implementation; one row has those of the paper.
MEASURED = ("heads.frame_classifier=linear", "losses.f1_frames=together")
ROWS: dict[str, tuple[str, ...]] = {
    "base: DSTA, TSN, all heads and losses": (),
    "mode: full fine-tuning": FULL,
    "mode: linear probe": (
        *("backbone.adapter={name: none}", "heads.classifier=linear", "losses.f1=false"),
        *("heads.frame=false", "heads.frame_coarse=false"),
        *("heads.coarse=false", "heads.dropout=0.0"),
    ),
    "frame heads: ArcFace and F1 of each": (
        *("heads.frame_classifier=arcface", "losses.f1_frames=each"),
    ),
    "compat: released": ("compat=released",),
    "sampling: balanced, exponent 0.5": ("data.balance_exponent=0.5",),
    "mixup inside body parts": ("losses.mixup=0.3",),
    "crop: motion": ("data.clips=WORK/crops", "data.resize=crop", "data.short_side=110"),
}
# Predictions of the base run with another way to choose the body part.
HIERARCHIES = ("summed", "soft")


def make_data(work: Path, *, clips: int) -> None:
    """Make clips and crops; existing ones are kept."""
    settings = SynthesisSettings(
        train=0, val=0, test=0, clips=clips, class_weights="uniform", fps=15, width=96, height=96
    )
    synthesize(work / "data", settings, num_workers=2)
    crop_videos(list(find_videos(work / "data" / "clips").values()), work / "crops", num_workers=2)


def settings_of(
    work: Path, changes: tuple[str, ...], *, epochs: int, seed: int
) -> RecognitionConfig:
    lists = work / "data" / "annotations"
    places = [f"data.clips={work}/data/clips", f"training.epochs={epochs}", f"seed={seed}"]
    places += [f"data.{name}=[{lists}/ma52_{name}.txt]" for name in ("train", "val", "test")]
    places += [f"training.validate_from_epoch={epochs}"]
    places += MEASURED
    places += [change.replace("WORK", str(work)) for change in changes]
    config = load_any_config("configs/recognition/demo.yaml", overrides=places)
    assert isinstance(config, RecognitionConfig)
    return config


def scores_of(work: Path, name: str, config: RecognitionConfig) -> tuple[RecognitionScores, float]:
    """Scores on the test clips and seconds of training, of a run that is made unless it exists."""
    run = work / "runs" / name.replace(" ", "_").replace(":", "").replace(",", "")
    answers, seconds = run / "test.npz", run / "seconds.txt"
    if not answers.is_file():
        if run.exists():
            shutil.rmtree(run)
        started = time.perf_counter()
        train_run(config, out=run, quiet=True)
        seconds.write_text(f"{time.perf_counter() - started:.0f}")
        write_scores(answers, recognize(run, config))
    return read_scores(answers, labels=MA52), float(seconds.read_text())


def recognize(run: Path, config: RecognitionConfig) -> RecognitionScores:
    model, _, labels = load_recogniser(run)
    answers = recognize_clips(
        model,
        read_clips(config, "test", labels=MA52),
        config,
        labels=labels,
        views=config.data.views("test"),
        device=start_processes().device,
    )
    assert not answers.failures
    return answers.scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=2080, help="to train on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    work = arguments.work
    make_data(work, clips=arguments.clips)
    truth = read_clip_list(work / "data" / "annotations" / "ma52_test.txt", labels=MA52)
    largest = np.bincount([clip.label for clip in truth]).max() / len(truth)
    rows: list[dict[str, object]] = []

    def add(name: str, scores: RecognitionScores, seconds: float) -> None:
        report = evaluate_recognition(to_recognitions(scores), truth, labels=MA52)
        action, body = report.levels["action"], report.levels["body"]
        rows.append(
            {
                "row": name,
                "epochs": arguments.epochs,
                "seed": arguments.seed,
                "action_top1": round(100 * action.top1, 2),
                "times_largest_class": round(float(action.top1 / largest), 1),
                "body_top1": round(100 * body.top1, 2),
                "f1_mean": round(100 * report.f1_mean, 2),
                "seconds": round(seconds),
            }
        )
        print(rows[-1], flush=True)
        write_rows("recognition", rows)

    for name, changes in ROWS.items():
        config = settings_of(work, changes, epochs=arguments.epochs, seed=arguments.seed)
        add(name, *scores_of(work, name, config))
    base = next(iter(ROWS))
    for how in HIERARCHIES:
        file = work / "runs" / f"hierarchy_{how}.npz"
        if not file.is_file():
            run = work / "runs" / base.replace(" ", "_").replace(":", "").replace(",", "")
            changes = (f"inference.hierarchy={how}",)
            config = settings_of(work, changes, epochs=arguments.epochs, seed=arguments.seed)
            write_scores(file, recognize(run, config))
        add(f"hierarchy of the base: {how}", read_scores(file, labels=MA52), 0.0)


if __name__ == "__main__":
    main()
