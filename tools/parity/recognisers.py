"""Recognition networks of mmaction2: features, logits, loss, gradients, statistics.

Everything is read from the file: sizes and options from its `config`, weights and inputs from its
tensors. A network that we do not have yet is told by `NotYetKnown`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from parity.c3d import C3D
from parity.common import Checks
from parity.i3d import I3D
from parity.manet import check_manet
from parity.plain_vits import INTERNVIDEO2, UMT
from parity.re2tal import RE2TAL_SLOWFAST, RE2TAL_SWIN
from parity.resnet2d import check_resnet2d
from parity.slowfast import SLOWFAST
from parity.timesformer import TIMESFORMER
from parity.uniformer import UNIFORMER
from parity.video_swin import check_video_swin


class NotYetKnown(Exception):  # noqa: N818
    """A file of a network that is not built yet."""


def check_recogniser(path: Path) -> Checks:
    """The checks of a file of any network.

    Raises: NotYetKnown, ValueError if it has options that ours has not.
    """
    data = torch.load(path, weights_only=True)
    if not isinstance(data, Mapping) or not {"kind", "config"} <= data.keys():
        raise ValueError("of no kind that is known")
    backbone, head = (data["config"].get(part, {}) for part in ("backbone", "cls_head"))
    names = backbone.get("type", data["kind"]), head.get("type")
    if names not in NETWORKS:
        raise NotYetKnown(f"{names[0]}{f' with {names[1]}' if names[1] else ''}")
    return NETWORKS[names](data)


# By the type of backbone, or the kind of file, and the type of head.
NETWORKS: Mapping[tuple[str, str | None], Callable[[Mapping[str, Any]], Checks]] = {
    ("ResNet3d", "I3DHead"): I3D.check,
    ("ResNet", "TSNHead"): check_resnet2d,
    ("ResNetTSM", "TSMHead"): check_resnet2d,
    ("ResNetTIN", "TSMHead"): check_resnet2d,
    ("ResNetTSM", "MANetHead"): check_manet,
    ("SwinTransformer3D", "I3DHead"): check_video_swin,
    ("UniFormer", "I3DHead"): UNIFORMER.check,
    ("ResNet3dSlowFast", "SlowFastHead"): SLOWFAST.check,
    ("TimeSformer", "TimeSformerHead"): TIMESFORMER.check,
    ("C3D", "I3DHead"): C3D.check,
    ("internvideo2", None): INTERNVIDEO2.check,
    ("internvideo2_ap", None): INTERNVIDEO2.check,
    ("umt", None): UMT.check,
    ("re2tal_swin", None): RE2TAL_SWIN.check,
    ("re2tal_slowfast", None): RE2TAL_SLOWFAST.check,
}
