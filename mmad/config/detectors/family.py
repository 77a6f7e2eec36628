"""What the settings of every detector have."""

from typing import Self

from pydantic import Field

from mmad.config.base import Settings


class FamilySettings(Settings):
    """What the settings of every detector have."""

    mask_features: bool = Field(
        True, description="features beyond a video's end are zero (OpenTAD: false)"
    )
    normalizer: float = Field(
        1.0, gt=0, description="initial number of positives the losses are divided by"
    )
    normalizer_momentum: float = Field(0.0, ge=0, lt=1, description="of the running mean")

    def tiny(self) -> Self:
        """The same modules, as small as they can be, to see whether they run."""
        raise NotImplementedError
