"""Settings of pre-training without labels: videos, masks, decoder, and a whole run."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mmad.config.backbones.union import BackboneSettings, backbone_in
from mmad.config.base import Settings
from mmad.config.data import Augmentation, ImageSettings, ImageSize, MultiScaleCrop, RateSettings
from mmad.config.training import TrainingSettings


class PretrainingDataSettings(ImageSettings, RateSettings):
    """Settings of videos without annotations, and of the clips that are cut from them."""

    videos: list[str] = Field(
        min_length=1, description="folders of videos, searched at any depth; crops of people, too"
    )
    val_videos: str | None = Field(
        None, description="folder of videos to validate on; null: val_share of the others"
    )
    val_share: float = Field(
        0.05, ge=0, lt=1, description="share of the videos that is kept to validate on; 0: none"
    )
    val_clips: int = Field(64, ge=1, description="most clips to validate on")
    image_size: ImageSize = Field(
        224, description="side of the square image in pixels, or [height, width]"
    )
    frame_stride: int = Field(
        2, ge=1, description="distance of neighbouring frames of a clip (VideoMAE: 2 or 4)"
    )
    stretch_seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description=(
            "a video counts as one item for each stretch of this length; a pass draws a clip from "
            "each"
        ),
    )
    repeats: int = Field(
        1,
        ge=1,
        description="repeated augmentation: crops and masks of a clip each time that it is read",
    )
    augmentation: Augmentation | None = Field(
        Augmentation(
            multi_scale_crop=MultiScaleCrop(), brightness=0, contrast=0, saturation=0, hue=0
        ),
        description="augmentation in training; null for none",
    )
    max_videos: int | None = Field(
        None, ge=1, description="use only the first so many videos, for quick trials"
    )

    @field_validator("videos", mode="before")
    @classmethod
    def _one_folder(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class MaskSettings(Settings):
    """What of a clip the network does not see, and what of that it must paint."""

    kind: Literal["tube", "random", "frame", "moving"] = Field(
        "tube",
        description=(
            "tube: the same places in all steps; random: any tokens; frame: whole steps; moving: "
            "tubes that prefer what moves"
        ),
    )
    ratio: float = Field(0.9, gt=0, le=1, description="share of the tokens that is masked")
    preference: float = Field(
        1.0,
        ge=0,
        description=(
            "moving: a place is masked in proportion to its motion to this power; 0: as tube"
        ),
    )
    decoded: float = Field(
        1.0,
        gt=0,
        le=1,
        description=(
            "share of all tokens whose pixels the decoder paints, by VideoMAE v2's running cells: "
            "0.25, 0.5 or 0.75; 1: every masked token"
        ),
    )

    def num_masked(self, steps: int, rows: int, columns: int) -> int:
        """Masked tokens of a clip with so many steps, rows and columns of tokens."""
        places = rows * columns
        if self.kind == "random":
            return int(self.ratio * steps * places)
        if self.kind == "frame":
            return int(self.ratio * steps) * places
        return int(self.ratio * places) * steps

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.decoded not in (0.25, 0.5, 0.75, 1):
            yield f"decoded: expected 0.25, 0.5, 0.75 or 1, found {self.decoded:g}"
        if self.preference != 1 and self.kind != "moving":
            yield f"preference is that of kind moving, not of {self.kind}; leave it out"


class DecoderSettings(Settings):
    """The light decoder that paints masked pixels, and its targets."""

    width: int = Field(384, ge=8, description="channels of a token (VideoMAE-S: 192; -B: 384)")
    depth: int = Field(4, ge=1, description="number of blocks")
    num_heads: int = Field(6, ge=1, description="attention heads (VideoMAE-S: 3; -B: 6)")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width of the MLP / width")
    learned_positions: bool = Field(
        False, description="learn its position table, as narrow decoders need; false: sinusoids"
    )
    embed_bias: bool = Field(
        False, description="bias of the projection of the encoder's tokens (mmselfsup)"
    )
    start: Literal["weights", "fresh"] = Field(
        "weights",
        description=(
            "weights: that of backbone.pretrained, if the weights have one; fresh: random in any "
            "case"
        ),
    )
    normalised_targets: bool = Field(
        True, description="pixels to paint have mean 0 and deviation 1 in each patch and colour"
    )
    least_deviation: float = Field(
        1e-6,
        gt=0,
        le=1,
        description=(
            "added to that deviation, on a scale of 0 to 1 (VideoMAE: 1e-6); larger where plain "
            "areas would otherwise be trained on the noise of their video file"
        ),
    )
    deviation: float | None = Field(
        None,
        gt=0,
        le=1,
        description=(
            "without normalised_targets: pixels less a half are divided by it, on a scale of 0 to "
            "1; about the deviation of the videos' colours, so that painting grey has an error of "
            "1. null: pixels as they are"
        ),
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.normalised_targets and self.deviation is not None:
            yield "deviation is that of targets that are not normalised; leave it out"
        if self.width % self.num_heads:
            yield f"width {self.width} is not a multiple of num_heads {self.num_heads}"

    def tiny(self) -> Self:
        """The same modules as small as possible."""
        return self.model_copy(update={"width": 24, "depth": 1, "num_heads": 2})


class ProbeSettings(Settings):
    """A linear classifier on frozen features, which validates where labels are at hand."""

    clips: str = Field(description="folder of short clips of one action each")
    labels: str = Field("ma52", description="ma52, or a label file: the classes")
    train: list[str] = Field(
        min_length=1, description="lists to fit the classifier to: lines 'name.mp4 label', or CSV"
    )
    val: list[str] = Field(min_length=1, description="lists that it is scored on")
    shrinkage: float = Field(
        1.0, gt=0, description="L2 penalty on the weights, of features with deviation 1"
    )
    batch_clips: int = Field(16, ge=1, description="clips in a batch")

    @field_validator("train", "val", mode="before")
    @classmethod
    def _one_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class PretrainingConfig(Settings):
    """The settings of a run of pre-training."""

    task: Literal["pretraining"] = Field("pretraining", description="what is learnt")
    seed: int = Field(0, ge=0, description="random seed of the run")
    data: PretrainingDataSettings
    backbone: BackboneSettings = Field(description="the network that is pre-trained")
    masks: MaskSettings = MaskSettings()
    decoder: DecoderSettings = DecoderSettings()
    probe: ProbeSettings | None = Field(
        None, description="linear probe at validation; null: reconstruction alone"
    )
    training: TrainingSettings

    @model_validator(mode="before")
    @classmethod
    def _pretrains_the_backbone(cls, content: Any) -> Any:
        """A backbone is trained here, with the norm that its weights have, unless it says else."""
        backbone = backbone_in(content) if isinstance(content, Mapping) else None
        if backbone is None or not backbone.takes_tokens:
            return content
        usual = {"freeze": False, "final_norm": "auto", "drop_path": 0.0}
        return {**content, "backbone": {**usual, **content["backbone"]}}

    @property
    def grid(self) -> tuple[int, int, int]:
        """Steps, rows and columns of the tokens of a clip."""
        height, width = self.data.image_hw
        side = self.backbone.side_multiple
        steps = self.backbone.clip_frames // self.backbone.frames_per_step
        return steps, height // side, width // side

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        yield from self.backbone.problems_of_images(self.data.image_hw)
        if not self.backbone.takes_tokens:
            yield (
                f"backbone {self.backbone.name} computes all tokens, and masked pre-training "
                "leaves out most; choose videomae or umt"
            )
            return
        if self.backbone.freeze:
            yield "backbone.freeze: nothing would be pre-trained; set backbone.freeze=false"
        if not self.backbone.keeps_all_tokens:
            yield "backbone.tokens: masks choose the tokens; leave it out of pre-training"
        adapter = getattr(self.backbone, "adapter", None)
        if adapter is not None and adapter.name != "none":
            yield (
                "backbone.adapter: adapters look at neighbouring tokens, of which most are masked; "
                "set backbone.adapter={name: none} here, and adapt the weights afterwards"
            )
        if getattr(self.backbone, "final_norm", None) == "pooled":
            yield (
                "backbone.final_norm=pooled is the norm of pooled vectors, which fine-tuned "
                "weights have and masked pre-training does not train; set "
                "backbone.final_norm=false to continue from such weights"
            )
        if self.data.augment_on == "device":
            yield "data.augment_on=device: clips of pre-training are cropped as they are read"
        if self.masks.kind == "moving" and self.backbone.clip_frames < 2:
            yield "masks.kind=moving: a clip of one frame shows no motion; set another kind"
        if self.training.sharding == "full":
            yield "training.sharding full is not for pre-training; each process holds the network"
        yield from self._problems_of_masks()

    def _problems_of_masks(self) -> Iterator[str]:
        steps, rows, columns = self.grid
        total, masked = steps * rows * columns, self.masks.num_masked(*self.grid)
        what = f"masks.ratio {self.masks.ratio:g} of {steps} steps of {rows}x{columns} tokens"
        if masked == 0:
            yield f"{what} masks none; set a higher ratio, or larger images"
        if masked == total:
            yield f"{what} leaves no token to see; set a lower ratio, or larger images"
        if self.masks.decoded < 1 and (rows % 2 or columns % 2):
            yield (
                f"masks.decoded {self.masks.decoded:g}: running cells are of 2x2 tokens, and an "
                f"image has {rows}x{columns}; set masks.decoded=1, or other images"
            )
