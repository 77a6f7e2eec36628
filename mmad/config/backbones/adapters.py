"""Settings of adapters, told apart by their name, and of networks that take them."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.base import Settings


class _Bottleneck(Settings):
    ratio: float = Field(
        0.25, gt=0, le=1, description="width of the bottleneck / width of the block"
    )
    blocks: list[int] | Literal["all"] = Field(
        "all", description="blocks that get an adapter, from 0 over all stages"
    )


class NoAdapter(Settings):
    """No adapter: a frozen backbone, or full fine-tuning."""

    name: Literal["none"] = "none"


class StandardAdapterSettings(_Bottleneck):
    """Bottleneck with a residual (paper, Eq. 1)."""

    name: Literal["standard"] = "standard"


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"expected an odd kernel size, which keeps the length, found {value}")
    return value


OddKernel = Annotated[int, Field(ge=1), AfterValidator(_odd)]


_TEMPORAL_POINTWISE = (
    "point-wise convolution after the temporal one, as in AdaTAD's code; false: as the equation"
)


class TIASettings(_Bottleneck):
    """AdaTAD's temporal-informative adapter (paper, Eq. 2)."""

    name: Literal["tia"] = "tia"
    temporal_kernel: OddKernel = Field(3, description="steps")
    temporal_pointwise: bool = Field(True, description=_TEMPORAL_POINTWISE)


class DSTASettings(_Bottleneck):
    """Dual-path spatial-temporal adapter, Eq. 3: one down-projection, spatial 3x3, point-wise."""

    name: Literal["dsta"] = "dsta"
    temporal_kernel: OddKernel = Field(3, description="steps")
    temporal_pointwise: bool = Field(True, description=_TEMPORAL_POINTWISE)
    spatial_kernel: OddKernel = Field(3, description="tokens")
    spatial_pointwise: bool = Field(
        True, description="point-wise convolution after the spatial one"
    )
    shared_down: bool = Field(True, description="both paths read one down-projection")
    up_bias: bool = Field(True, description="bias of the up-projection")
    paths: Literal["both", "temporal", "spatial"] = Field(
        "both", description="both paths, or one of them alone (ablations)"
    )
    learned_scales: bool = Field(
        True, description="alpha, beta and gamma are trained; false: they stay 1 (ablations)"
    )


class DSTA180Settings(DSTASettings):
    """DSTA with the parameter count of Table 4: a down-projection for each path, spatial 1x1."""

    name: Literal["dsta_180"] = "dsta_180"  # type: ignore[assignment]
    spatial_kernel: OddKernel = Field(1, description="tokens")
    spatial_pointwise: bool = Field(
        False, description="point-wise convolution after the spatial one"
    )
    shared_down: bool = Field(False, description="both paths read one down-projection")
    up_bias: bool = Field(False, description="bias of the up-projection")


AdapterSettings = Annotated[
    NoAdapter | StandardAdapterSettings | TIASettings | DSTASettings | DSTA180Settings,
    Field(discriminator="name"),
]


class AdaptableSettings(BackboneFamilySettings):
    """What transformers have in common: an adapter behind each of their blocks."""

    takes_adapters: ClassVar[bool] = True

    adapter: AdapterSettings = Field(NoAdapter(), description="adapter after the blocks")

    @property
    def is_trained(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return super().is_trained or self.adapter.name != "none"

    @property
    def adapter_of_all_blocks(self) -> AdapterSettings:
        """The adapter, behind each block: for `tiny`, which has fewer."""
        if self.adapter.name == "none":
            return self.adapter
        return self.adapter.model_copy(update={"blocks": "all"})

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`: of the adapter alone."""
        return [f"adapter {self.adapter.name}"]
