"""From the settings of a detector to its network, criterion and decoder: a line for each family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from mmad.config.detectors import (
    ActionFormerSettings,
    DenseSettings,
    DetectorSettings,
    TemporalMaxerSettings,
)
from mmad.config.inference import InferenceSettings
from mmad.models.actionformer import TransformerBlock
from mmad.models.dense import DenseCriterion, DenseDecoder, DenseDetector
from mmad.models.detector import Criterion, Decoder
from mmad.models.losses import LossNormalizer
from mmad.models.pyramid import Pyramid
from mmad.models.simota import SimOTA
from mmad.models.targets import CentreSampling
from mmad.models.temporalmaxer import MaxPoolBlock


@dataclass(frozen=True)
class Family:
    """How the three objects of a detector are made of its settings.

    Attributes:
        network: from settings, channels of the features and number of classes.
        criterion: from settings and number of classes.
        decoder: from settings and those of inference.
    """

    network: Callable[[Any, int, int], nn.Module]
    criterion: Callable[[Any, int], Criterion]
    decoder: Callable[[Any, InferenceSettings], Decoder]


def build_network(settings: DetectorSettings, *, in_channels: int, num_classes: int) -> nn.Module:
    """The temporal detector: features in, raw outputs out."""
    return FAMILIES[settings.name].network(settings, in_channels, num_classes)


def build_criterion(settings: DetectorSettings, *, num_classes: int) -> Criterion:
    """Targets and losses."""
    return FAMILIES[settings.name].criterion(settings, num_classes)


def build_decoder(settings: DetectorSettings, inference: InferenceSettings) -> Decoder:
    """Raw outputs to candidates."""
    return FAMILIES[settings.name].decoder(settings, inference)


def build_normalizer(settings: DetectorSettings) -> LossNormalizer:
    """Running number of positives."""
    return LossNormalizer(initial=settings.normalizer, momentum=settings.normalizer_momentum)


def _pyramid(
    settings: DenseSettings, in_channels: int, block: Callable[[int], nn.Module]
) -> Pyramid:
    """The pyramid of blocks that are made for a stride."""
    return Pyramid(
        in_channels,
        channels=settings.channels,
        num_embedding=settings.num_embedding,
        stem=[block(1) for _ in range(settings.num_stem)],
        branch=[block(2) for _ in range(settings.num_branch)],
        absolute_positions=settings.absolute_positions,
        norm_eps=settings.norm_eps,
        mask_after_norm=settings.mask_after_norm,
        mask_levels=settings.mask_levels,
    )


def _dense(settings: DenseSettings, pyramid: Pyramid, num_classes: int) -> DenseDetector:
    return DenseDetector(
        pyramid,
        channels=settings.channels,
        num_classes=num_classes,
        regression_ranges=settings.regression_ranges,
        num_convs=settings.num_convs,
        prior=settings.prior,
        norm_eps=settings.norm_eps,
        mask_after_norm=settings.mask_after_norm,
    )


def _actionformer(
    settings: ActionFormerSettings, in_channels: int, num_classes: int
) -> DenseDetector:
    def block(stride: int) -> nn.Module:
        return TransformerBlock(
            settings.channels,
            num_heads=settings.num_heads,
            stride=stride,
            window=settings.attention_window,
            drop_path_rate=settings.drop_path,
            pool_sees_padding=settings.pool_sees_padding,
        )

    return _dense(settings, _pyramid(settings, in_channels, block), num_classes)


def _temporalmaxer(
    settings: TemporalMaxerSettings, in_channels: int, num_classes: int
) -> DenseDetector:
    def block(stride: int) -> nn.Module:
        return MaxPoolBlock(stride=stride, pool_sees_padding=settings.pool_sees_padding)

    return _dense(settings, _pyramid(settings, in_channels, block), num_classes)


def _centre_sampling(settings: DenseSettings, num_classes: int) -> CentreSampling:
    return CentreSampling(
        num_classes=num_classes,
        centre_radius=settings.centre_radius,
        shortest_labels_only=settings.shortest_labels_only,
    )


def _dense_criterion(settings: DenseSettings, num_classes: int) -> DenseCriterion:
    simota = settings.assigner if isinstance(settings, TemporalMaxerSettings) else None
    return DenseCriterion(
        assign=_centre_sampling(settings, num_classes)
        if simota is None
        else SimOTA(
            num_classes=num_classes,
            centre_radius=settings.centre_radius,
            iou_weight=simota.iou_weight,
            class_weight=simota.class_weight,
        ),
        label_smoothing=settings.label_smoothing,
        focal_alpha=settings.focal_alpha,
        focal_gamma=settings.focal_gamma,
        regression_weight=settings.regression_weight,
    )


def _dense_decoder(_: DenseSettings, inference: InferenceSettings) -> DenseDecoder:
    return DenseDecoder(
        score_threshold=inference.score_threshold,
        max_candidates=inference.max_candidates,
        per_level=inference.candidates_per_level,
        min_length=inference.min_length,
    )


FAMILIES: Mapping[str, Family] = {
    "actionformer": Family(_actionformer, _dense_criterion, _dense_decoder),
    "temporalmaxer": Family(_temporalmaxer, _dense_criterion, _dense_decoder),
}
