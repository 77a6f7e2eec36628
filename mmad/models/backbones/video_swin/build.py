"""Video Swin with its adapters, from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.video_swin import VideoSwinSettings
from mmad.models.backbones.build_adapters import adapters_in, add_adapters
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.video_swin.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.video_swin.network import VideoSwin


def _build(settings: VideoSwinSettings) -> VideoSwin:
    """The network with random weights."""
    size = settings.dimensions
    backbone = VideoSwin(
        width=size.width,
        depths=size.depths,
        num_heads=size.num_heads,
        clip_frames=settings.clip_frames,
        patch=settings.patch,
        window=settings.window,
        mlp_ratio=settings.mlp_ratio,
        qkv_bias=settings.qkv_bias,
        patch_norm=settings.patch_norm,
        drop_path_rate=settings.drop_path,
        reversible=settings.reversible,
        activations=settings.activations,
    )
    backbone.requires_grad_(not settings.freeze)
    add_adapters(backbone, settings.adapter)
    return backbone


def _describe(tensors: Mapping[str, Tensor]) -> str:
    patches = tensors["patches.proj.weight"]
    blocks = {tuple(name.split(".")[1:4]) for name in tensors if ".blocks." in name}
    kind = "of images, to be inflated" if patches.ndim == 4 else "of videos"
    return f"width {patches.shape[0]}, {len(blocks)} blocks, {kind}{adapters_in(tensors)}"


FAMILY = BackboneFamily("Video Swin", _build, NAMINGS, OPTIONAL, _describe)
