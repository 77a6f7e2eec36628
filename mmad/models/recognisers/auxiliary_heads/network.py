"""Primary and auxiliary recognition heads on the tokens of the backbone.

Shapes: N clips, T steps, S tokens of a step, D channels, K actions, P body parts.

Sources: heads and their sum are those of Li et al., Advancing Micro-Action Recognition with
Multi-Auxiliary Heads and Hybrid Loss Optimization (ACM MM 2024), sections 3.2 and 3.3; ArcFace is
arXiv 1801.07698, squeeze-and-excitation arXiv 1709.01507. Differs: a frame is a step of the
backbone, which has no finer features.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.contract import ClipTokens
from mmad.models.recognisers.contract import RecogniserHeads, RecognitionOutputs


class ArcFace(nn.Module):
    """Cosines of features and class vectors, with a margin on the angle.

    Args:
        width: D.
        num_classes: K.
        scale: Factor of the cosines.
        margin: Angle in radians, added to the angle to the target in training.
        on_all: Add it to the angles to all classes, in training and at test, as the released code
            does.
    """

    weight_decays = True

    def __init__(
        self,
        width: int,
        num_classes: int,
        *,
        scale: float,
        margin: float,
        on_all: bool,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(num_classes, width))
        self.scale, self.margin, self.on_all = scale, margin, on_all

    def forward(self, x_ND: Tensor, labels_N: Tensor | None = None) -> Tensor:
        """Logits (N, K); without labels there is no margin.

        Beyond the angle at which the target's cosine would increase again, it falls linearly.
        """
        # In full precision: half precision would leave steps of a tenth between scaled cosines.
        with torch.autocast(x_ND.device.type, enabled=False):
            return self._logits(x_ND.float(), labels_N)

    def _logits(self, x_ND: Tensor, labels_N: Tensor | None) -> Tensor:
        cosine = functional.linear(
            functional.normalize(x_ND), functional.normalize(self.weight.float())
        )
        if labels_N is None and not self.on_all:
            return self.scale * cosine
        sine = (1 - cosine**2).clamp(min=1e-7).sqrt()
        shifted = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        if labels_N is None or self.on_all:
            return self.scale * shifted
        turned = cosine <= math.cos(math.pi - self.margin)
        shifted = torch.where(turned, cosine - self.margin * math.sin(self.margin), shifted)
        is_target = functional.one_hot(labels_N, cosine.shape[1]).bool()
        return self.scale * torch.where(is_target, shifted, cosine)


class Linear(nn.Linear):
    """A linear classifier with the interface of `ArcFace`."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__(width, num_classes)
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)

    def forward(self, x_ND: Tensor, labels_N: Tensor | None = None) -> Tensor:
        """Logits (N, K)."""
        return super().forward(x_ND)


class Gate(nn.Module):
    """Squeeze-and-excitation of vectors: a weight from 0 to 1 for each channel.

    Args:
        width: D.
        squeeze: D / width of the hidden layer.
        multiply: Scale the channels; if false return the weights themselves, as the released code
            does.
    """

    def __init__(self, width: int, *, squeeze: int, multiply: bool) -> None:
        super().__init__()
        self.down = nn.Linear(width, width // squeeze, bias=False)
        self.up = nn.Linear(width // squeeze, width, bias=False)
        self.multiply = multiply

    def forward(self, x: Tensor) -> Tensor:
        """Gated vectors, same shape."""
        gate = torch.sigmoid(self.up(functional.relu(self.down(x))))
        return x * gate if self.multiply else gate


@dataclass(frozen=True)
class HeadOutputs(RecognitionOutputs):
    """Logits of the heads; None for those that are switched off.

    Attributes:
        coarse_frame: Logits of the body parts at each step, (N x T, P).
    """

    coarse_frame: Tensor | None


class Heads(RecogniserHeads):
    """The primary head and any auxiliary heads.

    Args:
        fine: Classifier of actions.
        coarse: Classifier of body parts, on the same vector.
        norm: Layer norm of that vector, for a backbone without one.
        dropout: Rate before both.
        fine_frame, coarse_frame: Classifiers of every step.
        fine_gate, coarse_gate: Gates of their features; the same module if shared.
        frame_rows: "frames", or "channel_groups": rows are groups of channels over all steps,
            as the released code's reshape without a permutation makes them.
    """

    def __init__(
        self,
        fine: ArcFace | Linear,
        *,
        coarse: nn.Module | None,
        norm: nn.Module | None,
        dropout: float,
        fine_frame: nn.Module | None,
        coarse_frame: nn.Module | None,
        fine_gate: nn.Module | None,
        coarse_gate: nn.Module | None,
        frame_rows: str,
    ) -> None:
        super().__init__()
        self.fine, self.coarse, self.norm = fine, coarse, norm
        self.dropout = nn.Dropout(dropout)
        self.fine_frame, self.coarse_frame = fine_frame, coarse_frame
        self.fine_gate, self.coarse_gate = fine_gate, coarse_gate
        self.frame_rows = frame_rows

    def forward(
        self,
        frames_NTD: Tensor,
        pooled_ND: Tensor,
        labels_N: Tensor | None = None,
        parents_N: Tensor | None = None,
        tokens: ClipTokens | None = None,
    ) -> HeadOutputs:
        """Logits; with labels and their body parts, ArcFace adds its margin.

        Args:
            frames_NTD: a vector for each step.
            pooled_ND: a vector for each clip. The mean over steps of means over the image (TSN)
                is the mean over all tokens (I3D, TimeSformer), so one serves them.
            labels_N, parents_N: Actions and body parts, in training.
            tokens: Not used.
        """
        if self.norm is not None:
            pooled_ND = self.norm(pooled_ND)
        fine = self.fine(self.dropout(pooled_ND), labels_N)
        coarse = None
        if self.coarse is not None:
            coarse = self.coarse(self.dropout(pooled_ND), parents_N)
        rows = self._rows(frames_NTD)
        fine_frame = coarse_frame = None
        if self.fine_frame is not None:
            assert self.fine_gate is not None
            fine_frame = self.fine_frame(self.fine_gate(rows), _for_rows(labels_N, rows))
        if self.coarse_frame is not None:
            assert self.coarse_gate is not None
            coarse_frame = self.coarse_frame(self.coarse_gate(rows), _for_rows(parents_N, rows))
        return HeadOutputs(pooled_ND, fine, coarse, fine_frame, coarse_frame)

    def weights_of_means(self) -> Tensor | None:
        """As in `RecogniserHeads`; cosines of ArcFace are linear but for the vector's length."""
        if self.norm is not None:
            return None
        weight = self.fine.weight
        return functional.normalize(weight) if isinstance(self.fine, ArcFace) else weight

    def _rows(self, frames_NTD: Tensor) -> Tensor:
        if self.frame_rows == "frames":
            return frames_NTD.flatten(0, 1)
        return frames_NTD.transpose(1, 2).reshape(-1, frames_NTD.shape[2])


def _for_rows(labels_N: Tensor | None, rows: Tensor) -> Tensor | None:
    """The label of each row of the frame heads."""
    return None if labels_N is None else labels_N.repeat_interleave(len(rows) // len(labels_N))
