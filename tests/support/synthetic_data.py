"""A tiny data set of synthetic videos, made once for all tests of a session."""

from pathlib import Path

from mmad.config.reading import parse_any_config, parse_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import DetectionRun
from mmad.synthetic.dataset import SynthesisSettings, synthesize
from mmad.video.find import find_videos


def make_videos(folder: Path) -> Path:
    """Four short videos and 24 clips to train on, two and 6 to validate on."""
    settings = SynthesisSettings(
        train=4,
        val=2,
        test=0,
        clips=24,
        width=32,
        height=32,
        fps=15,
        min_seconds=2.0,
        max_seconds=4.0,
        seed=1,
    )
    synthesize(folder, settings)
    return folder


def files_of(videos: Path) -> list[tuple[str, Path]]:
    return sorted(find_videos(videos / "videos").items())


def tiny_content(folder: Path) -> dict:
    """Settings of a run on `make_videos` that takes a second or two."""
    return {
        "data": {
            "annotations": str(folder / "annotations" / "mma52.json"),
            "videos": str(folder / "videos"),
            "window_frames": 64,
            "image_size": 32,
            "resize": "squash",
            "num_workers": 0,
        },
        "backbone": {
            "size": {"width": 16, "depth": 2, "num_heads": 2},
            "position_image_size": 32,
            "adapter": {"name": "dsta"},
            "drop_path": 0.1,
        },
        "upsampling": 1,
        "detector": {
            "channels": 16,
            "num_embedding": 1,
            "num_branch": 2,
            "num_heads": 2,
            "regression_ranges": [[0, 4], [4, 8], [8, 10000]],
        },
        "training": {"epochs": 3, "batch_videos": 2, "warmup_epochs": 1, "threads": 1},
    }


def tiny_clip_content(folder: Path) -> dict:
    """Settings of a recognition run on the clips of `make_videos`."""
    lists = folder / "annotations"
    return {
        "task": "recognition",
        "data": {
            "clips": str(folder / "clips"),
            "train": [str(lists / "ma52_train.txt")],
            "val": [str(lists / "ma52_val.txt")],
            "image_size": 32,
            "resize": "squash",
            "num_workers": 0,
        },
        "backbone": tiny_content(folder)["backbone"],
        "heads": {"squeeze": 4},
        "training": {"epochs": 2, "batch_videos": 8, "warmup_epochs": 1, "threads": 1},
    }


def tiny_config(folder: Path, **changes: object) -> DetectionRun:
    """`tiny_content` with changes such as ``training__epochs=1``."""
    return parse_config(change(tiny_content(folder), changes), source="test")


def tiny_clip_config(folder: Path, **changes: object) -> RecognitionConfig:
    """`tiny_clip_content` with changes such as ``heads__frame=False``."""
    config = parse_any_config(change(tiny_clip_content(folder), changes), source="test")
    assert isinstance(config, RecognitionConfig)
    return config


def change(content: dict, changes: dict[str, object]) -> dict:
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return content


def own_labels(folder: Path, out: Path) -> tuple[Path, Path]:
    """A label file of three classes that counts from 1, and a CSV of the training clips of
    `make_videos` with label, subject and fold.
    """
    names = sorted(path.name for path in (folder / "clips").iterdir())
    labels, clips = out / "classInd.txt", out / "clips.csv"
    labels.write_text("1 calm\n2 tense\n3 glad\n")
    rows = [
        f"{name},{1 + place % 3},s{place // 5},{1 + place % 2}" for place, name in enumerate(names)
    ]
    clips.write_text("\n".join(["clip,label,subject,fold", *rows]) + "\n")
    return labels, clips
