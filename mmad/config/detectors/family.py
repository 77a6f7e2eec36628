"""Base of the settings of detectors."""

from typing import Self

from pydantic import Field

from mmad.config.base import Settings


class FamilySettings(Settings):
    """Common settings of all detectors."""

    mask_features: bool = Field(
        True, description="features beyond the end of a video are zero (OpenTAD: false)"
    )
    normalizer: float = Field(
        1.0, gt=0, description="initial number of positives that losses are divided by"
    )
    normalizer_momentum: float = Field(0.0, ge=0, lt=1, description="momentum of its running mean")

    def tiny(self) -> Self:
        """The same modules as small as possible, for smoke tests."""
        raise NotImplementedError
