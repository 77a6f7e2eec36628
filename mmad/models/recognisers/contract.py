"""The contract of recogniser families: heads on the tokens of a backbone, and their losses.

Shapes: N views of clips, T steps of a view, D channels, K actions, P body parts.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap
from mmad.models.backbones.contract import BackboneSpec, ClipTokens


class Summands(NamedTuple):
    """The two parts of a final score: ``whole + coefficient x local``.

    Attributes:
        whole_NK: Logits of the features of whole images.
        local_NK: Scores of local features.
        coefficient: Their weight.
    """

    whole_NK: Tensor
    local_NK: Tensor
    coefficient: float


class LocalFeatures(NamedTuple):
    """What heads read of a lower stage for one class.

    Attributes:
        stage: Name of the stage.
        map_NTChw: Its feature map.
        cells_NT: Cell of the tokens, row by row, around which they read.
        windows_NTCyx: The features there, as far as they have been learned further.
    """

    stage: str
    map_NTChw: Tensor
    cells_NT: Tensor
    windows_NTCyx: Tensor


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

    @property
    def summands(self) -> Summands | None:
        """What ``fine`` is the weighted sum of; None if it is no such sum."""
        return None


class RecogniserHeads(nn.Module):
    """Heads of a recogniser: vectors of steps and clips in, logits out.

    Attributes:
        stages: Stages of the backbone whose feature maps they read from the tokens.
    """

    stages: tuple[str, ...] = ()

    @abstractmethod
    def forward(
        self,
        frames_NTD: Tensor,
        pooled_ND: Tensor,
        labels_N: Tensor | None = None,
        parents_N: Tensor | None = None,
        tokens: ClipTokens | None = None,
    ) -> RecognitionOutputs:
        """Logits of clips.

        Args:
            frames_NTD: A vector for each step.
            pooled_ND: A vector for each clip.
            labels_N, parents_N: Actions and body parts, in training.
            tokens: What the vectors were pooled from, with the maps of `stages`.
        """

    def weights_of_means(self) -> Tensor | None:
        """Weights (K, D) with which the logits of actions are linear in the pooled vector, up to a
        positive factor and a bias; None if they are not.
        """
        return None

    def local_features(self, tokens: ClipTokens, label: int) -> LocalFeatures | None:
        """What they read of a lower stage for a class; None if they read none."""
        return None


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
        heads: Builds the heads from run configuration, what they get from the backbone, and labels;
            ``fine`` in them is the classifier of actions.
        criterion: Builds the losses from run configuration, labels, training clips of each action,
            and a function that collects the rows of all processes.
    """

    heads: Callable[[RecognitionConfig, BackboneSpec, LabelMap], RecogniserHeads]
    criterion: Callable[
        [RecognitionConfig, LabelMap, Sequence[int], Callable[[Tensor], Tensor]], Criterion
    ]
