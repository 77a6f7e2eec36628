"""The network of VideoMAE and UMT from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.plain_vit import PlainViTSettings
from mmad.models.backbones.build_adapters import adapters_in, add_adapters
from mmad.models.backbones.plain_vit import PlainViT, ViTSize


def build_plain_vit(
    settings: PlainViTSettings, *, tubelet_frames: int, position_steps: int | None = None
) -> PlainViT:
    """The network with random weights, adapters, and parameters frozen as set."""
    backbone = PlainViT(
        ViTSize(**settings.dimensions.model_dump()),
        clip_frames=settings.clip_frames,
        tubelet_frames=tubelet_frames,
        position_image_size=settings.position_image_size,
        position_steps=position_steps,
        learned_positions=bool(settings.learned_positions),
        qkv_bias=settings.qkv_bias,
        cosine_attention=settings.cosine_attention,
        layer_scale=settings.layer_scale,
        drop_path_rate=settings.drop_path,
        # `auto` is settled only once weights are loaded; without any, it means what pre-training
        # does.
        final_norm=settings.final_norm in (True, "auto"),
        pooled_norm=settings.final_norm == "pooled",
        activation_checkpointing=settings.activation_checkpointing,
    )
    backbone.requires_grad_(not settings.freeze)
    if settings.learned_positions == "kept":
        backbone.pos_embed.requires_grad_(False)
    add_adapters(backbone, settings.adapter)
    backbone.use_tokens(settings.tokens)
    return backbone


def describe_blocks(tensors: Mapping[str, Tensor], *, patches: str = "patch_embed.proj") -> str:
    """Size of a transformer, from its tensors under our names.

    Args:
        tensors: Tensors by our names.
        patches: Name of the projection of patches.
    """
    kernel = tensors.get(f"{patches}.weight")
    if kernel is None or kernel.ndim != 5:
        return f"{len(tensors)} tensors, no patches of clips among them"
    blocks = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    return (
        f"width {kernel.shape[0]}, {len(blocks)} blocks, patches of {kernel.shape[-1]} pixels"
        + ("" if kernel.shape[2] == 2 else f" and {kernel.shape[2]} frame")
        + adapters_in(tensors)
    )
