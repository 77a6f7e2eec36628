"""How much of a video moves: the tokens that a network with moving tokens would compute.

Shapes: T steps of a video, S = h x w places of a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.data import ImageSettings
from mmad.config.tokens import TokenSettings
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.samples import to_clips
from mmad.data.videos import unvaried
from mmad.data.windows import Window
from mmad.errors import VideoError
from mmad.models.backbones.moving import TokenRule
from mmad.video.index import index_video
from mmad.video.reading import ReadVideo
from mmad.video.sampling import evenly_spread
from mmad.wording import count

# Clips that are read at once.
_CLIPS = 8
# From this share on, computing only what moves saves little.
MUCH = 0.8


@dataclass(frozen=True)
class MotionSettings:
    """How images are read, and which of their tokens move.

    Attributes:
        images: How frames become images.
        tokens: Rule of the moving tokens.
        patch: Side of a patch in pixels.
        clip_frames: Frames of a clip.
        frames_per_step: Frames of a step.
    """

    images: ImageSettings
    tokens: TokenSettings
    patch: int
    clip_frames: int
    frames_per_step: int

    @classmethod
    def of(
        cls, images: ImageSettings, backbone: BackboneFamilySettings, tokens: TokenSettings
    ) -> "MotionSettings":
        """Those of a backbone and its images."""
        return cls(
            images.model_copy(update={"augmentation": None, "cache_gb": 0.0}),
            tokens,
            backbone.side_multiple,
            backbone.clip_frames,
            backbone.frames_per_step,
        )


@dataclass(frozen=True, eq=False)
class Shown:
    """A step as an image shows it.

    Attributes:
        seconds: Start of the step.
        image: Its first frame, uint8 RGB.
        kept_hw: Places whose tokens are computed.
    """

    seconds: float
    image: NDArray[np.uint8]
    kept_hw: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Motion:
    """How much of a video moves.

    Attributes:
        name: File name of the video.
        seconds_per_step: Duration of a step.
        shares_T: Share of the places of each step that are computed.
        steps_per_clip: Steps of a clip, whose first one is computed whole.
        noise: Median over steps of the difference that noise reaches, in levels of 255.
        shown: Some steps as images.
        read: What reading the video has shown.
    """

    name: str
    seconds_per_step: float
    shares_T: NDArray[np.float64]
    steps_per_clip: int
    noise: float
    shown: Sequence[Shown]
    read: ReadVideo

    @property
    def share(self) -> float:
        """Share of all tokens that are computed."""
        return float(self.shares_T.mean())

    @property
    def seconds(self) -> float:
        """Duration of the video."""
        return len(self.shares_T) * self.seconds_per_step

    @property
    def is_much(self) -> bool:
        """Whether so much moves that computing only that saves little."""
        return self.share >= MUCH


def measure_motion(path: Path, settings: MotionSettings, *, num_shown: int = 0) -> Motion:
    """The motion of a video at its own frame rate.

    Args:
        path: Video file.
        settings: How it is read, and what moves.
        num_shown: Steps that are kept as images, evenly spread.

    Raises: VideoError if it cannot be read, or has fewer frames than a step.
    """
    index = index_video(path)
    per_step, size = settings.frames_per_step, settings.clip_frames
    if index.num_frames < per_step:
        raise VideoError(
            f"{path}: has {count(index.num_frames, 'frame')}, and a step of the network "
            f"{per_step}; nothing can move in it"
        )
    rule = TokenRule.of(
        settings.tokens, patch=settings.patch, frames_per_step=settings.frames_per_step
    )
    source = FrameSource(settings.images, training=False, cache=FrameCache(budget_gb=0))
    span = _CLIPS * size
    starts = range(0, index.num_frames, span)
    windows = [Window(start, min(start + span, index.num_frames)) for start in starts]
    num_steps = -(-index.num_frames // per_step)
    chosen = set(_spread(num_steps, num_shown, steps_per_clip=size // per_step))
    shares: list[Tensor] = []
    noise: list[Tensor] = []
    shown: list[Shown] = []
    parts = source.stream(path, np.arange(index.num_frames), windows)
    for window, frames in zip(windows, parts, strict=True):
        images = unvaried(frames, settings.images)(torch.from_numpy(frames))
        clips_NFHWC = to_clips(images, clip_frames=size)
        height, width = (side // settings.patch for side in clips_NFHWC.shape[2:4])
        if rule is None:
            kept_TS = torch.ones(len(clips_NFHWC) * size // per_step, height * width).bool()
            noise.append(torch.zeros(len(kept_TS)))
        else:
            kept_TS = rule(clips_NFHWC).flatten(0, 1)
            noise.append(rule.movement(clips_NFHWC).noise_NT.sqrt().flatten())
        kept_TS = kept_TS[: -(-len(images) // per_step)]
        shares.append(kept_TS.double().mean(dim=1))
        for step in sorted(chosen & set(range(window.start // per_step, num_steps))):
            local = step - window.start // per_step
            if local < len(kept_TS):
                image = images[local * per_step].numpy()
                kept_hw = kept_TS[local].view(height, width).numpy()
                shown.append(Shown(step * per_step / index.fps, image, kept_hw))
    return Motion(
        name=path.name,
        seconds_per_step=per_step / index.fps,
        shares_T=torch.cat(shares).numpy(),
        steps_per_clip=size // per_step,
        noise=float(torch.cat(noise).median()),
        shown=shown,
        read=source.found(path),
    )


def _spread(num_steps: int, num_shown: int, *, steps_per_clip: int) -> list[int]:
    """Steps spread over a video, none of them the first of a clip, which is computed whole.

    >>> _spread(32, 3, steps_per_clip=8)
    [1, 17, 31]
    """
    places = evenly_spread(num_steps, num_shown).tolist()
    later = [step + int(step % steps_per_clip == 0) for step in places]
    return sorted({min(step, num_steps - 1) for step in later})
