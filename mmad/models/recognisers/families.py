"""Registry of recognisers: the family of each name in the settings."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap
from mmad.models.recognisers.auxiliary_heads.build import FAMILY as AUXILIARY_HEADS
from mmad.models.recognisers.contract import Criterion, RecogniserFamily
from mmad.models.recognisers.manet.build import FAMILY as MANET

RECOGNISERS: Mapping[str, RecogniserFamily] = {
    "auxiliary_heads": AUXILIARY_HEADS,
    "manet": MANET,
}


def build_heads(config: RecognitionConfig, *, width: int, labels: LabelMap) -> nn.Module:
    """The heads of a recogniser, for vectors of ``width`` channels."""
    return RECOGNISERS[config.heads.name].heads(config, width, labels)


def build_recognition_criterion(
    config: RecognitionConfig,
    *,
    labels: LabelMap,
    counts: Sequence[int],
    gather: Callable[[Tensor], Tensor],
) -> Criterion:
    """The losses of a recogniser; ``counts`` are the training clips of each action."""
    return RECOGNISERS[config.heads.name].criterion(config, labels, counts, gather)
