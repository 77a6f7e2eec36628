"""From settings to what dense detectors have in common, and to ActionFormer and TemporalMaxer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from mmad.config.dense_detectors import (
    ActionFormerSettings,
    DenseSettings,
    TemporalMaxerSettings,
)
from mmad.config.inference import InferenceSettings
from mmad.models.actionformer import TransformerBlock
from mmad.models.dense import DenseCriterion, DenseDecoder, DenseDetector, Tower
from mmad.models.detector import Criterion, Decoder
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


def build_pyramid(
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


def build_tower(settings: DenseSettings, out_channels: int, *, prior: float | None = None) -> Tower:
    """A tower of ActionFormer's head."""
    return Tower(
        settings.channels,
        out_channels,
        num_convs=settings.num_convs,
        prior=prior,
        norm_eps=settings.norm_eps,
        mask_after_norm=settings.mask_after_norm,
    )


def build_dense(settings: DenseSettings, pyramid: Pyramid, num_classes: int) -> DenseDetector:
    """ActionFormer's head on a pyramid."""
    return DenseDetector(
        pyramid,
        classification=build_tower(settings, num_classes, prior=settings.prior),
        regression=build_tower(settings, 2),
        regression_ranges=settings.regression_ranges,
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

    return build_dense(settings, build_pyramid(settings, in_channels, block), num_classes)


def _temporalmaxer(
    settings: TemporalMaxerSettings, in_channels: int, num_classes: int
) -> DenseDetector:
    def block(stride: int) -> nn.Module:
        return MaxPoolBlock(stride=stride, pool_sees_padding=settings.pool_sees_padding)

    return build_dense(settings, build_pyramid(settings, in_channels, block), num_classes)


def centre_sampling(settings: DenseSettings, num_classes: int) -> CentreSampling:
    """Targets by centre sampling."""
    return CentreSampling(
        num_classes=num_classes,
        centre_radius=settings.centre_radius,
        shortest_labels_only=settings.shortest_labels_only,
    )


def dense_criterion(settings: DenseSettings, num_classes: int) -> DenseCriterion:
    """Focal and distance-IoU loss."""
    simota = settings.assigner if isinstance(settings, TemporalMaxerSettings) else None
    return DenseCriterion(
        assign=centre_sampling(settings, num_classes)
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


def dense_decoder(_: DenseSettings, inference: InferenceSettings) -> DenseDecoder:
    """The best points of each window."""
    return DenseDecoder(
        score_threshold=inference.score_threshold,
        max_candidates=inference.max_candidates,
        per_level=inference.candidates_per_level,
        min_length=inference.min_length,
    )


ACTIONFORMER = Family(_actionformer, dense_criterion, dense_decoder)
TEMPORALMAXER = Family(_temporalmaxer, dense_criterion, dense_decoder)
