"""A small list of videos with emotions, and a small set of such videos with faces."""

from pathlib import Path

from mmad.config.emotion import EmotionConfig
from mmad.config.reading import parse_any_config
from support.clips import write_clip
from support.synthetic_data import change

PRO = """video_id,subset,emotion,actions,subject,duration
a,train,joy,nodding;D3,s1,12.5
b,train,sadness,A1;48,s2,7
c,val,joy,B1,s3,60
d,val,joy,,s3,5
"""


def put(folder: Path, name: str, text: str) -> Path:
    """The file with this text, newly written."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


FELT = """video_id,subset,emotion,actions
a,train,joy,nodding;D3
b,train,sadness,A1;G1
c,train,joy,nodding
d,train,anger,G2
e,val,joy,B1;D3
f,val,anger,G2
"""
FRAMES = 20


def felt_set(folder: Path) -> Path:
    """A list of six videos of numbered frames, and face copies with the same numbers.

    Video b has no face, and that of e is away in its second half.
    """
    put(folder, "felt.csv", FELT)
    for part in ("videos", "faces"):
        (folder / part).mkdir()
        for name in "abcdef":
            write_clip(folder / part / f"{name}.mp4", num_frames=FRAMES, fps=10)
    seen = {"b": 0, "e": FRAMES // 2}
    for name in "abcdef":
        rows = [f"{name},{frame},10,10,20,20" for frame in range(seen.get(name, FRAMES))]
        text = "\n".join(["video_id,frame,x,y,w,h", *(rows or [f"{name},,,,,"])])
        put(folder / "faces", f"{name}.csv", text + "\n")
    return folder


def felt_content(folder: Path) -> dict:
    """Settings of a run on `felt_set` that takes a second."""
    return {
        "task": "emotion",
        "data": {
            "annotations": str(folder / "felt.csv"),
            "videos": str(folder / "videos"),
            "faces": str(folder / "faces"),
            "image_size": 32,
            "resize": "squash",
            "sampling": "segments",
            "val_clips": 1,
            "test_clips": 1,
            "num_workers": 0,
        },
        "backbone": {
            "name": "resnet2d",
            "depth": 18,
            "base_channels": 8,
            "temporal": "shift",
            "clip_frames": 4,
            "freeze": False,
        },
        "network": {"encoder_width": 16, "encoder_heads": 2, "encoder_hidden": 16},
        "training": {"epochs": 2, "batch_videos": 2, "warmup_epochs": 0, "threads": 1},
    }


def felt_config(folder: Path, **changes: object) -> EmotionConfig:
    """`felt_content` with changes such as ``network__branches="faces"``."""
    config = parse_any_config(change(felt_content(folder), changes), source="test")
    assert isinstance(config, EmotionConfig)
    return config
