"""C3D: 3D convolutions and poolings, then two fully connected layers, one vector of a clip.

Shapes: N clips, F frames of a clip, H W pixels; T steps, h w cells of a feature map, C channels.

Sources: arXiv 1412.0767, and mmaction2's C3D, whose paddings and initial values these are.
"""

from collections.abc import Iterator

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.errors import CheckpointError
from mmad.models.backbones.contract import Backbone, BackboneSpec, ClipTokens
from mmad.models.layers.batch_norm import BatchNorm

# Widths of the convolutions of each stage, relative to the first; a pooling follows each stage.
_WIDTHS = ((1,), (2,), (4, 4), (8, 8), (8, 8))
_NUM_CONVOLUTIONS = sum(len(widths) for widths in _WIDTHS)
_HIDDEN_STD = 0.005


class Convolution(nn.Module):
    """A 3x3x3 convolution, perhaps with batch norm, and ReLU.

    Args:
        in_channels, channels: Of the input and of the output.
        norm: Batch norm instead of the bias.
        keep_statistics: See `BatchNorm`.
    """

    def __init__(
        self, in_channels: int, channels: int, *, norm: bool, keep_statistics: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, channels, 3, padding=1, bias=not norm)
        self.norm = BatchNorm(channels, keep_statistics=keep_statistics) if norm else None
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        """Features (N, channels, T, H, W)."""
        x = self.conv(x_NCTHW)
        return functional.relu(x if self.norm is None else self.norm(x), inplace=True)


class C3D(Backbone):
    """C3D without its classifier.

    Args:
        clip_frames: Frames of a clip.
        image_hw: Height and width of the images, on which the fully connected layers depend.
        base_channels: Channels of the first convolution.
        hidden_channels: Channels of the fully connected layers.
        dropout: Rate between them, while they are trained.
        norm, keep_statistics: See `Convolution`.
    """

    def __init__(
        self,
        *,
        clip_frames: int,
        image_hw: tuple[int, int],
        base_channels: int,
        hidden_channels: int,
        dropout: float,
        norm: bool,
        keep_statistics: bool,
    ) -> None:
        super().__init__(
            BackboneSpec(
                channels=hidden_channels,
                clip_frames=clip_frames,
                frames_per_step=clip_frames,
                side_multiple=1,
                pools_images=True,
            )
        )
        self.image_hw = image_hw
        self.dropout = dropout
        self.stages = nn.ModuleList()
        channels = 3
        for widths in _WIDTHS:
            stage = nn.Sequential()
            for width in widths:
                stage.append(
                    Convolution(
                        channels, width * base_channels, norm=norm, keep_statistics=keep_statistics
                    )
                )
                channels = width * base_channels
            self.stages.append(stage)
        cells = channels * _num_cells(clip_frames, image_hw)
        self.fc6 = nn.Linear(cells, hidden_channels)
        self.fc7 = nn.Linear(hidden_channels, hidden_channels)
        for layer in (self.fc6, self.fc7):
            nn.init.normal_(layer.weight, std=_HIDDEN_STD)
            nn.init.zeros_(layer.bias)

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`; one token of a clip, and no block to stop before."""
        assert stop_before is None
        frames, *found = images_NCFHW.shape[2:]
        if frames != self.spec.clip_frames or tuple(found) != self.image_hw:
            raise ValueError(
                f"expected clips of {self.spec.clip_frames} frames of "
                f"{self.image_hw[0]}x{self.image_hw[1]} pixels, found {frames} frames of "
                f"{found[0]}x{found[1]}"
            )
        *_, map_NCThw = self.maps(images_NCFHW)
        return token_of_vector(self.vector(map_NCThw))

    def maps(self, images_NCFHW: Tensor) -> Iterator[Tensor]:
        """The feature maps (N, C, T, h, w) behind the pooling of each stage.

        All poolings keep the largest of each two rows and columns, and all but the first of each
        two steps; the last one adds a border to the images.
        """
        x = images_NCFHW
        last = len(self.stages) - 1
        for number, stage in enumerate(self.stages):
            steps, border = (1 if number == 0 else 2), (1 if number == last else 0)
            x = functional.max_pool3d(stage(x), (steps, 2, 2), padding=(0, border, border))
            yield x

    def vector(self, map_NCThw: Tensor) -> Tensor:
        """The vector (N, C) of each clip, from the last map."""
        x = functional.relu(self.fc6(rearrange(map_NCThw, "n c t h w -> n (c t h w)")))
        # A frozen network must not change its vectors from step to step.
        dropping = self.training and self.fc7.weight.requires_grad
        x = functional.dropout(x, self.dropout, training=dropping)
        return functional.relu(self.fc7(x))

    def depth_of(self, name: str) -> int:
        """As in `Backbone`: the number of layers before."""
        part, *place = name.split(".")
        if part != "stages":
            return _NUM_CONVOLUTIONS + ("fc6", "fc7").index(part)
        stage, number = int(place[0]), int(place[1])
        return sum(len(widths) for widths in _WIDTHS[:stage]) + number

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> dict[str, str]:
        """As in `Backbone`; nothing is reshaped."""
        own, found = self.fc6.weight, tensors.get("fc6.weight")
        if found is not None and found.shape[0] == len(own) and found.shape != own.shape:
            height, width = self.image_hw
            raise CheckpointError(
                f"{source}: its first fully connected layer takes {found.shape[1]} values, but "
                f"{self.spec.clip_frames} frames of {height}x{width} pixels give {own.shape[1]}; "
                "set backbone.image_size and data.image_size to what it was trained on"
            )
        return {}


def token_of_vector(vector_NC: Tensor) -> ClipTokens:
    """A vector of each clip as its only token."""
    return ClipTokens(rearrange(vector_NC, "n c -> n 1 1 c"), (1, 1))


def _num_cells(clip_frames: int, image_hw: tuple[int, int]) -> int:
    """Cells of the last map: four halvings of time, five of the images, of which the last adds 1.

    >>> _num_cells(16, (112, 112)), _num_cells(16, (48, 96))
    (16, 8)
    """
    height, width = (side // 2**4 // 2 + 1 for side in image_hw)
    return clip_frames // 2**4 * height * width
