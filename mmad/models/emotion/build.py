"""The network of emotions and its losses, from settings."""

import torch

from mmad.config.backbones.union import BackboneSettings
from mmad.config.emotion import EmotionLossSettings, EmotionSettings
from mmad.labels import EMOTIONS
from mmad.models.backbones.families import build_backbone
from mmad.models.emotion.criterion import EmotionCriterion
from mmad.models.emotion.network import (
    EmotionBranch,
    EmotionNetwork,
    TemporalEncoder,
)


def build_emotion_network(
    settings: EmotionSettings, *, backbone: BackboneSettings, num_actions: int, seed: int
) -> EmotionNetwork:
    """The whole network with random weights, the same for the same seed.

    Args:
        settings: Settings of branches and encoders.
        backbone: Settings of the backbone of each branch; they share no weights.
        num_actions: Number of labels of actions.
        seed: Seed of the weights.
    """
    torch.manual_seed(seed)
    branches = {
        name: _branch(settings, backbone, has_encoder=settings.encoded in (name, "both"))
        for name in ("faces", "bodies")
        if settings.branches in (name, "both")
    }
    return EmotionNetwork(
        branches.get("faces"),
        branches.get("bodies"),
        num_actions=num_actions,
        num_emotions=len(EMOTIONS),
        dropout=settings.dropout,
    )


def build_emotion_criterion(settings: EmotionLossSettings) -> EmotionCriterion:
    """The losses with their weights."""
    return EmotionCriterion(actions=settings.actions, emotion=settings.emotion)


def _branch(
    settings: EmotionSettings, backbone: BackboneSettings, *, has_encoder: bool
) -> EmotionBranch:
    network = build_backbone(backbone)
    spec = network.spec
    encoder = None
    if has_encoder:
        encoder = TemporalEncoder(
            spec.channels,
            width=settings.encoder_width,
            num_steps=spec.steps_per_clip,
            num_layers=settings.encoder_layers,
            num_heads=settings.encoder_heads,
            hidden=settings.encoder_hidden,
            dropout=settings.encoder_dropout,
        )
    return EmotionBranch(network, encoder)
