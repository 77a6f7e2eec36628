"""Blocks of clips of whole videos, one after another, for the extraction of features.

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
    """Some neighbouring clips of one video.

    Attributes:
        video_id: the video.
        video: what is known of its features, the same in each of its blocks.
        frames: uint8 (F, H, W, 3).
        starts: (N,), first frame of each clip; frames beyond the last stand for the last.
        colour: affine map (3, 4) from raw to normalised colour.
        kept: the clips whose features are wanted; the others are there for their neighbours.
        num_new_frames: frames of the video file consumed since the block before.
        read: what was found in the video file, with its last block.
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
        clip_frames: frames that the backbone sees at once.
        window: frames that a clip spans; the clip shows every (window / clip_frames)-th.
        stride: frames from one clip to the next.
        rows_per_clip: steps that are stored of each.
        block_clips: most clips of a block; fewer, if they lie so far apart that as many clips side
            by side had fewer frames.
        is_dense: clips lie side by side and cover all frames; else they are windows, which do not
            reach beyond the end.
        context: clips on either side that a block sees besides its own.
    """

    clip_frames: int
    window: int
    stride: int
    rows_per_clip: int
    block_clips: int
    is_dense: bool
    context: int = 0

    def num_clips(self, num_frames: int) -> int:
        """Clips of a video of so many frames."""
        if self.is_dense:
            return math.ceil(num_frames / self.stride)
        return max(0, num_frames - self.window) // self.stride + 1

    def blocks(self, num_frames: int) -> Iterator[tuple[Window, list[int], slice]]:
        """Frames of each block, starts of its clips in them, and the clips that are kept."""
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
        """Where the stored steps lie: those of clips at their start, windows at the middle."""
        return StoredGrid(
            stride_frames=self.stride * frame_stride / self.rows_per_clip,
            offset_frames=0.0 if self.is_dense else self.window * frame_stride / 2,
            fps=fps,
        )


class FeatureBlocks(IterableDataset):
    """The blocks of videos, each video decoded once and in order, in memory for one block.

    Workers of a loader take every n-th video. A video that cannot be read ends with a failure.

    Args:
        videos: file of each video, by its id.
        data: how frames become pictures.
        settings: of the extraction.
        backbone: what looks at the clips.
        layout: which clips are cut.
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
        self._source.found(path)
        sampled = sample_frames(index, fps=self._settings.fps, tolerance=data.fps_tolerance)
        frames, frame_stride = choose_frames(sampled.positions, data)
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
            pictures = unvaried(part, data)(torch.from_numpy(part))
            is_last = number == len(plan)
            done = round(index.num_frames * number / len(plan))
            yield FeatureBlock(
                video_id=video_id,
                video=video,
                frames=pictures,
                starts=torch.tensor(starts),
                colour=torch.from_numpy(colour_map(np.asarray(pictures), self._backbone.colours)),
                kept=kept,
                num_new_frames=done - behind,
                read=self._source.found(path, resampled_fps=sampled.resampled_fps)
                if is_last
                else None,
            )
            behind = done
