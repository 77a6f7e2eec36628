"""Settings of Video Swin."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.adapters import AdaptableSettings
from mmad.config.backbones.reversible import ReversibleSettings
from mmad.config.base import Settings

Count = Annotated[int, Field(ge=1)]


class PyramidSize(Settings):
    """Dimensions of a Video Swin of one's own."""

    width: int = Field(ge=1, description="channels of the first stage; each stage doubles them")
    depths: list[Count] = Field(min_length=1, description="blocks of each stage")
    num_heads: list[Count] = Field(min_length=1, description="attention heads of each stage")

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if len(self.num_heads) != len(self.depths):
            yield (
                f"num_heads: expected {len(self.depths)} numbers, one for each stage of depths, "
                f"found {len(self.num_heads)}"
            )
        for stage, heads in enumerate(self.num_heads):
            if self.width * 2**stage % heads:
                yield (
                    f"num_heads: width {self.width * 2**stage} of stage {stage} is not a multiple "
                    f"of its {heads} heads"
                )


SIZES: Mapping[str, PyramidSize] = {
    "tiny": PyramidSize(width=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24]),
    "small": PyramidSize(width=96, depths=[2, 2, 18, 2], num_heads=[3, 6, 12, 24]),
    "base": PyramidSize(width=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32]),
    "large": PyramidSize(width=192, depths=[2, 2, 18, 2], num_heads=[6, 12, 24, 48]),
}


def _kind_of_size(value: Any) -> str:
    return "published" if isinstance(value, str) else "dimensions"


VideoSwinSize = Annotated[
    Annotated[Literal["tiny", "small", "base", "large"], Tag("published")]
    | Annotated[PyramidSize, Tag("dimensions")],
    Discriminator(_kind_of_size),
]


class VideoSwinSettings(AdaptableSettings, ReversibleSettings):
    """Video Swin: a pyramid of transformer blocks with attention inside shifted windows."""

    name: Literal["video_swin"] = "video_swin"
    size: VideoSwinSize = Field("tiny", description="published size, or dimensions of one's own")
    patch: tuple[Count, Count, Count] = Field(
        (2, 4, 4), description="frames, rows and columns of a patch; as many rows as columns"
    )
    window: tuple[Count, Count, Count] = Field(
        (8, 7, 7), description="steps, rows and columns of tokens in a window of attention"
    )
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width of the MLPs / width")
    qkv_bias: bool = Field(True, description="queries, keys and values have a bias")
    patch_norm: bool = Field(True, description="layer norm of the patches")
    drop_path: float = Field(0.1, ge=0, lt=1, description="rate at the last block")
    activation_checkpointing: bool = Field(
        False, description="less memory, about a third more time: recompute activations"
    )
    clip_frames: int = Field(32, ge=1, description="frames of a clip")

    @property
    def dimensions(self) -> PyramidSize:
        """Dimensions of the size."""
        return self.size if isinstance(self.size, PyramidSize) else SIZES[self.size]

    @property
    def activations(self) -> Literal["from_output", "from_inputs", "kept"]:
        """As in `ReversibleSettings`; checkpointing keeps the input of each block."""
        return "from_inputs" if self.activation_checkpointing else super().activations

    @property
    def frames_per_step(self) -> int:
        """Frames of a patch."""
        return self.patch[0]

    @property
    def side_multiple(self) -> int:
        """Side of a patch, doubled by each stage but the first."""
        return self.patch[1] * 2 ** (len(self.dimensions.depths) - 1)

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: two blocks of few channels in each stage, and clips of
        more than one window in the first.
        """
        stages = len(self.dimensions.depths)
        size = PyramidSize(width=8, depths=[2] * stages, num_heads=[2] * stages)
        frames = min(self.clip_frames, 2 * self.window[0] * self.frames_per_step)
        update = {
            "size": size,
            "pretrained": None,
            "clip_frames": frames,
            "adapter": self.adapter_of_all_blocks,
        }
        return self.model_copy(update=update), 2 * self.side_multiple

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        size = self.size
        kind = "reversible Video Swin" if self.reversible else "Video Swin"
        if isinstance(size, PyramidSize):
            blocks = "-".join(map(str, size.depths))
            return [f"{kind} of width {size.width}, {blocks} blocks", *super().summary()]
        return [f"{kind} {size}", *super().summary()]

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.patch[1] != self.patch[2]:
            yield f"patch: expected as many rows as columns, found {list(self.patch)}"
        if self.recompute and self.activation_checkpointing:
            yield (
                "recompute and activation_checkpointing: both recompute activations, from outputs "
                "or from the inputs of blocks; set one of them to false"
            )
