"""Narrow backbones that begin with drawn people, and detectors that go on from there.

The one setting of the benchmarks that compare backbones, or rows of a paper, on synthetic data:
clips that every backbone first learns to recognise, so that none starts from random weights, and
videos of other people on which all are trained with equal images, rates and passes.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job, is_done, train_all, train_or_resume
from mmad.config.reading import parse_any_config
from mmad.config.run import AnyConfig
from mmad.engine.runs.folder import RunFolder

CLASSES = "A1,A5,B1,B2,B3,B4,B5,C4,C5,C7,C1,D3,D6,D8,D4,E5,F3,F1,G2,G4"
SIDE, FPS, CLIP = 64, 15, 16
# Of the detector: every second frame.
STEPS = CLIP // 2
IMAGES: dict[str, Any] = {
    **{"image_size": SIDE, "resize": "squash", "subtract_background": True},
    **{"num_workers": 0, "cache_gb": 2},
    "augmentation": {"crop_area": [0.8, 1.0], "crop_aspect": [0.9, 1.1], "brightness": 0, "hue": 0},
}
TRAINING: dict[str, Any] = {
    **{"warmup_epochs": 1, "weight_decay": 0.02, "clip_gradient": 5.0},
    **{"ema_decay": 0.9, "threads": 1},
}
PYRAMID: dict[str, Any] = {
    **{"channels": 64, "num_embedding": 2, "num_stem": 0, "num_branch": 4},
    "regression_ranges": [[0, 6], [4, 12], [8, 24], [16, 48], [32, 10000]],
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A backbone that is narrow enough for drawn people.

    Attributes:
        backbone: Its settings.
        steps: Steps that it has for a clip of `CLIP` frames.
        rate: Learning rate of the recogniser that it begins with.
        passes: How often that one sees the clips for each time that the others do.
        has_norms: Whether it has batch norms, whose statistics stay those of its start.
    """

    backbone: Mapping[str, Any]
    steps: int
    rate: float = 2e-3
    passes: int = 1
    has_norms: bool = False


def _videomae(width: int) -> Drawn:
    size = {"width": width, "depth": 4, "num_heads": 4}
    places = {"position_image_size": SIDE, "learned_positions": True}
    backbone = {"name": "videomae", "size": size, **places, "drop_path": 0.0}
    return Drawn(backbone=backbone, steps=8, rate=1e-3, passes=3)


def _swin(**changes: Any) -> Drawn:
    size = {"width": 24, "depths": [1, 1, 2, 1], "num_heads": [2, 4, 8, 16]}
    backbone = {"name": "video_swin", "size": size, "window": [8, 4, 4], "drop_path": 0.0}
    return Drawn(backbone={**backbone, **changes}, steps=8, rate=1e-3, passes=3)


def _slowfast(**changes: Any) -> Drawn:
    backbone = {"name": "slowfast", "depth": 18, "base_channels": 16}
    strides = {"slow_stride": 4, "speed_ratio": 4}
    return Drawn(backbone={**backbone, **strides, **changes}, steps=4, has_norms=True)


# About 0.12 G multiply-adds for a clip, but for the narrower VideoMAE.
BACKBONES: Mapping[str, Drawn] = {
    "VideoMAE": _videomae(112),
    "narrow VideoMAE": _videomae(72),
    "TSN": Drawn(
        backbone={"name": "resnet2d", "depth": 18, "base_channels": 13}, steps=16, has_norms=True
    ),
    "TSM": Drawn(
        backbone={"name": "resnet2d", "depth": 18, "base_channels": 13, "temporal": "shift"},
        steps=16,
        has_norms=True,
    ),
    "I3D": Drawn(
        backbone={"name": "i3d", "depth": 18, "base_channels": 14}, steps=2, has_norms=True
    ),
    "SlowFast": _slowfast(),
    "reversible SlowFast": _slowfast(reversible=True),
    "Video Swin": _swin(),
    "reversible Video Swin": _swin(reversible=True),
    "TimeSformer": Drawn(
        backbone={
            **{"name": "timesformer", "width": 76, "depth": 4, "num_heads": 4},
            **{"position_image_size": SIDE, "drop_path": 0.0},
        },
        steps=16,
        rate=1e-3,
        passes=3,
    ),
    "UniFormer": Drawn(
        backbone={
            "name": "uniformer",
            "size": {"widths": [24, 48, 96, 192], "depths": [1, 1, 2, 1], "head_width": 16},
            "drop_path": 0.0,
        },
        steps=8,
        rate=1e-3,
    ),
}


def make_data(work: Path, *, videos: int) -> None:
    """The clips and the videos below ``work``; existing ones are kept."""
    whole = ["--fps", str(FPS), "--width", str(SIDE), "--height", str(SIDE), "--workers", "2"]
    whole += ["--classes", CLASSES, "--class-weights", "uniform"]
    clips = ("--clips", "640", "--train", "0", "--val", "0", "--test", "0", "--seed", "7")
    others = ("--train", str(videos), "--val", "50", "--test", "0", "--seed", "0")
    for name, sizes in {"clips": clips, "videos": others}.items():
        command = [sys.executable, "-m", "mmad", "synthesize", str(work / name), *sizes, *whole]
        subprocess.run(command, check=True)


def videos_of(work: Path) -> dict[str, str]:
    """Where the annotations and videos are."""
    folder = work / "videos"
    annotations = str(folder / "annotations" / "mma52.json")
    return {"annotations": annotations, "videos": str(folder / "videos")}


def folder_name(title: str) -> str:
    """The title of a row as part of the name of a folder."""
    return title.lower().replace(" ", "_").replace(",", "")


def start_of(title: str, work: Path, epochs: int) -> RunFolder:
    """The run that a backbone begins with."""
    return RunFolder(work / "starts" / f"{folder_name(title)}_{epochs}")


def recogniser_of(title: str, work: Path, epochs: int) -> AnyConfig:
    """Settings of that run."""
    drawn = BACKBONES[title]
    lists = work / "clips" / "annotations"
    epochs *= drawn.passes
    content = {
        **{"task": "recognition", "seed": 0},
        "data": {
            "clips": str(work / "clips" / "clips"),
            "train": [str(lists / "ma52_train.txt")],
            "val": [str(lists / "ma52_val.txt"), str(lists / "ma52_test.txt")],
            **{"sampling": "dense", "val_clips": 2, "short_side": SIDE, **IMAGES},
        },
        "backbone": {**without_adapters(drawn), "clip_frames": CLIP, "freeze": False},
        "heads": {
            **{"classifier": "linear", "dropout": 0.2},
            **{"frame": False, "coarse": False, "frame_coarse": False},
        },
        "losses": {"f1": False},
        "training": {
            **{"epochs": epochs, "validate_from_epoch": epochs, "batch_videos": 8},
            **{"learning_rate": drawn.rate, "backbone_learning_rate": drawn.rate, **TRAINING},
        },
        "inference": {"batch_clips": 32},
    }
    return parse_any_config(content, source=title)


def without_adapters(drawn: Drawn) -> dict[str, Any]:
    """The settings of a backbone; those that may have adapters have none."""
    may_have = drawn.backbone["name"] == "videomae"
    return {**drawn.backbone, **({"adapter": {"name": "none"}} if may_have else {})}


def backbone_of(title: str, work: Path, start_epochs: int, **changes: Any) -> dict[str, Any]:
    """Settings of a backbone under a detector, with the weights of its start."""
    drawn = BACKBONES[title]
    started = start_of(title, work, start_epochs)
    norms = {"keep_statistics": True} if drawn.has_norms else {}
    return {
        **without_adapters(drawn),
        **{"clip_frames": CLIP, "freeze": False, "pretrained": str(started.path)},
        **norms,
        **changes,
    }


def detector_of(
    backbone: Mapping[str, Any],
    *,
    steps: int,
    work: Path,
    seed: int,
    epochs: int,
    detector: Mapping[str, Any] | None = None,
) -> AnyConfig:
    """Settings of an end-to-end detector, an ActionFormer unless another one is given.

    Args:
        backbone: As from `backbone_of`.
        steps: Steps that it has for a clip.
        work: Folder of the data.
        seed: Random seed.
        epochs: Passes over the videos.
        detector: Settings of the detector.
    """
    content = {
        **{"task": "detection", "seed": seed},
        "data": {**videos_of(work), "window_frames": 240, **IMAGES},
        **{"backbone": backbone, "upsampling": STEPS / steps},
        "detector": PYRAMID if detector is None else detector,
        "training": {
            **{"epochs": epochs, "validate_from_epoch": epochs, "batch_videos": 4},
            **{"learning_rate": 1e-3, "adapter_learning_rate": 1e-3},
            **{"backbone_learning_rate": 3e-4, **TRAINING},
        },
        "inference": {"max_candidates": 500, "batch_windows": 8},
    }
    return parse_any_config(content, source=str(backbone["name"]))


def train_starts(titles: Sequence[str], work: Path, *, epochs: int, at_once: int) -> None:
    """Train what backbones begin with, each in a process of its own; finished ones are kept."""
    jobs = [
        Job(f"the start of {title}", (("benchmarks.drawn", str(work), title, str(epochs)),))
        for title in titles
        if not is_done(start_of(title, work, epochs))
    ]
    train_all(jobs, at_once=at_once)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the start of a backbone.")
    parser.add_argument("work", type=Path)
    parser.add_argument("title", choices=list(BACKBONES))
    parser.add_argument("epochs", type=int)
    arguments = parser.parse_args()
    title, work, epochs = arguments.title, arguments.work, arguments.epochs
    train_or_resume(recogniser_of(title, work, epochs), start_of(title, work, epochs))


if __name__ == "__main__":
    main()
