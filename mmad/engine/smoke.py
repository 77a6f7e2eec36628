"""Any config made tiny, to see in seconds whether it runs."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mmad.config.backbone import CustomSize
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, RunConfig
from mmad.models.build import build_size
from mmad.synthetic.dataset import SynthesisSettings, synthesize


def smoke_config(config: AnyConfig, *, data: Path) -> AnyConfig:
    """The settings with two blocks, small pictures, no pre-training, one step of two videos.

    All kinds of modules stay. The videos or clips are the first of the config's own data; if its
    annotations are not there, drawn ones, which are put into the folder ``data``.
    """
    backbone = config.backbone
    size = build_size(backbone)
    tiny = CustomSize(width=48, depth=2, num_heads=4, patch=size.patch)
    adapter = backbone.adapter
    if adapter.name != "none":
        adapter = adapter.model_copy(update={"blocks": "all"})
    small = backbone.model_copy(update={"size": tiny, "pretrained": None, "adapter": adapter})
    short = {"start": None, "epochs": 1, "batch_videos": 2, "accumulate": 1, "warmup_epochs": 0.0}
    update: dict[str, Any] = {
        "backbone": small,
        "training": config.training.model_copy(update=short),
    }
    few: dict[str, Any] = {"image_size": 4 * size.patch, "num_workers": 0}
    if isinstance(config, RunConfig):
        update["detector"] = config.detector.tiny()
        few |= {"max_videos": 2, "window_frames": 64} | _video_places(config, data)
    else:
        few |= {"max_clips": 2} | _clip_places(config, data)
    update["data"] = config.data.model_copy(update=few)
    return config.model_copy(update=update)


def _video_places(config: RunConfig, data: Path) -> dict[str, Any]:
    annotations = config.data.annotations
    paths = [annotations] if isinstance(annotations, str) else annotations
    if all(Path(path).exists() for path in paths):
        return {}
    draw_videos(data)
    return {
        "annotations": str(data / "annotations" / "mma52.json"),
        "videos": str(data / "videos"),
        "train_subsets": ["train"],
        "val_subset": "val",
    }


def _clip_places(config: RecognitionConfig, data: Path) -> dict[str, Any]:
    if all(Path(path).exists() for path in (*config.data.train, *config.data.val)):
        return {}
    draw_videos(data)
    return {
        "clips": str(data / "clips"),
        **{
            subset: [str(data / "annotations" / f"ma52_{subset}.txt")]
            for subset in ("train", "val", "test")
        },
    }


def draw_videos(folder: Path) -> None:
    """A few training videos and clips, and some to validate on; what is there is left alone.

    They appear all at once, so that several processes may do this at a time.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    settings = SynthesisSettings(
        train=2,
        val=1,
        test=0,
        clips=8,
        width=64,
        height=64,
        fps=15,
        min_seconds=2.0,
        max_seconds=3.0,
    )
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        synthesize(partial, settings)
        os.replace(partial, folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
