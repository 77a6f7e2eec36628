"""Any config made tiny, to see in seconds whether it runs."""

import os
import shutil
import tempfile
from pathlib import Path

from mmad.config.backbone import CustomSize
from mmad.config.run import RunConfig
from mmad.models.build import build_size
from mmad.synthetic.dataset import SynthesisSettings, synthesize


def smoke_config(config: RunConfig, *, data: Path) -> RunConfig:
    """The settings with two blocks, small pictures, no pre-training, one step of two videos.

    All kinds of modules stay. The videos are the first of the config's own data; if its
    annotations are not there, drawn ones, which are put into the folder ``data``.
    """
    backbone = config.backbone
    size = build_size(backbone)
    tiny = CustomSize(width=48, depth=2, num_heads=4, patch=size.patch)
    adapter = backbone.adapter
    if adapter.name != "none":
        adapter = adapter.model_copy(update={"blocks": "all"})
    places = {}
    annotations = config.data.annotations
    paths = [annotations] if isinstance(annotations, str) else annotations
    if not all(Path(path).exists() for path in paths):
        draw_videos(data)
        places = {
            "annotations": str(data / "annotations" / "mma52.json"),
            "videos": str(data / "videos"),
            "train_subsets": ["train"],
            "val_subset": "val",
        }
    few = {"max_videos": 2, "image_size": 4 * size.patch, "window_frames": 64, "num_workers": 0}
    short = {"start": None, "epochs": 1, "batch_videos": 2, "accumulate": 1, "warmup_epochs": 0.0}
    channels = 8 * config.detector.num_heads
    return config.model_copy(
        update={
            "backbone": backbone.model_copy(
                update={"size": tiny, "pretrained": None, "adapter": adapter}
            ),
            "detector": config.detector.model_copy(update={"channels": channels}),
            "data": config.data.model_copy(update=few | places),
            "training": config.training.model_copy(update=short),
        }
    )


def draw_videos(folder: Path) -> None:
    """Two training videos and one to validate on; what is there already is left alone.

    They appear all at once, so that several processes may do this at a time.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    settings = SynthesisSettings(
        train=2, val=1, test=0, width=64, height=64, fps=15, min_seconds=2.0, max_seconds=3.0
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
