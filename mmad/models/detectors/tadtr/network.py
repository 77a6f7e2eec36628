"""TadTR: a set of learned queries, each of which becomes one segment.

Shapes: B batch, C channels, T steps, Q queries, L layers of the decoder, K classes. Segments are
(centre, width) in shares of their own video's length, whatever padding follows it.

Source: TadTR (arXiv 2106.10271) and its reference implementations (xlliu7/TadTR, and OpenTAD).
Where the two differ, initial values and dropout are the authors', and places of steps (their
centres) OpenTAD's.
Differs: padding never reaches a result. OpenTAD reads it as video and divides by the length of the
window; and its attention halves what it reads, because it samples an image of one column at the
column's edge (the authors' kernel does not).
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.detectors.losses import set_prior
from mmad.models.detectors.set_matching import to_bounds
from mmad.models.layers.deformable import (
    Residual,
    SlowLinear,
    TemporalDeformableAttention,
    align_segments,
    perceptron,
)
from mmad.models.layers.masked import MaskedGroupNorm

FIRST_WIDTH_LOGIT = -2.0  # queries start as segments of 0.12 of the video
LOGIT_EPS = 1e-5


@dataclass(frozen=True)
class QueryOutputs:
    """The predictions of the queries after each decoder layer; the last is the result.

    Attributes:
        logits_LBQK: Class logits.
        segments_LBQ2: Centre and width, as shares of the video's length.
        actionness_BQ: Predicted tIoU of the last segments with the annotations, in [0, 1].
        lengths_B: Steps of each video.
    """

    logits_LBQK: Tensor
    segments_LBQ2: Tensor
    actionness_BQ: Tensor
    lengths_B: Tensor


def places_of_steps(mask_BT: Tensor) -> Tensor:
    """The middle of each step as a share of its video's length, (B, T)."""
    length_B1 = mask_BT.sum(dim=1, keepdim=True).clamp(min=1)
    return (torch.arange(mask_BT.shape[1], device=mask_BT.device) + 0.5) / length_B1


def relative_positions(mask_BT: Tensor, channels: int) -> Tensor:
    """Sine (even channels) and cosine (odd) of each step's place in its video, (B, T, C).

    The fastest wave turns once over the video: the angle of channel c is
    2 pi (t + 0.5) / length / 10000^(2 (c // 2) / C).
    """
    channel = torch.arange(channels, device=mask_BT.device)
    rate_C = 10000.0 ** (-2 * (channel // 2) / channels)
    angle = 2 * math.pi * places_of_steps(mask_BT)[..., None] * rate_C
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos())


class FeedForward(nn.Module):
    """Two linear layers with ReLU and dropout between them."""

    def __init__(self, channels: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.dropout = dropout
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Transformed input, same shape."""
        hidden = functional.relu(self.fc1(x))
        return self.fc2(functional.dropout(hidden, self.dropout, self.training))


class EncoderLayer(nn.Module):
    """Every step reads a few steps around it.

    Args:
        channels: C.
        num_heads, num_points, offset_rate: As `TemporalDeformableAttention`.
        hidden_channels: Channels inside the feed-forward network.
        dropout: Dropout rate.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        num_points: int,
        hidden_channels: int,
        dropout: float,
        offset_rate: float,
    ) -> None:
        super().__init__()
        self.attn = TemporalDeformableAttention(
            channels, num_heads=num_heads, num_points=num_points, offset_rate=offset_rate
        )
        self.attn_residual = Residual(channels, dropout=dropout)
        self.feed_forward = FeedForward(channels, hidden=hidden_channels, dropout=dropout)
        self.feed_forward_residual = Residual(channels, dropout=dropout)

    def forward(
        self, x_BTC: Tensor, positions_BTC: Tensor, mask_BT: Tensor, reference_BT1: Tensor
    ) -> Tensor:
        """Transformed sequence, (B, T, C)."""
        read = self.attn(x_BTC + positions_BTC, x_BTC, mask_BT, reference_BT1)
        x_BTC = self.attn_residual(x_BTC, read)
        return self.feed_forward_residual(x_BTC, self.feed_forward(x_BTC))


class QueryLayer(nn.Module):
    """Queries look at each other, then at the video.

    Args:
        As `EncoderLayer`.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        num_points: int,
        hidden_channels: int,
        dropout: float,
        offset_rate: float,
    ) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(
            channels, num_heads, dropout=dropout, batch_first=True
        )
        nn.init.xavier_uniform_(self.self_attn.out_proj.weight)
        self.self_attn_residual = Residual(channels, dropout=dropout)
        self.attn = TemporalDeformableAttention(
            channels, num_heads=num_heads, num_points=num_points, offset_rate=offset_rate
        )
        self.attn_residual = Residual(channels, dropout=dropout)
        self.feed_forward = FeedForward(channels, hidden=hidden_channels, dropout=dropout)
        self.feed_forward_residual = Residual(channels, dropout=dropout)

    def forward(
        self,
        x_BQC: Tensor,
        positions_BQC: Tensor,
        memory_BTC: Tensor,
        mask_BT: Tensor,
        reference_BQR: Tensor,
    ) -> Tensor:
        """Transformed queries, (B, Q, C)."""
        placed = x_BQC + positions_BQC
        mixed, _ = self.self_attn(placed, placed, x_BQC, need_weights=False)
        x_BQC = self.self_attn_residual(x_BQC, mixed)
        read = self.attn(x_BQC + positions_BQC, memory_BTC, mask_BT, reference_BQR)
        x_BQC = self.attn_residual(x_BQC, read)
        return self.feed_forward_residual(x_BQC, self.feed_forward(x_BQC))


class TadTR(nn.Module):
    """Encoder over the steps, decoder over the queries, and an actionness head on each segment.

    Args:
        in_channels: Channels of the features.
        channels: C.
        num_classes: K.
        num_queries: Q, the maximum number of segments of a window.
        encoder: Layers over the steps.
        decoder: Layers over the queries; each refines the segments of the previous one.
        num_groups: Groups of the norm after the input projection.
        num_bins: Number of bins that the features of a segment are pooled into for its actionness.
        extension: Share of its width by which a segment is extended on either side for that.
        prior: Initial score of every class.
        offset_rate: As `TemporalDeformableAttention`; also for the queries' initial centres.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: int,
        num_classes: int,
        num_queries: int,
        encoder: list[EncoderLayer],
        decoder: list[QueryLayer],
        num_groups: int,
        num_bins: int,
        extension: float,
        prior: float,
        offset_rate: float,
    ) -> None:
        super().__init__()
        assert decoder, "at least one layer of the decoder"
        self.num_bins = num_bins
        self.extension = extension
        self.input = nn.Conv1d(in_channels, channels, 1)
        nn.init.xavier_uniform_(self.input.weight)
        nn.init.zeros_(self.input.bias)  # type: ignore[arg-type]
        self.input_norm = MaskedGroupNorm(channels, num_groups=num_groups)
        # Embedding of the only feature level; Deformable DETR has one for each of several.
        self.level = nn.Parameter(torch.randn(channels))
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)
        self.query_positions = nn.Parameter(torch.randn(num_queries, channels))
        self.query_contents = nn.Parameter(torch.randn(num_queries, channels))
        self.centre = SlowLinear(channels, 1, rate=offset_rate)
        weight = nn.init.xavier_uniform_(torch.empty(1, channels))
        self.centre.start_from(weight, torch.zeros(1))
        self.classification = nn.ModuleList(nn.Linear(channels, num_classes) for _ in decoder)
        self.regression = nn.ModuleList(perceptron(channels, channels, 2) for _ in decoder)
        for layer, (classes, segments) in enumerate(
            zip(self.classification, self.regression, strict=True)
        ):
            set_prior(classes, prior)  # type: ignore[arg-type]
            last = segments[-1]  # type: ignore[index]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            if layer == 0:
                nn.init.constant_(last.bias[1:], FIRST_WIDTH_LOGIT)
        self.actionness = perceptron(num_bins * channels, channels, 1)

    def encode(self, features_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """The memory that the queries read, (B, T, C); undefined beyond a video's end."""
        x_BTC = self.input_norm(self.input(features_BCT), mask_BT).transpose(1, 2)
        positions_BTC = relative_positions(mask_BT, x_BTC.shape[-1]) + self.level
        reference_BT1 = places_of_steps(mask_BT)[..., None]
        for layer in self.encoder:
            x_BTC = layer(x_BTC, positions_BTC, mask_BT, reference_BT1)
        return x_BTC

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> QueryOutputs:
        """Predictions of the queries, for any T."""
        memory_BTC = self.encode(features_BCT, mask_BT)
        lengths_B = mask_BT.sum(dim=1).clamp(min=1)
        batch = features_BCT.shape[0]
        positions_BQC = self.query_positions.expand(batch, -1, -1)
        x_BQC = self.query_contents.expand(batch, -1, -1)
        device = features_BCT.device.type
        # A share of a long video needs more digits than autocast leaves.
        with torch.autocast(device, enabled=False):
            reference_BQR = self.centre(positions_BQC).sigmoid()
        logits, segments = [], []
        for layer, classes, refine in zip(
            self.decoder, self.classification, self.regression, strict=True
        ):
            x_BQC = layer(x_BQC, positions_BQC, memory_BTC, mask_BT, reference_BQR)
            with torch.autocast(device, enabled=False):
                before = reference_BQR.logit(eps=LOGIT_EPS)
                before = functional.pad(before, (0, 2 - before.shape[-1]))
                segment_BQ2 = (before + refine(x_BQC.float())).sigmoid()
            logits.append(classes(x_BQC))
            segments.append(segment_BQ2)
            reference_BQR = segment_BQ2.detach()
        return QueryOutputs(
            logits_LBQK=torch.stack(logits).float(),
            segments_LBQ2=torch.stack(segments),
            actionness_BQ=self._actionness(memory_BTC, segments[-1], lengths_B),
            lengths_B=lengths_B,
        )

    def _actionness(self, memory_BTC: Tensor, segments_BQ2: Tensor, lengths_B: Tensor) -> Tensor:
        wider = torch.tensor([1.0, 1 + 2 * self.extension], device=segments_BQ2.device)
        bounds_BQ2 = to_bounds(segments_BQ2.detach() * wider) * lengths_B[:, None, None]
        aligned = align_segments(memory_BTC, bounds_BQ2, lengths_B, num_bins=self.num_bins)
        # Channels before bins, as in the reference implementations.
        flat = rearrange(aligned, "b q bins c -> b q (c bins)")
        return self.actionness(flat)[..., 0].float().sigmoid()
