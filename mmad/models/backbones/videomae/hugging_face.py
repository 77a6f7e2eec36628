"""VideoMAE in the format of `transformers.VideoMAEModel`."""

from collections.abc import Mapping

from torch import Tensor

from mmad.errors import CheckpointError
from mmad.models.backbones.naming import Rules, rename
from mmad.models.backbones.plain_vit import PlainViT
from mmad.models.backbones.videomae.naming import HUGGING_FACE_PAIRS, rule

# Layer scale and cosine attention.
_NOT_IN_HUGGING_FACE = (".gamma_1", ".gamma_2", ".attn.scale")
_TO_HUGGING_FACE: Rules = tuple(rule(*pair) for pair in HUGGING_FACE_PAIRS)


def to_hugging_face(backbone: PlainViT) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Content of its config.json, and its tensors under the names of transformers.

    Raises: CheckpointError if the backbone has what that of transformers has not.
    """
    others = [name for name in backbone.state_dict() if name.endswith(_NOT_IN_HUGGING_FACE)]
    if others:
        raise CheckpointError(
            f"transformers' VideoMAE has no layer scale and no cosine attention, but this run has "
            f"{others[0]}; pass --trained-only for what was trained, in mmad's naming"
        )
    return hugging_face_config(backbone), hugging_face_names(backbone.state_dict())


def hugging_face_config(backbone: PlainViT) -> dict[str, object]:
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
        "num_frames": backbone.spec.clip_frames,
        "tubelet_size": backbone.spec.frames_per_step,
        "qkv_bias": "blocks.0.attn.q_bias" in backbone.state_dict(),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        # With it the model has no norm after its last layer, as here.
        "use_mean_pooling": backbone.norm is None,
    }


def hugging_face_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a backbone under the names of `transformers.VideoMAEModel`.

    Adapters, which that model does not have, are ``encoder.layer.N.adapter.*``.

    >>> list(hugging_face_names({"blocks.0.mlp.fc1.bias": Tensor()}))
    ['encoder.layer.0.intermediate.dense.bias']
    """
    split: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(".attn.qkv.weight"):
            for part, matrix in zip(("query", "key", "value"), value.chunk(3), strict=True):
                split[name.replace("qkv", part)] = matrix
        else:
            split[name] = value
    return {rename(name, _TO_HUGGING_FACE): value for name, value in split.items()}
