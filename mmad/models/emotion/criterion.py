"""Loss of emotions and sets of actions.

Shapes: N videos, K actions, E emotions.

Source: Guo et al. (IEEE TCSVT 2024), section VI-A: the binary cross-entropy of actions plus beta
times the cross-entropy of the emotion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from mmad.models.emotion.network import EmotionOutputs


@dataclass(frozen=True)
class EmotionTargets:
    """What is annotated.

    Attributes:
        emotions_N: Index of the emotion of each video.
        actions_NK: 1 for the actions of each video, else 0.
    """

    emotions_N: Tensor
    actions_NK: Tensor


@dataclass(frozen=True, kw_only=True)
class EmotionCriterion:
    """The weighted sum of both losses.

    Attributes:
        actions: Weight of that of the actions: the mean over the actions.
        emotion: Weight of that of the emotion (beta).
    """

    actions: float
    emotion: float

    def __call__(self, outputs: EmotionOutputs, targets: EmotionTargets) -> Mapping[str, Tensor]:
        """Sums over the videos, by name; "loss" is minimised."""
        emotion = functional.cross_entropy(
            outputs.emotions_NE.float(), targets.emotions_N, reduction="sum"
        )
        losses = {"loss": self.emotion * emotion, "loss_emotion": emotion}
        if outputs.actions_NK is not None:
            per_action_NK = functional.binary_cross_entropy_with_logits(
                outputs.actions_NK.float(), targets.actions_NK.float(), reduction="none"
            )
            actions = per_action_NK.mean(dim=1).sum()
            losses["loss"] = losses["loss"] + self.actions * actions
            losses["loss_actions"] = actions
        return losses
