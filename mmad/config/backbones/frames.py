"""Settings of 2D networks on the frames of a clip, which may be stacks of optical flow."""

from pydantic import Field

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.backbones.resnet import SIDE_STRIDE


class FrameNetworkSettings(BackboneFamilySettings):
    """What 2D networks have in common: their frames, and the strides of a ResNet."""

    flow_stack: int | None = Field(
        None,
        ge=1,
        description=(
            "read optical flow instead of RGB: x and y of so many consecutive flow images are the "
            "channels of a frame (TSN: 5); null: RGB"
        ),
    )
    keep_statistics: bool = Field(
        False,
        description=(
            "batch norms keep their stored statistics while the network is fine-tuned; frozen ones "
            "always do"
        ),
    )
    clip_frames: int = Field(8, ge=1, description="frames of a clip, called segments by TSN")

    @property
    def reads_flow(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return self.flow_stack is not None

    @property
    def images_per_frame(self) -> int:
        """As in `BackboneFamilySettings`."""
        return self.flow_stack or 1

    @property
    def side_multiple(self) -> int:
        """As in `BackboneFamilySettings`."""
        return SIDE_STRIDE

    @property
    def flow_summary(self) -> str:
        """The end of a description: the kind of input, unless it is RGB."""
        return "" if self.flow_stack is None else f", optical flow in stacks of {self.flow_stack}"
