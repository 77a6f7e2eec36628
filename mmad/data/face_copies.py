"""Face copies of videos: their frames at the times of others, and which of them have a face."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError, raise_problems
from mmad.video.faces.boxes import no_faces, read_face_boxes
from mmad.video.index import index_video
from mmad.video.sampling import frames_at

# Frames of the slower of both files by which their ends may lie apart.
_SLACK_FRAMES = 1.5
_AGAIN = "write its face copy again with mmad data faces"


def face_copies(folder: str, video_ids: Sequence[str]) -> list[Path]:
    """The face copy of each video in a folder that `mmad data faces` has written.

    Raises: VideoError with all that are missing, or without the file of their boxes.
    """
    place = Path(folder)
    if not place.is_dir():
        raise VideoError(
            f"data.faces: {folder}: there is no such folder of face copies; write them with mmad "
            f"data faces VIDEOS --out {folder}"
        )
    copies = [place / f"{name}.mp4" for name in video_ids]
    problems = [
        f"there is no {what} of {name}; write it with mmad data faces VIDEOS --out {folder}"
        for name, copy in zip(video_ids, copies, strict=True)
        for what, file in (("face copy", copy), ("file of boxes", copy.with_suffix(".csv")))
        if not file.is_file()
    ]
    raise_problems(VideoError, source=f"data.faces: {folder}", problems=problems)
    return copies


def frames_at_same_times(video: Path, copy: Path, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frames of a face copy that are nearest in time to ``frames`` of the video.

    Both may have different rates, as a prepared video and the face copy of its original.

    Raises: VideoError if the copy does not end where the video does.
    """
    one, other = index_video(video), index_video(copy)
    apart = abs(one.duration_seconds - other.duration_seconds)
    if apart > _SLACK_FRAMES / min(one.fps, other.fps):
        raise VideoError(
            f"{copy}: is {other.duration_seconds:.2f} s long ({other.num_frames} frames), and "
            f"{video} {one.duration_seconds:.2f} s ({one.num_frames}); {_AGAIN}"
        )
    return frames_at(other, one.times_seconds[frames])


def frames_with_face(copy: Path) -> NDArray[np.bool_]:
    """Whether there is a face in each frame of a face copy, (F,), from the boxes beside it.

    Raises: VideoError or AnnotationError if they are not those of the copy.
    """
    boxes = copy.with_suffix(".csv")
    found = read_face_boxes(boxes).get(copy.stem, no_faces())
    num_frames = index_video(copy).num_frames
    if len(found) and found.frames[-1] >= num_frames:
        raise VideoError(
            f"{boxes}: has a box in frame {found.frames[-1]}, and the face copy has frames 0 to "
            f"{num_frames - 1}; {_AGAIN}"
        )
    seen = np.zeros(num_frames, dtype=bool)
    seen[found.frames] = True
    return seen
