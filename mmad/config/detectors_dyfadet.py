"""Settings of DyFADet. Lengths are in steps of the feature grid."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mmad.config.dense_detectors import DenseSettings

CHANNEL_GROUPS = 16


class DyFADetSettings(DenseSettings):
    """DyFADet: convolutions that the features switch on and off, and a head in which each level
    takes from its neighbours.
    """

    name: Literal["dyfadet"] = "dyfadet"
    num_embedding: int = Field(2, ge=0, description="convolutions before the blocks")
    num_stem: int = Field(2, ge=0, description="blocks at full resolution; their window is 1")
    num_branch: int = Field(5, ge=1, description="blocks that halve the resolution")
    drop_path: float = Field(0.005, ge=0, lt=1, description="rate of the blocks that halve")
    window: int = Field(1, ge=1, description="steps of a block's narrow convolutions, odd")
    window_ratio: float = Field(
        5.0, gt=0, description="steps of the wide convolution over those of the narrow one + 1"
    )
    hidden: int = Field(768, ge=1, description="channels inside the MLP of a block")
    kernel_std: float = Field(
        0.1,
        ge=0,
        description=(
            "deviation of a block's first convolution weights "
            "(released for THUMOS: 0, at which they are never trained)"
        ),
    )
    input_noise: float = Field(
        1e-5, ge=0, description="deviation of noise added to the features in training"
    )
    num_convs: int = Field(2, ge=0, description="fusions in each tower of the head")
    head_window: int = Field(3, ge=1, description="steps of the head's convolutions, odd")
    gate_tau: float = Field(1.5, gt=0, description="the larger, the slower the head's gates open")
    initial_gate: float | None = Field(
        0.1,
        gt=0,
        lt=1,
        description="first opening of the head's gates; null: by chance, as released",
    )
    square_gated: bool = Field(
        True,
        description=(
            "the head squares what its gates between levels let through, "
            "as released (paper's formula: false)"
        ),
    )
    mask_levels: bool = Field(
        True, description="padding stays zero in each level and inside the head (peers: false)"
    )
    pool_sees_padding: bool = Field(
        False, description="max-pools, means, norms of blocks see padding (peers: true)"
    )

    def tiny(self) -> Self:
        """32 channels everywhere."""
        return self.model_copy(update={"channels": 32, "hidden": 32})

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.channels % CHANNEL_GROUPS:
            raise ValueError(f"channels {self.channels} is not a multiple of {CHANNEL_GROUPS}")
        for name in ("window", "head_window"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name}: expected an odd number, found {getattr(self, name)}")
        return self
