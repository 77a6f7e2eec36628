"""The contract of video backbones: all that the rest of the package may know of them.

Shapes: N clips, F frames of a clip, H W pixels, T steps of a clip, S = h x w tokens of a step, C
channels.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from einops import rearrange
from torch import Tensor, nn

from mmad.config.tokens import TokenSettings
from mmad.models.backbones.naming import WeightNaming


class StageSpec(NamedTuple):
    """A feature map on the way to the last one.

    Attributes:
        channels: Channels of a cell.
        side_stride: Pixels of the image's side that a cell stands for.
    """

    channels: int
    side_stride: int


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """What the rest of the package may know of a video network.

    Attributes:
        channels: Channels of a token, and of a step.
        clip_frames: Frames of a clip, the input of one forward pass.
        frames_per_step: Frames that one step of the features stands for.
        side_multiple: Height and width of images must be multiples of this many pixels.
        num_blocks: Number of blocks before which tokens can be taken; 0 if there are none.
        pools_images: A step has one token, whatever the size of the images.
        images_per_frame: Images of which one frame consists: those of a stack of optical flow.
        pooled_channels: Channels of the vector of a clip, where they are others than a token's.
        stages: Feature maps that `Backbone.forward_stages` gives, by name, from fine to coarse:
            conv2 to conv5 as in the tables of ResNets. The last one has the cells of the tokens.
    """

    channels: int
    clip_frames: int
    frames_per_step: int
    side_multiple: int
    num_blocks: int = 0
    pools_images: bool = False
    images_per_frame: int = 1
    pooled_channels: int | None = None
    stages: Mapping[str, StageSpec] = field(default_factory=dict)

    @property
    def steps_per_clip(self) -> int:
        """T."""
        return self.clip_frames // self.frames_per_step

    @property
    def vector_channels(self) -> int:
        """Channels of the vector of a clip."""
        return self.channels if self.pooled_channels is None else self.pooled_channels

    @property
    def of_two_streams(self) -> "BackboneSpec":
        """The spec of two such networks whose outputs are concatenated by channels."""
        pooled = None if self.pooled_channels is None else 2 * self.pooled_channels
        return replace(self, channels=2 * self.channels, pooled_channels=pooled)

    def grid_hw(self, image_hw: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of tokens in images of ``image_hw`` pixels."""
        if self.pools_images:
            return 1, 1
        return image_hw[0] // self.side_multiple, image_hw[1] // self.side_multiple


@dataclass(frozen=True)
class ClipTokens:
    """The output of a backbone for clips.

    Attributes:
        tokens_NTSC: Tokens without class tokens; S = 1 if the network pools.
        grid_hw: Rows and columns of the tokens of a step, S = h x w.
        clip_NC: The network's own vector of a clip (class token, attention pooling, fully connected
            layer), with the head's input width; None: the mean of the tokens.
        stage_maps_NTChw: Feature maps of stages by name, if they were asked for.
    """

    tokens_NTSC: Tensor
    grid_hw: tuple[int, int]
    clip_NC: Tensor | None = None
    stage_maps_NTChw: Mapping[str, Tensor] = field(default_factory=dict)


def tokens_of_map(map_NCThw: Tensor) -> ClipTokens:
    """The cells of a feature map as tokens, row by row."""
    tokens_NTSC = rearrange(map_NCThw, "n c t h w -> n t (h w) c")
    return ClipTokens(tokens_NTSC, (map_NCThw.shape[3], map_NCThw.shape[4]))


class ParameterRole(NamedTuple):
    """The role of a parameter, and its depth.

    Attributes:
        role: "adapter", or "body" for pre-trained parameters.
        depth: 0 for the stem, then one more for each block; layer-wise rates fall with it.
    """

    role: Literal["adapter", "body"]
    depth: int


class Backbone(nn.Module):
    """A video network: clips in, tokens out.

    Args:
        spec: What the rest of the package may know of it.
    """

    # Set by `mmad.models.backbones.families.build_backbone`.
    family: "BackboneFamily"

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """The tokens of normalised clips.

        Args:
            images_NCFHW: Normalised frames, (N, 3, F, H, W); those of stacks of optical flow
                are consecutive, with x, y and an empty channel.
            video_of_clip_N: Video that each clip belongs to, for temporal adapters; the clips of a
                video are consecutive, in order.
            stop_before: Return the tokens that enter this block instead of the last ones.

        Raises: ValueError if the number of frames or the size of the images does not fit.
        """

    def forward_stages(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, stages: Collection[str]
    ) -> ClipTokens:
        """As `forward`, with the feature maps of these stages of `BackboneSpec.stages`."""
        assert not stages, f"no maps of stages in {type(self).__name__}"
        return self(images_NCFHW, video_of_clip_N)

    def use_tokens(self, settings: TokenSettings) -> None:
        """Compute these tokens of clips from now on; no weights depend on it."""
        assert settings.keep == "all", f"{type(self).__name__} computes all tokens"

    def choose(self, clips_NFHWC: Tensor) -> Tensor | None:
        """The tokens of uint8 clips that the network computes, bool (N, T, S); None: all.

        `forward` then takes them, as ``kept``.
        """
        return None

    def require_fitting(self, images_NCFHW: Tensor) -> None:
        """Raise ValueError unless the number of frames and the sides of the images fit."""
        frames, height, width = images_NCFHW.shape[2:]
        spec = self.spec
        expected = spec.clip_frames * spec.images_per_frame
        if frames != expected or height % spec.side_multiple or width % spec.side_multiple:
            raise ValueError(
                f"expected clips of {expected} frames whose sides are multiples of "
                f"{spec.side_multiple} pixels, found {frames} frames of {height}x{width}"
            )

    def pool_steps(self, tokens: ClipTokens) -> Tensor:
        """A vector for each step, (N, T, C): the mean of its tokens."""
        return tokens.tokens_NTSC.mean(dim=2)

    def pool_clips(self, tokens: ClipTokens) -> Tensor:
        """A vector for each clip, (N, C): the network's own, or the mean of all tokens."""
        if tokens.clip_NC is not None:
            return tokens.clip_NC
        return tokens.tokens_NTSC.mean(dim=2).mean(dim=1)

    @property
    def pools_with_norm(self) -> bool:
        """Whether pooled vectors are not plain means of tokens, but normalised ones."""
        return False

    def context_clips(self, *, stop_before: int | None = None) -> int:
        """Clips on either side that a clip's tokens depend on."""
        return 0

    def adapters(self) -> Sequence[nn.Module]:
        """The adapters of the backbone."""
        return ()

    @abstractmethod
    def depth_of(self, name: str) -> int:
        """Depth of the parameter ``name``, from 0; see `ParameterRole`."""

    def roles(self) -> dict[str, ParameterRole]:
        """Role and depth of every parameter, by name."""
        adapted = {id(p) for adapter in self.adapters() for p in adapter.parameters()}
        return {
            name: ParameterRole("adapter" if id(p) in adapted else "body", self.depth_of(name))
            for name, p in self.named_parameters()
        }

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> Mapping[str, str]:
        """Reshape tensors of a file (under our names) for this network, in place.

        Returns what was done, by name; empty if everything fits.

        Raises: CheckpointError if a tensor cannot be used in this network at all.
        """
        return {}

    def advice(self, missing: Collection[str], tensors: Collection[str]) -> str | None:
        """What to do if these names are missing from a file of ``tensors``, if anything special."""
        return None


@dataclass(frozen=True)
class BackboneFamily:
    """How the backbones of a family are built, and their tensor names in other projects.

    Attributes:
        title: Name for messages.
        build: Builds a backbone from settings, with random weights and parameters frozen as set.
        namings: Namings of files of other projects; the first that fits is used.
        optional: Prefixes (of our names) of tensors in files that a backbone may lack: classifiers,
            norms, decoders.
        describe: Describes the network in a file, from its tensors under our names.
        to_hugging_face: Gives the content of config.json and the tensors under the names of
            transformers; None if transformers has no such network.
        other_names: Tensors of blocks under the names of transformers, for the decoders of
            pre-training, whose blocks are those of the network; None likewise.
    """

    title: str
    build: Callable[[Any], Backbone]
    namings: Sequence[WeightNaming]
    optional: tuple[str, ...] = ()
    describe: Callable[[Mapping[str, Tensor]], str] = lambda tensors: f"{len(tensors)} tensors"
    to_hugging_face: Callable[[Any], tuple[dict[str, Any], dict[str, Tensor]]] | None = None
    other_names: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
