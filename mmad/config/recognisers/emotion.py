"""Settings of the network of emotions: a branch for faces, one for bodies, and their losses."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mmad.config.base import Settings


class EmotionSettings(Settings):
    """Which branches there are, and how their steps become an emotion and a set of actions."""

    name: Literal["emotion"] = "emotion"
    branches: Literal["both", "faces", "bodies"] = Field(
        "both", description="branches of the network; faces alone predict no actions"
    )
    encoded: Literal["bodies", "both"] = Field(
        "bodies",
        description="branches with a transformer encoder: that of bodies, as printed, or both",
    )
    encoder_layers: int = Field(2, ge=1, description="layers of an encoder")
    encoder_width: int | None = Field(
        512, ge=2, description="width of its tokens, even; null: that of the backbone"
    )
    encoder_heads: int = Field(8, ge=1, description="heads of its attention")
    encoder_hidden: int = Field(2048, ge=1, description="width inside of its perceptrons")
    encoder_dropout: float = Field(0.1, ge=0, lt=1, description="rate inside of it")
    dropout: float = Field(0.5, ge=0, lt=1, description="rate before both classifiers")

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.encoder_width is not None and self.encoder_width % self.encoder_heads:
            yield (
                f"encoder_width {self.encoder_width} is not a multiple of encoder_heads "
                f"{self.encoder_heads}"
            )


class EmotionLossSettings(Settings):
    """The weighted sum of the losses of actions and of the emotion."""

    actions: float = Field(1.0, ge=0, description="weight of the binary cross-entropy of actions")
    emotion: float = Field(0.03, ge=0, description="beta: weight of the emotion's cross-entropy")
