"""The options of ``mmad extract-features`` as settings."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from mmad.config.features import ExtractionSettings
from mmad.errors import ConfigError, VideoError
from mmad.names import file_key
from mmad.video.find import video_id_of

# Value of ``--norm`` -> ``backbone.final_norm``.
FINAL_NORMS = {"none": "false", "tokens": "true", "pooled": "pooled"}


def extraction_rate(text: str | None) -> float | None:
    """The rate that videos are resampled to; None for each video's own, or that of the backbone.

    Raises: ConfigError if it is not a rate.

    >>> extraction_rate("25"), extraction_rate("own")
    (25.0, None)
    """
    if text is None or text == "own":
        return None
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0 < fps <= 1000:
        raise ConfigError(f"--fps {text}: expected frames per second up to 1000, or own")
    return fps


def extraction_settings(**given: Any) -> ExtractionSettings:
    """The settings from the options.

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


def named_videos(files: list[Path]) -> list[tuple[str, Path]]:
    """Id and path of each video, sorted.

    Raises: VideoError if two would have the same id.
    """
    by_id: dict[str, Path] = {}
    known: dict[str, Path] = {}
    for path in files:
        video_id = video_id_of(path)
        other = known.get(file_key(video_id))
        if other is not None and other.resolve() != path.resolve():
            raise VideoError(f"{other} and {path} would both be video '{video_id}'; rename one")
        by_id[video_id] = known[file_key(video_id)] = path
    return sorted(by_id.items())
