"""MANet's heads: a classifier of actions, and a mapping to the word vectors of their labels.

Shapes: N clips, T steps, D channels, K actions, E dimensions of a word vector.

Source: Guo et al., Benchmarking Micro-action Recognition: Dataset, Methods, and Applications
(IEEE TCSVT 2024), section IV-C, and its released code: where they differ is a setting.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmad.models.backbones.contract import ClipTokens
from mmad.models.recognisers.auxiliary_heads.network import HeadOutputs, Linear
from mmad.models.recognisers.contract import RecogniserHeads

# Of the released code, for all of its layers.
_START_STD = 0.001
# Of the GloVe vectors of the 52 labels, the mean.
_SQUARED_NORM = 23.55


@dataclass(frozen=True)
class MANetOutputs(HeadOutputs):
    """Logits of actions, and the clip among the vectors of labels.

    Attributes:
        embedding_NE: The mapped clip; None without mapping.
    """

    embedding_NE: Tensor | None


class MANetHeads(RecogniserHeads):
    """A linear classifier of actions and a mapping of the same vector to word vectors.

    Args:
        width: D.
        num_classes: K.
        embedding_width: E; None for no mapping.
        dropout: Rate before both; they see the same draw.
        maps_steps: Classify and map every step, and take the means; else the mean of the steps.
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        *,
        embedding_width: int | None,
        dropout: float,
        maps_steps: bool,
    ) -> None:
        super().__init__()
        self.fine = Linear(width, num_classes)
        self.dropout = nn.Dropout(dropout)
        self.mapping: nn.Sequential | None = None
        if embedding_width is not None:
            self.mapping = nn.Sequential(
                nn.Linear(width, embedding_width),
                nn.Tanh(),
                nn.Linear(embedding_width, embedding_width),
            )
        self.maps_steps = maps_steps
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=_START_STD)
                nn.init.zeros_(layer.bias)

    def forward(
        self,
        frames_NTD: Tensor,
        pooled_ND: Tensor,
        labels_N: Tensor | None = None,
        parents_N: Tensor | None = None,
        tokens: ClipTokens | None = None,
    ) -> MANetOutputs:
        """Logits and mapped clips; labels are not needed.

        Args:
            frames_NTD: A vector for each step.
            pooled_ND: A vector for each clip.
            labels_N, parents_N, tokens: Not used.
        """
        x_NTD = self.dropout(frames_NTD if self.maps_steps else pooled_ND[:, None])
        embedding = None if self.mapping is None else self.mapping(x_NTD).mean(dim=1)
        fine = self.fine(x_NTD).mean(dim=1)
        return MANetOutputs(pooled_ND, fine, None, None, None, embedding)

    def weights_of_means(self) -> Tensor:
        """As in `RecogniserHeads`."""
        return self.fine.weight


def letter_vectors(words_by_label: list[list[str]], *, width: int) -> Tensor:
    """Vectors of labels that have letters in common where the labels have, (K, E): for quick trials
    without word vectors.

    Every three consecutive letters have a random vector of their own, the same in every run.
    """
    rows = []
    for words in words_by_label:
        parts = [f" {w} "[i : i + 3] for w in words for i in range(len(w))]
        seeds = [sum(ord(letter) * 7919**place for place, letter in enumerate(p)) for p in parts]
        vectors = [random_vectors(1, width=width, seed=seed % 2**31)[0] for seed in seeds]
        total = torch.stack(vectors).sum(dim=0) if vectors else torch.zeros(width)
        rows.append(total / max(len(vectors), 1) ** 0.5)
    return torch.stack(rows)


def random_vectors(count: int, *, width: int, seed: int) -> Tensor:
    """Random vectors (count, E), the same for the same seed.

    Their mean squared norm is that of the GloVe vectors of the 52 labels.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator) * (_SQUARED_NORM / width) ** 0.5
