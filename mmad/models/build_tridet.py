"""From the settings of TriDet to its network, criterion and decoder."""

from torch import nn

from mmad.config.detectors_tridet import TriDetSettings
from mmad.config.inference import InferenceSettings
from mmad.models.build_dense import Family, build_pyramid, centre_sampling
from mmad.models.sgp import SGPBlock
from mmad.models.tridet import TridentCriterion, TridentDecoder, TridentDetector


def _network(settings: TriDetSettings, in_channels: int, num_classes: int) -> TridentDetector:
    def block(stride: int) -> nn.Module:
        in_stem = stride == 1  # there the released code has no drop-path and no factors
        return SGPBlock(
            settings.channels,
            hidden_channels=settings.hidden_channels,
            window=1 if in_stem else settings.window,
            window_ratio=settings.window_ratio,
            stride=stride,
            drop_path_rate=0.0 if in_stem else settings.drop_path,
            residual_scale=None if in_stem else 1e-4,
            kernel_std=settings.kernel_std,
            sees_padding=settings.pool_sees_padding,
        )

    return TridentDetector(
        build_pyramid(settings, in_channels, block),
        channels=settings.channels,
        num_classes=num_classes,
        regression_ranges=settings.regression_ranges,
        num_bins=settings.num_bins,
        num_convs=settings.num_convs,
        input_noise=settings.input_noise,
        prior=settings.prior,
        norm_eps=settings.norm_eps,
        mask_after_norm=settings.mask_after_norm,
    )


def _criterion(settings: TriDetSettings, num_classes: int) -> TridentCriterion:
    return TridentCriterion(
        assign=centre_sampling(settings, num_classes),
        label_smoothing=settings.label_smoothing,
        focal_alpha=settings.focal_alpha,
        focal_gamma=settings.focal_gamma,
        regression_weight=settings.regression_weight,
        iou_weight_power=settings.iou_weight_power,
        iou_weight_gradient=settings.iou_weight_gradient,
    )


def _decoder(_: TriDetSettings, inference: InferenceSettings) -> TridentDecoder:
    return TridentDecoder(
        score_threshold=inference.score_threshold,
        max_candidates=inference.max_candidates,
        per_level=inference.candidates_per_level,
        min_length=inference.min_length,
    )


FAMILY = Family(_network, _criterion, _decoder)
