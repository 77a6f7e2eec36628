"""Settings of the data: annotations, videos, decoding, augmentation."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from mmad.config.base import Settings

Rate = Annotated[float, Field(gt=0, le=1000)]
Side = Annotated[int, Field(ge=16, le=8192)]
ImageSize = Side | tuple[Side, Side]


class MultiScaleCrop(Settings):
    """Crops whose sides are shares of the short side, at a few fixed places (TSN, mmaction2)."""

    scales: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [1.0, 0.875, 0.75, 0.66], min_length=1, description="sides of a crop / short side"
    )
    max_gap: int = Field(
        1, ge=0, description="width and height are at most so many places apart in scales"
    )
    places: Literal["five", "thirteen", "random"] = Field(
        "five",
        description="corners and centre; also edges and quarters; or anywhere",
    )


class Augmentation(Settings):
    """Augmentation of a training window, the same for all of its frames.

    The defaults are those of the published end-to-end detectors, but without their random
    operations, because a micro-action may be visible in only a few pixels.
    """

    crop_area: tuple[float, float] = Field(
        (0.08, 1.0),
        description="share of the image that a random crop keeps, smallest and largest",
    )
    crop_aspect: tuple[float, float] = Field(
        (3 / 4, 4 / 3), description="width / height of the crop, smallest and largest"
    )
    multi_scale_crop: MultiScaleCrop | None = Field(
        None, description="crops of a few sizes at a few places, instead of these; null: none"
    )
    flip: float = Field(
        0.5, ge=0, le=1, description="probability of mirroring a window; no label has a side"
    )
    brightness: float = Field(0.5, ge=0, description="largest relative change")
    contrast: float = Field(0.5, ge=0, description="largest relative change")
    saturation: float = Field(0.5, ge=0, description="largest relative change")
    hue: float = Field(
        0.1, ge=0, le=0.5, description="largest shift, in turns of the colour circle"
    )
    operations: int = Field(
        0, ge=0, le=15, description="RandAugment operations on each window (OpenTAD: 2)"
    )
    magnitude: float = Field(0.9, ge=0, le=1, description="strength of the operations")
    fixed_signs: bool = Field(
        False,
        description="draw the directions of operations once per run (OpenTAD: true)",
    )

    erase: float = Field(0.0, ge=0, le=1, description="probability of a grey box over all frames")
    erase_area: tuple[float, float] = Field(
        (0.02, 0.2), description="share of the image that the box covers"
    )
    erase_aspect: tuple[float, float] = Field((0.3, 3.3), description="width / height of the box")

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        for name in ("crop_area", "crop_aspect", "erase_area", "erase_aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                yield f"{name}: expected 0 < smallest <= largest, found [{low}, {high}]"
        if self.crop_area[1] > 1:
            yield f"crop_area: expected shares of at most 1, found {self.crop_area[1]}"


# OpenTAD decodes slightly larger images than it trains on, so that crops are not enlarged.
CROP_MARGIN = 182 / 160


class ImageSettings(Settings):
    """How images are read and augmented, for any task."""

    image_size: ImageSize = Field(
        160, description="side of the square image in pixels, or [height, width]"
    )
    resize: Literal["crop", "squash"] = Field(
        "crop",
        description=(
            "inference: centre crop of the short side, or the whole image without "
            "keeping its aspect"
        ),
    )
    resizing: Literal["decoder", "opencv"] = Field(
        "decoder",
        description="resize while decoding, averaging; or bilinear with OpenCV, as OpenTAD does",
    )
    subtract_background: bool = Field(
        False,
        description="subtract the median image of the window; for fixed cameras",
    )
    reader: Literal["pyav", "decord"] = Field("pyav", description="decoding library")
    num_workers: int = Field(
        2, ge=0, description="processes that read videos; 0 reads in the main process"
    )
    cache_gb: float = Field(
        0.0, ge=0, description="memory for decoded frames, kept between epochs (in each worker)"
    )
    augmentation: Augmentation | None = Field(
        Augmentation(), description="augmentation in training; null for none"
    )
    max_missing: float = Field(
        0.1,
        ge=0,
        le=1,
        description="largest share of missing or damaged frames with which a video is accepted",
    )
    augment_on: Literal["loader", "device"] = Field(
        "loader",
        description="augment images in the processes that read them, or on the device",
    )

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        size = self.image_size
        return (size, size) if isinstance(size, int) else size

    def decoded_hw(self, *, training: bool) -> tuple[int, int]:
        """Height and width that decoded frames cover in pixels."""
        height, width = self.image_hw
        if not training or self.augmentation is None:
            return height, width
        return round(height * CROP_MARGIN), round(width * CROP_MARGIN)


class BalanceSettings(Settings):
    """Settings of how often rare classes are drawn in training."""

    balance_exponent: float = Field(
        1.0,
        ge=0,
        le=1,
        description=(
            "a class with n instances is drawn in proportion to n to this power; 1: as it is"
        ),
    )
    repeat_below: int | None = Field(
        None,
        ge=1,
        description=(
            "a class with n instances below this is repeated floor(log2(this / n)) + 1 times"
        ),
    )


class RateSettings(Settings):
    """Settings of the frame rate of a model."""

    fps: Rate | Literal["own"] | None = Field(
        None,
        description=(
            "frames per second of the model; null: the rate of most training videos; "
            "own: that of each video, as the reference implementations do"
        ),
    )
    fps_tolerance: float = Field(
        0.08,
        ge=0,
        description=(
            "videos whose rate differs by more than this share are resampled by time, stored "
            "features are refused"
        ),
    )

    def rate(self, *, usual: float | None) -> float | None:
        """Frames per second to resample videos to, ``usual`` where it is not set; None for each
        video's own.
        """
        return None if self.fps == "own" else self.fps or usual


class AnnotatedSettings(RateSettings, BalanceSettings):
    """Settings of annotations and of windows over long sequences.

    A video counts as one of its rarest class where rare classes are balanced or repeated.
    """

    annotations: str | list[str] = Field(description="file, folder or several files of annotations")
    format: str = Field("auto", description="format of the annotations; auto detects it")
    train_subsets: list[str] = Field(["train"], min_length=1, description="subsets to train on")
    val_subset: str = Field("val", description="subset that selects the best checkpoint")
    extra_clips: list[str] = Field(
        [],
        description=(
            "lists of clips of one action each, such as those of MA-52, to train on as further "
            "videos with that action from start to end"
        ),
    )
    level: Literal["action", "body"] = Field(
        "action", description="what is learnt: actions, or their body parts alone"
    )
    labels: Literal["ma52", "file"] = Field(
        "ma52", description="the 52 micro-actions, or the labels of the annotation file"
    )
    out_of_video: Literal["error", "clip", "drop"] = Field(
        "error",
        description=(
            "an instance that is not inside its video: an error, clipped to it, or dropped"
        ),
    )
    tiers: list[str] = Field(
        [], description="tiers of ELAN files, or patterns such as gesture*; empty: all"
    )
    tier_types: list[str] = Field(
        [], description="linguistic types of tiers, or patterns; empty: all"
    )
    language: str | None = Field(
        None, description="language of multilingual vocabularies of ELAN files, such as eng"
    )
    window_overlap: float = Field(
        0.5, ge=0, lt=1, description="overlap of sliding windows as a share"
    )
    keep_tail: bool = Field(
        True, description="sliding windows reach the end of every video (OpenTAD: false)"
    )
    min_visible: float = Field(
        0.75,
        gt=0,
        le=1,
        description="share of an instance inside a training window that is needed to keep it",
    )
    shorten: tuple[float, float] = Field(
        (0.9, 1.0),
        description="a training video that fits the window is cut to a random share of it",
    )
    max_videos: int | None = Field(
        None, ge=1, description="use only the first so many videos of each subset, for quick trials"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.extra_clips and self.labels == "file":
            yield "extra_clips: their lists have the labels of ma52; set labels=ma52"
        low, high = self.shorten
        if not 0 < low <= high <= 1:
            yield f"shorten: expected 0 < smallest <= largest <= 1, found [{low}, {high}]"


class FrameSettings(ImageSettings, RateSettings):
    """Which frames of a video are used, and how they are read and augmented."""

    sampling: Literal["rate", "whole"] = Field(
        "rate",
        description="every n-th frame in windows, or window_frames of each video, evenly",
    )
    frame_stride: int = Field(1, ge=1, description="use every n-th frame of a video")
    window_frames: int = Field(
        512, ge=16, description="frames of a window (after the stride); longer videos have several"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.sampling == "whole" and self.frame_stride != 1:
            yield (
                f"frame_stride {self.frame_stride}: sampling=whole spreads window_frames over "
                "each video and has no stride; set frame_stride=1"
            )


class DataSettings(FrameSettings, AnnotatedSettings):
    """Where videos and annotations are, and how windows are cut from them."""

    videos: str = Field(
        description="folder of the video files, original or prepared; name = video id"
    )
    extra_videos: str | None = Field(
        None, description="folder of the clips in extra_clips; null: videos"
    )
    pad_to_window: bool = Field(
        False,
        description="repeat the last frame to fill windows (reference: true); wastes compute",
    )
    truncate_annotations: bool = Field(
        False, description="training: cut starts and ends to whole frames (OpenTAD: true)"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.extra_videos is not None and not self.extra_clips:
            yield "extra_videos: name the lists of its clips in data.extra_clips"
