"""Resumable feature extraction: decode, encode, write.

Shapes: N clips of a block, R rows, T steps of a clip, S tokens of a step, h w their grid, C
channels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from mmad.config.features import ExtractionSettings
from mmad.data.features.blocks import ClipLayout, FeatureBlock, FeatureBlocks
from mmad.data.features.files import PartWriter, require_storable
from mmad.data.features.manifest import FeatureManifest
from mmad.data.features.parts import FeatureParts
from mmad.data.samples import FailedVideo
from mmad.engine.features.plan import FeatureBackbone, describe_features, plan_clips
from mmad.errors import FeatureError
from mmad.models.backbones.contract import Backbone, ClipTokens
from mmad.models.backbones.features import chosen_tokens, normalise_windows
from mmad.video.reading import ReadVideo, notices


class BlockEncoder:
    """The backbone on blocks of clips.

    Args:
        backbone: Backbone in evaluation mode, on its device.
        settings: Extraction settings.
        layout: Layout of the clips.
        precision: Type of autocast, or None.
    """

    def __init__(
        self,
        backbone: Backbone,
        settings: ExtractionSettings,
        *,
        layout: ClipLayout,
        precision: torch.dtype | None,
    ) -> None:
        self._backbone = backbone
        self._settings = settings
        self._layout = layout
        self._precision = precision
        self.device = next(backbone.parameters()).device

    @torch.inference_mode()
    def __call__(self, block: FeatureBlock) -> Tensor:
        """Features of the kept clips: rows of (C,) or (h, w, C), on the backbone's device."""
        layout, backbone, device = self._layout, self._backbone, self.device
        frames = block.frames.to(device, non_blocking=True)
        spacing = layout.window // layout.clip_frames
        index = block.starts[:, None] + torch.arange(layout.clip_frames) * spacing
        clips_NFHWC = frames[index.clamp(max=len(frames) - 1).to(device)]
        num_clips = len(clips_NFHWC)
        # Windows overlap in time, so temporal adapters must not connect them.
        video_of_clip = torch.arange(num_clips, device=device)
        if layout.is_dense:
            video_of_clip = torch.zeros_like(video_of_clip)
        with torch.autocast(
            device.type, dtype=self._precision, enabled=self._precision is not None
        ):
            images = normalise_windows(clips_NFHWC, block.colour[None].to(device), [num_clips])
            tokens = backbone(
                images,
                video_of_clip,
                stop_before=self._settings.before_block,
                **chosen_tokens(backbone, clips_NFHWC),
            )
        tokens = ClipTokens(
            tokens.tokens_NTSC[block.kept].float(),
            tokens.grid_hw,
            None if tokens.clip_NC is None else tokens.clip_NC[block.kept].float(),
        )
        if self._settings.spatial == "pooled" and self._settings.before_block is None:
            if layout.is_dense:
                return backbone.pool_steps(tokens).flatten(0, 1)
            return backbone.pool_clips(tokens)
        tokens_NTSC = tokens.tokens_NTSC
        if not layout.is_dense:
            tokens_NTSC = tokens_NTSC.mean(dim=1, keepdim=True)
        return self._pool(tokens_NTSC.flatten(0, 1), tokens.grid_hw)

    def _pool(self, tokens_RSC: Tensor, grid_hw: tuple[int, int]) -> Tensor:
        spatial = self._settings.spatial
        if spatial == "pooled":
            return tokens_RSC.mean(dim=1)
        tokens_RhwC = tokens_RSC.unflatten(1, grid_hw)
        if spatial == "tokens":
            return tokens_RhwC
        cells_RChw = functional.adaptive_avg_pool2d(tokens_RhwC.permute(0, 3, 1, 2), spatial)
        return cells_RChw.permute(0, 2, 3, 1)


@dataclass
class Extracted:
    """The result of an extraction.

    Attributes:
        written: Videos whose features were written now.
        num_frames: Number of their frames.
        failed: Videos that could not be read or stored, with the reason.
        read: What decoding the other files has shown.
    """

    written: list[str] = field(default_factory=list)
    num_frames: int = 0
    failed: list[FailedVideo] = field(default_factory=list)
    read: list[ReadVideo] = field(default_factory=list)

    @property
    def messages(self) -> dict[str, str]:
        """Why videos failed, by their ids."""
        return {failure.video_id: failure.message for failure in self.failed}

    def add(self, other: "Extracted") -> None:
        """Add what another process has done."""
        self.written += other.written
        self.num_frames += other.num_frames
        self.failed += other.failed
        self.read += other.read


def read_blocks(
    videos: Sequence[tuple[str, Path]],
    source: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    layout: ClipLayout,
    num_workers: int,
    pin_memory: bool,
) -> Iterable[FeatureBlock | FailedVideo]:
    """The blocks of all videos; with workers, decoded ahead in separate processes."""
    blocks = FeatureBlocks(videos, source.data, settings, backbone=source.settings, layout=layout)
    return DataLoader(
        blocks,
        batch_size=None,
        num_workers=min(num_workers, len(videos)),
        pin_memory=pin_memory,
        # In order of completion; the blocks of one video still come in order.
        in_order=False,
    )


@dataclass(frozen=True, eq=False)
class Computation:
    """What turns videos into features.

    Attributes:
        backbone: Backbone, on its device.
        settings: Extraction settings.
        layout: Layout of the clips.
        precision: Type of autocast, or None.
    """

    backbone: FeatureBackbone
    settings: ExtractionSettings
    layout: ClipLayout
    precision: torch.dtype | None

    @property
    def device(self) -> torch.device:
        """Device of the backbone."""
        return next(self.backbone.backbone.parameters()).device

    @property
    def manifest(self) -> FeatureManifest:
        """The manifest of what will be extracted."""
        return describe_features(
            self.backbone, self.settings, layout=self.layout, precision=self.precision
        )


def plan_computation(
    backbone: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    precision: torch.dtype | None,
    block_clips: int | None,
) -> Computation:
    """The computation of these settings.

    Args:
        backbone: Backbone, on its device.
        settings: Extraction settings.
        precision: Type of autocast, or None.
        block_clips: Clips per forward pass; None is 8 on a CPU and 64 on a GPU.

    Raises: FeatureError if the settings do not fit the backbone.
    """
    usual = 64 if next(backbone.backbone.parameters()).is_cuda else 8
    layout = plan_clips(backbone, settings, block_clips=block_clips or usual)
    return Computation(backbone, settings, layout, precision)


def extract_parts(
    videos: Sequence[tuple[str, Path]],
    parts: FeatureParts,
    computation: Computation,
    done: Extracted,
    *,
    num_workers: int | None,
    progress: Callable[[int], object] | None = None,
) -> None:
    """Write the file of each video's features; an unreadable video does not stop the others.

    Args:
        videos: Id and path of each, among those of `FeatureParts.at_work`.
        parts: Output files.
        computation: Backbone and settings.
        done: Receives what was done.
        num_workers: Decoding processes; 0 decodes in this one, between computations; None is 0 on
            a CPU and 8 with a GPU.
        progress: Called with the number of frames done.

    Raises: OutputError if they cannot be written.
    """
    is_cuda = computation.device.type == "cuda"
    if num_workers is None:
        num_workers = 8 if is_cuda else 0
    source, settings, layout = computation.backbone, computation.settings, computation.layout
    encoder = BlockEncoder(
        source.backbone, settings, layout=layout, precision=computation.precision
    )
    blocks = read_blocks(
        videos,
        source,
        settings,
        layout=layout,
        num_workers=num_workers,
        pin_memory=is_cuda,
    )
    writers: dict[str, PartWriter] = {}
    given_up: set[str] = set()

    def give_up(failure: FailedVideo) -> None:
        given_up.add(failure.video_id)
        done.failed.append(failure)
        if failure.video_id in writers:
            writers.pop(failure.video_id).close()

    try:
        for item in _encoded(blocks, encoder):
            if isinstance(item, FailedVideo):
                give_up(item)
                continue
            block, rows = item
            name = block.video_id
            if name in given_up:
                continue
            try:
                require_storable(rows, dtype=settings.dtype, video_id=name)
            except FeatureError as error:
                give_up(FailedVideo(name, str(error)))
                continue
            if name not in writers:
                writers[name] = parts.writer(name, block.video, dtype=settings.dtype)
            writers[name].write(rows)
            done.num_frames += block.num_new_frames
            if progress is not None:
                progress(block.num_new_frames)
            if block.read is not None:
                writers.pop(name).publish(notices=notices([block.read]))
                done.written.append(name)
                done.read.append(block.read)
    finally:
        for writer in writers.values():
            writer.close()


def extract_to_file(
    videos: Sequence[tuple[str, Path]],
    source: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    out: Path,
    block_clips: int = 8,
) -> Extracted:
    """Write the features of all videos to ``out``, in full precision, in this process alone."""
    computation = plan_computation(source, settings, precision=None, block_clips=block_clips)
    parts, done = FeatureParts(out, computation.manifest, videos), Extracted()
    with parts.at_work(lambda: done.messages) as waiting:
        extract_parts(parts.files(waiting), parts, computation, done, num_workers=0)
    parts.join()
    return done


def _encoded(
    blocks: Iterable[FeatureBlock | FailedVideo], encoder: BlockEncoder
) -> Iterator[tuple[FeatureBlock, NDArray[np.float32]] | FailedVideo]:
    """Each block with its features, and each failure; the next block is started before waiting for
    the last.
    """
    waiting: tuple[FeatureBlock, Callable[[], NDArray[np.float32]]] | None = None
    for item in blocks:
        started = None if isinstance(item, FailedVideo) else (item, _to_host(encoder(item)))
        if waiting is not None:
            yield waiting[0], waiting[1]()
        waiting = started
        if isinstance(item, FailedVideo):
            yield item
    if waiting is not None:
        yield waiting[0], waiting[1]()


def _to_host(rows: Tensor) -> Callable[[], NDArray[np.float32]]:
    """Start the copy from the device; calling the result waits for this copy only."""
    if rows.device.type != "cuda":
        return lambda: rows.cpu().numpy()
    copied = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
    copied.copy_(rows, non_blocking=True)
    event = torch.cuda.Event()
    # On its own device: the current device of the process may be another.
    event.record(torch.cuda.current_stream(rows.device))

    def finish() -> NDArray[np.float32]:
        event.synchronize()
        return copied.numpy()

    return finish
