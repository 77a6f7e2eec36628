"""Networks in the form that is exported: tensors in, tensors out, of any length and number.

Shapes: B windows, L frames of a window, N clips, F frames of a clip, H W pixels, C channels, T
steps.
"""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mmad.config.backbones.family import ColourStatistics
from mmad.data.transforms import colour_map
from mmad.export.candidates import CandidateStage
from mmad.models.backbones.features import interpolate_steps
from mmad.models.detectors.whole import EndToEndDetector, FeatureDetector
from mmad.models.recognisers.whole import Recogniser

_MOST_BLOCKS = 2**16
# Of a detector without a pyramid: torch.export does not tell longer sequences apart.
_FEWEST_STEPS = 32
# Dimensions that may differ from call to call, by their place in the shape of an input or output.
Axes = Mapping[str, Mapping[int, str]]


def tensors_of(outputs: Any) -> dict[str, Tensor]:
    """The tensors among the fields of raw outputs, by name."""
    fields = [(field.name, getattr(outputs, field.name)) for field in dataclasses.fields(outputs)]
    return {name: value for name, value in fields if isinstance(value, Tensor)}


class ExportedNetwork(nn.Module):
    """Base of networks in the form that is exported.

    Attributes:
        inputs: Names of the inputs, in order.
        axes: Their dimensions that may differ from call to call.
        multiples: What some of these are a multiple of.
        sizes: (number, length) of calls with which an exported file is checked.
        least_length: Smallest length that a pt2 file takes.
    """

    inputs: tuple[str, ...]
    axes: ClassVar[Axes]
    multiples: Mapping[str, int] = {}
    sizes: tuple[tuple[int, int], ...] = ((1, 1), (1, 3), (2, 5))
    least_length: int = 1

    @abstractmethod
    def example(self, number: int, length: int) -> tuple[Tensor, ...]:
        """Random inputs, the same for the same sizes."""

    @abstractmethod
    def reference(self, *inputs: Tensor) -> dict[str, Tensor]:
        """What the network as it was trained gives for these inputs: its raw outputs."""

    def derived_difference(self, found: Mapping[str, Any]) -> float:
        """Largest difference of what the file makes of its raw outputs from what mmad makes of
        them, as a share of 1 + |value|.
        """
        return 0.0


class Normalisation(nn.Module):
    """Frames to input of a backbone: uint8 (N, F, H, W, 3) to float32 (N, 3, F, H, W)."""

    def __init__(self, statistics: ColourStatistics) -> None:
        super().__init__()
        affine = colour_map(np.zeros((1, 1, 1, 3), dtype=np.uint8), statistics)
        scale, offset = torch.from_numpy(affine).diagonal(), torch.from_numpy(affine)[:, 3]
        self.register_buffer("affine_34", torch.from_numpy(affine))
        self.register_buffer("scale", scale[:, None, None, None].clone())
        self.register_buffer("offset", offset[:, None, None, None].clone())
        self.affine_34: Tensor
        self.scale: Tensor
        self.offset: Tensor

    def forward(self, clips_NFHWC: Tensor) -> Tensor:
        """Normalised clips."""
        return clips_NFHWC.permute(0, 4, 1, 2, 3).float() * self.scale + self.offset

    def colours(self, number: int) -> Tensor:
        """The affine maps of ``number`` windows, (number, 3, 4)."""
        return self.affine_34.expand(number, -1, -1)


def in_blocks(features_BCT: Tensor, mask_BT: Tensor, *, size: int) -> tuple[Tensor, Tensor]:
    """The sequence and its mask, filled up to blocks of ``size`` steps, at least two.

    For torch.export: the lengths of all levels of a pyramid are then plain multiples of the number
    of blocks, which counts as unknown. As expressions of the length of the input they cannot be
    solved, or take minutes.
    """
    steps = features_BCT.shape[2]
    blocks: Any = ((torch.ones_like(mask_BT[0], dtype=torch.long).sum() + size - 1) // size).item()
    torch._check(blocks >= 2)
    torch._check(blocks <= _MOST_BLOCKS)
    step = torch.arange(blocks * size, device=mask_BT.device)
    inside, nearest = step < steps, step.clamp(max=steps - 1)
    return features_BCT.index_select(2, nearest) * inside, mask_BT.index_select(1, nearest) & inside


def coarsest_stride(network: nn.Module) -> int | None:
    """Steps of the finest level in one of the coarsest; None for a detector without a pyramid."""
    return getattr(network, "coarsest_stride", None)


def least_steps(network: nn.Module) -> int:
    """Fewest steps of a sequence in a pt2 file: those of two blocks (see `in_blocks`)."""
    stride = coarsest_stride(network)
    return _FEWEST_STEPS if stride is None else stride + 1


class ExportedDetectorNetwork(ExportedNetwork):
    """Base of detectors.

    Args:
        stage: What makes candidates of raw outputs; None: the file gives raw outputs alone.
    """

    def __init__(self, stage: CandidateStage | None) -> None:
        super().__init__()
        self.stage = stage

    def outputs_of(self, network: nn.Module, features_BCT: Tensor, mask_BT: Tensor) -> Any:
        """Candidates, then raw outputs, by name, of the temporal part of the detector."""
        stride = coarsest_stride(network)
        if torch.compiler.is_exporting() and stride is not None:
            features_BCT, mask_BT = in_blocks(features_BCT, mask_BT, size=stride)
        raw = network(features_BCT, mask_BT)
        candidates = {} if self.stage is None else self.stage(raw)
        return candidates | tensors_of(raw)

    def derived_difference(self, found: Mapping[str, Any]) -> float:
        """As in `ExportedNetwork`."""
        return 0.0 if self.stage is None else self.stage.difference(found)


class VideoDetector(ExportedDetectorNetwork):
    """A detector on windows of videos.

    Args:
        detector: The detector.
        stage: As in `ExportedDetectorNetwork`.
        statistics: Colours that its backbone expects.
        image_hw: Height and width of its images.
    """

    inputs = ("frames", "num_frames")
    axes: ClassVar[Axes] = {"frames": {0: "windows", 1: "frames"}, "num_frames": {0: "windows"}}

    def __init__(
        self,
        detector: EndToEndDetector,
        *,
        stage: CandidateStage | None,
        statistics: ColourStatistics,
        image_hw: tuple[int, int],
    ) -> None:
        super().__init__(stage)
        self.detector = detector
        self.normalise = Normalisation(statistics)
        self.image_hw = image_hw
        self.spec = detector.features.backbone.spec
        self.multiples = {"frames": self.spec.clip_frames}
        # Steps of the features for each frame.
        self.rate = Fraction(detector.features.upsampling) / self.spec.frames_per_step
        per_clip = self.rate * self.spec.clip_frames
        self.least_length = max(2, math.ceil(least_steps(detector.network) / per_clip))

    def forward(self, frames_BLHWC: Tensor, num_frames_B: Tensor) -> dict[str, Tensor]:
        """Candidates and raw outputs by name.

        Args:
            frames_BLHWC: uint8 RGB; L is a multiple of the frames of a clip. The last clip repeats
                the last frame.
            num_frames_B: Frames that exist.
        """
        features, spec = self.detector.features, self.spec
        windows, length = frames_BLHWC.shape[:2]
        clips = length // spec.clip_frames
        images = frames_BLHWC.reshape(-1, spec.clip_frames, *self.image_hw, 3)
        number = torch.arange(windows, device=frames_BLHWC.device)
        window_of_clip_N = number[:, None].expand(-1, clips).reshape(-1)
        tokens = features.backbone(self.normalise(images), window_of_clip_N)
        steps_NTC = features.backbone.pool_steps(tokens)
        steps_BTC = steps_NTC.reshape(windows, clips * spec.steps_per_clip, -1)
        features_BCT = interpolate_steps(steps_BTC.transpose(1, 2), factor=features.upsampling)
        over, under = self.rate.numerator, self.rate.denominator
        valid_B = (num_frames_B * over + under - 1) // under
        step = torch.arange(features_BCT.shape[2], device=frames_BLHWC.device)
        mask_BT = step[None] < valid_B[:, None]
        if features.mask_padding:
            features_BCT = features_BCT * mask_BT[:, None]
        return self.outputs_of(self.detector.network, features_BCT, mask_BT)

    def example(self, number: int, length: int) -> tuple[Tensor, ...]:
        """``number`` windows of ``length`` clips, whose last frames do not exist."""
        generator = torch.Generator().manual_seed(length)
        frames = length * self.spec.clip_frames
        images = torch.randint(
            0, 256, (number, frames, *self.image_hw, 3), dtype=torch.uint8, generator=generator
        )
        fewer = torch.arange(number) * 3 % self.spec.clip_frames + 1
        return images, frames - fewer

    def reference(self, *inputs: Tensor) -> dict[str, Tensor]:
        """As in `ExportedNetwork`."""
        frames, num_frames = inputs
        number, clips = len(frames), frames.shape[1] // self.spec.clip_frames
        outputs = self.detector(
            frames.reshape(-1, self.spec.clip_frames, *frames.shape[2:]),
            self.normalise.colours(number),
            (clips,) * number,
            tuple(num_frames.tolist()),
        )
        return tensors_of(outputs)


class SequenceDetector(ExportedDetectorNetwork):
    """A detector on stored features.

    Args:
        detector: The detector.
        stage: As in `ExportedDetectorNetwork`.
        channels: Channels of the features.
    """

    inputs = ("features", "mask")
    axes: ClassVar[Axes] = {
        "features": {0: "windows", 2: "steps"},
        "mask": {0: "windows", 1: "steps"},
    }
    sizes = ((1, 1), (1, 150), (2, 333))

    def __init__(
        self, detector: FeatureDetector, *, stage: CandidateStage | None, channels: int
    ) -> None:
        super().__init__(stage)
        self.detector = detector
        self.channels = channels
        self.least_length = least_steps(detector.network)

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> dict[str, Tensor]:
        """Candidates and raw outputs by name.

        Args:
            features_BCT: Features, zero where no step exists.
            mask_BT: Which steps exist.
        """
        return self.outputs_of(self.detector.network, features_BCT, mask_BT)

    def example(self, number: int, length: int) -> tuple[Tensor, ...]:
        """``number`` windows of at most ``length`` steps."""
        generator = torch.Generator().manual_seed(length)
        lengths_B = length - torch.arange(number) * length // (2 * number)
        mask_BT = torch.arange(length)[None] < lengths_B[:, None]
        features = torch.randn(number, self.channels, length, generator=generator)
        return features * mask_BT[:, None], mask_BT

    def reference(self, *inputs: Tensor) -> dict[str, Tensor]:
        """As in `ExportedNetwork`."""
        return tensors_of(self.detector(*inputs))


class ClipRecogniser(ExportedNetwork):
    """A recogniser of clips.

    Args:
        recogniser: The recogniser, of one stream.
        statistics: Colours that its backbone expects.
        image_hw: Height and width of its images.
    """

    inputs = ("frames",)
    axes: ClassVar[Axes] = {"frames": {0: "views"}}
    sizes = ((1, 1), (3, 1))

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        statistics: ColourStatistics,
        image_hw: tuple[int, int],
    ) -> None:
        super().__init__()
        self.recogniser = recogniser
        self.normalise = Normalisation(statistics)
        self.image_hw = image_hw
        self.spec = recogniser.features.backbone.spec

    def forward(self, clips_NFHWC: Tensor) -> dict[str, Tensor]:
        """Logits by name; each view is a clip of uint8 RGB frames."""
        backbone, heads = self.recogniser.features.backbone, self.recogniser.heads
        number = torch.arange(clips_NFHWC.shape[0], device=clips_NFHWC.device)
        tokens = backbone.forward_stages(self.normalise(clips_NFHWC), number, heads.stages)
        steps, pooled = backbone.pool_steps(tokens), backbone.pool_clips(tokens)
        return logits_of(heads(steps, pooled, None, None, tokens))

    def example(self, number: int, length: int) -> tuple[Tensor, ...]:
        """``number`` views."""
        generator = torch.Generator().manual_seed(number)
        frames = self.spec.clip_frames * self.spec.images_per_frame
        shape = (number, frames, *self.image_hw, 3)
        return (torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),)

    def reference(self, *inputs: Tensor) -> dict[str, Tensor]:
        """As in `ExportedNetwork`."""
        (clips,) = inputs
        number = len(clips)
        return logits_of(self.recogniser(clips, self.normalise.colours(number), (1,) * number))


LOGITS = ("pooled", "fine", "coarse", "fine_frame")


def logits_of(outputs: Any) -> dict[str, Tensor]:
    """The outputs that every family of recognisers has."""
    found = {name: getattr(outputs, name) for name in LOGITS}
    return {name: value for name, value in found.items() if value is not None}
