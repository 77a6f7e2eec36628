"""The contract of recogniser families: heads on the tokens of a backbone, and their losses.

Shapes: N views of clips, T steps of a view, D channels, K actions, P body parts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap


@dataclass(frozen=True)
class RecognitionOutputs:
    """The logits that scores are computed from; a family may add outputs for its losses.

    Attributes:
        pooled: Vector (N, D) that the actions are predicted from.
        fine: Logits (N, K) of the actions.
        coarse: Logits (N, P) of the body parts; None without a head for them.
        fine_frame: Logits (N x T, K) of the actions at each step; None without a head for them.
    """

    pooled: Tensor
    fine: Tensor
    coarse: Tensor | None
    fine_frame: Tensor | None


@dataclass(frozen=True)
class RecognitionTargets:
    """Soft targets of actions (N, K) and body parts (N, P)."""

    actions_NK: Tensor
    parts_NP: Tensor


class Criterion(Protocol):
    """Losses of a family."""

    def __call__(self, outputs: Any, targets: RecognitionTargets) -> Mapping[str, Tensor]:
        """Sums over the clips, by name; "loss" is minimised."""


@dataclass(frozen=True)
class RecogniserFamily:
    """How heads and losses are built.

    Attributes:
        heads: Builds the heads from run configuration, channels of the vectors and labels; they
            have the interface of `auxiliary_heads.network.Heads`: a vector for each step, one for
            each clip, and in training actions and body parts; ``fine`` is the classifier of
            actions.
        criterion: Builds the losses from run configuration, labels, training clips of each action,
            and a function that collects the rows of all processes.
    """

    heads: Callable[[RecognitionConfig, int, LabelMap], nn.Module]
    criterion: Callable[
        [RecognitionConfig, LabelMap, Sequence[int], Callable[[Tensor], Tensor]], Criterion
    ]
