"""Plan of an extraction: backbone, clips of a video, and manifest."""

from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch

from mmad import __version__
from mmad.checkpoint import hash_state
from mmad.config.backbones.union import BackboneSettings
from mmad.config.data import FrameSettings, ImageSettings
from mmad.config.features import ExtractionSettings
from mmad.data.features.blocks import ClipLayout
from mmad.data.features.manifest import FeatureManifest
from mmad.errors import FeatureError
from mmad.models.backbones.contract import Backbone


@dataclass(frozen=True, eq=False)
class FeatureBackbone:
    """A backbone ready to use, with what the manifest records of it.

    Attributes:
        backbone: Backbone in evaluation mode, on its device.
        settings: Settings that it was built from.
        data: How frames become images.
        weights_source: Source of its weights, for the manifest; None: they are random.
        seed: Random seed of what the weights lack.
        fps: Frame rate that the backbone was trained at; None if unknown.
    """

    backbone: Backbone
    settings: BackboneSettings
    data: FrameSettings
    weights_source: str | None = None
    seed: int = 0
    fps: float | None = None

    def __str__(self) -> str:
        weights = (
            "random weights" if self.weights_source is None else f"weights of {self.weights_source}"
        )
        words = [weights, *self.settings.summary()]
        return ", ".join(words)


def plan_clips(
    source: FeatureBackbone, settings: ExtractionSettings, *, block_clips: int
) -> ClipLayout:
    """Layout of the clips of a video.

    Raises: FeatureError if windows do not fit the backbone's clips, or there is no such block.
    """
    spec = source.backbone.spec
    clip, depth = spec.clip_frames, spec.num_blocks
    if settings.before_block is not None and settings.before_block >= depth:
        raise FeatureError(
            f"--before-block {settings.before_block}: the backbone has "
            + (f"blocks 0 to {depth - 1}" if depth else "no blocks to stop at")
        )
    if source.backbone.pools_with_norm and settings.spatial != "pooled":
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
    context = source.backbone.context_clips(stop_before=settings.before_block)
    if source.data.subtract_background:
        # As in end-to-end training, the background is that of the window.
        block_clips = max(source.data.window_frames // clip, 1)
    elif context:
        block_clips = max(block_clips, 2 * context)
    return ClipLayout(
        clip, clip, clip, spec.steps_per_clip, block_clips, is_dense=True, context=context
    )


def describe_features(
    source: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    layout: ClipLayout,
    precision: torch.dtype | None,
) -> FeatureManifest:
    """The manifest of what will be extracted."""
    data, spec = source.data, source.backbone.spec
    of_clips = settings.mode == "windows" and settings.before_block is None
    shape = [spec.vector_channels if of_clips else spec.channels]
    if settings.spatial == "tokens":
        shape = [*spec.grid_hw(data.image_hw), spec.channels]
    elif settings.spatial != "pooled":
        shape = [settings.spatial, settings.spatial, spec.channels]
    grid = layout.grid(frame_stride=data.frame_stride, fps=settings.fps)
    sampling: dict[str, Any] = {
        "sampling": data.sampling,
        "frame_stride": data.frame_stride,
        "fps_tolerance": data.fps_tolerance,
    }
    if data.sampling == "whole" or data.subtract_background:
        sampling["window_frames"] = data.window_frames
    images = {name: getattr(data, name) for name in ImageSettings.model_fields}
    return FeatureManifest(
        grid=None if data.sampling == "whole" else grid,
        step_shape=shape,
        extraction=settings,
        backbone=source.settings,
        weights_sha256=hash_state(source.backbone.state_dict()),
        base_sha256=hash_base(source.backbone),
        weights_seed=source.seed,
        weights_source=source.weights_source,
        pictures=ImageSettings(**{**images, "augmentation": None}),
        sampling=sampling,
        precision="float32" if precision is None else str(precision).removeprefix("torch."),
        versions={
            "mmad": __version__,
            **{name: metadata.version(name) for name in ("torch", "numpy", "av", "h5py")},
        },
    )


def hash_base(backbone: Backbone) -> str:
    """Hash of the weights of a backbone without its adapters."""
    adapters = {name for name, role in backbone.roles().items() if role.role == "adapter"}
    state = backbone.state_dict()
    return hash_state({name: value for name, value in state.items() if name not in adapters})
