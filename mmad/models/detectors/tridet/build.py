"""Network, criterion and decoder of TriDet, from its settings; its blocks also serve DyFADet."""

from collections.abc import Sequence
from functools import partial

from mmad.config.detectors.tridet import SGPSettings, TriDetSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.dense.build import (
    build_classifier,
    build_pyramid,
    build_regressor,
    build_tower,
    centre_sampling,
    dense_decoder,
)
from mmad.models.detectors.tridet.blocks import SGPBlock
from mmad.models.detectors.tridet.head import TridentCriterion, TridentDetector, TridentOutputs
from mmad.models.from_settings import from_settings


def build_block(
    settings: SGPSettings, stride: int, *, rectify_context: bool, norm_eps: float
) -> SGPBlock:
    """A block of the pyramid."""
    # There the reference implementations have one step, no drop-path and no factors.
    in_stem = stride == 1
    return SGPBlock(
        settings.channels,
        hidden_channels=settings.hidden_channels,
        window=1 if in_stem else settings.window,
        window_ratio=settings.window_ratio,
        stride=stride,
        drop_path_rate=0.0 if in_stem else settings.drop_path,
        residual_scale=None if in_stem else 1e-4,
        kernel_std=settings.kernel_std,
        rectify_context=rectify_context,
        norm_eps=norm_eps,
        sees_padding=settings.pool_sees_padding,
    )


def _network(
    settings: TriDetSettings, in_channels: int, num_classes: int, parents: Sequence[int] = ()
) -> TridentDetector:
    # The epsilon of the blocks is the released code's, independent of the other norms.
    block = partial(build_block, settings, rectify_context=False, norm_eps=1e-5)
    tower = partial(build_tower, settings)
    return TridentDetector(
        build_pyramid(settings, in_channels, block),
        classification=build_classifier(settings, num_classes, parents, tower=tower),
        start=tower(num_classes, prior=None),
        end=tower(num_classes, prior=None),
        distances=build_regressor(settings, 2 * (settings.num_bins + 1), tower=tower),
        regression_ranges=settings.regression_ranges,
        input_noise=settings.input_noise,
        parents=parents,
    )


def _criterion(settings: TriDetSettings, num_classes: int) -> TridentCriterion:
    return from_settings(TridentCriterion, settings, assign=centre_sampling(settings, num_classes))


FAMILY = Family(_network, _criterion, dense_decoder, TridentOutputs)
