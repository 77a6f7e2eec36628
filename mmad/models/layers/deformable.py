"""Deformable attention and pooling of segments, which read a sequence at a few interpolated places.

Shapes: B batch, C channels, T steps of the padded batch, Q queries, h heads, d channels of a head,
P points that a head reads. Step t covers [t, t + 1) of its video, so its centre is t + 0.5.

Source: TadTR (arXiv 2106.10271, Sec. III-C and III-E), Deformable DETR (arXiv 2010.04159, Eq. 2)
and the reference implementations of TadTR (xlliu7/TadTR and OpenTAD).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class SlowLinear(nn.Linear):
    """Linear layer that Adam-like optimisers train at ``rate`` times their learning rate.

    Its output is multiplied by ``rate``, and Adam's steps do not depend on the size of gradients,
    so the product with ``rate`` is what other layers would hold as weight and bias. It needs no
    parameter group of its own.
    """

    def __init__(self, in_features: int, out_features: int, *, rate: float) -> None:
        super().__init__(in_features, out_features)
        self.rate = rate

    @torch.no_grad()
    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Set the effective weight and bias."""
        self.weight.copy_(weight / self.rate)
        self.bias.copy_(bias / self.rate)

    def forward(self, x: Tensor) -> Tensor:
        """The mapped input, (..., out_features)."""
        return super().forward(x) * self.rate


def read_steps(values_BTHD: Tensor, positions_BHQP: Tensor, weights_BHQP: Tensor) -> Tensor:
    """Weighted sums of values between steps, shape (B, Q, h * d).

    A position between two steps reads both, linearly; beyond the first and the last one are zeros.

    Args:
        values_BTHD: Values, zero where a step does not exist.
        positions_BHQP: Positions in steps, any finite number; 0 is the first step itself.
        weights_BHQP: Weight of each position.
    """
    steps, channels = values_BTHD.shape[1], values_BTHD.shape[3]
    values_BHTD = values_BTHD.transpose(1, 2)
    low_BHQP = positions_BHQP.detach().floor()
    share_BHQP = positions_BHQP - low_BHQP
    index = torch.stack((low_BHQP, low_BHQP + 1), dim=-1).flatten(-2)
    weight = torch.stack(((1 - share_BHQP) * weights_BHQP, share_BHQP * weights_BHQP), dim=-1)
    known = (index >= 0) & (index < steps)
    weight = weight.flatten(-2) * known
    # Chosen as integers, so that a model that diverges fails with its loss, not here. And not
    # clamped: a traced network would fix the last step.
    index = torch.where(known, index.long(), 0)
    flat = index.flatten(2)[..., None].expand(-1, -1, -1, channels)
    read = values_BHTD.gather(2, flat).unflatten(2, (-1, index.shape[3]))
    return torch.einsum("bhqpd,bhqp->bqhd", read, weight).flatten(2)


class TemporalDeformableAttention(nn.Module):
    """Attention of each query to a few steps of its choice near its reference.

    Args:
        channels: C.
        num_heads: h.
        num_points: P.
        offset_rate: Learning rate of the offsets relative to that of the rest; see `SlowLinear`.
    """

    def __init__(
        self, channels: int, *, num_heads: int, num_points: int, offset_rate: float
    ) -> None:
        super().__init__()
        assert channels % num_heads == 0, f"{channels} channels for {num_heads} heads"
        self.num_heads = num_heads
        self.num_points = num_points
        self.offsets = SlowLinear(channels, num_heads * num_points, rate=offset_rate)
        self.weights = nn.Linear(channels, num_heads * num_points)
        self.value = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)
        # Heads look to the right, nowhere, to the left, nowhere, ...; each point one step further.
        direction = torch.cos(torch.arange(num_heads) * (4 * math.pi / num_heads))
        first = direction[:, None] * torch.arange(1, num_points + 1)
        self.offsets.start_from(torch.zeros_like(self.offsets.weight), first.flatten())
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        for layer in (self.value, self.proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, queries_BQC: Tensor, memory_BTC: Tensor, mask_BT: Tensor, reference_BQR: Tensor
    ) -> Tensor:
        """What the queries read, shape (B, Q, C).

        Args:
            queries_BQC: Queries, which predict offsets and weights.
            memory_BTC: Sequence to read; zero beyond a video's end.
            mask_BT: True where a step belongs to its video.
            reference_BQR: Shares of the video's length: R = 1, a centre, from which offsets count
                in steps; R = 2, centre and width, and P offsets of 1 make half the width.
        """
        heads = (self.num_heads, self.num_points)
        value_BTC = self.value(memory_BTC).masked_fill(~mask_BT[..., None], 0.0)
        # Reading is exact even under autocast: at step 1000, bfloat16 counts by fours.
        offsets_BQHP = self.offsets(queries_BQC).float().unflatten(-1, heads)
        weights_BQHP = self.weights(queries_BQC).float().unflatten(-1, heads).softmax(dim=-1)
        length_B = mask_BT.sum(dim=1).clamp(min=1)[:, None, None, None]
        reference = reference_BQR.float()[:, :, None, None]
        if reference_BQR.shape[-1] == 2:
            offsets_BQHP = offsets_BQHP * reference[..., 1] * (length_B * 0.5 / self.num_points)
        positions_BQHP = reference[..., 0] * length_B + offsets_BQHP - 0.5
        with torch.autocast(memory_BTC.device.type, enabled=False):
            read_BQC = read_steps(
                value_BTC.float().reshape(*value_BTC.shape[:2], self.num_heads, -1),
                positions_BQHP.transpose(1, 2),
                weights_BQHP.transpose(1, 2),
            )
        return self.proj(read_BQC)


@torch.no_grad()
def alignment_weights(
    segments_BQ2: Tensor, lengths_B: Tensor, *, num_steps: int, num_bins: int
) -> Tensor:
    """Weight of each step in each bin of each segment, shape (B, Q, bins, T).

    A segment is cut to its video and then into equal bins; a bin of more than one step takes the
    mean of as many places as it has steps (rounded up), each read between two steps. No gradient
    goes to the segments.

    Args:
        segments_BQ2: Start and end in steps. One shorter than a step counts as one step.
        lengths_B: Steps of each video.
        num_steps: T.
        num_bins: Bins of a segment.

    >>> segments, lengths = torch.tensor([[[1.0, 3.0]]]), torch.tensor([4])
    >>> alignment_weights(segments, lengths, num_steps=5, num_bins=2)[0, 0].tolist()
    [[0.0, 0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5, 0.0]]
    """
    device = segments_BQ2.device
    length_B11 = lengths_B[:, None, None]
    bounds_BQ2 = segments_BQ2.float().clamp(min=0).minimum(length_B11)
    start_BQ, end_BQ = bounds_BQ2.unbind(-1)
    bin_BQ = (end_BQ - start_BQ).clamp(min=1) / num_bins
    places_BQ = bin_BQ.ceil()  # number of places in a bin
    most = (num_steps + num_bins - 1) // num_bins
    number_G = torch.arange(most, device=device)
    within_BQG = (number_G + 0.5) * (bin_BQ / places_BQ)[..., None]
    first_BQN = start_BQ[..., None] + torch.arange(num_bins, device=device) * bin_BQ[..., None]
    position = first_BQN[..., None] + within_BQG[:, :, None]  # (B, Q, bins, G)
    # As in the released kernel, a position counts steps from their starts: half a step late.
    counted = (number_G < places_BQ[..., None])[:, :, None] & (position <= length_B11[..., None])
    weight = counted / places_BQ[..., None, None]
    last = (length_B11[..., None] - 1).clamp(min=0)
    low = position.long().clamp(min=0).minimum(last)
    high = (low + 1).minimum(last)
    share = (position - low).clamp(0, 1)
    weights = torch.zeros(*segments_BQ2.shape[:2], num_bins, num_steps, device=device)
    weights.scatter_add_(-1, low, (1 - share) * weight)
    return weights.scatter_add_(-1, high, share * weight)


def align_segments(
    memory_BTC: Tensor, segments_BQ2: Tensor, lengths_B: Tensor, *, num_bins: int
) -> Tensor:
    """Features of segments, pooled to a fixed size, shape (B, Q, bins, C).

    Arguments as in `alignment_weights`. A matrix product, because gathering would copy the features
    of long segments many times.
    """
    weights_BQNT = alignment_weights(
        segments_BQ2, lengths_B, num_steps=memory_BTC.shape[1], num_bins=num_bins
    )
    with torch.autocast(memory_BTC.device.type, enabled=False):
        aligned = weights_BQNT.flatten(1, 2) @ memory_BTC.float()
    return aligned.reshape(aligned.shape[0], -1, num_bins, aligned.shape[2])


def perceptron(in_channels: int, channels: int, out_channels: int) -> nn.Sequential:
    """Three linear layers, the first two followed by ReLU."""
    return nn.Sequential(
        nn.Linear(in_channels, channels),
        nn.ReLU(),
        nn.Linear(channels, channels),
        nn.ReLU(),
        nn.Linear(channels, out_channels),
    )


class Residual(nn.Module):
    """Dropout, sum and layer norm after a sub-layer of a transformer."""

    def __init__(self, channels: int, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.dropout = dropout

    def forward(self, x: Tensor, change: Tensor) -> Tensor:
        """The normalised sum."""
        return self.norm(x + functional.dropout(change, self.dropout, self.training))
