"""Settings of MLFE: local features of lower layers around the peaks of class activation maps."""

from collections.abc import Iterator, Sequence
from typing import Literal, Self

from pydantic import Field

from mmad.config.recognisers.family import RecogniserFamilySettings

# Stages of a backbone before the last one, whose map is that of the activations.
Layer = Literal["conv2", "conv3", "conv4"]


class MLFESettings(RecogniserFamilySettings):
    """A linear classifier, and one scorer of local features that all classes share."""

    name: Literal["mlfe"] = "mlfe"
    layers: list[Layer] = Field(
        ["conv2", "conv3", "conv4"],
        min_length=1,
        description="stages of the backbone whose local features are scored",
    )
    bottlenecks: list[Layer] = Field(
        ["conv2", "conv3"],
        description="those of them that have a residual block before the mean of a window",
    )
    bottleneck_divisor: int = Field(
        4, ge=1, description="channels of a layer / channels inside of its residual block"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="rate before classifier and scorers")
    fusion: Literal["average", "sum", "concatenation"] = Field(
        "average",
        description=(
            "scores of the layers: their mean, their sum, or one score of the concatenated means "
            "of the windows"
        ),
    )
    softmax: Literal["none", "scores", "always"] = Field(
        "none",
        description=(
            "softmax of a layer's scores over the classes. none: they stay logits; scores: in the "
            "final score; always: in the loss, too, which then takes the softmax of probabilities"
        ),
    )
    coefficient: float = Field(
        0.1, ge=0, description="lambda: weight of local features in the final score and the loss"
    )
    peak_gradient: Literal["none", "straight_through"] = Field(
        "none",
        description=(
            "what the loss of local features does to the activation maps: nothing, as the place of "
            "a peak has no gradient; or as if the activation there were part of a layer's score"
        ),
    )

    def tiny(self) -> Self:
        """As in `RecogniserFamilySettings`: they have no size of their own."""
        return self

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if len(set(self.layers)) < len(self.layers):
            yield f"layers: expected each once, found {', '.join(self.layers)}"

    def problems_of_backbone(self, name: str, stages: Sequence[str]) -> Iterator[str]:
        """As in `RecogniserFamilySettings`."""
        if not stages:
            yield (
                f"heads mlfe reads feature maps of stages, and backbone {name} gives none; choose "
                "one that does, such as backbone.name=resnet2d"
            )
            return
        if lacking := [layer for layer in self.layers if layer not in stages]:
            yield (
                f"heads.layers: backbone {name} as it is set has maps of {', '.join(stages)}, "
                f"found {', '.join(lacking)}"
            )

    def problems_of_grid(self, grid_hw: tuple[int, int]) -> Iterator[str]:
        """As in `RecogniserFamilySettings`: a single cell locates nothing."""
        rows, columns = grid_hw
        if rows * columns < 2:
            yield (
                f"heads mlfe looks for the peak of a map, which at this data.image_size has "
                f"{rows} x {columns} cells; expected at least two; set a larger one"
            )

    def problems_of_losses(self, fine: float) -> Iterator[str]:
        """As in `RecogniserFamilySettings`."""
        if not (fine or self.coefficient):
            yield "losses.fine 0 and heads.coefficient 0 leave no loss; set one of them above 0"

    def problems_of_streams(self) -> Iterator[str]:
        """As in `RecogniserFamilySettings`."""
        yield (
            "heads mlfe reads one stream; leave out data.flow, train a second model on the flow "
            "alone (backbone.flow_stack), and combine their scores with mmad ensemble"
        )
