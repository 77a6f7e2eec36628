"""Settings of stored features: extraction, and training on them."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationError

from mmad.config.base import FirstFrame, PositiveFrames, PositiveRate, Settings
from mmad.config.data import AnnotatedSettings, Rate
from mmad.errors import ConfigError


class StoredGrid(Settings):
    """The positions of the steps of stored features in their videos."""

    stride_frames: PositiveFrames = Field(description="distance between steps in frames")
    offset_frames: FirstFrame = Field(
        0.0, description="position of step 0 in frames; half a window if a window makes a step"
    )
    fps: PositiveRate | None = Field(
        None, description="frame rate in which frames are counted; null: that of each video"
    )


class FeatureDataSettings(AnnotatedSettings):
    """Settings of stored features, their annotations and windows."""

    features: str = Field(
        description="file of mmad extract-features, or a folder of .npy, .npz, .pt, .csv or .pkl"
    )
    grid: StoredGrid | None = Field(
        None, description="required for folders; for files with a manifest, the expected grid"
    )
    weights_sha256: str | None = Field(
        None, description="refuse features of other weights than these"
    )
    file_name: str = Field("{video_id}", description="folders: names of the files without suffix")
    channels_first: bool = Field(False, description="folders: arrays are (channels, steps)")
    window_steps: int = Field(
        1024, ge=1, description="stored steps of a window; longer videos have several"
    )
    num_workers: int = Field(
        0, ge=0, description="processes that read features; 0 reads in the main process"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if "{video_id}" not in self.file_name:
            yield f"file_name: expected a name with {{video_id}} in it, found '{self.file_name}'"


class ExtractionSettings(Settings):
    """Which tokens of a backbone are stored, and at which times."""

    mode: Literal["dense", "windows"] = Field(
        "dense",
        description="consecutive clips with the steps of the backbone, or a step for each window",
    )
    window: int | None = Field(
        None, ge=1, description="frames of a window; a multiple of the backbone's clip"
    )
    stride: int | None = Field(None, ge=1, description="frames from one window to the next")
    spatial: Literal["pooled", "tokens"] | int = Field(
        "pooled", description="mean over the image, every token, or a grid of n x n cells"
    )
    before_block: int | None = Field(
        None, ge=0, description="tokens as they enter this block; null: after the last"
    )
    dtype: Literal["float32", "float16"] = Field(
        "float32", description="type of the stored numbers"
    )
    fps: Rate | None = Field(
        None, description="videos of another rate are resampled to this one; null: each video's own"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        given = self.window is not None, self.stride is not None
        if self.mode == "windows" and not all(given):
            yield "windows need both --window and --stride, in frames"
        if self.mode == "dense" and any(given):
            yield "dense features have no window and stride; leave them out"
        if isinstance(self.spatial, int) and not 1 <= self.spatial <= 64:
            yield f"spatial: expected 1 to 64 cells a side, found {self.spatial}"


def extraction_settings(**given: Any) -> ExtractionSettings:
    """The settings from options; windows if a window or a stride is given.

    Raises: ConfigError if they are invalid.
    """
    mode: Literal["dense", "windows"] = "dense"
    if given["window"] is not None or given["stride"] is not None:
        mode = "windows"
    try:
        return ExtractionSettings(mode=mode, **given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).replace("_", "-") if first["loc"] else None
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--{name}: {message}" if name else message) from None
