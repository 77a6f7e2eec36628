"""Network, criterion and decoder of PointTAD, from its settings."""

from mmad.config.detectors.pointtad import PointTADSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.pointtad.criterion import PointTADCriterion, PointTADDecoder
from mmad.models.detectors.pointtad.network import PointTAD, PointTADOutputs
from mmad.models.from_settings import from_settings


def _network(settings: PointTADSettings, in_channels: int, num_classes: int) -> PointTAD:
    return from_settings(PointTAD, settings, in_channels=in_channels, num_classes=num_classes)


def _criterion(settings: PointTADSettings, num_classes: int) -> PointTADCriterion:
    return from_settings(PointTADCriterion, settings, num_classes=num_classes)


def _decoder(settings: PointTADSettings, inference: InferenceSettings) -> PointTADDecoder:
    return from_settings(PointTADDecoder, settings, inference)


FAMILY = Family(_network, _criterion, _decoder, PointTADOutputs)
