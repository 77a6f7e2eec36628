"""What every family of recognisers supplies: heads on the tokens of a backbone, and their losses.

Shapes: N samples of clips, T steps of a sample, D channels, K actions, P body parts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap


@dataclass(frozen=True)
class RecognitionOutputs:
    """What scores are made of; a family may add outputs of its own for its losses.

    Attributes:
        pooled: (N, D), the vector that the actions are read from.
        fine: (N, K), logits of the actions.
        coarse: (N, P), logits of the body parts; None without a head for them.
        fine_frame: (N x T, K), logits of the actions at each step; None without a head for them.
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
        """Sums over the clips, by name; "loss" is what is minimised."""


@dataclass(frozen=True)
class RecogniserFamily:
    """How heads and losses are made.

    Attributes:
        heads: From the run, channels of the vectors and labels; called as `Heads` of the auxiliary
            heads: with a vector for each step, one for each clip, and in training actions and body
            parts.
        criterion: From the run, labels, training clips of each action, and a function that collects
            the rows of all processes.
    """

    heads: Callable[[RecognitionConfig, int, LabelMap], nn.Module]
    criterion: Callable[
        [RecognitionConfig, LabelMap, Sequence[int], Callable[[Tensor], Tensor]], Criterion
    ]
