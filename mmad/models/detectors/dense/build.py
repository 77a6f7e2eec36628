"""From settings to what dense detectors have in common, and to ActionFormer and TemporalMaxer."""

from collections.abc import Callable

from torch import nn

from mmad.config.detectors.dense import DenseSettings
from mmad.config.detectors.temporalmaxer import TemporalMaxerSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.dense.head import DenseCriterion, DenseDecoder, DenseDetector, Tower
from mmad.models.detectors.dense.pyramid import Pyramid
from mmad.models.detectors.dense.simota import SimOTA
from mmad.models.detectors.dense.targets import CentreSampling


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
