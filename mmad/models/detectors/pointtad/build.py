"""From the settings of PointTAD to its network, criterion and decoder."""

from mmad.config.detectors.pointtad import PointTADSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.pointtad.criterion import PointTADCriterion, PointTADDecoder
from mmad.models.detectors.pointtad.network import PointTAD


def _network(settings: PointTADSettings, in_channels: int, num_classes: int) -> PointTAD:
    return PointTAD(
        in_channels,
        channels=settings.channels,
        num_classes=num_classes,
        num_queries=settings.num_queries,
        num_points=settings.num_points,
        num_boundary_points=settings.num_boundary_points,
        num_subpoints=settings.num_subpoints,
        num_layers=settings.num_layers,
        num_heads=settings.num_heads,
        hidden_channels=settings.hidden_channels,
        dynamic_channels=settings.dynamic_channels,
        dropout=settings.dropout,
    )


def _criterion(settings: PointTADSettings, num_classes: int) -> PointTADCriterion:
    return PointTADCriterion(
        num_classes=num_classes,
        class_cost=settings.class_cost,
        distance_cost=settings.distance_cost,
        iou_cost=settings.iou_cost,
        class_weight=settings.class_weight,
        distance_weight=settings.distance_weight,
        iou_weight=settings.iou_weight,
        dense_weight=settings.dense_weight,
        background_weight=settings.background_weight,
        auxiliary_losses=settings.auxiliary_losses,
    )


def _decoder(settings: PointTADSettings, inference: InferenceSettings) -> PointTADDecoder:
    return PointTADDecoder(
        score_threshold=inference.score_threshold,
        max_candidates=inference.max_candidates,
        labels_per_query=settings.labels_per_query,
        min_length=inference.min_length,
    )


FAMILY = Family(_network, _criterion, _decoder)
