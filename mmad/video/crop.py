"""Copies of videos, cropped to the person."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError, raise_problems
from mmad.video.copies import (
    CROP_MANIFEST,
    CopySummary,
    FinishedCopy,
    check_copies,
    copy_path,
    copy_size,
    make_copies,
    read_manifest,
    write_frames,
)
from mmad.video.find import video_id_of
from mmad.video.index import VideoIndex, index_video
from mmad.video.open import open_video
from mmad.video.person_box import EXPAND, LEAST_ASPECT, PersonBox, motion_box, union_box
from mmad.video.persons.detector import FoundPersons
from mmad.video.persons.search import (
    PersonSearch,
    person_notices,
    search_persons,
    write_persons,
)
from mmad.video.reader import Frame
from mmad.video.reading import describe_reading
from mmad.video.writer import check_encoding
from mmad.wording import count
from mmad.workers import LocalWorkers

# Motion is searched for at this size; the box is in pixels of the full size.
_MOTION_SHORT_SIDE = 240
# A crop that covers less of the image than this is suspiciously small for a person.
_SMALL = 0.1


@dataclass(frozen=True)
class CropSettings:
    """What decides the content of a cropped copy, besides its source.

    Attributes:
        union: Left, top, right, bottom of the union of all boxes of the video, empty if it has
            none; None crops to what moves.
        expand: Share of the width and height of the union that is added on each side.
        least_aspect: Minimum width / height.
        short_side: Pixels of the shorter side of the copy; None keeps the size of the crop.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
    """

    union: tuple[float, ...] | None
    expand: float = EXPAND
    least_aspect: float = LEAST_ASPECT
    short_side: int | None = None
    crf: int = 18
    gop_frames: int = 16


@dataclass(frozen=True)
class SearchedCropSettings(CropSettings):
    """Those of a copy whose persons a detector searches; there is no union before.

    Attributes:
        digest: Hash of the detector.
        min_score: Score from which on it finds a person.
        every: Distance in frames between the images that it sees.
    """

    digest: str = ""
    min_score: float = 0.0
    every: int = 1


@dataclass(frozen=True)
class Crop:
    """The region of a video that is kept.

    Attributes:
        rows, columns: Rows and columns of the upright image.
        is_found: Whether there was a person or motion; otherwise the crop is the whole image.
    """

    rows: slice
    columns: slice
    is_found: bool

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.columns.stop - self.columns.start)

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.rows.stop - self.rows.start)


def crop_settings(
    video: Path,
    *,
    boxes: Mapping[str, NDArray[np.float64]] | None,
    expand: float = EXPAND,
    least_aspect: float = LEAST_ASPECT,
    short_side: int | None = None,
    crf: int = 18,
    gop_frames: int = 16,
) -> CropSettings:
    """The settings of one video with boxes, or cropped to what moves; see `crop_videos`."""
    union: tuple[float, ...] | None = None
    if boxes is not None:
        found = boxes.get(video_id_of(video), np.zeros((0, 4)))
        union = ()
        if len(found):
            sides = np.concatenate((found[:, :2].min(axis=0), found[:, 2:].max(axis=0)))
            union = tuple(sides.tolist())
    return CropSettings(union, expand, least_aspect, short_side, crf, gop_frames)


def find_crop(video: Path, settings: CropSettings, *, persons: FoundPersons | None = None) -> Crop:
    """The region of a video that shows the person.

    Args:
        video: Video file.
        settings: Settings of the copy.
        persons: Those that a detector has found, in place of the union in the settings.

    Raises: VideoError if the video cannot be read or its boxes lie outside of the image.
    """
    index = index_video(video)
    box: PersonBox
    if persons is None and settings.union is None:
        small = min(index.width, index.height, _MOTION_SHORT_SIDE)
        with open_video(video, short_side=small) as reader:
            box, is_found = motion_box(
                reader, expand=settings.expand, least_aspect=settings.least_aspect
            )
    else:
        boxes = np.array(settings.union or (), dtype=np.float64).reshape(-1, 4)
        if persons is not None:
            boxes = persons.boxes
        is_found = len(boxes) > 0
        try:
            box = union_box(
                boxes,
                width=index.width,
                height=index.height,
                expand=settings.expand,
                least_aspect=settings.least_aspect,
            )
        except VideoError as error:
            raise VideoError(f"{video}: {error}") from None
    rows, columns = box.pixels(width=index.width, height=index.height)
    return Crop(rows, columns, is_found)


def crop_videos(
    videos: Sequence[Path],
    out: Path,
    *,
    boxes: Mapping[str, NDArray[np.float64]] | None = None,
    search: PersonSearch | None = None,
    expand: float = EXPAND,
    least_aspect: float = LEAST_ASPECT,
    short_side: int | None = None,
    num_workers: int = 1,
    crf: int = 18,
    gop_frames: int = 16,
    overwrite: bool = False,
    on_done: Callable[[Path], object] | None = None,
) -> CopySummary:
    """Write a copy of each video, cropped to the person, as ``out / (stem + ".mp4")``, and return
    what was done.

    A copy has every frame of its source at its time, upright, both sides even. The crop is the
    same in all frames of a video; ``out / "cropped.json"`` has it, and ``out / (stem + ".csv")``
    the persons that were searched for. A video without boxes or persons, or in which nothing moves,
    keeps the whole image, with a notice. A video that fails is reported and
    does not stop the others. Calling again makes only what is missing or has other boxes or
    settings.

    Args:
        videos: Video files.
        out: Folder of the copies.
        boxes: Boxes (M, 4) as left, top, right, bottom for each video id (the stem of its file),
            in pixels of the upright video; without them and a search it is cropped to what moves,
            for fixed cameras.
        search: How persons are searched for; their boxes are united.
        expand: Share of the width and height of the union that is added on each side.
        least_aspect: Minimum width / height.
        short_side: Pixels of the shorter side of a copy; smaller crops are not enlarged.
        num_workers: Number of worker processes.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
        overwrite: Whether to make finished copies again.
        on_done: Called with each source once it is done.

    Raises: VideoError if no video has boxes, two videos would give the same copy, a setting is
    impossible, or ``out`` holds copies of another command.
    """
    problems = check_encoding(short_side=short_side, crf=crf, gop_frames=gop_frames)
    problems += check_crop(videos, boxes=boxes, expand=expand, least_aspect=least_aspect)
    problems += check_copies(videos, out, manifest_file=CROP_MANIFEST)
    raise_problems(VideoError, source="crop", problems=problems)
    settings = {
        video: crop_settings(
            video,
            boxes=boxes,
            expand=expand,
            least_aspect=least_aspect,
            short_side=short_side,
            crf=crf,
            gop_frames=gop_frames,
        )
        for video in videos
    }
    if search is not None:
        found = {"digest": search.digest(), "min_score": search.min_score, "every": search.every}
        settings = {
            video: SearchedCropSettings(**(asdict(one) | found | {"union": ()}))
            for video, one in settings.items()
        }
    return make_copies(
        settings,
        out,
        partial(crop_video, model=None if search is None else search.model.resolve()),
        manifest_file=CROP_MANIFEST,
        workers=LocalWorkers(num_workers),
        overwrite=overwrite,
        on_done=on_done,
    )


def check_crop(
    videos: Sequence[Path],
    *,
    boxes: Mapping[str, NDArray[np.float64]] | None,
    expand: float = EXPAND,
    least_aspect: float = LEAST_ASPECT,
) -> list[str]:
    """Problems of these settings of crops, among them boxes of no video; empty if none."""
    problems = []
    for name, value in (("expand", expand), ("least_aspect", least_aspect)):
        if not 0 <= value < float("inf"):
            problems.append(f"{name}: expected 0 or more, found {value}")
    stems = [video_id_of(video) for video in videos]
    if boxes is not None and stems and not set(stems) & set(boxes):
        problems.append(
            f"no video has boxes: the videos are {', '.join(stems[:3])}, ..., the boxes are for "
            f"{', '.join(list(boxes)[:3])}, ...; the id of a video is its name without the suffix"
        )
    return problems


def crop_video(
    video: Path, copy: Path, settings: CropSettings, *, model: Path | None = None
) -> FinishedCopy:
    """The cropped copy of one video.

    Args:
        video: Video file.
        copy: File to write.
        settings: Settings of the copy.
        model: The detector, if the settings are those of a search.

    Raises: VideoError or OSError if the video cannot be read or the copy cannot be written.
    """
    index = index_video(video)
    persons = None
    if isinstance(settings, SearchedCropSettings):
        assert model is not None
        search = PersonSearch(model, settings.min_score, settings.every)
        persons = search_persons(video, search)
        # First, so that a finished copy always has its boxes.
        write_persons(copy.with_suffix(".csv"), video_id_of(video), persons)
    crop = find_crop(video, settings, persons=persons)
    height, width, notices = copy_size(
        crop.width, crop.height, short_side=settings.short_side, name=f"{video}: the crop"
    )
    notices += _notices(video, crop, index, by_motion=settings.union is None, persons=persons)
    with open_video(video, threads=1) as reader:
        frames = _cut(reader.stream(), crop, height=height, width=width)
        write_frames(frames, copy, index, crf=settings.crf, gop_frames=settings.gop_frames)
        notices += describe_reading(reader.index, damaged=reader.damaged).file_notices()
    found = {
        "left": crop.columns.start,
        "top": crop.rows.start,
        "width": crop.width,
        "height": crop.height,
        "is_found": crop.is_found,
    }
    return FinishedCopy(copy, index.num_frames, tuple(notices), found)


def _notices(
    video: Path,
    crop: Crop,
    index: VideoIndex,
    *,
    by_motion: bool,
    persons: FoundPersons | None,
) -> list[str]:
    """What to say of a crop."""
    told = [] if persons is None else person_notices(video, persons)
    if not crop.is_found:
        why = "nothing moves in it" if by_motion else "it has no boxes"
        if persons is not None:
            why = f"no person in any of the {count(persons.num_searched, 'frame')} searched"
        told.append(f"{video}: {why}; the whole image is kept")
    elif by_motion and crop.width * crop.height < _SMALL * index.width * index.height:
        told.append(
            f"{video}: only {crop.width} x {crop.height} pixels move, perhaps a part of a person "
            "who otherwise keeps still; check with --preview, or pass --boxes"
        )
    return told


def _cut(frames: Iterator[Frame], crop: Crop, *, height: int, width: int) -> Iterator[Frame]:
    for frame in frames:
        part = frame[crop.rows, crop.columns]
        if part.shape[:2] != (height, width):
            yield np.asarray(
                cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8
            )
        else:
            yield part


def read_crops(videos: Sequence[Path], out: Path) -> dict[Path, Crop]:
    """The crop of each of ``videos`` that has a finished copy in ``out``."""
    manifest = read_manifest(out / CROP_MANIFEST)
    crops = {}
    for video in videos:
        found = (manifest.get(copy_path(video, out).name) or {}).get("found")
        if found is not None:
            rows = slice(found["top"], found["top"] + found["height"])
            columns = slice(found["left"], found["left"] + found["width"])
            crops[video] = Crop(rows, columns, found["is_found"])
    return crops
