"""Settings of the VideoMamba detector."""

from typing import Literal, Self

from pydantic import Field

from mmad.config.detectors.dense import DenseSettings


class VideoMambaSettings(DenseSettings):
    """The detector of the Video Mamba Suite: selective state spaces in both directions."""

    name: Literal["videomamba"] = "videomamba"
    num_embedding: int = Field(2, ge=0, description="convolutions before the blocks")
    num_stem: int = Field(2, ge=0, description="blocks at full resolution")
    drop_path: float = Field(0.3, ge=0, lt=1, description="rate of every block")
    mixer: Literal["dbm", "vim"] = Field(
        "dbm",
        description="dbm: a projection for each direction, one state space; vim: the reverse",
    )
    expand: int = Field(
        1, ge=1, description="channels in a block over channels (reference: dbm 1, vim 2)"
    )
    num_states: int = Field(16, ge=1, description="states of each channel in a block")
    kernel_size: int = Field(
        4, ge=1, description="kernel size of the convolution in a block (CUDA: 2 to 4)"
    )
    scan: Literal["auto", "torch", "cuda"] = Field(
        "auto", description="cuda: the package mamba_ssm; auto: that on a GPU, if installed"
    )
    scan_sees_padding: bool = Field(
        False, description="the backward direction starts in the padding (reference: true)"
    )

    def tiny(self) -> Self:
        """32 channels of four states."""
        return super().tiny().model_copy(update={"num_states": 4})
