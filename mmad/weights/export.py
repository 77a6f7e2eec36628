"""Weights in the form that other programs read: Hugging Face's names for VideoMAE."""

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmad.checkpoint import save_tensors
from mmad.files import write_text
from mmad.models.backbones.videomae.network import TUBELET_FRAMES, VideoMAE
from mmad.weights.naming import hugging_face_names


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
    tensors = hugging_face_names(backbone.state_dict()) | dict(others or {})
    save_tensors(folder / "model.safetensors", tensors)
    text = json.dumps(hugging_face_config(backbone), indent=2)
    write_text(folder / "config.json", text + "\n")
