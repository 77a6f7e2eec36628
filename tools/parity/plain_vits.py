"""InternVideo2 and UMT, whose files have the outputs of whole networks and their gradients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.config.backbones.internvideo2 import InternVideo2Settings
from mmad.config.backbones.umt import UMTSettings
from mmad.config.backbones.union import BackboneSettings
from mmad.config.backbones.vit import CustomSize
from mmad.models.backbones.contract import Backbone, ClipTokens
from mmad.models.backbones.families import build_backbone
from mmad.weights.load import LoadReport, fill_backbone
from mmad.weights.naming import backbone_names
from parity.common import Check, Checks, as_file, largest
from parity.networks import (
    FEATURES,
    LOGITS,
    LOSS,
    check_gradients,
    check_options,
    normalised,
    outputs_of,
)

# Options that decide no number once weights are loaded and nothing is dropped.
_IDLE = {
    *("num_classes", "init_scale", "drop_path_rate", "head_drop_path_rate", "fc_drop_rate"),
    *("drop_rate", "attn_drop_rate", "use_checkpoint", "checkpoint_num"),
    *("layerscale_no_force_fp32", "fused_mlp_heuristic"),
}
# UMT's table is of 14 x 14 patches, whatever the patch, except that of 14 pixels.
_USUAL_SIDES, _SIDE_OF_14 = 14, 16
_TABLE_STEPS = 8


def _size(config: Mapping[str, Any], patch: int) -> CustomSize:
    return CustomSize(
        width=config.get("embed_dim", 768),
        depth=config.get("depth", 12),
        num_heads=config.get("num_heads", 12),
        patch=config.get("patch_size", patch),
        mlp_ratio=config.get("mlp_ratio", 4.0),
    )


def settings_of_internvideo2(data: Mapping[str, Any]) -> InternVideo2Settings:
    """Its own code's InternVideo2 as our settings."""
    config = {"embed_dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 4.3637}
    config |= data["config"]
    known = {
        *("embed_dim", "depth", "num_heads", "mlp_ratio", "patch_size", "img_size", "qkv_bias"),
        *("init_values", "qk_normalization", "attn_pool_num_heads", "clip_embed_dim"),
        *("num_frames", "tubelet_size", "sep_pos_embed", "use_fused_mlp"),
        *("use_flash_attn", "use_fused_rmsnorm"),
    }
    check_options("InternVideo2", config, known, {"in_chans": 3}, _IDLE)
    has_mlp = any(name.startswith("extra_mlp.") for name in data["state_dict"])
    return InternVideo2Settings(
        size=_size(config, patch=14),
        clip_frames=config.get("num_frames", 8),
        tubelet_frames=config.get("tubelet_size", 1),
        position_image_size=config.get("img_size", 224),
        separate_positions=config.get("sep_pos_embed", False),
        pooling="attention_mlp" if has_mlp else "attention",
        pooled_channels=config.get("clip_embed_dim", 768),
        pool_heads=config.get("attn_pool_num_heads", 16),
        approximate_gelu=config.get("use_fused_mlp", True),
        qkv_bias=config.get("qkv_bias", False),
        qk_norm=config.get("qk_normalization", True),
        layer_scale=config.get("init_values", 1e-5) or None,
        drop_path=0,
        freeze=False,
    )


def settings_of_umt(data: Mapping[str, Any]) -> UMTSettings:
    """Its own code's transformer as our settings."""
    config = data["config"]
    known = {
        *("embed_dim", "depth", "num_heads", "mlp_ratio", "patch_size", "img_size", "qkv_bias"),
        *("init_values", "use_learnable_pos_emb", "all_frames", "tubelet_size"),
        "use_mean_pooling",
    }
    check_options("UMT", config, known, {"in_chans": 3, "qk_scale": None}, _IDLE)
    size = _size(config, patch=16)
    learned = config.get("use_learnable_pos_emb", False)
    side = _SIDE_OF_14 if size.patch == 14 else _USUAL_SIDES
    return UMTSettings(
        size=size,
        clip_frames=config.get("all_frames", 16),
        tubelet_frames=config.get("tubelet_size", 2),
        position_image_size=config.get("img_size", 224) if learned else side * size.patch,
        position_steps=None if learned else _TABLE_STEPS,
        # Its code never trains a table.
        learned_positions="kept" if learned else False,
        qkv_bias=config.get("qkv_bias", False),
        layer_scale=config.get("init_values", 0.0) or None,
        final_norm="pooled" if config.get("use_mean_pooling", True) else True,
        drop_path=0,
        freeze=False,
    )


@dataclass(frozen=True)
class PlainViTNetwork:
    """How a network is computed by ours.

    Attributes:
        settings: Our settings for the content of a file; raises ValueError if its config has
            options that ours has not.
        patches: Our module that makes tokens of patches.
        pooled: The module whose output is the vector of a clip before its norm, if there is one.
        vector: The vector of a clip that goes to the classifier.
    """

    settings: Callable[[Mapping[str, Any]], BackboneSettings]
    patches: Callable[[Any], nn.Module]
    pooled: Callable[[Any], nn.Module | None]
    vector: Callable[[Any, ClipTokens], Tensor]

    def check(self, data: Mapping[str, Any]) -> Checks:
        """The checks of a file's content."""
        backbone = build_backbone(self.settings(data)).eval()
        weights = {name: value.float() for name, value in data["state_dict"].items()}
        report = fill_backbone(backbone, as_file(weights))
        yield from _audit(backbone, report, len(weights))
        head = {
            f"head.{part}": nn.Parameter(weights[f"head.{part}"]) for part in ("weight", "bias")
        }
        with torch.no_grad():
            yield from self._check_evaluation(backbone, head, data)
        backbone.train()
        images = normalised(data, data["frames"]).requires_grad_()
        logits = self._logits(backbone, head, images)
        loss = functional.cross_entropy(logits, data["train_labels"])
        gap = largest(loss, data["train_loss"], relative=True)
        yield Check("training: loss, relative", gap, LOSS)
        loss.backward()
        assert images.grad is not None
        found = backbone_names(weights, {"": backbone.family})
        assert found is not None
        ours = {found.origins[name][0]: value for name, value in backbone.named_parameters()}
        yield from check_gradients({**ours, **head}, images.grad, data)

    def _logits(self, backbone: Backbone, head: Mapping[str, Tensor], images: Tensor) -> Tensor:
        out = backbone(images, torch.arange(len(images)))
        vector = self.vector(backbone, out)
        return functional.linear(vector, head["head.weight"], head["head.bias"])

    def _check_evaluation(
        self, backbone: Any, head: Mapping[str, Tensor], data: Mapping[str, Any]
    ) -> Checks:
        modules = {"patch_tokens": self.patches(backbone), "tokens": backbone.blocks[-1]}
        modules |= {f"block_{n}": block for n, block in enumerate(backbone.blocks)}
        modules |= {f"block_{n}_attn": block.attn for n, block in enumerate(backbone.blocks)}
        pooled = self.pooled(backbone)
        if pooled is not None:
            modules["pooled"] = pooled
        images = normalised(data, data["frames"])
        with outputs_of(modules) as found:
            out = backbone(images, torch.arange(len(images)))
        found["pooled_normed"] = self.vector(backbone, out)
        found["patch_tokens"] = rearrange(found["patch_tokens"], "n d t h w -> n t (h w) d")
        if "patch_tokens" in data and data["patch_tokens"].ndim == 3:
            found["patch_tokens"] = found["patch_tokens"].flatten(1, 2)
        for name, ours in found.items():
            if name in data:
                gap = largest(ours, data[name], relative=True)
                yield Check(f"{name}, of its maximum", gap, FEATURES)
        table = data.get("sincos_pos_embed")
        if table is not None:
            fresh = build_backbone(self.settings(data))
            gap = largest(fresh.positions(out.grid_hw), table)
            yield Check("position table at the start", gap, FEATURES)
        logits = self._logits(backbone, head, images)
        yield Check("logits", largest(logits, data["logits"]), LOGITS)


def _audit(backbone: Backbone, report: LoadReport, num_tensors: int) -> Checks:
    read = (*report.matched, *report.renamed, *report.reshaped)
    amiss = len(report.missing) + len(report.unexpected)
    lost = num_tensors - len(read) - len(report.ignored)
    yield Check(f"weights: {len(read)} tensors read, amiss", float(amiss + lost), 0)
    left = len(backbone.state_dict()) - len(read)
    yield Check("weights: tensors of the backbone not read", float(left), 0)


def _vector_of_umt(backbone: Any, out: ClipTokens) -> Tensor:
    # Without the norm of pooled vectors its code takes the first token, a patch, normed.
    return out.tokens_NTSC[:, 0, 0] if backbone.fc_norm is None else backbone.pool_clips(out)


INTERNVIDEO2 = PlainViTNetwork(
    settings_of_internvideo2,
    patches=lambda backbone: backbone.patches,
    # With an MLP behind it, the norm's input is not the output of a module.
    pooled=lambda backbone: backbone.pool.proj if backbone.pool.mlp is None else None,
    vector=lambda backbone, out: out.clip_NC,
)
UMT = PlainViTNetwork(
    settings_of_umt,
    patches=lambda backbone: backbone.patch_embed,
    pooled=lambda backbone: None,
    vector=_vector_of_umt,
)
