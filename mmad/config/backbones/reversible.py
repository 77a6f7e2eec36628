"""Settings of networks whose residual connections can be reversible."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mmad.config.backbones.family import BackboneFamilySettings


class ReversibleSettings(BackboneFamilySettings):
    """What networks have in common that Re2TAL rewires to be reversible."""

    reversible: bool = Field(
        False,
        description=(
            "Re2TAL: two streams instead of one, so that the input of each block follows from its "
            "output; takes the weights of the plain network, and must be trained from there"
        ),
    )
    recompute: bool | None = Field(
        None,
        description=(
            "recompute activations from outputs in the backward pass: memory does not grow with "
            "depth, about a third more time; null: if the network is reversible and trained"
        ),
    )

    @property
    def activations(self) -> Literal["from_output", "from_inputs", "kept"]:
        """Where the activations of the backward pass come from."""
        return "from_output" if self.reversible and self.recompute is not False else "kept"

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.recompute and not self.reversible:
            yield (
                "recompute: only a reversible network can recompute activations from its outputs; "
                "set reversible=true, or leave recompute out"
            )
        elif self.recompute and not self.is_trained:
            yield (
                "recompute: a frozen network has no backward pass in which to recompute; set "
                "freeze=false to train it, or leave recompute out"
            )
