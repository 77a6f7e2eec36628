"""Copies of videos that show only the face, and the boxes that they were cut at.

Source: MA-52 paper, section VI-A: the facial branch sees the face of each frame, cut at the box of
a detector. Differs: the paper's detector is dlib's; here it is any that writes boxes, or YuNet.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from mmad.errors import VideoError, raise_problems
from mmad.video.copies import (
    FACES_MANIFEST,
    CopySummary,
    FinishedCopy,
    check_copies,
    copy_path,
    make_copies,
    read_manifest,
    write_frames,
)
from mmad.video.faces.boxes import FaceBoxes, no_faces, read_face_boxes, write_face_boxes
from mmad.video.faces.detector import FaceDetector
from mmad.video.faces.search import FaceSearch
from mmad.video.faces.tracking import FaceTrack, follow_face, square
from mmad.video.find import video_id_of
from mmad.video.index import VideoIndex, index_video
from mmad.video.open import open_video
from mmad.video.reader import Frame
from mmad.video.reading import describe_reading
from mmad.video.writer import check_encoding
from mmad.wording import count
from mmad.workers import LocalWorkers

# Faces are searched for at this size; smaller ones than a dozen pixels there are not found.
_SEARCH_SHORT_SIDE = 360
_EMPTY = (0, 0, 0)
# A worker process reads the file of all videos once.
_boxes_of = lru_cache(maxsize=1)(read_face_boxes)


@dataclass(frozen=True)
class FaceSettings:
    """What decides the content of a copy of the face, besides its source.

    Attributes:
        is_model: Whether a model finds the faces; else their boxes are from a file.
        digest: Hash of the model, or of the boxes of the video.
        min_score: Score from which on the model finds a face.
        every: Distance in frames between the images that the model sees.
        max_gap_seconds: Longest time between two boxes over which a box is interpolated.
        expand: Share of the longer side of the box that is added on each side.
        size: Pixels of the sides of the copy.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
    """

    is_model: bool
    digest: str
    min_score: float
    every: int
    max_gap_seconds: float
    expand: float
    size: int
    crf: int = 18
    gop_frames: int = 16


@dataclass(frozen=True)
class FacesFound:
    """What is known of the faces of all finished copies.

    Attributes:
        num_videos: Number of copies.
        without: Ids of the videos without a face.
        leaving: Ids of the videos in which the face is away for a while.
        with_others: Ids of the videos with another face.
    """

    num_videos: int
    without: tuple[str, ...]
    leaving: tuple[str, ...]
    with_others: tuple[str, ...]


def face_videos(
    videos: Sequence[Path],
    out: Path,
    *,
    model: Path | None = None,
    boxes: Path | None = None,
    search: FaceSearch,
    num_workers: int = 1,
    overwrite: bool = False,
    on_done: Callable[[Path], object] | None = None,
) -> CopySummary:
    """Write a copy of the face of each video and its boxes, and return what was done.

    ``out / (stem + ".mp4")`` has every frame of its source at its time, cut to a square around the
    face; frames without a face are black. ``out / (stem + ".csv")`` has the boxes. Calling again
    makes only what is missing or has other boxes or settings.

    Args:
        videos: Video files.
        out: Folder of the copies.
        model: File of YuNet; or
        boxes: File or folder of boxes, see `read_face_boxes`.
        search: How faces are found, followed and cut.
        num_workers: Number of worker processes.
        overwrite: Whether to make finished copies again.
        on_done: Called with each source once it is done.

    Raises: VideoError if a setting is impossible, the model is none, no video has boxes, or ``out``
    holds copies of another command; AnnotationError if the boxes cannot be read.
    """
    assert (model is None) != (boxes is None), "a model or boxes"
    problems = check_encoding(short_side=search.size, crf=18, gop_frames=16)
    problems += check_copies(videos, out, manifest_file=FACES_MANIFEST)
    if search.size % 2:
        problems.append(f"size: expected an even number of pixels, found {search.size}")
    given: dict[str, FaceBoxes] = {}
    digest = ""
    if boxes is not None:
        _boxes_of.cache_clear()
        given = read_face_boxes(boxes)
        ids = [video_id_of(video) for video in videos]
        if not set(ids) & set(given):
            problems.append(
                f"no video is in {boxes}: the videos are {', '.join(ids[:3])}, ..., the boxes are "
                f"of {', '.join(list(given)[:3])}, ..."
            )
    elif model is not None:
        FaceDetector(model, min_score=search.min_score)  # said once, not for each video
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
    raise_problems(VideoError, source="faces", problems=problems)
    settings = {
        video: FaceSettings(
            is_model=model is not None,
            digest=digest or given.get(video_id_of(video), no_faces()).digest(),
            min_score=search.min_score if model is not None else 0.0,
            every=search.every if model is not None else 1,
            max_gap_seconds=search.max_gap_seconds,
            expand=search.expand,
            size=search.size,
        )
        for video in videos
    }
    return make_copies(
        settings,
        out,
        partial(face_video, source=(model or boxes or Path()).resolve()),
        manifest_file=FACES_MANIFEST,
        workers=LocalWorkers(num_workers),
        overwrite=overwrite,
        on_done=on_done,
    )


def face_video(video: Path, copy: Path, settings: FaceSettings, *, source: Path) -> FinishedCopy:
    """The copy of the face of one video; its boxes are written beside it.

    Args:
        video: Video file.
        copy: File to write.
        settings: Settings of the copy.
        source: Model file, or file or folder of boxes.

    Raises: VideoError or OSError if the video cannot be read or the copy cannot be written.
    """
    index = index_video(video)
    if settings.is_model:
        found = _search(video, FaceDetector(source, min_score=settings.min_score), settings.every)
    else:
        found = _boxes_of(source).get(video_id_of(video), no_faces())
        _check_boxes(video, found, index)
    max_gap = max(settings.every, round(settings.max_gap_seconds * index.fps))
    track = follow_face(found, num_frames=index.num_frames, max_gap=max_gap)
    # First, so that a finished copy always has its boxes.
    write_face_boxes(copy.with_suffix(".csv"), video_id_of(video), track.as_boxes())
    with open_video(video, threads=1) as reader:
        frames = (
            _cut(frame, track, position, settings) for position, frame in enumerate(reader.stream())
        )
        write_frames(frames, copy, index, crf=settings.crf, gop_frames=settings.gop_frames)
        notices = [*_notices(video, track, index)]
        notices += describe_reading(reader.index, damaged=reader.damaged).file_notices()
    facts = {
        "num_frames": index.num_frames,
        "frames_with_face": int(track.is_visible.sum()),
        "frames_with_others": track.num_other_frames,
    }
    return FinishedCopy(copy, index.num_frames, tuple(notices), facts)


def _search(video: Path, detector: FaceDetector, every: int) -> FaceBoxes:
    """All faces in every ``every``-th frame and the last, in pixels of the full size."""
    index = index_video(video)
    small = min(index.width, index.height, _SEARCH_SHORT_SIDE)
    frames: list[int] = []
    boxes: list[np.ndarray] = []
    with open_video(video, short_side=small, threads=1) as reader:
        # With the last frame, so that a face is not taken for away after the one before.
        chosen = sorted({*range(0, index.num_frames, every), index.num_frames - 1})
        for frame, image in zip(chosen, reader.stream(chosen), strict=True):
            height, width = image.shape[:2]
            scale = np.tile([index.width / width, index.height / height], 2)
            for box in detector.detect(image):
                frames.append(frame)
                boxes.append(box * scale)
    return FaceBoxes(np.array(frames, dtype=np.int64), np.array(boxes).reshape(-1, 4))


def _check_boxes(video: Path, found: FaceBoxes, index: VideoIndex) -> None:
    if not len(found):
        return
    if found.frames[-1] >= index.num_frames:
        raise VideoError(
            f"{video}: has a face box in frame {found.frames[-1]}, but its frames are 0 to "
            f"{index.num_frames - 1}"
        )
    left, top, width, height = found.boxes.T
    outside = (left >= index.width) | (top >= index.height)
    outside |= (left + width <= 0) | (top + height <= 0)
    if outside.any():
        row = int(outside.argmax())
        box = ", ".join(f"{value:g}" for value in found.boxes[row])
        raise VideoError(
            f"{video}: the face box {box} in frame {found.frames[row]} lies outside of the image "
            f"of {index.width} x {index.height} pixels; give pixels of the upright video at its "
            "full size"
        )


def _cut(frame: Frame, track: FaceTrack, position: int, settings: FaceSettings) -> Frame:
    """The square around the face, black beyond the image and without a face."""
    size = settings.size
    if position >= len(track.boxes) or not track.is_visible[position]:
        return np.zeros((size, size, 3), dtype=np.uint8)
    left, top, side = square(track.boxes[position], expand=settings.expand)
    scale = size / side
    # Pixel centres are at half pixels; so the middle of the square becomes that of the copy.
    shift = [0.5 * scale - 0.5 - scale * left, 0.5 * scale - 0.5 - scale * top]
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    return np.asarray(
        cv2.warpAffine(
            frame,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_EMPTY,
        ),
        dtype=np.uint8,
    )


def _notices(video: Path, track: FaceTrack, index: VideoIndex) -> list[str]:
    num_frames = index.num_frames
    if not track.is_visible.any():
        return [
            f"{video}: no face in {count(num_frames, 'frame')}; the copy is black, and the "
            "emotion is left to the body"
        ]
    told = []
    absences = track.absences()
    if absences:
        start, end = absences[0]
        times = index.times_seconds
        until = times[end] if end < num_frames else index.duration_seconds
        away = num_frames - int(track.is_visible.sum())
        told.append(
            f"{video}: the face is away in {away} of {num_frames} frames, first from "
            f"{times[start]:.2f} to {until:.2f} s; these are black"
        )
    if track.num_other_frames:
        told.append(
            f"{video}: another face in {count(track.num_other_frames, 'frame')}; the larger is kept"
        )
    return told


def faces_found(videos: Sequence[Path], out: Path) -> FacesFound:
    """What the finished copies of ``videos`` in ``out`` show."""
    manifest = read_manifest(out / FACES_MANIFEST)
    facts = {
        video_id_of(video): entry["found"]
        for video in videos
        if (entry := manifest.get(copy_path(video, out).name)) and "found" in entry
    }
    return FacesFound(
        num_videos=len(facts),
        without=tuple(name for name, one in facts.items() if not one["frames_with_face"]),
        leaving=tuple(
            name for name, one in facts.items() if 0 < one["frames_with_face"] < one["num_frames"]
        ),
        with_others=tuple(name for name, one in facts.items() if one["frames_with_others"]),
    )
