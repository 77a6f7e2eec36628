"""From the settings of MS-TCT to its network, criterion and decoder."""

from mmad.config.detectors.mstct import MSTCTSettings
from mmad.config.inference import InferenceSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.mstct.criterion import MSTCTCriterion
from mmad.models.detectors.mstct.decoder import RunDecoder, logit_levels
from mmad.models.detectors.mstct.network import MSTCT


def _network(settings: MSTCTSettings, in_channels: int, num_classes: int) -> MSTCT:
    return MSTCT(
        in_channels,
        num_classes,
        stage_channels=settings.stage_channels,
        num_blocks=settings.num_blocks,
        num_heads=settings.num_heads,
        mlp_ratio=settings.mlp_ratio,
        mixer_channels=settings.mixer_channels,
        input_dropout=settings.input_dropout,
        block_dropout=settings.block_dropout,
        head_dropout=settings.head_dropout,
    )


def _criterion(settings: MSTCTSettings, num_classes: int) -> MSTCTCriterion:
    return MSTCTCriterion(
        num_classes=num_classes,
        reach=settings.heatmap_reach,
        sharpness=settings.heatmap_sharpness,
        focus=settings.heatmap_focus,
        tolerance=settings.heatmap_tolerance,
        classification_weight=settings.classification_weight,
        heatmap_weight=settings.heatmap_weight,
    )


def _decoder(settings: MSTCTSettings, inference: InferenceSettings) -> RunDecoder:
    return RunDecoder(
        levels=logit_levels(
            lowest=settings.lowest_level,
            highest=settings.highest_level,
            count=settings.num_levels,
        ),
        max_gap=settings.max_gap,
        contrast=settings.contrast,
        margin=settings.margin,
        centre_weight=settings.centre_weight,
        score_threshold=inference.score_threshold,
        max_candidates=inference.max_candidates,
        min_length=inference.min_length,
    )


FAMILY = Family(_network, _criterion, _decoder)
