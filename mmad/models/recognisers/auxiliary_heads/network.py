"""Recognition of clips: primary and auxiliary heads on the tokens of the backbone.

Shapes: N clips, T tubelets, S tokens of a tubelet, D channels, K actions, P body parts.

Sources: heads and their sum are those of Li et al., Advancing Micro-Action Recognition with
Multi-Auxiliary Heads and Hybrid Loss Optimization (ACM MM 2024), sections 3.2 and 3.3; ArcFace is
arXiv 1801.07698, squeeze-and-excitation arXiv 1709.01507. Differs: a frame is a tubelet of two, as
the backbone has no finer features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.contract import Backbone, ClipTokens
from mmad.models.backbones.features import VideoBackbones, normalise_windows


class ArcFace(nn.Module):
    """Cosines of features and class vectors, with a margin on the angle.

    Args:
        width: D.
        num_classes: K.
        scale: of the cosines.
        margin: in radians, added to the angle to the target in training.
        on_all: add it to the angles to all classes, in training and at test; the released code
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

        Beyond the angle at which the target would turn round, its cosine falls linearly.
        """
        # In full precision: half of it would leave steps of a tenth between scaled cosines.
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
    """A linear classifier that is called as `ArcFace` is."""

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
        multiply: scale the channels; False gives the weights themselves, as the released code.
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
class RecognitionOutputs:
    """Logits of the heads; None for those that are switched off.

    Attributes:
        pooled: (N, D), the vector that the primary head reads.
        fine: (N, K).
        coarse: (N, P).
        fine_frame: (N x T, K).
        coarse_frame: (N x T, P).
    """

    pooled: Tensor
    fine: Tensor
    coarse: Tensor | None
    fine_frame: Tensor | None
    coarse_frame: Tensor | None


class Heads(nn.Module):
    """The primary head and those auxiliary heads that are given.

    Args:
        fine: classifier of actions.
        coarse: classifier of body parts, on the same vector.
        norm: Layer norm of that vector, for a backbone without one.
        dropout: before both.
        fine_frame, coarse_frame: classifiers of every tubelet, called as those of clips.
        fine_gate, coarse_gate: of their features; the same module if they share it.
        frame_rows: "frames", or "channel_groups": rows are groups of channels over all tubelets,
            as the released code's reshape without a permutation makes them.
    """

    def __init__(
        self,
        fine: nn.Module,
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
    ) -> RecognitionOutputs:
        """Logits; with labels and their body parts, ArcFace adds its margin.

        Args:
            frames_NTD: a vector for each tubelet.
            pooled_ND: a vector for each clip. The mean over tubelets of means over the image (TSN)
                is the mean over all tokens (I3D, TimeSformer), so one serves them.
            labels_N, parents_N: actions and body parts, in training.
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
        return RecognitionOutputs(pooled_ND, fine, coarse, fine_frame, coarse_frame)

    def _rows(self, frames_NTD: Tensor) -> Tensor:
        if self.frame_rows == "frames":
            return frames_NTD.flatten(0, 1)
        return frames_NTD.transpose(1, 2).reshape(-1, frames_NTD.shape[2])


def _for_rows(labels_N: Tensor | None, rows: Tensor) -> Tensor | None:
    """The label of each row of the frame heads."""
    return None if labels_N is None else labels_N.repeat_interleave(len(rows) // len(labels_N))


@dataclass(frozen=True)
class Mix:
    """Clips blended with others of the batch.

    Attributes:
        partner_N: the other clip.
        share_N: of the clip itself; the rest is the partner's.
    """

    partner_N: Tensor
    share_N: Tensor


class Recognizer(nn.Module):
    """Backbone and heads in one network.

    Args:
        backbone: of pictures.
        heads: for tokens of its width, or twice that if two streams are concatenated.
        num_streams: 2 if every clip comes with its optical flow as the window behind it.
        flow_backbone: None shares the backbone.
        concatenate: join the streams' tokens by channels instead of adding them.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: Heads,
        *,
        num_streams: int = 1,
        flow_backbone: Backbone | None = None,
        concatenate: bool = False,
    ) -> None:
        super().__init__()
        self.features = VideoBackbones(backbone, flow_backbone)
        self.heads = heads
        self.num_streams = num_streams
        self.concatenate = concatenate

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        labels_N: Tensor | None = None,
        parents_N: Tensor | None = None,
        mix: Mix | None = None,
    ) -> RecognitionOutputs:
        """Logits of every sample of 16 frames.

        Args:
            clips_NFHWC: uint8 frames; the samples of a clip are neighbours.
            colours_V34: affine map of the colours of each clip.
            clips_per_window: number of samples of each clip.
            labels_N, parents_N: for the margin, in training.
            mix: which are blended, in training.
        """
        tokens = self.tokens(clips_NFHWC, colours_V34, clips_per_window, mix)
        backbone = self.features.backbone
        return self.heads(
            backbone.pool_steps(tokens), backbone.pool_clips(tokens), labels_N, parents_N
        )

    def tokens(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        mix: Mix | None = None,
    ) -> ClipTokens:
        """Tokens of the backbone; each sample is a video of its own to adapters."""
        clips = clips_NFHWC.split(list(clips_per_window))
        streams = []
        for number in range(self.num_streams):
            mine = slice(number, None, self.num_streams)
            own = self.features.flow_backbone if number else self.features.backbone
            backbone = own or self.features.backbone
            images = normalise_windows(
                torch.cat(clips[mine]), colours_V34[mine], clips_per_window[mine]
            )
            if mix is not None:
                share = mix.share_N.to(images.dtype).view(-1, 1, 1, 1, 1)
                images = share * images + (1 - share) * images[mix.partner_N]
            numbers = torch.arange(len(images), device=images.device)
            streams.append(backbone(images, numbers))
        return join_streams(streams, concatenate=self.concatenate)


def join_streams(streams: Sequence[ClipTokens], *, concatenate: bool) -> ClipTokens:
    """Tokens of several streams of the same clips as one: added, or side by side in channels."""
    if len(streams) == 1:
        return streams[0]

    def join(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=-1) if concatenate else sum(parts[1:], parts[0])

    vectors = [stream.clip_NC for stream in streams if stream.clip_NC is not None]
    return ClipTokens(
        join([stream.tokens_NTSC for stream in streams]),
        streams[0].grid_hw,
        join(vectors) if vectors else None,
    )
