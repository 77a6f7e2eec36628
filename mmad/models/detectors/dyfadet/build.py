"""Network, criterion and decoder of DyFADet, from its settings."""

from collections.abc import Sequence
from functools import partial

from mmad.config.detectors.dyfadet import DyFADetSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.dense.build import (
    build_classifier,
    build_pyramid,
    build_regressor,
    dense_criterion,
    dense_decoder,
    num_offsets,
)
from mmad.models.detectors.dense.head import DenseDetector
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.dyfadet.head import DynamicTower
from mmad.models.detectors.tridet.build import build_block


def _network(
    settings: DyFADetSettings, in_channels: int, num_classes: int, parents: Sequence[int] = ()
) -> DenseDetector:
    block = partial(build_block, settings, rectify_context=True, norm_eps=settings.norm_eps)

    def tower(out_channels: int, *, prior: float | None) -> DynamicTower:
        return DynamicTower(
            settings.channels,
            out_channels,
            num_layers=settings.num_convs,
            prior=prior,
            kernel_size=settings.head_window,
            gate_tau=settings.gate_tau,
            initial_gate=settings.initial_gate,
            square=settings.square_gated,
            norm_eps=settings.norm_eps,
            mask_inside=settings.mask_levels,
        )

    return DenseDetector(
        build_pyramid(settings, in_channels, block),
        classification=build_classifier(settings, num_classes, parents, tower=tower),
        regression=build_regressor(settings, num_offsets(settings, num_classes), tower=tower),
        regression_ranges=settings.regression_ranges,
        input_noise=settings.input_noise,
        parents=parents,
    )


FAMILY = Family(_network, dense_criterion, dense_decoder, DenseOutputs)
