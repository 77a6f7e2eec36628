"""Network, criterion and decoder of TadTR, from its settings."""

from mmad.config.detectors.tadtr import TadTRSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.tadtr.criterion import QueryDecoder, TadTRCriterion
from mmad.models.detectors.tadtr.network import EncoderLayer, QueryLayer, QueryOutputs, TadTR
from mmad.models.from_settings import from_settings


def _network(settings: TadTRSettings, in_channels: int, num_classes: int) -> TadTR:
    return from_settings(
        TadTR,
        settings,
        in_channels=in_channels,
        num_classes=num_classes,
        encoder=[from_settings(EncoderLayer, settings) for _ in range(settings.num_encoder_layers)],
        decoder=[from_settings(QueryLayer, settings) for _ in range(settings.num_decoder_layers)],
    )


def _criterion(settings: TadTRSettings, _: int) -> TadTRCriterion:
    return from_settings(TadTRCriterion, settings)


def _decoder(_: TadTRSettings, inference: InferenceSettings) -> QueryDecoder:
    return from_settings(QueryDecoder, inference)


FAMILY = Family(_network, _criterion, _decoder, QueryOutputs)
