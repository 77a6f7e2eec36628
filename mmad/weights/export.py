"""Weights in the form that other programs read: Hugging Face's names for VideoMAE."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmad.checkpoint import save_tensors
from mmad.models.videomae import TUBELET_FRAMES, VideoMAE

_RULES = (
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^blocks\.(\d+)\.norm1\.", r"encoder.layer.\1.layernorm_before."),
    (r"^blocks\.(\d+)\.norm2\.", r"encoder.layer.\1.layernorm_after."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layer.\1.attention.output.dense."),
    (r"^blocks\.(\d+)\.attn\.q_bias$", r"encoder.layer.\1.attention.attention.q_bias"),
    (r"^blocks\.(\d+)\.attn\.v_bias$", r"encoder.layer.\1.attention.attention.v_bias"),
    (r"^blocks\.(\d+)\.mlp\.fc1\.", r"encoder.layer.\1.intermediate.dense."),
    (r"^blocks\.(\d+)\.mlp\.fc2\.", r"encoder.layer.\1.output.dense."),
    (r"^blocks\.(\d+)\.adapter\.", r"encoder.layer.\1.adapter."),
    (r"^norm\.", "layernorm."),
)


def hugging_face_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a backbone under the names of `transformers.VideoMAEModel`.

    Adapters, which that model does not have, are ``encoder.layer.N.adapter.*``.

    >>> list(hugging_face_names({"blocks.0.mlp.fc1.bias": Tensor()}))
    ['encoder.layer.0.intermediate.dense.bias']
    """
    renamed = {}
    for name, value in tensors.items():
        if match := re.fullmatch(r"blocks\.(\d+)\.attn\.qkv\.weight", name):
            prefix = f"encoder.layer.{match[1]}.attention.attention"
            for part, matrix in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[f"{prefix}.{part}.weight"] = matrix
            continue
        for pattern, replacement in _RULES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def hugging_face_config(backbone: VideoMAE) -> dict[str, object]:
    """The ``config.json`` of a `transformers.VideoMAEModel` with the backbone's dimensions."""
    size = backbone.size
    return {
        "architectures": ["VideoMAEModel"],
        "model_type": "videomae",
        "hidden_size": size.width,
        "num_hidden_layers": size.depth,
        "num_attention_heads": size.num_heads,
        "intermediate_size": round(size.width * size.mlp_ratio),
        "image_size": backbone.position_side * size.patch,
        "patch_size": size.patch,
        "num_channels": 3,
        "num_frames": backbone.clip_frames,
        "tubelet_size": TUBELET_FRAMES,
        "qkv_bias": True,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        # With it the model has no norm after its last layer, as here.
        "use_mean_pooling": backbone.norm is None,
    }


def write_hugging_face(
    folder: str | Path, backbone: VideoMAE, *, others: Mapping[str, Tensor] | None = None
) -> None:
    """Write ``config.json`` and ``model.safetensors``; ``others`` (a head) keep their names."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = hugging_face_names(backbone.state_dict()) | dict(others or {})
    save_tensors(folder / "model.safetensors", tensors)
    text = json.dumps(hugging_face_config(backbone), indent=2)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
