"""Settings of the tokens of a clip that are computed."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mmad.config.base import Settings


class TokenSettings(Settings):
    """Which tokens of a clip pass through the network; the others repeat the last one there."""

    keep: Literal["all", "moving", "random"] = Field(
        "all",
        description=(
            "all; moving: those whose images changed; random: as many as moving would keep, "
            "wherever they lie, to compare with"
        ),
    )
    threshold: float = Field(
        3.0,
        ge=0,
        le=255,
        description=(
            "change (root mean square, levels of 255) above the noise of the clip from which a "
            "block moves; 0 keeps all"
        ),
    )
    block: int = Field(
        4, ge=1, description="side of the blocks that are compared in pixels; it divides the patch"
    )
    buckets: int = Field(
        16,
        ge=1,
        description=(
            "different numbers of tokens that clips can have; those that changed most of the "
            "others fill the next one"
        ),
    )

    def problems_of_patch(self, patch: int) -> Iterator[str]:
        """The problem of patches of ``patch`` pixels, if they cannot be cut into blocks."""
        if self.keep != "all" and patch % self.block:
            fits = max(size for size in range(1, self.block + 1) if patch % size == 0)
            yield (
                f"tokens.block {self.block} does not divide a patch of {patch} pixels; set it to "
                f"{fits}"
            )
