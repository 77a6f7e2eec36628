"""Adapters: small trainable modules after each block of a frozen backbone.

Shapes: L steps of all videos of a batch, concatenated (VideoMAE: tubelets of two frames), S tokens
of a step (height x width), D width of the backbone, C width of the bottleneck; `video_of_step_L` is
the video that each step belongs to, and temporal convolutions see zeros beyond the ends of their
own video.

Sources: standard adapter, Eq. 1 of the MMA-52 paper; TIA, Eq. 2 (AdaTAD; the point-wise convolution
is in the released code, not in the equation); DSTA, Eq. 3.
"""

import math
from abc import abstractmethod
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.kept_tokens import KeptTokens


class TemporalDepthwiseConv(nn.Module):
    """Depth-wise convolution over steps that never crosses from one video into the next.

    Args:
        channels: C.
        kernel_size: Number of steps, odd.
    """

    def __init__(self, channels: int, *, kernel_size: int = 3) -> None:
        super().__init__()
        assert kernel_size % 2 == 1, "a centred convolution has an odd kernel"
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel_size))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / kernel_size))

    def forward(self, x_LSC: Tensor, video_of_step_L: Tensor) -> Tensor:
        """Convolved tokens, same shape."""
        reach = self.weight.shape[-1] // 2
        taps_KC = self.weight[:, 0].t()
        out_LSC = x_LSC * taps_KC[reach] + self.bias
        length = x_LSC.shape[0]  # not len, which an exported network would fix
        for step in range(1, min(reach, length - 1) + 1):
            # Tap reach - step reads the past, reach + step the future; both only inside one video.
            same_L11 = (video_of_step_L[step:] == video_of_step_L[:-step]).to(x_LSC.dtype)
            same_L11 = same_L11[:, None, None]
            past = functional.pad(x_LSC[:-step] * same_L11, (0, 0, 0, 0, step, 0))
            future = functional.pad(x_LSC[step:] * same_L11, (0, 0, 0, 0, 0, step))
            out_LSC = out_LSC + past * taps_KC[reach - step] + future * taps_KC[reach + step]
        return out_LSC


class TemporalPath(nn.Module):
    """Temporal depth-wise convolution, optionally followed by a point-wise one."""

    def __init__(self, channels: int, *, kernel_size: int, pointwise: bool) -> None:
        super().__init__()
        self.depthwise = TemporalDepthwiseConv(channels, kernel_size=kernel_size)
        self.pointwise = _pointwise(channels) if pointwise else nn.Identity()

    def forward(
        self, x_LSC: Tensor, video_of_step_L: Tensor, kept: KeptTokens | None = None
    ) -> Tensor:
        """Temporal context of each token, same shape; of kept tokens alone if given, (P, C)."""
        y_LSC = self.depthwise(x_LSC, video_of_step_L)
        return self.pointwise(y_LSC if kept is None else kept.take(y_LSC))


class SpatialPath(nn.Module):
    """Spatial depth-wise convolution inside each step, optionally followed by a point-wise one."""

    def __init__(self, channels: int, *, kernel_size: int, pointwise: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels
        )
        nn.init.normal_(self.depthwise.weight, std=math.sqrt(2.0 / kernel_size**2))
        nn.init.zeros_(self.depthwise.bias)  # type: ignore[arg-type]
        self.pointwise = _pointwise(channels) if pointwise else nn.Identity()

    def forward(
        self, x_LSC: Tensor, grid_hw: tuple[int, int], kept: KeptTokens | None = None
    ) -> Tensor:
        """Spatial context of each token, same shape; of kept tokens alone if given, (P, C)."""
        # Channels stay innermost in memory: the convolution reads the tokens without a copy.
        x_LCHW = rearrange(x_LSC, "l (h w) c -> l c h w", h=grid_hw[0])
        y_LSC = rearrange(self.depthwise(x_LCHW), "l c h w -> l (h w) c")
        return self.pointwise(y_LSC if kept is None else kept.take(y_LSC))


def _pointwise(channels: int) -> nn.Linear:
    layer = nn.Linear(channels, channels)
    nn.init.normal_(layer.weight, std=math.sqrt(2.0 / channels))
    nn.init.zeros_(layer.bias)
    return layer


def _down(width: int, channels: int) -> nn.Linear:
    layer = nn.Linear(width, channels)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def _grid(x: Tensor, kept: KeptTokens | None) -> Tensor:
    return x if kept is None else kept.fill(x)


def _up(channels: int, width: int, *, bias: bool = True) -> nn.Linear:
    """A projection that starts at zero, so that a new adapter is the identity."""
    layer = nn.Linear(channels, width, bias=bias)
    nn.init.zeros_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Adapter(nn.Module):
    """Tokens in, tokens of the same shape out.

    Attributes:
        reach_steps: Steps on either side that a step's tokens depend on.
    """

    reach_steps: int = 0

    @abstractmethod
    def added(
        self,
        x_LSD: Tensor,
        *,
        video_of_step_L: Tensor,
        grid_hw: tuple[int, int],
        kept: KeptTokens | None = None,
    ) -> Tensor:
        """What is added to the tokens, same shape; zero until it is trained.

        Args:
            x_LSD: Tokens, or packed ones (P, D).
            video_of_step_L: Video of each step.
            grid_hw: Rows and columns of the tokens of a step.
            kept: How tokens are packed: convolutions see the grid that they fill; None: they are
                not.
        """

    def forward(
        self,
        x_LSD: Tensor,
        *,
        video_of_step_L: Tensor,
        grid_hw: tuple[int, int],
        kept: KeptTokens | None = None,
    ) -> Tensor:
        """Adapted tokens, same shape; arguments as in `added`."""
        return x_LSD + self.added(
            x_LSD, video_of_step_L=video_of_step_L, grid_hw=grid_hw, kept=kept
        )

    def added_to_map(self, x_NTHWD: Tensor, video_of_step_L: Tensor) -> Tensor:
        """What is added to the tokens of a map of clips, L = N x T; same shape."""
        x_LSD = rearrange(x_NTHWD, "n t h w d -> (n t) (h w) d")
        grid_hw = (x_NTHWD.shape[2], x_NTHWD.shape[3])
        added = self.added(x_LSD, video_of_step_L=video_of_step_L, grid_hw=grid_hw)
        return added.reshape(x_NTHWD.shape)


class StandardAdapter(Adapter):
    """Bottleneck with a residual: X' = alpha W_up GELU(W_down X) + X.

    The paper's Eq. 1 has no alpha; its parameter count in Table 4 (0.85 M) does.
    """

    def __init__(self, width: int, *, channels: int) -> None:
        super().__init__()
        self.down = _down(width, channels)
        self.up = _up(channels, width)
        self.alpha = nn.Parameter(torch.ones(1))

    def added(
        self,
        x_LSD: Tensor,
        *,
        video_of_step_L: Tensor,
        grid_hw: tuple[int, int],
        kept: KeptTokens | None = None,
    ) -> Tensor:
        """As in `Adapter`."""
        return self.alpha * self.up(functional.gelu(self.down(x_LSD)))


class TemporalInformationAdapter(Adapter):
    """TIA of AdaTAD: the bottleneck of the standard adapter with temporal context, Eq. 2.

    Args:
        width: D.
        channels: C.
        temporal_kernel: Kernel of the temporal convolution, in steps.
        temporal_pointwise: Whether a point-wise convolution follows the temporal one, as in
            AdaTAD's code, and not in the equation.
    """

    def __init__(
        self,
        width: int,
        *,
        channels: int,
        temporal_kernel: int = 3,
        temporal_pointwise: bool = True,
    ) -> None:
        super().__init__()
        self.down = _down(width, channels)
        self.temporal = TemporalPath(
            channels, kernel_size=temporal_kernel, pointwise=temporal_pointwise
        )
        self.reach_steps = temporal_kernel // 2
        self.up = _up(channels, width)
        self.alpha = nn.Parameter(torch.ones(1))

    def added(
        self,
        x_LSD: Tensor,
        *,
        video_of_step_L: Tensor,
        grid_hw: tuple[int, int],
        kept: KeptTokens | None = None,
    ) -> Tensor:
        """As in `Adapter`."""
        u_LSC = functional.gelu(self.down(x_LSD))
        u_LSC = u_LSC + self.temporal(_grid(u_LSC, kept), video_of_step_L, kept)
        return self.alpha * self.up(u_LSC)


class DualPathAdapter(Adapter):
    """DSTA: a temporal and a spatial path, weighted, concatenated and projected up, Eq. 3.

    X' = alpha W_up [beta X_s; gamma X_t] + X, with X_s = S(X_bar) + X_bar and X_t = T(X_bar) +
    X_bar. Eq. 3 defines the input of both convolutions in terms of itself; X_bar, the only defined
    value, is taken.

    Args:
        width: D.
        channels: C.
        temporal_kernel: Kernel of the temporal convolution, in steps.
        temporal_pointwise: Whether a point-wise convolution follows the temporal one.
        spatial_kernel: Kernel of the spatial convolution, in tokens; the paper's text says 1x1, its
            introduction a depth-wise 2D convolution.
        spatial_pointwise: Whether a point-wise convolution follows the spatial one.
        shared_down: One down-projection for both paths (Eq. 3) or one for each (the parameter count
            of Table 4).
        up_bias: Whether the up-projection has a bias.
        paths: Both paths, or one of them alone, for ablations; the other then does not exist.
        learned_scales: Whether alpha, beta and gamma are trained, instead of staying 1.
    """

    def __init__(
        self,
        width: int,
        *,
        channels: int,
        temporal_kernel: int = 3,
        temporal_pointwise: bool = True,
        spatial_kernel: int = 3,
        spatial_pointwise: bool = True,
        shared_down: bool = True,
        up_bias: bool = True,
        paths: Literal["both", "temporal", "spatial"] = "both",
        learned_scales: bool = True,
    ) -> None:
        super().__init__()
        self.down = _down(width, channels)
        has_both = paths == "both"
        self.down_spatial = None if shared_down or not has_both else _down(width, channels)
        self.temporal = self.spatial = None
        if paths != "spatial":
            self.temporal = TemporalPath(
                channels, kernel_size=temporal_kernel, pointwise=temporal_pointwise
            )
            self.reach_steps = temporal_kernel // 2
        if paths != "temporal":
            self.spatial = SpatialPath(
                channels, kernel_size=spatial_kernel, pointwise=spatial_pointwise
            )
        self.up = _up(2 * channels if has_both else channels, width, bias=up_bias)
        self.alpha, self.beta, self.gamma = (
            nn.Parameter(torch.ones(1), requires_grad=learned_scales) for _ in range(3)
        )

    def added(
        self,
        x_LSD: Tensor,
        *,
        video_of_step_L: Tensor,
        grid_hw: tuple[int, int],
        kept: KeptTokens | None = None,
    ) -> Tensor:
        """As in `Adapter`."""
        u_LSC = functional.gelu(self.down(x_LSD))
        v_LSC = u_LSC if self.down_spatial is None else functional.gelu(self.down_spatial(x_LSD))
        u_grid = _grid(u_LSC, kept)
        v_grid = u_grid if self.down_spatial is None else _grid(v_LSC, kept)
        paths = []
        if self.spatial is not None:
            paths.append(self.beta * (v_LSC + self.spatial(v_grid, grid_hw, kept)))
        if self.temporal is not None:
            paths.append(self.gamma * (u_LSC + self.temporal(u_grid, video_of_step_L, kept)))
        return self.alpha * self.up(torch.cat(paths, dim=-1))
