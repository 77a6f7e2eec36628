"""What will be extracted: of which backbone, which clips of a video, and under which manifest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from mmad import __version__
from mmad.checkpoint import hash_state
from mmad.config.backbones.videomae import BackboneSettings
from mmad.config.data import DataSettings, PictureSettings
from mmad.config.features import ExtractionSettings
from mmad.data.features.blocks import ClipLayout
from mmad.data.features.manifest import FeatureManifest
from mmad.errors import FeatureError
from mmad.models.backbones.videomae.network import VideoMAE

# Adapters without a temporal convolution: a clip's features are its own.
_CLIP_WISE = ("none", "standard")


@dataclass(frozen=True, eq=False)
class FeatureBackbone:
    """A backbone as it is used, and what is to be kept of it.

    Attributes:
        backbone: in evaluation mode, on its device.
        settings: that it was built with.
        data: how frames become pictures.
        weights_source: where its weights were read, for the manifest.
        seed: of what the weights lack.
        fps: rate that the backbone was trained at; None if that is not known.
    """

    backbone: VideoMAE
    settings: BackboneSettings
    data: DataSettings
    weights_source: str
    seed: int = 0
    fps: float | None = None

    def __str__(self) -> str:
        adapters = sum(block.adapter is not None for block in self.backbone.blocks)
        return (
            f"weights of {self.weights_source}, {adapters} adapters ({self.settings.adapter.name})"
        )


def plan_clips(
    source: FeatureBackbone, settings: ExtractionSettings, *, block_clips: int
) -> ClipLayout:
    """Which clips are cut from a video.

    Raises: FeatureError if windows do not fit the backbone's clips, or a block is asked for that is
        not there.
    """
    clip, depth = source.backbone.clip_frames, len(source.backbone.blocks)
    if settings.before_block is not None and settings.before_block >= depth:
        raise FeatureError(
            f"--before-block {settings.before_block}: the backbone has blocks 0 to {depth - 1}"
        )
    if source.backbone.fc_norm is not None and settings.spatial != "pooled":
        raise FeatureError(
            f"--spatial {settings.spatial}: backbone.final_norm=pooled norms pooled vectors only; "
            "extract pooled features, or pass --norm none"
        )
    if settings.mode == "windows":
        assert settings.window is not None
        assert settings.stride is not None
        if settings.window % clip:
            raise FeatureError(
                f"--window {settings.window}: the backbone sees clips of {clip} frames, so a "
                f"window is a multiple of {clip} (of {2 * clip}, every second frame is shown)"
            )
        return ClipLayout(clip, settings.window, settings.stride, 1, block_clips, is_dense=False)
    context = _temporal_reach(source, settings)
    if source.data.subtract_background:
        # The background is that of a window, as end to end.
        block_clips = max(source.data.window_frames // clip, 1)
    elif context:
        block_clips = max(block_clips, 2 * context)
    tubelets = source.backbone.clip_tubelets
    return ClipLayout(clip, clip, clip, tubelets, block_clips, is_dense=True, context=context)


def _temporal_reach(source: FeatureBackbone, settings: ExtractionSettings) -> int:
    """Clips on either side that a clip's features depend on: each temporal adapter adds those that
    half of its kernel reaches.
    """
    adapter = source.settings.adapter
    if adapter.name in _CLIP_WISE:
        return 0
    half = getattr(adapter, "temporal_kernel", 3) // 2
    clips = math.ceil(half / source.backbone.clip_tubelets)
    blocks = source.backbone.blocks[: settings.before_block]
    return clips * sum(block.adapter is not None for block in blocks)


def describe_features(
    source: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    layout: ClipLayout,
    precision: torch.dtype | None,
) -> FeatureManifest:
    """The manifest of what will be extracted."""
    data, width = source.data, source.backbone.size.width
    side = data.image_size // source.backbone.size.patch
    if settings.spatial == "pooled":
        shape = [width]
    else:
        cells = side if settings.spatial == "tokens" else settings.spatial
        shape = [cells, cells, width]
    grid = layout.grid(frame_stride=data.frame_stride, fps=settings.fps)
    sampling: dict[str, Any] = {
        "sampling": data.sampling,
        "frame_stride": data.frame_stride,
        "fps_tolerance": data.fps_tolerance,
    }
    if data.sampling == "whole" or data.subtract_background:
        sampling["window_frames"] = data.window_frames
    pictures = {name: getattr(data, name) for name in PictureSettings.model_fields}
    return FeatureManifest(
        grid=None if data.sampling == "whole" else grid,
        step_shape=shape,
        extraction=settings,
        backbone=source.settings,
        weights_sha256=hash_state(source.backbone.state_dict()),
        base_sha256=hash_base(source.backbone.state_dict()),
        weights_seed=source.seed,
        weights_source=source.weights_source,
        pictures=PictureSettings(**{**pictures, "augmentation": None}),
        sampling=sampling,
        precision="float32" if precision is None else str(precision).removeprefix("torch."),
        versions={
            "mmad": __version__,
            **{name: metadata.version(name) for name in ("torch", "numpy", "av", "h5py")},
        },
    )


def hash_base(state: Mapping[str, Tensor]) -> str:
    """Hash of the weights of a backbone without its adapters."""
    return hash_state({name: value for name, value in state.items() if ".adapter." not in name})
