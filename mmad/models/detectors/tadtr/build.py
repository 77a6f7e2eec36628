"""From the settings of TadTR to its network, criterion and decoder."""

from typing import Any

from mmad.config.detectors.tadtr import TadTRSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.tadtr.criterion import QueryDecoder, TadTRCriterion
from mmad.models.detectors.tadtr.network import EncoderLayer, QueryLayer, TadTR


def _network(settings: TadTRSettings, in_channels: int, num_classes: int) -> TadTR:
    keywords: dict[str, Any] = {
        "num_heads": settings.num_heads,
        "num_points": settings.num_points,
        "hidden": settings.hidden_channels,
        "dropout": settings.dropout,
        "offset_rate": settings.offset_rate,
    }
    channels = settings.channels
    return TadTR(
        in_channels,
        channels=channels,
        num_classes=num_classes,
        num_queries=settings.num_queries,
        encoder=[EncoderLayer(channels, **keywords) for _ in range(settings.num_encoder_layers)],
        decoder=[QueryLayer(channels, **keywords) for _ in range(settings.num_decoder_layers)],
        num_groups=settings.num_groups,
        num_bins=settings.num_bins,
        extension=settings.extension,
        prior=settings.prior,
        offset_rate=settings.offset_rate,
    )


def _criterion(settings: TadTRSettings, num_classes: int) -> TadTRCriterion:
    return TadTRCriterion(
        class_cost=settings.class_cost,
        l1_cost=settings.l1_cost,
        iou_cost=settings.iou_cost,
        class_weight=settings.class_weight,
        l1_weight=settings.l1_weight,
        iou_weight=settings.iou_weight,
        actionness_weight=settings.actionness_weight,
        focal_alpha=settings.focal_alpha,
        focal_gamma=settings.focal_gamma,
    )


def _decoder(_: TadTRSettings, inference: InferenceSettings) -> QueryDecoder:
    return QueryDecoder(
        score_threshold=inference.score_threshold,
        max_candidates=inference.max_candidates,
        min_length=inference.min_length,
    )


FAMILY = Family(_network, _criterion, _decoder)
