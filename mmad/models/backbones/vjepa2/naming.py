"""Tensor names of V-JEPA 2 in other projects.

Sources: the state dicts of transformers 5 and of facebookresearch/vjepa2.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from mmad.models.backbones.naming import Rules, WeightNaming, joined_attention

_LAYER = r"^encoder\.layer\.(\d+)\."
_HUGGING_FACE: Rules = (
    (r"^encoder\.embeddings\.patch_embeddings\.proj\.", "patches."),
    (r"^encoder\.layernorm\.", "norm."),
    (_LAYER + r"attention\.", r"blocks.\1.attn."),
    (_LAYER, r"blocks.\1."),
)


def _of_clips(patches: str) -> Callable[[Mapping[str, Tensor]], bool]:
    """Whether patches of that name are of clips, not of images, and there is no class token."""

    def fits(tensors: Mapping[str, Tensor]) -> bool:
        kernel = tensors.get(patches)
        has_class = "cls_token" in tensors or "class_token" in tensors
        return kernel is not None and kernel.ndim == 5 and not has_class

    return fits


_MARK = r"^blocks\.0\.attn\.qkv\.bias$"
NAMINGS = (
    WeightNaming("our own", mark=_MARK, condition=_of_clips("patches.weight")),
    WeightNaming(
        "hugging face",
        mark=r"^encoder\.embeddings\.patch_embeddings\.proj\.weight$",
        rules=_HUGGING_FACE,
        finish=joined_attention,
    ),
    WeightNaming(
        "official",
        mark=_MARK,
        rules=((r"^patch_embed\.proj\.", "patches."),),
        condition=_of_clips("patch_embed.proj.weight"),
    ),
)
# The predictor, and the attentive pooling of its fine-tuned classifiers.
OPTIONAL = ("predictor.", "pooler.")
