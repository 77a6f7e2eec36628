"""Base of the settings of backbones, and the colour statistics that networks expect."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mmad.config.base import Settings
from mmad.config.tokens import TokenSettings


class ColourStatistics(NamedTuple):
    """Mean and standard deviation of red, green and blue, on a scale of 0 to 255."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


STATISTICS: Mapping[str, ColourStatistics] = {
    # Of ImageNet's training images, as VideoMAE and mmaction2's recognisers expect.
    "imagenet": ColourStatistics((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    # PySlowFast's 0.45 and 0.225, as UniFormer expects.
    "kinetics": ColourStatistics((114.75, 114.75, 114.75), (57.375, 57.375, 57.375)),
    # -1 to 1, as mmaction2's TimeSformer and TIN expect.
    "half": ColourStatistics((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    # Means of Sports-1M without scaling, as C3D expects.
    "sports1m": ColourStatistics((104.0, 117.0, 128.0), (1.0, 1.0, 1.0)),
    # Means of ImageNet without scaling, as BN-Inception of Caffe expects, there from blue to red.
    "caffe": ColourStatistics((128.0, 117.0, 104.0), (1.0, 1.0, 1.0)),
    # No motion is 128; TSN's and TSM's code divides by the mean of ImageNet's deviations, 0.226.
    "flow": ColourStatistics((128.0, 128.0, 128.0), (57.63, 57.63, 57.63)),
    # In BN-Inception of Caffe it does not divide.
    "flow_caffe": ColourStatistics((128.0, 128.0, 128.0), (1.0, 1.0, 1.0)),
    # Of flow as colours, as the released configs of Li et al. have them: of images that are bright
    # where their own fastest pixel is. They do not say the order of the colours.
    "flow_colours": ColourStatistics((0.955, 1.023, 1.04), (7.47, 8.11, 8.17)),
}
StatisticsName = Literal[
    "imagenet", "kinetics", "half", "sports1m", "caffe", "flow", "flow_caffe", "flow_colours"
]
_Level = Annotated[float, Field(ge=0, le=255)]
_Deviation = Annotated[float, Field(gt=0, le=255)]


class OwnStatistics(Settings):
    """Mean and standard deviation of red, green and blue, measured on other images."""

    mean: tuple[_Level, _Level, _Level] = Field(
        description="of red, green and blue, on a scale of 0 to 255"
    )
    std: tuple[_Deviation, _Deviation, _Deviation] = Field(
        description="standard deviation of each, on the same scale"
    )


def _kind_of_statistics(value: Any) -> str:
    return "own" if isinstance(value, dict | OwnStatistics) else "named"


StatisticsSettings = Annotated[
    Annotated[StatisticsName, Tag("named")] | Annotated[OwnStatistics, Tag("own")],
    Discriminator(_kind_of_statistics),
]


def colours_of(statistics: str | OwnStatistics) -> ColourStatistics:
    """The numbers of named statistics, or of one's own.

    >>> colours_of("half").mean
    (127.5, 127.5, 127.5)
    """
    if isinstance(statistics, str):
        return STATISTICS[statistics]
    return ColourStatistics(statistics.mean, statistics.std)


def _name(family: "type[BackboneFamilySettings]") -> str:
    return str(family.model_fields["name"].default)


def _families() -> "list[type[BackboneFamilySettings]]":
    """The settings of all families, at any depth below their common base."""
    below = BackboneFamilySettings.__subclasses__()
    for parent in below:
        below += [one for one in parent.__subclasses__() if one not in below]
    return [family for family in below if "name" in family.model_fields]


def taking_tokens() -> list[str]:
    """The names of the families that can leave out tokens."""
    return sorted(_name(family) for family in _families() if family.takes_tokens)


class BackboneFamilySettings(Settings):
    """Settings of a video network: its weights, and whether it is trained.

    A family adds ``name``, its sizes, and what follows from them: `frames_per_step` and
    `side_multiple`.
    """

    takes_adapters: ClassVar[bool] = False
    takes_tokens: ClassVar[bool] = False

    pretrained: str | None = Field(
        None,
        description="weights: a file or folder with any naming, or a hub id; null: random",
    )
    pretrained_allow: list[str] = Field(
        [], description="tensors that may be missing or unexpected, or patterns such as fc_norm.*"
    )
    freeze: bool = Field(
        True, description="train adapters only; false fine-tunes the whole backbone"
    )
    clip_frames: int = Field(16, ge=1, description="frames of a clip")
    statistics: StatisticsSettings = Field(
        "imagenet",
        description=(
            "mean and standard deviation of colours that the weights expect, by name or as "
            "{mean: [R, G, B], std: [R, G, B]}; flow: of optical flow"
        ),
    )

    @property
    def colours(self) -> ColourStatistics:
        """Mean and standard deviation of the colours that the network expects."""
        return colours_of(self.statistics)

    @property
    def reads_flow(self) -> bool:
        """Whether the input is stacked optical flow, not RGB images."""
        return False

    @property
    def images_per_frame(self) -> int:
        """Images of which one frame of a clip consists: those of a stack of optical flow."""
        return 1

    @property
    def images_per_clip(self) -> int:
        """Images of a clip."""
        return self.clip_frames * self.images_per_frame

    @property
    def frames_per_step(self) -> int:
        """Frames that one step of the features stands for."""
        raise NotImplementedError

    @property
    def side_multiple(self) -> int:
        """Pixels of which the sides of images must be a multiple."""
        raise NotImplementedError

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the feature maps that heads can read beside the tokens, from fine to coarse."""
        return ()

    @property
    def depends_on_weights(self) -> bool:
        """Whether a setting is ``auto``, which `settled` replaces by what the weights have."""
        return False

    @property
    def is_trained(self) -> bool:
        """Whether anything in the network is trained."""
        return not self.freeze

    @property
    def is_large(self) -> bool:
        """Whether random weights that are replaced at once would cost more than a moment."""
        return False

    @property
    def norms_vectors(self) -> bool:
        """Whether the output vectors are already normalised."""
        return False

    def settled(self, names: Collection[str] | None) -> Self:
        """The settings with ``auto`` replaced by what weights with these tensors have.

        Args:
            names: Names of the tensors in our naming; None for random weights.
        """
        return self

    def settled_as(self, other: "BackboneFamilySettings") -> Self:
        """The settings with ``auto`` replaced as in the settings of a resumed run."""
        return self

    def tiny(self) -> tuple[Self, int]:
        """The same modules as small as possible, with random weights, and an image side for them.

        For smoke tests.
        """
        raise NotImplementedError

    def summary(self) -> list[str]:
        """A short description of the network, for a report."""
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _without_adapter(cls, content: Any) -> Any:
        if isinstance(content, Mapping) and "adapter" in content and not cls.takes_adapters:
            adapter = content["adapter"]
            name = adapter.get("name") if isinstance(adapter, Mapping) else adapter
            rest = {key: value for key, value in content.items() if key != "adapter"}
            if name in ("none", None):
                return rest
            taking = sorted(_name(family) for family in _families() if family.takes_adapters)
            raise ValueError(
                f"adapter {name}: {_name(cls)} takes none; leave it out, or choose a backbone that "
                f"does ({', '.join(taking)})"
            )
        return content

    @model_validator(mode="before")
    @classmethod
    def _of_all_tokens(cls, content: Any) -> Any:
        if isinstance(content, Mapping) and "tokens" in content and not cls.takes_tokens:
            tokens = content["tokens"]
            keep = tokens.get("keep", "all") if isinstance(tokens, Mapping) else tokens
            if keep in ("all", None):
                return {key: value for key, value in content.items() if key != "tokens"}
            raise ValueError(
                f"tokens.keep {keep}: {_name(cls)} computes all tokens; set it to all, or choose a "
                f"backbone that can leave some out ({', '.join(taking_tokens())})"
            )
        return content

    @property
    def computed_tokens(self) -> TokenSettings:
        """The tokens of a clip that are computed."""
        return TokenSettings()

    @property
    def keeps_all_tokens(self) -> bool:
        """Whether every token of a clip is computed."""
        return self.computed_tokens.keep == "all"

    @property
    def of_all_tokens(self) -> Self:
        """The same network where every token of a clip is computed."""
        return self

    def problems_of_images(self, image_hw: tuple[int, int]) -> Iterator[str]:
        """The problem of images of ``image_hw`` pixels, if the network cannot take them."""
        if any(side % self.side_multiple for side in image_hw):
            height, width = image_hw
            size = str(height) if height == width else f"[{height}, {width}]"
            yield (
                f"data.image_size {size} is not a multiple of {self.side_multiple} pixels, as "
                f"backbone {_name(type(self))} needs"
            )

    def problems_of_steps(self) -> Iterator[str]:
        """The problem of reading steps, as detectors do, instead of whole clips, if any."""
        return iter(())

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.clip_frames % self.frames_per_step:
            yield (
                f"clip_frames {self.clip_frames} is not a multiple of the {self.frames_per_step} "
                "frames per feature step"
            )
