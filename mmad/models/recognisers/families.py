"""Registry of recognisers: the family of each name in the settings."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap
from mmad.models.backbones.contract import BackboneSpec
from mmad.models.recognisers.auxiliary_heads.build import FAMILY as AUXILIARY_HEADS
from mmad.models.recognisers.contract import Criterion, RecogniserFamily, RecogniserHeads
from mmad.models.recognisers.manet.build import FAMILY as MANET
from mmad.models.recognisers.mlfe.build import FAMILY as MLFE

RECOGNISERS: Mapping[str, RecogniserFamily] = {
    "auxiliary_heads": AUXILIARY_HEADS,
    "manet": MANET,
    "mlfe": MLFE,
}


def build_heads(
    config: RecognitionConfig, *, spec: BackboneSpec, labels: LabelMap
) -> RecogniserHeads:
    """The heads of a recogniser, for the vectors and maps of ``spec``."""
    return RECOGNISERS[config.heads.name].heads(config, spec, labels)


def build_recognition_criterion(
    config: RecognitionConfig,
    *,
    labels: LabelMap,
    counts: Sequence[int],
    gather: Callable[[Tensor], Tensor],
) -> Criterion:
    """The losses of a recogniser; ``counts`` are the training clips of each action."""
    return RECOGNISERS[config.heads.name].criterion(config, labels, counts, gather)
