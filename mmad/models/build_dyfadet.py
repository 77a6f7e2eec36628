"""From the settings of DyFADet to its network, criterion and decoder."""

from torch import nn

from mmad.config.detectors_dyfadet import DyFADetSettings
from mmad.models.build_dense import Family, build_pyramid, dense_criterion, dense_decoder
from mmad.models.dyfadet import DynamicBlock, wide_kernel
from mmad.models.dynamic_head import DynamicDetector


def _network(settings: DyFADetSettings, in_channels: int, num_classes: int) -> DynamicDetector:
    def block(stride: int) -> nn.Module:
        in_stem = stride == 1  # whose blocks see one step, and add their residuals whole
        window = 1 if in_stem else settings.window
        return DynamicBlock(
            settings.channels,
            stride=stride,
            window=window,
            wide_window=wide_kernel(window, ratio=settings.window_ratio),
            hidden=settings.hidden,
            kernel_std=settings.kernel_std,
            residual_scale=None if in_stem else 1e-4,
            drop_path_rate=0.0 if in_stem else settings.drop_path,
            norm_eps=settings.norm_eps,
            sees_padding=settings.pool_sees_padding,
        )

    return DynamicDetector(
        build_pyramid(settings, in_channels, block),
        channels=settings.channels,
        num_classes=num_classes,
        regression_ranges=settings.regression_ranges,
        num_layers=settings.num_convs,
        kernel_size=settings.head_window,
        gate_tau=settings.gate_tau,
        initial_gate=settings.initial_gate,
        square=settings.square_gated,
        prior=settings.prior,
        input_noise=settings.input_noise,
        norm_eps=settings.norm_eps,
        mask_inside=settings.mask_levels,
    )


FAMILY = Family(_network, dense_criterion, dense_decoder)
