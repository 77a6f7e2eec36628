"""Settings of DyFADet. Lengths are in steps of the feature grid."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mmad.config.detectors.tridet import SGPSettings


class DyFADetSettings(SGPSettings):
    """DyFADet: convolutions that are gated by the features, and a head in which each level fuses
    its neighbours.
    """

    name: Literal["dyfadet"] = "dyfadet"
    num_branch: int = Field(5, ge=1, description="blocks that halve the resolution")
    drop_path: float = Field(0.005, ge=0, lt=1, description="rate of the blocks of the branch")
    input_noise: float = Field(
        1e-5, ge=0, description="standard deviation of the noise on the features in training"
    )
    num_convs: int = Field(2, ge=0, description="fusions in each tower of the head")
    head_window: int = Field(3, ge=1, description="steps of the head's convolutions, odd")
    gate_tau: float = Field(
        1.5, gt=0, description="temperature of the head's gates: larger opens them more slowly"
    )
    initial_gate: float | None = Field(
        0.1,
        gt=0,
        lt=1,
        description="initial opening of the head's gates; null: random, as in the reference",
    )
    square_gated: bool = Field(
        True,
        description=(
            "the head squares its gates between levels, as in the reference implementation "
            "(formula of the paper: false)"
        ),
    )
    mask_levels: bool = Field(
        True, description="padding stays zero in each level and in the head (reference: false)"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.head_window % 2 == 0:
            yield f"head_window: expected an odd number of steps, found {self.head_window}"
