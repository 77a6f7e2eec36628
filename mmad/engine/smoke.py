"""Tiny versions of configs, to test in seconds whether they run."""

from pathlib import Path
from typing import Any

import torch

from mmad.annotations.clips.folds import ClipLists
from mmad.annotations.label_files import MA52_LABELS
from mmad.config.backbones.union import tiny_backbone
from mmad.config.base import changed
from mmad.config.data import FrameSettings
from mmad.config.emotion import EmotionConfig
from mmad.config.features import ExtractionSettings
from mmad.config.pretraining import PretrainingConfig
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun, FeatureRun, VideoRun
from mmad.engine.features.extraction import extract_to_file
from mmad.engine.features.plan import FeatureBackbone
from mmad.errors import OutputError
from mmad.files import replaced, replaced_folder, write_text
from mmad.labels import MA52
from mmad.models.backbones.families import build_backbone
from mmad.synthetic.dataset import FACE_BOXES, SynthesisSettings, synthesize
from mmad.video.faces.copies import face_videos
from mmad.video.faces.search import FaceSearch
from mmad.video.find import find_videos
from mmad.video.flow import flow_videos

# Of prediction: as in training.
_SAME_SIZES: dict[str, Any] = {"test_image_size": None, "test_short_side": None}


def smoke_config(config: AnyConfig, *, data: Path) -> AnyConfig:
    """The settings with two blocks, small images, no pre-training, one step of two videos.

    All kinds of modules stay. The videos, clips or features are the first of the config's own data;
    if missing, synthetic ones (features of a random backbone), written to the folder ``data``.
    """
    if isinstance(config, FeatureRun):
        places = _feature_places(config, data)
    elif isinstance(config, VideoRun):
        places = _video_places(config, data)
    elif isinstance(config, EmotionConfig):
        places = _emotion_places(config, data)
    elif isinstance(config, PretrainingConfig):
        places = _unlabelled_places(config, data)
    else:
        places = _clip_places(config, data)
        clips = Path(places.get("clips", config.data.clips))
        places |= _flow_place(config, clips, data)
    tiny = tiny_config(config)
    return tiny.model_copy(update={"data": tiny.data.model_copy(update=places)})


def tiny_config(config: AnyConfig) -> AnyConfig:
    """The settings of `smoke_config`, on the config's own data."""
    short: dict[str, Any] = {
        "start": None,
        "epochs": 1,
        "schedule": "cosine",  # one epoch has no milestones
        "milestones": [],
        "warmup_epochs": 0.0,
        "batch_videos": 2,
        "accumulate": 1,
        "loggers": [],
    }
    update: dict[str, Any] = {"training": config.training.model_copy(update=short)}
    few: dict[str, Any] = {"num_workers": 0}
    if isinstance(config, DetectionRun):
        update["detector"] = config.detector.tiny()
        few["max_videos"] = 2
    if isinstance(config, FeatureRun):
        few["window_steps"] = 64
    else:
        update["backbone"], few["image_size"] = config.backbone.tiny()
        if isinstance(config, VideoRun):
            few["window_frames"] = 4 * update["backbone"].clip_frames
        elif isinstance(config, EmotionConfig):
            update["network"] = config.network.tiny()
            few |= {"max_videos": 2, "face_size": None, **_SAME_SIZES}
        elif isinstance(config, PretrainingConfig):
            few |= {"max_videos": 3, "repeats": 1}
            update |= {"decoder": config.decoder.tiny(), "probe": None}
        else:
            update["heads"] = changed(config.heads.tiny(), flow_pretrained=None)
            few |= {"max_clips": 2, **_SAME_SIZES}
    update["data"] = config.data.model_copy(update=few)
    return config.model_copy(update=update)


def _video_places(config: DetectionRun, data: Path) -> dict[str, Any]:
    annotations = config.data.annotations
    paths = [annotations] if isinstance(annotations, str) else annotations
    if all(Path(path).exists() for path in paths):
        return {}
    draw_videos(data)
    return _drawn_videos(data)


def _drawn_videos(data: Path) -> dict[str, Any]:
    return {
        "annotations": str(data / "annotations" / "mma52.json"),
        "videos": str(data / "videos"),
        "extra_clips": [],
        "extra_videos": None,
        "train_subsets": ["train"],
        "val_subset": "val",
    }


def _unlabelled_places(config: PretrainingConfig, data: Path) -> dict[str, Any]:
    if all(Path(folder).is_dir() for folder in config.data.videos):
        return {}
    draw_videos(data)
    return {"videos": [str(data / "videos")], "val_videos": None}


def _feature_places(config: FeatureRun, data: Path) -> dict[str, Any]:
    places = _video_places(config, data)
    if Path(config.data.features).exists() and not places:
        return {}
    draw_videos(data)
    features = data.with_name(f"{data.name}_features.h5")
    if not features.exists():
        draw_features(data / "videos", features)
    places = _drawn_videos(data)
    for name in ("videos", "extra_videos"):
        places.pop(name)
    return {**places, "features": str(features), "grid": None, "weights_sha256": None}


def draw_features(videos: Path, out: Path) -> None:
    """Write features of videos by a tiny backbone with random weights; the file appears all at
    once.
    """
    backbone, side = tiny_backbone()
    torch.manual_seed(0)
    source = FeatureBackbone(
        build_backbone(backbone).eval(),
        backbone,
        FrameSettings(image_size=side, augmentation=None),
    )
    with replaced(out) as partial:
        extract_to_file(
            sorted(find_videos(videos).items()), source, ExtractionSettings(), out=partial
        )


def _clip_places(config: RecognitionConfig, data: Path) -> dict[str, Any]:
    lists = ClipLists.of(config.data.model_dump())
    if all(lists.is_there(path) for path in (*config.data.train, *config.data.val)):
        return {}
    draw_videos(data)
    labels = config.data.labels
    if labels != MA52_LABELS:  # theirs, too, without body parts
        labels = str(data / "labels.txt")
        write_text(labels, "".join(f"{name}\n" for name in MA52.names))
    return {
        "clips": str(data / "clips"),
        "labels": labels,
        "fold": None,
        "folds": None,
        **{
            subset: [str(data / "annotations" / f"ma52_{subset}.txt")]
            for subset in ("train", "val", "test")
        },
    }


def _flow_place(config: RecognitionConfig, clips: Path, data: Path) -> dict[str, Any]:
    """The folder of the clips' optical flow, which is computed if it is not there."""
    if config.data.flow is None or Path(config.data.flow).is_dir():
        return {}
    flow = data.with_name(f"{data.name}_flow")
    flow_videos(sorted(find_videos(clips).values()), flow, code=config.flow_code)
    return {"flow": str(flow)}


def _emotion_places(config: EmotionConfig, data: Path) -> dict[str, Any]:
    """Drawn videos with emotions and their face copies, unless all files of the run are there."""
    places = (*config.data.annotations, config.data.videos, config.data.faces)
    if all(Path(place).exists() for place in places if place is not None):
        return {}
    drawn, faces = data.with_name(f"{data.name}_emotions"), data.with_name(f"{data.name}_faces")
    draw_videos(drawn, emotions=True)
    face_videos(
        sorted(find_videos(drawn / "videos").values()),
        faces,
        boxes=drawn / FACE_BOXES,
        search=FaceSearch(size=64),
    )
    return {
        "annotations": [str(drawn / "annotations" / "emotions.csv")],
        "videos": str(drawn / "videos"),
        "faces": str(faces),
        "labels": MA52_LABELS,
        "train_subsets": ["train"],
        "val_subset": "val",
    }


def draw_videos(folder: Path, *, emotions: bool = False) -> None:
    """Write a few synthetic videos and clips to train and validate on; existing ones are kept.

    They appear all at once, so that several processes may do this at the same time.

    Args:
        folder: Folder to write.
        emotions: Give the videos emotions; there are no clips then.
    """
    if folder.exists():
        return
    settings = SynthesisSettings(
        train=2,
        val=1,
        test=0,
        clips=0 if emotions else 8,
        emotions=emotions,
        width=64,
        height=64,
        fps=15,
        min_seconds=2.0,
        max_seconds=3.0,
    )
    try:
        with replaced_folder(folder) as partial:
            synthesize(partial, settings)
    except OutputError:
        if not folder.exists():
            raise
