"""Base of the settings of recognisers."""

from collections.abc import Iterator, Sequence
from typing import Literal, Self

from pydantic import Field

from mmad.config.base import Settings


class RecogniserFamilySettings(Settings):
    """How the streams of a clip are combined."""

    flow_weights: Literal["shared", "separate"] = Field(
        "shared", description="one backbone for both streams, or one for each"
    )
    flow_pretrained: str | None = Field(
        None,
        description="separate: weights that the flow's starts from; null: those of the other one",
    )
    flow_fusion: Literal["add", "concat"] = Field(
        "add", description="how the tokens of the streams are joined"
    )

    @property
    def norms_vectors(self) -> bool:
        """Whether the heads normalise the pooled vector."""
        return False

    @property
    def predicts_body_parts(self) -> bool:
        """Whether there is a head for the body parts of clips."""
        return False

    @property
    def trial(self) -> str | None:
        """Why figures of a run are those of a trial, not of the named network; None if they are
        not.
        """
        return None

    @property
    def rows_are_steps(self) -> bool:
        """Whether the rows of the frame heads are steps in time."""
        return True

    def problems_of_backbone(self, name: str, stages: Sequence[str]) -> Iterator[str]:
        """The problem of reading what the backbone ``name`` with these stages gives, if any."""
        return iter(())

    def problems_of_grid(self, grid_hw: tuple[int, int]) -> Iterator[str]:
        """The problem of tokens in so many rows and columns, if any."""
        return iter(())

    def problems_of_losses(self, fine: float) -> Iterator[str]:
        """The problem of the weight ``fine`` of the classifier's loss, if any."""
        return iter(())

    def problems_of_streams(self) -> Iterator[str]:
        """The problem of several streams whose tokens are joined, if any."""
        return iter(())

    def tiny(self) -> Self:
        """The same modules as small as possible, without files of their own."""
        return self

    def without_files(self) -> Self:
        """The same modules, without files that may be missing."""
        return self
