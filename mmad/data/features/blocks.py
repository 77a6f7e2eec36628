"""Blocks of consecutive clips of videos, for feature extraction.

Shapes: F frames of a block, N clips of it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.data import FrameSettings
from mmad.config.features import ExtractionSettings, StoredGrid
from mmad.data.features.files import StoredVideo
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.samples import FailedVideo
from mmad.data.transforms import colour_map, subtract_background
from mmad.data.videos import choose_frames, unvaried
from mmad.data.windows import Window
from mmad.data.workers import share_of_worker
from mmad.errors import VideoError
from mmad.video.index import index_video
from mmad.video.reading import ReadVideo
from mmad.video.sampling import sample_frames


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """Some consecutive clips of one video.

    Attributes:
        video_id: Id of the video.
        video: Facts about its features, the same in each of its blocks.
        frames: Frames, uint8 (F, H, W, 3).
        starts: First frame of each clip, (N,); frames beyond the last repeat the last.
        colour: Affine map (3, 4) from raw to normalised colour.
        kept: Clips whose features are stored; the others are context.
        num_new_frames: Frames of the video file consumed since the previous block.
        read: What reading the video revealed; only the last block has it.
    """

    video_id: str
    video: StoredVideo
    frames: Tensor
    starts: Tensor
    colour: Tensor
    kept: slice
    num_new_frames: int
    read: ReadVideo | None = None

    @property
    def is_last(self) -> bool:
        """Whether the video ends with this block."""
        return self.read is not None

    def pin_memory(self) -> "FeatureBlock":
        """The block with its frames in pinned memory, for a fast copy to a GPU."""
        return replace(self, frames=self.frames.pin_memory())


@dataclass(frozen=True)
class ClipLayout:
    """Which clips are cut from a video of any length.

    Attributes:
        clip_frames: Frames of a clip, as the backbone sees it.
        window: Frames that a clip spans; it shows every (window / clip_frames)-th of them.
        stride: Frames from one clip to the next.
        rows_per_clip: Stored steps of each clip.
        block_clips: Maximum number of clips of a block; fewer if they are so far apart that the
            block would have more frames than that many consecutive clips.
        is_dense: Whether clips are consecutive and cover all frames; else they are windows, which
            do not reach beyond the end.
        context: Clips on either side that a block sees besides its own.
    """

    clip_frames: int
    window: int
    stride: int
    rows_per_clip: int
    block_clips: int
    is_dense: bool
    context: int = 0

    def num_clips(self, num_frames: int) -> int:
        """Number of clips of a video of ``num_frames`` frames."""
        if self.is_dense:
            return math.ceil(num_frames / self.stride)
        return max(0, num_frames - self.window) // self.stride + 1

    def blocks(self, num_frames: int) -> Iterator[tuple[Window, list[int], slice]]:
        """For each block, its frames, the starts of its clips in them, and the clips to keep."""
        count = self.num_clips(num_frames)
        apart = max(self.block_clips * self.clip_frames - self.window, 0) // self.stride + 1
        size = min(self.block_clips, apart)
        for first in range(0, count, size):
            last = min(first + size, count)
            low, high = max(first - self.context, 0), min(last + self.context, count)
            begin = low * self.stride
            end = min((high - 1) * self.stride + self.window, num_frames)
            starts = [(clip - low) * self.stride for clip in range(low, high)]
            yield Window(begin, end), starts, slice(first - low, last - low)

    def grid(self, *, frame_stride: float, fps: float | None) -> StoredGrid:
        """Positions of the stored steps: the start of a dense step, the middle of a window."""
        return StoredGrid(
            stride_frames=self.stride * frame_stride / self.rows_per_clip,
            offset_frames=0.0 if self.is_dense else self.window * frame_stride / 2,
            fps=fps,
        )


class FeatureBlocks(IterableDataset):
    """The blocks of videos; each video is decoded once, in order, with one block in memory.

    Workers of a loader take every n-th video. A video that cannot be read ends with a failure.

    Args:
        videos: File of each video, by its id.
        data: Which frames are used, and how they become images.
        settings: Extraction settings.
        backbone: Settings of the backbone that the clips are for.
        layout: Which clips are cut.
    """

    def __init__(
        self,
        videos: Sequence[tuple[str, Path]],
        data: FrameSettings,
        settings: ExtractionSettings,
        *,
        backbone: BackboneFamilySettings,
        layout: ClipLayout,
    ) -> None:
        self._videos = list(videos)
        self._data = data
        self._settings = settings
        self._backbone = backbone
        self._layout = layout
        self._source = FrameSource(data, training=False, cache=FrameCache(budget_gb=0))

    def __iter__(self) -> Iterator[FeatureBlock | FailedVideo]:
        for video_id, path in share_of_worker(self._videos):
            try:
                yield from self._blocks(video_id, path)
            except VideoError as error:
                yield FailedVideo(video_id, str(error))
            except OSError as error:
                yield FailedVideo(video_id, f"{path}: cannot be read ({error.strerror or error})")

    def _blocks(self, video_id: str, path: Path) -> Iterator[FeatureBlock]:
        data, layout = self._data, self._layout
        try:
            video_id.encode("utf-8")
        except UnicodeEncodeError:
            raise VideoError(
                f"{str(path)!r}: the name is not UTF-8, so features cannot be stored under it; "
                "rename the file"
            ) from None
        state = path.stat() if path.exists() else None
        index = index_video(path)
        self._source.check(path)
        sampled = sample_frames(index, fps=self._settings.fps, tolerance=data.fps_tolerance)
        frames, frame_stride = choose_frames(sampled.positions, data, path=path)
        grid = layout.grid(frame_stride=frame_stride, fps=sampled.fps)
        num_clips = layout.num_clips(len(frames))
        num_rows = num_steps = num_clips * layout.rows_per_clip
        if layout.is_dense:
            num_steps = math.ceil(len(frames) / self._backbone.frames_per_step)
        video = StoredVideo(
            num_rows=num_rows,
            num_steps=num_steps,
            stride_frames=grid.stride_frames,
            fps=sampled.fps,
            offset_frames=grid.offset_frames,
            num_frames=len(frames),
            duration_seconds=index.duration_seconds,
            source_bytes=None if state is None else state.st_size,
            source_mtime_ns=None if state is None else state.st_mtime_ns,
        )
        plan = list(layout.blocks(len(frames)))
        behind = 0
        parts = self._source.stream(path, frames, [span for span, _, _ in plan])
        for number, ((_, starts, kept), part) in enumerate(zip(plan, parts, strict=True), 1):
            if data.subtract_background:
                part = subtract_background(part)
            images = unvaried(part, data)(torch.from_numpy(part))
            is_last = number == len(plan)
            done = round(index.num_frames * number / len(plan))
            yield FeatureBlock(
                video_id=video_id,
                video=video,
                frames=images,
                starts=torch.tensor(starts),
                colour=torch.from_numpy(colour_map(np.asarray(images), self._backbone.colours)),
                kept=kept,
                num_new_frames=done - behind,
                read=self._source.found(path, resampled_fps=sampled.resampled_fps)
                if is_last
                else None,
            )
            behind = done
