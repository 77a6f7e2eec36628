"""Small stand-ins of the winner's rows (`winner_rows`), and the synthetic clips for them."""

import csv
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawn import CLASSES
from mmad.config.reading import find_config, parse_any_config, read_settings
from mmad.config.recognition import RecognitionConfig
from mmad.synthetic.motions import pose_at
from mmad.synthetic.render import Renderer
from mmad.synthetic.skeleton import solve
from mmad.synthetic.subjects import make_subject
from mmad.video.find import find_videos

SIDE = 96
NUM_CLIPS = 640
# Of each list: what two cores train all rows on in half an hour.
MAX_CLIPS = 320
# Of networks that start from random weights; the demo's backbone has 16 frames of SIDE pixels.
SMALL_SIDE, FRAMES = 64, 8

# The demo's backbone, which knows drawn people; deeper ones begin with its four blocks.
START = "demo_backbone.safetensors"
DEPTHS = {"base": 4, "large": 5, "huge": 6}
SWINS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {"width": 24, "depths": [1, 1, 2, 1], "num_heads": [2, 4, 8, 16]},
    "base": {"width": 32, "depths": [1, 1, 4, 1], "num_heads": [2, 4, 8, 16]},
    "large": {"width": 48, "depths": [1, 1, 4, 1], "num_heads": [3, 6, 12, 24]},
}
# Equal for all, in place of the published recipes.
DATA: Mapping[str, Any] = {
    **{"max_clips": MAX_CLIPS, "resize": "squash"},
    **{"val_clips": 1, "test_clips": 1, "num_workers": 0, "cache_gb": 2},
    "augmentation": {"crop_area": [0.8, 1.0], "crop_aspect": [0.9, 1.1], "brightness": 0, "hue": 0},
}
TRAINING: Mapping[str, Any] = {
    **{"batch_videos": 8, "warmup_epochs": 0.5, "weight_decay": 0.02, "clip_gradient": 5.0},
    **{"ema_decay": 0.9, "threads": 1},
}


def stand_in(path: str, *, data: Path, epochs: int) -> RecognitionConfig:
    """The row of a config with a small network, on synthetic clips: heads, losses, sampling,
    streams, crops and lists are its own.
    """
    shipped = read_settings(find_config(path))
    backbone, side = small_backbone(shipped["backbone"])
    size = {"image_size": side, "short_side": side}
    content = {
        **{"task": "recognition", "seed": 0},
        "data": {**places_of(shipped["data"], data), **size, **DATA},
        "backbone": backbone,
        "heads": {**shipped["heads"], "dropout": 0.2, "flow_pretrained": None},
        "losses": shipped["losses"],
        # Nothing is chosen by validation: the last weights are scored.
        "training": {
            **{"epochs": epochs, "validate_from_epoch": epochs, "learning_rate": 2e-3},
            **{"backbone_learning_rate": 5e-4 if backbone.get("pretrained") else 1e-3},
            **TRAINING,
        },
        "inference": {"batch_clips": 32},
    }
    config = parse_any_config(content, source=path)
    assert isinstance(config, RecognitionConfig)
    return config


def small_backbone(shipped: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """A small network of the same family, and the side of its images.

    What weights a row starts from is lost: all of a family and size start alike.
    """
    name, size = shipped["name"], shipped["size"]
    own: dict[str, Any] = {"name": name, "freeze": False, "drop_path": 0.0}
    if name == "videomae":
        depth = DEPTHS[size]
        own |= {"size": {"width": 96, "depth": depth, "num_heads": 4}, "final_norm": False}
        own |= {"position_image_size": SIDE, "learned_positions": True, "pretrained": START}
        new = [f"blocks.{block}.*" for block in range(DEPTHS["base"], depth)]
        return {**own, "pretrained_allow": new}, SIDE
    own["clip_frames"] = FRAMES
    if name == "video_swin":
        window = [2, 3, 3] if shipped["window"][0] < 16 else [4, 3, 3]
        return {**own, "size": SWINS[size], "window": window}, SMALL_SIDE
    own |= {key: shipped[key] for key in ("final_norm", "pooling") if key in shipped}
    return {**own, "size": {"width": 96, "depth": 4, "num_heads": 4}}, SMALL_SIDE


def places_of(shipped: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """Sampling, and the folders and lists of a row, in those of the synthetic clips."""
    kept = {key: shipped[key] for key in ("sampling", "flow_only", "mirror_flow") if key in shipped}
    folders = {
        key: str(data / Path(shipped[key]).name) for key in ("clips", "flow") if key in shipped
    }
    lists = {
        subset: [
            str(data / "annotations" / f"ma52_{Path(one).name.partition('_')[0]}.txt")
            for one in shipped[subset]
        ]
        for subset in ("train", "val", "test")
    }
    # The background of flow is no motion already.
    background = {"subtract_background": not shipped.get("flow_only", False)}
    return {**kept, **folders, **lists, **background}


def make_data(folder: Path) -> None:
    """The clips, crops around the person, and optical flow; existing ones are kept."""
    mmad = [sys.executable, "-m", "mmad"]
    sizes = ["--train", "0", "--val", "0", "--test", "0", "--clips", str(NUM_CLIPS), "--fps", "15"]
    sizes += ["--width", str(SIDE), "--height", str(SIDE), "--workers", "2"]
    sizes += ["--classes", CLASSES, "--class-weights", "uniform"]
    subprocess.run([*mmad, "synthesize", str(folder), *sizes], check=True)
    boxes = folder / "boxes.csv"
    write_boxes(boxes, folder)
    clips, workers = str(folder / "clips"), ["--workers", "2"]
    crop = ["data", "crop", clips, "--boxes", str(boxes), "--out", str(folder / "clips_cropped")]
    subprocess.run([*mmad, *crop, *workers], check=True)
    flow = ["data", "flow", clips, "--out", str(folder / "clips_flow")]
    subprocess.run([*mmad, *flow, *workers], check=True)


def write_boxes(path: Path, folder: Path) -> None:
    """A box around the resting person of each clip, as a person detector would find it."""
    with (folder / "subjects.csv").open(encoding="utf-8") as file:
        subject_of = {row["video_id"]: row["subject"] for row in csv.DictReader(file)}
    boxes = {subject: box_of(int(subject[1:])) for subject in set(subject_of.values())}
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["video_id", "frame", "left", "top", "right", "bottom", "score"])
        for name in sorted(find_videos(folder / "clips")):
            rows.writerow([name, 0, *boxes[subject_of[name]], 1.0])


def box_of(number: int) -> tuple[float, ...]:
    """Left, top, right and bottom, in pixels, of the joints of a resting person."""
    subject = make_subject(number)
    renderer = Renderer(subject, width=SIDE, height=SIDE, rng=np.random.default_rng(0))
    joints = solve(subject, pose_at(0.0, [], slouch=subject.slouch, idle=0.0))
    pairs = (joints.shoulders, joints.elbows, joints.wrists, joints.hips, joints.knees, joints.toes)
    crown = joints.head + joints.head_frame @ [0.0, subject.head[1], 0.0]
    spots = np.stack([crown, *(spot for pair in pairs for spot in pair)])
    pixels, *_ = renderer.project(spots)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return (*np.clip(low, 0, SIDE).tolist(), *np.clip(high, 0, SIDE).tolist())
