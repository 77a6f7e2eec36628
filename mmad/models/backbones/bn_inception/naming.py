"""Tensor names of BN-Inception in other projects.

Sources: Cadene/pretrained-models.pytorch (pretrainedmodels/models/bninception.py; its older files
call the classifier "fc"), and mit-han-lab/temporal-shift-module and yjxiong/tsn-pytorch, which hold
the same network as ``base_model``. All of them take images from blue to red, ours from red to blue.
The first files, made for tf_model_zoo, hold the tensors of norms with a dimension of 1 before
their own.
"""

from collections.abc import Sequence
from dataclasses import replace

from mmad.models.backbones.naming import Renamed, WeightNaming
from mmad.models.backbones.resnet_naming import COUNTS

_BRANCHES = {
    "1x1": "one",
    "3x3_reduce": "three.0",
    "3x3": "three.1",
    "double_3x3_reduce": "five.0",
    "double_3x3_1": "five.1",
    "double_3x3_2": "five.2",
    "pool_proj": "pool",
}
_LAYERS = {
    "conv1_7x7_s2": "stem",
    "conv2_3x3_reduce": "second.0",
    "conv2_3x3": "second.1",
    **{rf"inception_(\d\w)_{theirs}": rf"units.\1.{ours}" for theirs, ours in _BRANCHES.items()},
}
_CLASSIFIERS = ("fc.", "last_linear.", "new_fc.")


def _from_red_to_blue(found: Renamed) -> Renamed:
    tensors = {
        name: value.squeeze(0) if ".norm." in name and value.ndim == 2 else value
        for name, value in found.tensors.items()
    }
    kernel = tensors.get("stem.conv.weight")
    if kernel is not None and kernel.shape[1] == 3:
        tensors["stem.conv.weight"] = kernel.flip(1)
    return replace(found, tensors=tensors)


NAMINGS: Sequence[WeightNaming] = (
    WeightNaming("our own", mark=r"^units\.3a\.one\.conv\.weight$"),
    WeightNaming(
        "Caffe",
        mark=r"^(base_model\.)?inception_3a_1x1\.weight$",
        rules=(
            (r"^base_model\.", ""),
            (r"^(.*)\.num_batches_tracked$", rf"{COUNTS}\1"),
            *((rf"^{theirs}\.", f"{ours}.conv.") for theirs, ours in _LAYERS.items()),
            *((rf"^{theirs}_bn\.", f"{ours}.norm.") for theirs, ours in _LAYERS.items()),
        ),
        finish=_from_red_to_blue,
    ),
)

OPTIONAL = (COUNTS, *_CLASSIFIERS)
