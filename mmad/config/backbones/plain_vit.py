"""What the settings of VideoMAE and of UMT, which are one network, have in common."""

from collections.abc import Collection, Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.backbones.vit import ViTSettings
from mmad.config.tokens import TokenSettings


class PlainViTSettings(ViTSettings):
    """The transformer of VideoMAE and UMT."""

    takes_tokens: ClassVar[bool] = True

    tokens: TokenSettings = Field(TokenSettings(), description="tokens of a clip that are computed")
    position_image_size: int = Field(
        224, ge=1, description="image size in pixels that the position table was made for"
    )
    learned_positions: bool | Literal["kept"] = Field(
        False,
        description=(
            "the position table is part of the weights, not fixed sinusoids; kept: of the weights, "
            "but never trained"
        ),
    )
    qkv_bias: bool = Field(True, description="queries and values have a bias")
    cosine_attention: bool = Field(
        False, description="attention by cosines times a learned scale (VideoMAE v2: attn.scale)"
    )
    layer_scale: float | None = Field(
        None,
        gt=0,
        description="initial scale of each residual branch (gamma_1, gamma_2); null: none",
    )
    final_norm: bool | Literal["pooled", "auto"] = Field(
        False,
        description=(
            "layer norm after the last block: true for each token (self-supervised weights), "
            "pooled for the pooled vector (fine-tuned weights), auto for what the weights have"
        ),
    )

    @property
    def depends_on_weights(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return self.final_norm == "auto"

    @property
    def norms_vectors(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return bool(self.final_norm)

    @property
    def computed_tokens(self) -> TokenSettings:
        """As in `BackboneFamilySettings`."""
        return self.tokens

    @property
    def of_all_tokens(self) -> Self:
        """As in `BackboneFamilySettings`."""
        return self.model_copy(update={"tokens": TokenSettings()})

    def settled(self, names: Collection[str] | None) -> Self:
        """As in `BackboneFamilySettings`."""
        found: bool | str = True
        if names is not None and "norm.weight" not in names:
            found = "pooled" if "fc_norm.weight" in names else False
        return self.model_copy(update={"final_norm": found})

    def settled_as(self, other: BackboneFamilySettings) -> Self:
        """As in `BackboneFamilySettings`."""
        assert isinstance(other, PlainViTSettings)
        return self.model_copy(update={"final_norm": other.final_norm})

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.position_image_size < self.dimensions.patch:
            yield (
                f"position_image_size {self.position_image_size} is less than a patch of "
                f"{self.dimensions.patch} pixels"
            )
        yield from self.tokens.problems_of_patch(self.dimensions.patch)
