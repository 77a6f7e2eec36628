"""What an exported file says of itself, so that it is enough without its run folder."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from mmad import __version__
from mmad.config.base import Count, PositiveRate, changed, validated
from mmad.config.reading import dump_config, parse_any_config
from mmad.config.run import AnyConfig, VideoRun
from mmad.errors import ExportError
from mmad.labels import LabelMap
from mmad.parsing import json_value

# Key of the metadata of an ONNX file, and name of the file inside the archives of PyTorch.
KEY = "mmad"
_FORMAT = 1


class TensorSpec(BaseModel):
    """An input or output.

    Attributes:
        name: Its name in the file.
        dtype: Type of its numbers, as in NumPy.
        shape: Its dimensions; those with a name may differ from call to call.
        about: What its numbers are.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    about: str

    def line(self) -> str:
        """The tensor in one line."""
        return f"{self.name}: {self.dtype} ({', '.join(map(str, self.shape))}), {self.about}"


class WindowSpec(BaseModel):
    """How a video, or its features, is cut into windows, in units of the input.

    Attributes:
        length: Length of a window at most.
        overlap: Share that a window has in common with the next one.
        multiple: Lengths are multiples of it; what is missing is filled up.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    length: int
    overlap: float
    multiple: int = 1


class Description(BaseModel):
    """What an exported file says of itself.

    Attributes:
        format: Version of this description.
        mmad: Version of mmad that wrote it.
        reads: What its windows are of.
        config: All settings of the run: sizes, colours, windows, suppression.
        labels: The classes, in the order of the scores.
        fps: Frames per second that videos are resampled to; None: their own.
        frame_stride: Every how many of those frames one is taken.
        int8: Whether weights are 8-bit integers.
        inputs, outputs: The tensors, for readers without mmad.
        window: How windows are cut; None for clips.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)

    format: Count = _FORMAT
    mmad: str = __version__
    reads: Literal["videos", "features", "clips"]
    config: dict[str, Any]
    labels: LabelMap
    fps: PositiveRate | None = None
    frame_stride: Count = 1
    int8: bool = False
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    window: WindowSpec | None = None

    def settings(self, source: Path) -> AnyConfig:
        """The settings of the run, with the frame rate that its folder would tell."""
        config = parse_any_config(self.config, source=str(source))
        if isinstance(config, VideoRun) and config.data.fps is None:
            return changed(config, data=changed(config.data, fps=self.fps))
        return config

    def lines(self) -> list[str]:
        """The inputs and outputs, one in a line."""
        return [tensor.line() for tensor in (*self.inputs, *self.outputs)]


_DESCRIPTION = TypeAdapter(Description)


def plain_settings(config: AnyConfig) -> dict[str, Any]:
    """The settings as JSON values."""
    return yaml.safe_load(dump_config(config))


def read_description(text: str, *, source: Path) -> Description:
    """The description in the metadata of a file.

    Raises: ExportError if it is something else, or of a newer version.
    """
    content = json_value(source, text, error=ExportError)
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > _FORMAT:
        raise ExportError(
            f"{source}: was exported by mmad {content.get('mmad')}, which is newer than this one "
            f"({__version__}); update mmad, or export the run again with this version"
        )
    return validated(_DESCRIPTION, content, source=source, error=ExportError)
