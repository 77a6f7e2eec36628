"""Registry of detectors: the family of each name in the settings."""

from collections.abc import Mapping, Sequence

from torch import nn

from mmad.config.detectors.dense import DenseSettings
from mmad.config.detectors.union import DetectorSettings
from mmad.config.inference import InferenceSettings
from mmad.errors import ConfigError
from mmad.models.detectors.actionformer.build import FAMILY as ACTIONFORMER
from mmad.models.detectors.contract import Criterion, Decoder, Family
from mmad.models.detectors.dyfadet.build import FAMILY as DYFADET
from mmad.models.detectors.mstct.build import FAMILY as MSTCT
from mmad.models.detectors.pointtad.build import FAMILY as POINTTAD
from mmad.models.detectors.tadtr.build import FAMILY as TADTR
from mmad.models.detectors.temporalmaxer.build import FAMILY as TEMPORALMAXER
from mmad.models.detectors.tridet.build import FAMILY as TRIDET
from mmad.models.detectors.videomamba.build import FAMILY as VIDEOMAMBA
from mmad.models.layers.loss_normalizer import LossNormalizer

DETECTORS: Mapping[str, Family] = {
    "actionformer": ACTIONFORMER,
    "temporalmaxer": TEMPORALMAXER,
    "tridet": TRIDET,
    "videomamba": VIDEOMAMBA,
    "pointtad": POINTTAD,
    "tadtr": TADTR,
    "mstct": MSTCT,
    "dyfadet": DYFADET,
}


def build_network(
    settings: DetectorSettings,
    *,
    in_channels: int,
    num_classes: int,
    parents: Sequence[int] = (),
) -> nn.Module:
    """The temporal detector: features in, raw outputs out.

    Args:
        settings: Settings of the detector.
        in_channels: Channels of the features.
        num_classes: Number of classes.
        parents: Body part of each class, for ``body_head``; empty if they have none.

    Raises: ConfigError if ``body_head`` lacks them.
    """
    build = DETECTORS[settings.name].network
    if not isinstance(settings, DenseSettings) or not settings.body_head:
        return build(settings, in_channels, num_classes)
    if not parents:
        raise ConfigError(
            "detector.body_head=true needs labels with body parts, and these have none; set "
            "detector.body_head=false, or name labels that have them in data.labels"
        )
    return build(settings, in_channels, num_classes, parents)


def build_criterion(settings: DetectorSettings, *, num_classes: int) -> Criterion:
    """Targets and losses of the detector."""
    return DETECTORS[settings.name].criterion(settings, num_classes)


def build_decoder(settings: DetectorSettings, inference: InferenceSettings) -> Decoder:
    """The decoder of raw outputs to candidates."""
    return DETECTORS[settings.name].decoder(settings, inference)


def outputs_of(settings: DetectorSettings) -> type:
    """The type of the raw outputs of the detector."""
    return DETECTORS[settings.name].outputs


def build_normalizer(settings: DetectorSettings) -> LossNormalizer:
    """The running number of positives."""
    return LossNormalizer(initial=settings.normalizer, momentum=settings.normalizer_momentum)
