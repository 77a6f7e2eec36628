"""Exported files as networks that stand in for those of run folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from mmad.config.base import changed
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun, VideoRun
from mmad.errors import ExportError
from mmad.export.candidates import rebuilt
from mmad.export.description import KEY, Description, read_description
from mmad.export.sessions import Session
from mmad.labels import LabelMap
from mmad.models.detectors.families import outputs_of
from mmad.models.recognisers.contract import RecognitionOutputs

_OTHER_FORMATS = (".ts", ".pt2", ".pt", ".pth")


def is_exported(path: str | Path) -> bool:
    """Whether a checkpoint is an exported file, by its name, and not a run folder."""
    path = Path(path)
    return not path.is_dir() and path.suffix.lower() in (".onnx", *_OTHER_FORMATS)


class ExportedDetector(nn.Module):
    """An exported detector with the arguments and outputs of the one that it was exported from.

    Args:
        session: The file.
        config: Settings of the run.
    """

    reads = "videos"

    def __init__(self, session: Session, config: AnyConfig) -> None:
        super().__init__()
        assert isinstance(config, DetectionRun)
        self._session = session
        self._config = config
        self._outputs = outputs_of(config.detector)

    def forward(self, *inputs: Any) -> Any:
        """Raw outputs on the CPU; arguments as in `EndToEndDetector` or `FeatureDetector`.

        Raises: ExportError if sides differ from those of the network, or windows of one call have
            different numbers of clips.
        """
        if isinstance(self._config, VideoRun):
            inputs = self._frames(*inputs)
        return rebuilt(self._outputs, self._session(*inputs))

    def _frames(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,  # the file normalises
        clips_per_window: Sequence[int],
        frames_per_window: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        require_sides(clips_NFHWC, self._config.data.image_hw, source=self._session.path)  # type: ignore[union-attr]
        if len(set(clips_per_window)) > 1:
            raise ExportError(
                f"{self._session.path}: windows of one call need the same number of clips; found "
                f"{sorted(set(clips_per_window))}"
            )
        frames = clips_NFHWC.reshape(len(clips_per_window), -1, *clips_NFHWC.shape[2:])
        return frames, torch.tensor(list(frames_per_window))


class ExportedRecogniser(nn.Module):
    """An exported recogniser with the arguments and outputs of the one that it was exported from.

    Args:
        session: The file.
        config: Settings of the run.
    """

    reads = "clips"

    def __init__(self, session: Session, config: AnyConfig) -> None:
        super().__init__()
        assert isinstance(config, RecognitionConfig)
        self._session = session
        self._hw = config.data.views("test").hw

    def forward(
        self, clips_NFHWC: Tensor, colours_V34: Tensor, clips_per_window: Sequence[int]
    ) -> RecognitionOutputs:
        """Logits on the CPU; arguments as in `Recogniser`."""
        require_sides(clips_NFHWC, self._hw, source=self._session.path)
        return rebuilt(RecognitionOutputs, self._session(clips_NFHWC))


def require_sides(clips_NFHWC: Tensor, image_hw: tuple[int, int], *, source: Path) -> None:
    """Raise ExportError unless images have these sides."""
    found = tuple(clips_NFHWC.shape[2:4])
    if found != image_hw:
        raise ExportError(
            f"{source}: reads images of {image_hw[1]}x{image_hw[0]} pixels, found "
            f"{found[1]}x{found[0]}; export the run again with the sides that you need"
        )


AnyNetwork = TypeVar("AnyNetwork", ExportedDetector, ExportedRecogniser)


@dataclass(frozen=True)
class Exported(Generic[AnyNetwork]):
    """An exported file, ready to use.

    Attributes:
        network: Stands in for the network of the run.
        config: Settings of the run; a detector gets one window at a time.
        labels: Its labels.
        fps: Frames per second that videos are resampled to; None: their own.
        description: What the file says of itself.
    """

    network: AnyNetwork
    config: Any
    labels: LabelMap
    fps: float | None
    description: Description


def describe_exported(path: str | Path) -> Description:
    """What an exported file says of itself.

    Raises: ExportError if it is not an ONNX file, or not one of `mmad export`.
    """
    return _opened(Path(path), None)[1]


def open_exported(
    path: str | Path, kind: type[AnyNetwork], *, device: torch.device | None = None
) -> Exported[AnyNetwork]:
    """An exported file as a network of this kind.

    Args:
        path: ONNX file.
        kind: `ExportedDetector`, on videos, or `ExportedRecogniser`, of clips.
        device: Where to compute.

    Raises: ExportError if the file is another, as `describe_exported`.
    """
    path = Path(path)
    session, description = _opened(path, device)
    if description.reads != kind.reads:
        raise ExportError(f"{path}: is {_USES[description.reads]}; expected {_USES[kind.reads]}")
    config = description.settings(path)
    network = kind(session, config)
    if isinstance(config, DetectionRun):
        # Windows of one call have the same length, and the last one of a video may not.
        config = changed(config, inference=changed(config.inference, batch_windows=1))
    return Exported(network.eval(), config, description.labels, description.fps, description)


_USES = {
    "videos": "a detector of videos, for mmad detect",
    "clips": "a recogniser of clips, for mmad recognize",
    "features": "a detector on stored features, for other programs",
}


def _opened(path: Path, device: torch.device | None) -> tuple[Session, Description]:
    if path.suffix.lower() in _OTHER_FORMATS:
        raise ExportError(
            f"{path}: mmad runs ONNX files; TorchScript and pt2 files are for other programs. "
            "Pass the run folder, or export it with --format onnx"
        )
    session = Session(path, device=device)
    text = session.metadata.get(KEY)
    if text is None:
        raise ExportError(
            f"{path}: is an ONNX file, but mmad export has not written it: it lacks the settings "
            "and labels"
        )
    return session, read_description(text, source=path)
