"""Features out of videos: decoding, backbone and disk one behind the other, restartable.

Shapes: N clips of a block, T tubelets of a clip, S tokens of a tubelet, h w their grid, D width.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from mmad import __version__
from mmad.checkpoint import hash_state
from mmad.config.backbone import BackboneSettings
from mmad.config.data import DataSettings, PictureSettings
from mmad.config.features import ExtractionSettings
from mmad.data.feature_blocks import ClipLayout, FeatureBlock, FeatureBlocks
from mmad.data.feature_files import PartWriter, require_storable
from mmad.data.feature_manifest import FeatureManifest
from mmad.data.feature_parts import FeatureParts
from mmad.data.samples import FailedVideo
from mmad.errors import FeatureError
from mmad.models.detector import embed_windows
from mmad.models.videomae import VideoMAE

# Adapters without a temporal convolution: a clip's features are its own.
_CLIP_WISE = ("none", "standard")


@dataclass(frozen=True, eq=False)
class FeatureBackbone:
    """A backbone as it is used, and what is to be kept of it.

    Attributes:
        backbone: in evaluation mode, on its device.
        settings: that it was built with.
        data: how frames become pictures.
        weights_source: where its weights were read, for the manifest.
        seed: of what the weights lack.
    """

    backbone: VideoMAE
    settings: BackboneSettings
    data: DataSettings
    weights_source: str
    seed: int = 0

    def __str__(self) -> str:
        adapters = sum(block.adapter is not None for block in self.backbone.blocks)
        return (
            f"weights of {self.weights_source}, {adapters} adapters ({self.settings.adapter.name})"
        )


def plan_clips(
    source: FeatureBackbone, settings: ExtractionSettings, *, block_clips: int
) -> ClipLayout:
    """Which clips are cut from a video.

    Raises: FeatureError if windows do not fit the backbone's clips, or a block is asked for that is
        not there.
    """
    clip, depth = source.backbone.clip_frames, len(source.backbone.blocks)
    if settings.before_block is not None and settings.before_block >= depth:
        raise FeatureError(
            f"--before-block {settings.before_block}: the backbone has blocks 0 to {depth - 1}"
        )
    if settings.mode == "windows":
        assert settings.window is not None
        assert settings.stride is not None
        if settings.window % clip:
            raise FeatureError(
                f"--window {settings.window}: the backbone sees clips of {clip} frames, so a "
                f"window is a multiple of {clip} (of {2 * clip}, every second frame is shown)"
            )
        return ClipLayout(clip, settings.window, settings.stride, 1, block_clips, is_dense=False)
    context = _temporal_reach(source, settings)
    if source.data.subtract_background:
        # The background is that of a window, as end to end.
        block_clips = max(source.data.window_frames // clip, 1)
    elif context:
        block_clips = max(block_clips, 2 * context)
    tubelets = source.backbone.clip_tubelets
    return ClipLayout(clip, clip, clip, tubelets, block_clips, is_dense=True, context=context)


def _temporal_reach(source: FeatureBackbone, settings: ExtractionSettings) -> int:
    """Clips on either side that a clip's features depend on: each temporal adapter adds those that
    half of its kernel reaches.
    """
    adapter = source.settings.adapter
    if adapter.name in _CLIP_WISE:
        return 0
    half = getattr(adapter, "temporal_kernel", 3) // 2
    clips = math.ceil(half / source.backbone.clip_tubelets)
    blocks = source.backbone.blocks[: settings.before_block]
    return clips * sum(block.adapter is not None for block in blocks)


def describe_features(
    source: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    layout: ClipLayout,
    precision: torch.dtype | None,
) -> FeatureManifest:
    """The manifest of what will be extracted."""
    data, width = source.data, source.backbone.size.width
    side = data.image_size // source.backbone.size.patch
    if settings.spatial == "pooled":
        shape = [width]
    else:
        cells = side if settings.spatial == "tokens" else settings.spatial
        shape = [cells, cells, width]
    grid = layout.grid(frame_stride=data.frame_stride, fps=settings.fps)
    sampling: dict[str, Any] = {
        "sampling": data.sampling,
        "frame_stride": data.frame_stride,
        "fps_tolerance": data.fps_tolerance,
    }
    if data.sampling == "whole" or data.subtract_background:
        sampling["window_frames"] = data.window_frames
    pictures = {name: getattr(data, name) for name in PictureSettings.model_fields}
    return FeatureManifest(
        grid=None if data.sampling == "whole" else grid,
        step_shape=shape,
        extraction=settings,
        backbone=source.settings,
        weights_sha256=hash_state(source.backbone.state_dict()),
        base_sha256=hash_base(source.backbone.state_dict()),
        weights_seed=source.seed,
        weights_source=source.weights_source,
        pictures=PictureSettings(**{**pictures, "augmentation": None}),
        sampling=sampling,
        precision="float32" if precision is None else str(precision).removeprefix("torch."),
        versions={
            "mmad": __version__,
            **{name: metadata.version(name) for name in ("torch", "numpy", "av", "h5py")},
        },
    )


def hash_base(state: Mapping[str, Tensor]) -> str:
    """Hash of the weights of a backbone without its adapters."""
    return hash_state({name: value for name, value in state.items() if ".adapter." not in name})


class BlockEncoder:
    """The backbone on blocks of clips.

    Args:
        backbone: in evaluation mode, on its device.
        settings: of the extraction.
        layout: of the clips.
        precision: of autocast, or None.
    """

    def __init__(
        self,
        backbone: VideoMAE,
        settings: ExtractionSettings,
        *,
        layout: ClipLayout,
        precision: torch.dtype | None,
    ) -> None:
        self._backbone = backbone
        self._settings = settings
        self._layout = layout
        self._precision = precision
        self.device = backbone.patch_embed.proj.weight.device

    @torch.inference_mode()
    def __call__(self, block: FeatureBlock) -> Tensor:
        """Features of the kept clips: rows of (D,) or (h, w, D), on the backbone's device."""
        layout, backbone, device = self._layout, self._backbone, self.device
        frames = block.frames.to(device, non_blocking=True)
        spacing = layout.window // layout.clip_frames
        index = block.starts[:, None] + torch.arange(layout.clip_frames) * spacing
        clips_NFHWC = frames[index.clamp(max=len(frames) - 1).to(device)]
        num_clips = len(clips_NFHWC)
        # Windows overlap in time, so they are no neighbours for temporal adapters.
        video_of_clip = torch.arange(num_clips, device=device)
        if layout.is_dense:
            video_of_clip = torch.zeros_like(video_of_clip)
        with torch.autocast(
            device.type, dtype=self._precision, enabled=self._precision is not None
        ):
            patches = embed_windows(
                backbone, clips_NFHWC, block.colour[None].to(device), [num_clips]
            )
            tokens_NTSD = backbone.encode(
                patches, video_of_clip, before_block=self._settings.before_block
            )[block.kept]
        tokens_NTSD = tokens_NTSD.float()
        if not layout.is_dense:
            tokens_NTSD = tokens_NTSD.mean(dim=1, keepdim=True)
        return self._pool(tokens_NTSD.flatten(0, 1))

    def _pool(self, tokens_RSD: Tensor) -> Tensor:
        spatial = self._settings.spatial
        if spatial == "pooled":
            return tokens_RSD.mean(dim=1)
        side = math.isqrt(tokens_RSD.shape[1])
        tokens_RhwD = tokens_RSD.unflatten(1, (side, side))
        if spatial == "tokens":
            return tokens_RhwD
        cells_RDhw = functional.adaptive_avg_pool2d(tokens_RhwD.permute(0, 3, 1, 2), spatial)
        return cells_RDhw.permute(0, 2, 3, 1)


@dataclass
class Extracted:
    """What was done.

    Attributes:
        written: videos whose part was written now.
        num_frames: of them.
        failed: videos that could not be read or stored, with why.
        notices: what the user should know of the others.
    """

    written: list[str] = field(default_factory=list)
    num_frames: int = 0
    failed: list[FailedVideo] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def read_blocks(
    videos: Sequence[tuple[str, Path]],
    data: DataSettings,
    settings: ExtractionSettings,
    *,
    layout: ClipLayout,
    num_workers: int,
    pin_memory: bool,
) -> Iterable[FeatureBlock | FailedVideo]:
    """The blocks of all videos; with workers, decoded ahead in processes of their own."""
    blocks = FeatureBlocks(videos, data, settings, layout=layout)
    return DataLoader(
        blocks,
        batch_size=None,
        num_workers=min(num_workers, len(videos)),
        pin_memory=pin_memory,
        # Whichever block is ready; those of one video come in order all the same.
        in_order=False,
    )


def extract_parts(
    videos: Sequence[tuple[str, Path]],
    source: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    manifest: FeatureManifest,
    layout: ClipLayout,
    precision: torch.dtype | None,
    part_of: Mapping[str, Path],
    num_workers: int,
    progress: Callable[[int], object] | None = None,
) -> Extracted:
    """Write the part of each video; one that cannot be read does not stop the others.

    Args:
        videos: id and file of each.
        source: the backbone.
        settings: of the extraction.
        manifest: of the same.
        layout: of the clips.
        precision: of autocast, or None.
        part_of: path of the part of each video.
        num_workers: processes that decode; 0 decodes in this one, between computations.
        progress: called with the number of frames that were done.
    """
    encoder = BlockEncoder(source.backbone, settings, layout=layout, precision=precision)
    blocks = read_blocks(
        videos,
        source.data,
        settings,
        layout=layout,
        num_workers=num_workers,
        pin_memory=encoder.device.type == "cuda",
    )
    done = Extracted()
    writers: dict[str, PartWriter] = {}
    given_up: set[str] = set()
    try:
        for item, rows in _encoded(blocks, encoder):
            name = item.video_id
            if isinstance(item, FailedVideo) or rows is None:
                _give_up(writers, name)
                done.failed.append(item)  # type: ignore[arg-type]
                continue
            if name in given_up:
                continue
            try:
                require_storable(rows, dtype=settings.dtype, video_id=name)
            except FeatureError as error:
                _give_up(writers, name)
                given_up.add(name)
                done.failed.append(FailedVideo(name, str(error)))
                continue
            if name not in writers:
                writers[name] = PartWriter(
                    part_of[name],
                    manifest=manifest,
                    video_id=name,
                    video=item.video,
                    dtype=settings.dtype,
                )
            writers[name].write(rows)
            done.num_frames += item.num_new_frames
            if progress is not None:
                progress(item.num_new_frames)
            if item.is_last:
                writers.pop(name).close(notices=item.notices)
                done.written.append(name)
                done.notices += item.notices
    finally:
        for name in list(writers):
            _give_up(writers, name)
    return done


def _give_up(writers: dict[str, PartWriter], video_id: str) -> None:
    if video_id in writers:
        writers.pop(video_id).drop()


def extract_to_file(
    videos: Sequence[tuple[str, Path]],
    source: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    out: Path,
    precision: torch.dtype | None = None,
    block_clips: int = 8,
    num_workers: int = 0,
) -> Extracted:
    """Write the features of all videos to ``out``, in this process alone; arguments as
    `extract_parts`.
    """
    layout = plan_clips(source, settings, block_clips=block_clips)
    manifest = describe_features(source, settings, layout=layout, precision=precision)
    parts = FeatureParts(out, manifest, videos)
    mine = parts.begin()
    done = extract_parts(
        mine,
        source,
        settings,
        manifest=manifest,
        layout=layout,
        precision=precision,
        part_of={name: parts.path(name) for name, _ in mine},
        num_workers=num_workers,
    )
    for failure in done.failed:
        parts.note_failure(failure.video_id, failure.message)
    parts.end()
    parts.join()
    return done


def _encoded(
    blocks: Iterable[FeatureBlock | FailedVideo], encoder: BlockEncoder
) -> Iterator[tuple[FeatureBlock | FailedVideo, NDArray[np.float32] | None]]:
    """Each block with its features, and each failure; the next block is computed before the last
    one is waited for.
    """
    waiting: tuple[FeatureBlock, Callable[[], NDArray[np.float32]]] | None = None
    for item in blocks:
        if isinstance(item, FailedVideo):
            if waiting is not None:
                yield waiting[0], waiting[1]()
                waiting = None
            yield item, None
            continue
        started = (item, _to_host(encoder(item)))
        if waiting is not None:
            yield waiting[0], waiting[1]()
        waiting = started
    if waiting is not None:
        yield waiting[0], waiting[1]()


def _to_host(rows: Tensor) -> Callable[[], NDArray[np.float32]]:
    """Starts the copy from the device; the result waits for this copy and nothing after it."""
    if rows.device.type != "cuda":
        return lambda: rows.cpu().numpy()
    copied = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
    copied.copy_(rows, non_blocking=True)
    event = torch.cuda.Event()
    event.record()

    def finish() -> NDArray[np.float32]:
        event.synchronize()
        return copied.numpy()

    return finish


def share_of_process() -> tuple[int, int]:
    """Which share of the videos is this process's, and how many there are, as torchrun says."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
