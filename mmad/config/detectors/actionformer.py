"""Settings of ActionFormer."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.detectors.dense import DenseSettings


class ActionFormerSettings(DenseSettings):
    """ActionFormer: transformer blocks."""

    name: Literal["actionformer"] = "actionformer"
    num_heads: int = Field(4, ge=1, description="attention heads")
    attention_window: int | None = Field(None, ge=3, description="steps a query sees; null for all")

    def tiny(self) -> Self:
        """Eight channels a head."""
        return self.model_copy(update={"channels": 8 * self.num_heads})

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.channels % self.num_heads:
            yield f"channels {self.channels} is not a multiple of num_heads {self.num_heads}"
