"""Emotion and set of actions of a video, from its face and its body.

Shapes: N videos, F frames of a view, H W pixels, T steps, C channels of a backbone, D channels of
an encoder, K actions, E emotions.

Source: Guo et al., Benchmarking Micro-action Recognition: Dataset, Methods, and Applications
(IEEE TCSVT 2024), section VI-A, Fig. 7 and Eq. 7. No code of it is published: heads, width and
positions of the encoder, the dropout, and what a missing face gives are our own.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from mmad.models.backbones.contract import Backbone
from mmad.models.layers.transformer import sinusoid_table

# Prefixes of the names of backbone weights, that of the branch of bodies first.
BRANCH_PREFIXES = ("bodies.backbone.", "faces.backbone.")
# As in MANet.
_START_STD = 0.001


@dataclass(frozen=True)
class EmotionOutputs:
    """The logits of emotions and actions.

    Attributes:
        emotions_NE: Logits of the emotions, of which a video has one.
        actions_NK: Logits of the actions, each for itself; None without a branch for bodies.
    """

    emotions_NE: Tensor
    actions_NK: Tensor | None


class TemporalEncoder(nn.Module):
    """A transformer encoder over the steps of a view.

    Args:
        channels: C.
        width: D, even; None for C, without a projection.
        num_steps: T.
        num_layers: Layers.
        num_heads: Heads of the attention.
        hidden: Width inside of the perceptrons.
        dropout: Rate inside of the layers.
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int | None,
        num_steps: int,
        num_layers: int,
        num_heads: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.width = channels if width is None else width
        self.projection = nn.Identity() if width is None else nn.Linear(channels, width)
        self.register_buffer(
            "positions_TD", sinusoid_table(num_steps, self.width), persistent=False
        )
        layer = nn.TransformerEncoderLayer(
            self.width, num_heads, dim_feedforward=hidden, dropout=dropout, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)

    def forward(self, steps_NTC: Tensor) -> Tensor:
        """Encoded steps (N, T, D)."""
        positions_TD = cast("Tensor", self.positions_TD)
        return self.layers(self.projection(steps_NTC) + positions_TD)


class EmotionBranch(nn.Module):
    """A backbone, perhaps with an encoder over its steps.

    Args:
        backbone: Network for the frames of faces or of bodies.
        encoder: Encoder of its steps, or None.
    """

    def __init__(self, backbone: Backbone, encoder: TemporalEncoder | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.encoder = encoder

    @property
    def channels(self) -> int:
        """Channels of a step."""
        return self.backbone.spec.channels if self.encoder is None else self.encoder.width

    def forward(self, images_NCFHW: Tensor, is_seen_NT: Tensor | None = None) -> Tensor:
        """The mean of the steps, (N, channels).

        Args:
            images_NCFHW: Normalised frames.
            is_seen_NT: Steps that count, None for all; a video without any has a vector of zeros.
        """
        numbers = torch.arange(len(images_NCFHW), device=images_NCFHW.device)
        steps = self.backbone.pool_steps(self.backbone(images_NCFHW, numbers))
        if self.encoder is not None:
            steps = self.encoder(steps)
        if is_seen_NT is None:
            return steps.mean(dim=1)
        weight = is_seen_NT[..., None].to(steps.dtype)
        return (steps * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


class EmotionNetwork(nn.Module):
    """Branches for faces and bodies, and classifiers of emotion and actions (Eq. 7).

    Actions are predicted from the branch of bodies, the emotion from both, or from the only one.

    Args:
        faces: Branch of faces, or None.
        bodies: Branch of bodies, or None.
        num_actions: K.
        num_emotions: E.
        dropout: Rate before both classifiers.
    """

    def __init__(
        self,
        faces: EmotionBranch | None,
        bodies: EmotionBranch | None,
        *,
        num_actions: int,
        num_emotions: int,
        dropout: float,
    ) -> None:
        super().__init__()
        assert faces is not None or bodies is not None, "a network without branches"
        self.faces = faces
        self.bodies = bodies
        self.dropout = nn.Dropout(dropout)
        width = sum(one.channels for one in (faces, bodies) if one is not None)
        self.emotions = nn.Linear(width, num_emotions)
        self.actions = None if bodies is None else nn.Linear(bodies.channels, num_actions)
        for layer in (self.emotions, self.actions):
            if layer is not None:
                nn.init.normal_(layer.weight, std=_START_STD)
                nn.init.zeros_(layer.bias)

    @property
    def backbones(self) -> dict[str, Backbone]:
        """The backbone of each branch, by its name."""
        branches = {"faces": self.faces, "bodies": self.bodies}
        return {name: one.backbone for name, one in branches.items() if one is not None}

    @property
    def classifiers(self) -> dict[str, nn.Linear]:
        """The classifiers, by their names."""
        found = {"emotions": self.emotions, "actions": self.actions}
        return {name: one for name, one in found.items() if one is not None}

    def forward(
        self,
        faces_NCFHW: Tensor | None,
        has_face_NT: Tensor | None,
        bodies_NCFHW: Tensor | None,
    ) -> EmotionOutputs:
        """Logits of videos.

        Args:
            faces_NCFHW: Normalised frames of the faces, black where there is none; not used
                without their branch.
            has_face_NT: Whether there is a face at each step; None if there always is.
            bodies_NCFHW: Normalised frames of the whole images; not used without their branch.
        """
        parts = []
        actions = None
        if self.faces is not None:
            assert faces_NCFHW is not None
            parts.append(self.faces(faces_NCFHW, has_face_NT))
        if self.bodies is not None:
            assert bodies_NCFHW is not None
            assert self.actions is not None
            parts.append(self.bodies(bodies_NCFHW))
            actions = self.actions(self.dropout(parts[-1]))
        return EmotionOutputs(self.emotions(self.dropout(torch.cat(parts, dim=1))), actions)
