"""Settings of 2D networks on the frames of a clip, which may be stacks of optical flow."""

from pydantic import Field

from mmad.config.backbones.family import BackboneFamilySettings


class FrameNetworkSettings(BackboneFamilySettings):
    """What a frame of a clip is to a 2D network."""

    flow_stack: int | None = Field(
        None,
        ge=1,
        description=(
            "read optical flow instead of RGB: x and y of so many consecutive flow images are the "
            "channels of a frame (TSN: 5); null: RGB"
        ),
    )

    @property
    def reads_flow(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return self.flow_stack is not None

    @property
    def images_per_frame(self) -> int:
        """As in `BackboneFamilySettings`."""
        return self.flow_stack or 1

    @property
    def flow_summary(self) -> str:
        """The end of a description: the kind of input, unless it is RGB."""
        return "" if self.flow_stack is None else f", optical flow in stacks of {self.flow_stack}"
