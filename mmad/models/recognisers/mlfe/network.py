"""MLFE's heads: a classifier of actions, and scorers of local features of lower layers.

Shapes: N clips, T steps, M = N x T frames of all clips, S = h x w cells of the last map, D channels
of a vector, C of a lower layer, K actions; U distinct pairs of a frame and a cell.

Source: Mi et al., Recognizing micro actions in videos by learning multi-layer local features
(Pattern Recognition Letters 2022), sections 3.2 and 3.3. There is no released code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.contract import ClipTokens
from mmad.models.layers.residual2d import ConvNorm2d
from mmad.models.recognisers.auxiliary_heads.network import HeadOutputs, Linear
from mmad.models.recognisers.class_maps import class_maps
from mmad.models.recognisers.contract import LocalFeatures, RecogniserHeads, Summands
from mmad.models.recognisers.mlfe.windows import Peaks, find_peaks, windows_at


@dataclass(frozen=True)
class MLFEOutputs(HeadOutputs):
    """The final score, and what it is the sum of.

    Attributes:
        whole_NK: Logits of the classifier (O_TSM).
        local_NK: Scores of the local features (O_MLFE), as they enter the final score.
        local_logits_NK: The same as they enter the loss.
        coefficient: Weight of the local features in the final score.
    """

    whole_NK: Tensor
    local_NK: Tensor
    local_logits_NK: Tensor
    coefficient: float

    @property
    def summands(self) -> Summands:
        """As in `RecognitionOutputs`."""
        return Summands(self.whole_NK, self.local_NK, self.coefficient)


class Bottleneck(nn.Module):
    """The residual block of a window: 1x1, 3x3 and 1x1 convolutions, a shortcut, ReLU (Fig. 3).

    Args:
        channels: C.
        width: Channels inside.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = ((channels, width, 1), (width, width, 3), (width, channels, 1))
        self.branch = nn.ModuleList(
            ConvNorm2d(inputs, outputs, side=side, keep_statistics=False)
            for inputs, outputs, side in sizes
        )

    def forward(self, x_UCyx: Tensor, repeats_U: Tensor) -> Tensor:
        """Features, same shape; in training each window counts as often as it is repeated."""
        branch = x_UCyx
        *inner, last = self.branch
        for convolution in inner:
            branch = functional.relu(convolution(branch, repeats_U), inplace=True)
        return functional.relu(last(branch, repeats_U) + x_UCyx, inplace=True)


class LocalLayer(nn.Module):
    """Local features of one lower layer.

    Args:
        channels: C.
        side: Rows, and columns, of its map for one of the last map.
        width: Channels inside of the residual block; None for no block.
    """

    def __init__(self, channels: int, *, side: int, width: int | None) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        self.block = None if width is None else Bottleneck(channels, width)

    def forward(self, map_MChw: Tensor, peaks: Peaks, grid_hw: tuple[int, int]) -> Tensor:
        """The learned window of each frame and cell, (U, C, side, side)."""
        windows_UCyx = windows_at(peaks, map_MChw, grid_hw=grid_hw, side=self.side)
        return windows_UCyx if self.block is None else self.block(windows_UCyx, peaks.repeats_U)


class MLFEHeads(RecogniserHeads):
    """A linear classifier, and the scores of local features where its activations peak.

    Args:
        width: D.
        num_classes: K.
        layers: Local features of stages of the backbone, by their names.
        dropout: Rate before the classifier and before the scorers.
        concatenates: One scorer of the features of all layers, instead of one for each.
        averages: The mean of the scores of all layers, instead of their sum.
        softmax: "none", "scores" or "always": where the scores of a layer are probabilities.
        coefficient: Weight of the local features in the final score (lambda).
        through_peaks: Scores pass their gradient to the activations at the peaks, too; without it
            nothing in the local features' own loss trains the classifier.
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        *,
        layers: Mapping[str, LocalLayer],
        dropout: float,
        concatenates: bool,
        averages: bool,
        softmax: str,
        coefficient: float,
        through_peaks: bool,
    ) -> None:
        super().__init__()
        self.stages = tuple(layers)
        self.fine = Linear(width, num_classes)
        self.layers = nn.ModuleDict(layers)
        channels = [layer.channels for layer in layers.values()]
        self.scorers = nn.ModuleList(
            Linear(size, 1) for size in ([sum(channels)] if concatenates else channels)
        )
        self.dropout = nn.Dropout(dropout)
        self.concatenates, self.averages = concatenates, averages
        self.softmax, self.coefficient = softmax, coefficient
        self.through_peaks = through_peaks

    def forward(
        self,
        frames_NTD: Tensor,
        pooled_ND: Tensor,
        labels_N: Tensor | None = None,
        parents_N: Tensor | None = None,
        tokens: ClipTokens | None = None,
    ) -> MLFEOutputs:
        """Logits of the classifier and of local features, and their sum (Eqs. 1 to 8).

        Args:
            frames_NTD: A vector for each step.
            pooled_ND: A vector for each clip.
            labels_N, parents_N: Not used.
            tokens: Tokens and maps of stages that the vectors are means of.
        """
        assert tokens is not None
        whole_NK = self.fine(self.dropout(pooled_ND))
        maps_MKS = class_maps(tokens.tokens_NTSC, self.fine.weight).flatten(0, 1)
        layers = self._layer_scores(find_peaks(maps_MKS), tokens)
        if self.through_peaks:
            peaks_MK = maps_MKS.amax(dim=2)
            layers = [scores_MK + (peaks_MK - peaks_MK.detach()) for scores_MK in layers]
        final_NK, logits_NK = (
            self._fused(layers, len(frames_NTD), probabilities=self.softmax in choices)
            for choices in (("scores", "always"), ("always",))
        )
        fine_NK = whole_NK + self.coefficient * final_NK
        return MLFEOutputs(
            pooled_ND,
            fine_NK,
            None,
            None,
            None,
            whole_NK,
            final_NK,
            logits_NK,
            self.coefficient,
        )

    def _layer_scores(self, peaks: Peaks, tokens: ClipTokens) -> list[Tensor]:
        """The score of each class in each frame, (M, K), of each scorer (Eq. 8).

        Classes that peak at the same cell share a window, so it is computed once.
        """
        features = []
        for name, layer in self.layers.items():
            map_MChw = tokens.stage_maps_NTChw[name].flatten(0, 1)
            windows_UCyx = layer(map_MChw, peaks, tokens.grid_hw)
            features.append(windows_UCyx.mean(dim=(2, 3))[peaks.places_MK])
        if self.concatenates:
            features = [torch.cat(features, dim=2)]
        return [
            scorer(self.dropout(x_MKC)).squeeze(2)
            for scorer, x_MKC in zip(self.scorers, features, strict=True)
        ]

    def _fused(self, layers: Sequence[Tensor], num_clips: int, *, probabilities: bool) -> Tensor:
        """The score of each class in each clip, (N, K) (Eqs. 2 and 3)."""
        if probabilities:
            layers = [functional.softmax(scores_MK.float(), dim=1) for scores_MK in layers]
        stacked_LMK = torch.stack(list(layers))
        fused_MK = stacked_LMK.mean(dim=0) if self.averages else stacked_LMK.sum(dim=0)
        return fused_MK.unflatten(0, (num_clips, -1)).mean(dim=1)

    def local_features(self, tokens: ClipTokens, label: int) -> LocalFeatures:
        """As in `RecogniserHeads`: those of the first layer."""
        maps_MKS = class_maps(tokens.tokens_NTSC, self.fine.weight[[label]]).flatten(0, 1)
        peaks = find_peaks(maps_MKS)
        name = self.stages[0]
        map_NTChw = tokens.stage_maps_NTChw[name]
        windows_UCyx = self.layers[name](map_NTChw.flatten(0, 1), peaks, tokens.grid_hw)
        places_NT = peaks.places_MK.view(map_NTChw.shape[:2])
        return LocalFeatures(name, map_NTChw, peaks.cells_U[places_NT], windows_UCyx[places_NT])

    def weights_of_means(self) -> Tensor:
        """As in `RecogniserHeads`."""
        return self.fine.weight
