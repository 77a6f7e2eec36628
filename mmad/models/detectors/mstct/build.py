"""Network, criterion and decoder of MS-TCT, from its settings."""

from mmad.config.detectors.mstct import MSTCTSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.mstct.criterion import MSTCTCriterion
from mmad.models.detectors.mstct.decoder import RunDecoder, logit_levels
from mmad.models.detectors.mstct.network import MSTCT, FrameOutputs
from mmad.models.from_settings import from_settings


def _network(settings: MSTCTSettings, in_channels: int, num_classes: int) -> MSTCT:
    return from_settings(MSTCT, settings, in_channels=in_channels, num_classes=num_classes)


def _criterion(settings: MSTCTSettings, num_classes: int) -> MSTCTCriterion:
    return from_settings(MSTCTCriterion, settings, num_classes=num_classes)


def _decoder(settings: MSTCTSettings, inference: InferenceSettings) -> RunDecoder:
    levels = logit_levels(
        lowest=settings.lowest_level, highest=settings.highest_level, count=settings.num_levels
    )
    return from_settings(RunDecoder, settings, inference, levels=levels)


FAMILY = Family(_network, _criterion, _decoder, FrameOutputs)
