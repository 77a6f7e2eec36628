"""PointTAD: queries that each read a few learnable points of the video and move them.

Shapes: B batch, C channels, T steps, Q queries, P points of a query, S sub-points of a point,
D decoder layers, K classes. Points are shares of their video's own length, 0 to 1.

Source: PointTAD (arXiv 2210.11035) and its released code (MCG-NJU/PointTAD), also as released for
MMA-52 by the organisers of the challenge (VUT-HFUT/MAC_2024_baseline).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.layers.masked import mask_steps


@dataclass(frozen=True)
class PointTADOutputs:
    """The predictions of PointTAD by every layer of its decoder.

    Attributes:
        logits_DBQK: Class logits, K + 1 of them: the last is "nothing".
        segments_DBQ2: Start and end as shares of the video's length; they may leave 0 to 1.
        dense_logits_BTK: K class logits of each step.
        mask_BT: Whether the step belongs to its video.
    """

    logits_DBQK: Tensor
    segments_DBQ2: Tensor
    dense_logits_BTK: Tensor
    mask_BT: Tensor


def bounds_of_points(points_P: Tensor) -> Tensor:
    """Start and end, shape (..., 2): the smallest and largest of the first two thirds of (..., P)
    points. The other points may go anywhere.

    >>> bounds_of_points(torch.tensor([0.5, 0.25, 1.0])).tolist()
    [0.25, 0.5]
    """
    chosen = points_P[..., : 2 * points_P.shape[-1] // 3]
    # Not amin and amax: they split the gradient among equal points, and since all are equal at
    # first they would remain so.
    return torch.stack((chosen.min(dim=-1).values, chosen.max(dim=-1).values), dim=-1)


def move_points(points_P: Tensor, deltas_P: Tensor) -> Tensor:
    """Points moved by ``deltas_P`` times half the length of their segment, same shape (..., P)."""
    start, end = bounds_of_points(points_P).unbind(-1)
    return points_P + deltas_P * (end - start)[..., None] / 2


def sample_steps(
    features_BTC: Tensor, places_BQPS: Tensor, weights_BQPS: Tensor, *, lengths_B: Tensor
) -> Tensor:
    """Weighted sums over S of the linearly interpolated features at places, (B, Q, P, C).

    Args:
        features_BTC: Feature sequences.
        places_BQPS: Shares of the video's length, clamped to 0 to 1; 0 is the first step and 1 the
            last.
        weights_BQPS: Weight of each place.
        lengths_B: Steps of each video, at least 1.
    """
    last = (lengths_B - 1)[:, None, None, None]
    steps = places_BQPS.clamp(0, 1) * last
    left = steps.detach().floor().long()
    right = torch.minimum(left + 1, last)
    share = steps - left
    # As a matrix over the steps, so that no feature is copied for each of the Q P S places.
    shape = (*places_BQPS.shape[:3], features_BTC.shape[1])
    matrix_BQPT = weights_BQPS.new_zeros(shape)
    matrix_BQPT = matrix_BQPT.scatter_add(-1, left, weights_BQPS * (1 - share))
    matrix_BQPT = matrix_BQPT.scatter_add(-1, right, weights_BQPS * share)
    sampled = matrix_BQPT.flatten(1, 2).to(features_BTC.dtype) @ features_BTC
    return sampled.unflatten(1, shape[1:3])


class LocalDeformation(nn.Module):
    """Features of points, each a weighted mean of a few sub-points around it.

    The distances of the sub-points and their weights are predicted from the query, once for its
    first points and once for the others.

    Args:
        channels: C.
        num_points: P.
        num_boundary_points: Number of first points; the released code calls them boundaries,
            although nothing keeps them there.
        num_subpoints: S.
    """

    def __init__(
        self, channels: int, *, num_points: int, num_boundary_points: int, num_subpoints: int
    ) -> None:
        super().__init__()
        self.num_subpoints = num_subpoints
        self.offsets = nn.Linear(channels, 2 * num_subpoints)
        self.weights = nn.Linear(channels, 2 * num_subpoints)
        group_of_point_P = (torch.arange(num_points) >= num_boundary_points).long()
        self.register_buffer("group_of_point_P", group_of_point_P, persistent=False)
        self.group_of_point_P: Tensor
        # All to the right of the point, as in the released code: 1, 2, ... steps.
        ahead = torch.arange(1.0, num_subpoints + 1).repeat(2)
        with torch.no_grad():
            self.offsets.bias.copy_(ahead)
            self.weights.bias.zero_()

    def forward(
        self, queries_BQC: Tensor, points_BQP: Tensor, features_BTC: Tensor, lengths_B: Tensor
    ) -> Tensor:
        """Features (B, Q, P, C) at the points."""
        offsets_BQPS = self._of_points(self.offsets(queries_BQC))
        weights_BQPS = self._of_points(self.weights(queries_BQC)).softmax(dim=-1)
        places_BQPS = points_BQP[..., None] + offsets_BQPS / lengths_B[:, None, None, None]
        return sample_steps(features_BTC, places_BQPS, weights_BQPS, lengths_B=lengths_B)

    def _of_points(self, both: Tensor) -> Tensor:
        return both.float().unflatten(-1, (2, self.num_subpoints))[:, :, self.group_of_point_P]


class ParallelMixing(nn.Module):
    """Features of a query's points, mixed over points and in parallel over channels, with weights
    from the query.

    Args:
        channels: C.
        num_points: P.
        dynamic_channels: Bottleneck channels of the mixing over channels.
    """

    def __init__(self, channels: int, *, num_points: int, dynamic_channels: int) -> None:
        super().__init__()
        self.num_points = num_points
        self.dynamic_channels = dynamic_channels
        self.point_weights = nn.Linear(channels, num_points**2)
        self.point_norm = nn.LayerNorm(num_points)
        self.channel_weights = nn.Linear(channels, 2 * channels * dynamic_channels)
        self.narrow_norm = nn.LayerNorm(dynamic_channels)
        self.wide_norm = nn.LayerNorm(channels)
        self.out = nn.Linear(2 * channels * num_points, channels)
        self.out_norm = nn.LayerNorm(channels)

    def forward(self, queries_BQC: Tensor, features_BQPC: Tensor) -> Tensor:
        """What the queries read from their points, (B, Q, C)."""
        points = self.point_weights(queries_BQC).unflatten(-1, (self.num_points, -1))
        narrow, wide = self.channel_weights(queries_BQC).chunk(2, dim=-1)
        narrow = narrow.unflatten(-1, (-1, self.dynamic_channels))
        wide = wide.unflatten(-1, (self.dynamic_channels, -1))

        over_points_BQCP = self.point_norm(features_BQPC.transpose(2, 3) @ points).relu()
        over_channels_BQPC = self.narrow_norm(features_BQPC @ narrow).relu()
        over_channels_BQPC = self.wide_norm(over_channels_BQPC @ wide).relu()
        both = torch.cat((over_channels_BQPC, over_points_BQCP.transpose(2, 3)), dim=-1)
        return self.out_norm(self.out(both.flatten(2))).relu()


def _tower(channels: int, out_channels: int, *, num_hidden: int) -> nn.Sequential:
    """Linear layers with norm and ReLU, and an output layer."""
    layers: list[nn.Module] = []
    for _ in range(num_hidden):
        layers += [nn.Linear(channels, channels, bias=False), nn.LayerNorm(channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(channels, out_channels))


class DecoderLayer(nn.Module):
    """Reads the video at the queries' points, then classifies the queries and moves the points.

    Args:
        channels: C.
        num_classes: K.
        num_heads: Heads of the attention among queries.
        hidden_channels: Channels inside the feed-forward network.
        dropout: Rate of all dropouts of the layer.
        num_points, num_boundary_points, num_subpoints: As `LocalDeformation`.
        dynamic_channels: As `ParallelMixing`.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_classes: int,
        num_points: int,
        num_boundary_points: int,
        num_subpoints: int,
        num_heads: int,
        hidden_channels: int,
        dynamic_channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.deformation = LocalDeformation(
            channels,
            num_points=num_points,
            num_boundary_points=num_boundary_points,
            num_subpoints=num_subpoints,
        )
        self.attention = nn.MultiheadAttention(
            channels, num_heads, dropout=dropout, batch_first=True
        )
        self.attention_norm = nn.LayerNorm(channels)
        self.mixing = ParallelMixing(
            channels, num_points=num_points, dynamic_channels=dynamic_channels
        )
        self.mixing_norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, hidden_channels)
        self.fc2 = nn.Linear(hidden_channels, channels)
        self.feedforward_norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        self.classification = _tower(channels, num_classes + 1, num_hidden=1)
        self.regression = _tower(channels, num_points, num_hidden=3)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, queries_BQC: Tensor, points_BQP: Tensor, features_BTC: Tensor, lengths_B: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits (B, Q, K + 1), moved points and new queries."""
        seen_BQPC = self.deformation(queries_BQC, points_BQP, features_BTC, lengths_B)
        attended, _ = self.attention(queries_BQC, queries_BQC, queries_BQC, need_weights=False)
        queries_BQC = self.attention_norm(queries_BQC + self.dropout(attended))
        mixed = self.mixing(queries_BQC, seen_BQPC)
        queries_BQC = self.mixing_norm(queries_BQC + self.dropout(mixed))
        hidden = self.fc2(self.dropout(functional.relu(self.fc1(queries_BQC))))
        queries_BQC = self.feedforward_norm(queries_BQC + self.dropout(hidden))
        # Under autocast too, points keep full precision, for a step may be less than 1 / 256.
        moved_BQP = move_points(points_BQP, self.regression(queries_BQC))
        return self.classification(queries_BQC), moved_BQP, queries_BQC


class PointTAD(nn.Module):
    """Features in; classes and segments of the queries, after each layer, and classes of steps out.

    All points of all queries are in the middle of the video before training. Their segments then
    have no length, and a layer moves points by a share of it; so the points themselves are learned
    first.

    Differs: the released code adds up projections of two layers of its I3D and takes windows of a
    fixed length, filled up with copies of the last frame; here features of any kind are projected
    once, and points and offsets count in the video's own length, so that padding changes nothing.

    Args:
        in_channels: Channels of the features.
        channels: C.
        num_classes: K.
        num_queries: Q, the maximum number of segments of a window.
        num_layers: D.
        num_points, num_boundary_points, num_subpoints, num_heads, hidden_channels,
            dynamic_channels, dropout: As `DecoderLayer`.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: int,
        num_classes: int,
        num_queries: int,
        num_points: int,
        num_boundary_points: int,
        num_subpoints: int,
        num_layers: int,
        num_heads: int,
        hidden_channels: int,
        dynamic_channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.project = nn.Conv1d(in_channels, channels, 1)
        self.dense = nn.Sequential(
            nn.Conv1d(channels, channels // 2, 3, padding=1),
            nn.Dropout(0.5),
            nn.Conv1d(channels // 2, num_classes, 1),
        )
        self.queries_QC = nn.Parameter(torch.randn(num_queries, channels))
        self.points_QP = nn.Parameter(torch.full((num_queries, num_points), 0.5))
        self.layers = nn.ModuleList(
            DecoderLayer(
                channels,
                num_classes=num_classes,
                num_points=num_points,
                num_boundary_points=num_boundary_points,
                num_subpoints=num_subpoints,
                num_heads=num_heads,
                hidden_channels=hidden_channels,
                dynamic_channels=dynamic_channels,
                dropout=dropout,
            )
            for _ in range(num_layers)
        )

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> PointTADOutputs:
        """Predictions of every layer, for any T."""
        x_BCT = mask_steps(self.project(features_BCT), mask_BT)
        lengths_B = mask_BT.sum(dim=1).clamp(min=1)
        batch = x_BCT.shape[0]
        queries_BQC = self.queries_QC.expand(batch, -1, -1)
        points_BQP = self.points_QP.expand(batch, -1, -1)
        logits, segments = [], []
        for layer in self.layers:
            logits_BQK, points_BQP, queries_BQC = layer(
                queries_BQC, points_BQP, x_BCT.transpose(1, 2), lengths_B
            )
            logits.append(logits_BQK)
            segments.append(bounds_of_points(points_BQP))
        return PointTADOutputs(
            logits_DBQK=torch.stack(logits),
            segments_DBQ2=torch.stack(segments),
            dense_logits_BTK=self.dense(x_BCT).transpose(1, 2),
            mask_BT=mask_BT,
        )
