"""Pyramid, head, criterion and decoder of dense detectors, from their settings."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from mmad.config.detectors.dense import DenseSettings
from mmad.config.detectors.temporalmaxer import TemporalMaxerSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.dense.body import num_rows
from mmad.models.detectors.dense.criterion import DenseCriterion
from mmad.models.detectors.dense.head import DenseDecoder, DenseDetector, Tower
from mmad.models.detectors.dense.pyramid import Pyramid
from mmad.models.detectors.dense.simota import SimOTA
from mmad.models.detectors.dense.targets import CentreSampling
from mmad.models.from_settings import from_settings


def build_pyramid(
    settings: DenseSettings, in_channels: int, block: Callable[[int], nn.Module]
) -> Pyramid:
    """The pyramid; ``block`` builds a block for a stride."""
    return from_settings(
        Pyramid,
        settings,
        in_channels=in_channels,
        stem=[block(1) for _ in range(settings.num_stem)],
        branch=[block(2) for _ in range(settings.num_branch)],
    )


def build_tower(settings: DenseSettings, out_channels: int, *, prior: float | None) -> Tower:
    """A tower of ActionFormer's head."""
    return from_settings(Tower, settings, out_channels=out_channels, prior=prior)


def build_classifier(
    settings: DenseSettings,
    num_classes: int,
    parents: Sequence[int],
    *,
    tower: Callable[..., nn.Module],
) -> nn.Module:
    """The tower of the classes, with rows for the body parts if there are ``parents``.

    Every body part scores ``prior`` before training, and an action 1/2 given its body part.
    """
    made = tower(num_rows(num_classes, parents), prior=settings.prior)
    if parents:
        nn.init.zeros_(made.out.conv.bias[:num_classes])  # type: ignore[index, union-attr]
    return made


def build_regressor(
    settings: DenseSettings, out_channels: int, *, tower: Callable[..., nn.Module]
) -> nn.Module:
    """The tower of the distances to the ends of an instance.

    Its bias is initialised to ``regression_bias``. With 0, a distance whose random weights put it
    below the ReLU at every point has no gradient and is never learnt.
    """
    made = tower(out_channels, prior=None)
    nn.init.constant_(made.out.conv.bias, settings.regression_bias)  # type: ignore[union-attr, arg-type]
    return made


def num_offsets(settings: DenseSettings, num_classes: int) -> int:
    """Offsets that are predicted at a point."""
    return 2 * num_classes if settings.class_offsets else 2


def build_dense(
    settings: DenseSettings, pyramid: Pyramid, num_classes: int, parents: Sequence[int]
) -> DenseDetector:
    """ActionFormer's head on a pyramid."""
    tower = partial(build_tower, settings)
    return DenseDetector(
        pyramid,
        classification=build_classifier(settings, num_classes, parents, tower=tower),
        regression=build_regressor(settings, num_offsets(settings, num_classes), tower=tower),
        regression_ranges=settings.regression_ranges,
        input_noise=0.0,
        parents=parents,
    )


def centre_sampling(settings: DenseSettings, num_classes: int) -> CentreSampling:
    """Targets by centre sampling."""
    return from_settings(CentreSampling, settings, num_classes=num_classes)


def dense_criterion(settings: DenseSettings, num_classes: int) -> DenseCriterion:
    """Focal and distance-IoU loss."""
    simota = settings.assigner if isinstance(settings, TemporalMaxerSettings) else None
    return from_settings(
        DenseCriterion,
        settings,
        assign=centre_sampling(settings, num_classes)
        if simota is None
        else from_settings(SimOTA, settings, simota, num_classes=num_classes),
    )


def dense_decoder(_: DenseSettings, inference: InferenceSettings) -> DenseDecoder:
    """The best points of each window."""
    return from_settings(DenseDecoder, inference)
