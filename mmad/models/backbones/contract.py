"""What every video backbone supplies, and all that the rest of the package may know of it.

Shapes: N clips, F frames of a clip, H W pixels, T steps of a clip, S = h x w tokens of a step, C
channels.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from mmad.models.backbones.naming import WeightNaming


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """What the rest of the package may know of a video network.

    Attributes:
        channels: of a token.
        clip_frames: frames of one forward pass.
        frames_per_step: frames that a step of the features stands for.
        side_multiple: pixels that the sides of images are a multiple of.
        num_blocks: blocks that the tokens can be taken before; 0 if there is no such place.
    """

    channels: int
    clip_frames: int
    frames_per_step: int
    side_multiple: int
    num_blocks: int = 0

    @property
    def steps_per_clip(self) -> int:
        """T."""
        return self.clip_frames // self.frames_per_step

    def grid_hw(self, image_hw: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of tokens in images of ``image_hw`` pixels."""
        return image_hw[0] // self.side_multiple, image_hw[1] // self.side_multiple


@dataclass(frozen=True)
class ClipTokens:
    """What a backbone makes of clips.

    Attributes:
        tokens_NTSC: without class tokens; S = 1 where the network pools.
        grid_hw: rows and columns of the tokens of a step, S = h x w.
        clip_NC: the network's own vector of a clip (class token, attention pooling, fully connected
            layer), with the head's input width; None: the mean of the tokens.
    """

    tokens_NTSC: Tensor
    grid_hw: tuple[int, int]
    clip_NC: Tensor | None = None


class ParameterRole(NamedTuple):
    """What a parameter is for, and how deep it lies.

    Attributes:
        role: "adapter", or "body" for what pre-training has made.
        depth: 0 for the stem, then one more for each block; layer-wise rates fall with it.
    """

    role: Literal["adapter", "body"]
    depth: int


class Backbone(nn.Module):
    """A video network: clips in, tokens out.

    Args:
        spec: what the rest may know of it.
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
            images_NCFHW: (N, 3, F, H, W).
            video_of_clip_N: which video each clip belongs to, for temporal adapters; the clips of a
                video are neighbours, in order.
            stop_before: give the tokens as they enter this block instead of the last ones.

        Raises: ValueError if the frames of a clip or the size of the images do not fit.
        """

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
        """Whether pooled vectors are more than means of tokens, so that tokens alone are not it."""
        return False

    def context_clips(self, *, stop_before: int | None = None) -> int:
        """Clips on either side that a clip's tokens depend on."""
        return 0

    def adapters(self) -> Sequence[nn.Module]:
        """The adapters in it."""
        return ()

    @abstractmethod
    def depth_of(self, name: str) -> int:
        """Depth of the parameter ``name``, from 0; see `ParameterRole`."""

    def roles(self) -> dict[str, ParameterRole]:
        """Role and depth of every parameter, by its name."""
        adapted = {id(p) for adapter in self.adapters() for p in adapter.parameters()}
        return {
            name: ParameterRole("adapter" if id(p) in adapted else "body", self.depth_of(name))
            for name, p in self.named_parameters()
        }

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> Mapping[str, str]:
        """Bring tensors of a file (under our names) to the shapes of this network, in place.

        Returns what was done, by name; nothing where everything fits.

        Raises: CheckpointError if a tensor cannot be used in this network at all.
        """
        return {}

    def advice(self, missing: Collection[str], tensors: Collection[str]) -> str | None:
        """What to do where these names are missing from a file of ``tensors``; None: nothing
        special.
        """
        return None


@dataclass(frozen=True)
class BackboneFamily:
    """How the backbones of a family are made, and how others call their tensors.

    Attributes:
        title: its name for people.
        build: from settings, at random weights, with the right parameters frozen.
        namings: by which files of other projects are read, the first that fits.
        optional: beginnings of names (ours) of tensors that files have and a backbone may lack:
            classifiers, norms, decoders.
        describe: dimensions of the network in a file, from its tensors under our names.
        to_hugging_face: content of its config.json and tensors as transformers calls them; None if
            transformers has no such network.
    """

    title: str
    build: Callable[[Any], Backbone]
    namings: Sequence[WeightNaming]
    optional: tuple[str, ...] = ()
    describe: Callable[[Mapping[str, Tensor]], str] = lambda tensors: f"{len(tensors)} tensors"
    to_hugging_face: Callable[[Any], tuple[dict[str, Any], dict[str, Tensor]]] | None = None
