"""Settings of views: the frames that a network sees of a whole clip or video, and their crops."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mmad.config.base import changed
from mmad.config.data import ImageSettings, ImageSize

Crops = Literal["centre", "three", "ten"]
Subset = Literal["val", "test"]


@dataclass(frozen=True)
class Views:
    """The views of a clip whose scores are averaged: stretches in time, times crops.

    Attributes:
        num_clips: Stretches in time.
        crops: Crops of each.
        settings: Settings that images of these views are read with.
    """

    num_clips: int
    crops: Crops
    settings: "ViewSettings"

    @property
    def num_crops(self) -> int:
        """Crops of each stretch."""
        return {"centre": 1, "three": 3, "ten": 10}[self.crops]

    def __len__(self) -> int:
        return self.num_clips * self.num_crops

    @property
    def middle(self) -> int:
        """Place of the view in the middle of the clip and of its images; crops are consecutive."""
        return (
            self.num_clips // 2 * self.num_crops + {"centre": 0, "three": 1, "ten": 4}[self.crops]
        )

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.settings.image_hw


class ViewSettings(ImageSettings):
    """Which frames and crops the views of a clip have, in training and in evaluation."""

    image_size: ImageSize = Field(
        224, description="side of the square image in pixels, or [height, width]"
    )
    short_side: int | None = Field(
        None, ge=16, description="decoded short side; null: 256 for images of 224, in proportion"
    )
    least_aspect: float = Field(
        0.6,
        gt=0,
        le=1,
        description=(
            "centre crop: at most image_size / this high, then squashed to a square; 1: image_size"
        ),
    )
    sampling: Literal["uniform", "segments", "dense", "random"] = Field(
        "uniform",
        description=(
            "frames of a view. uniform: one of each equal part, ends included (Li et al.); "
            "segments: one of each segment (TSN, TSM); dense: a stretch of the clip, every "
            "frame_interval frames (3D networks); random: any, in order, in training, uniform in "
            "evaluation"
        ),
    )
    frame_interval: int = Field(
        1, ge=1, description="dense: distance of neighbouring frames of a view"
    )
    view_places: Literal["ends", "middles"] = Field(
        "ends",
        description=(
            "segments and dense, in evaluation: views lie at equal distances from end to end "
            "(mmaction2 1.x), or in the middles of equal parts (TSM, mmaction2 0.x); a second view "
            "of segments then has their first frames"
        ),
    )
    val_clips: int = Field(2, ge=1, description="views of a clip in validation, without crops")
    test_clips: int = Field(3, ge=1, description="views of a clip in prediction, without crops")
    val_crops: Crops = Field(
        "centre",
        description=(
            "crops of each view in validation: centre; three along the longer side; or ten, "
            "corners and centre, also mirrored"
        ),
    )
    test_crops: Crops = Field("centre", description="crops of each view in prediction")
    test_image_size: ImageSize | None = Field(
        None, description="prediction: as image_size; null: the same"
    )
    test_short_side: int | None = Field(
        None, ge=16, description="prediction: as short_side; null: the same"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.frame_interval > 1 and self.sampling != "dense":
            yield (
                f"frame_interval {self.frame_interval} is that of dense views, not of "
                f"{self.sampling}; set data.sampling=dense"
            )
        for subset in ("val", "test"):
            yield from self._problems_of_views(subset)

    def _problems_of_views(self, subset: Subset) -> Iterator[str]:
        views = self.views(subset)
        if self.sampling == "segments" and self.view_places == "middles" and views.num_clips > 2:
            yield (
                f"{subset}_clips {views.num_clips}: segments have two views in the middles, at "
                "most; set data.view_places=ends"
            )
        if views.crops == "centre":
            return
        name = f"{subset}_crops {views.crops}"
        if self.resize == "squash":
            yield f"{name} needs data.resize=crop; squash shows the whole image"
        (high, wide), (height, width) = views.settings.decoded_hw(training=False), views.hw
        if height > high or width > wide:
            yield (
                f"{name}: crops of {width}x{height} pixels are larger than images of short side "
                f"{min(high, wide)}; set a larger data.{'test_' * (subset == 'test')}short_side"
            )

    def views(self, subset: Subset) -> "Views":
        """The views of a clip in validation or prediction."""
        if subset == "val":
            return Views(self.val_clips, self.val_crops, self)
        side = self.test_short_side or self.short_side
        size = self.test_image_size or self.image_size
        of_test = changed(self, image_size=size, short_side=side)
        return Views(self.test_clips, self.test_crops, of_test)

    def decoded_hw(self, *, training: bool) -> tuple[int, int]:
        """As in `ImageSettings`."""
        height, width = self.image_hw
        if self.short_side is not None:
            scale = self.short_side / min(height, width)
            return round(height * scale), round(width * scale)
        return round(height * 256 / 224), round(width * 256 / 224)
