"""Which file is played for a video: itself, or a copy that browsers can play."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from mmad.projects.project import Project
from mmad.projects.records import ProjectVideo
from mmad.video.copies import copy_path
from mmad.video.index import index_video, iterate_packets, open_container, video_stream
from mmad.video.prepare import prepare_videos

COPIES = "copies"
# Of a copy to look at; enough for a screen, and quick to seek in.
_SHORT_SIDE = 720
_GOP_FRAMES = 8
_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
_CODECS = {"video/mp4": ("h264", "av1", "vp9"), "video/webm": ("vp8", "vp9", "av1")}
_PIXELS = ("yuv420p", "yuvj420p")


@dataclass(frozen=True)
class Media:
    """What is played for a video.

    Attributes:
        path: File.
        type: Its media type.
    """

    path: Path
    type: str


def is_playable(path: Path) -> bool:
    """Whether common browsers play a video file frame by frame.

    That depends on container, codec and pixels, and in H.264 on the order of the frames: after
    seeks Chromium shows wrong frames, or none, if groups of pictures are open, or if frames are
    stored in another order than shown and their times are uneven.

    Raises: VideoError if it cannot be opened.
    """
    codecs = _CODECS.get(_TYPES.get(path.suffix.lower(), ""), ())
    if not codecs:
        return False
    with open_container(path) as container:
        stream = video_stream(container)
        context = stream.codec_context
        if context.name not in codecs or context.pix_fmt not in _PIXELS:
            return False
        if context.name != "h264":
            return True
        is_reordered, is_open = _order(container, stream)
    return not is_open and not (is_reordered and index_video(path).is_variable_rate)


def _order(container: InputContainer, stream: VideoStream) -> tuple[bool, bool]:
    """Whether a frame is shown before one that is stored earlier; before such a keyframe."""
    is_reordered = is_open = False
    latest_pts = keyframe_pts = None
    for packet in iterate_packets(container, stream):
        if packet.pts is None:
            continue
        if packet.is_keyframe:
            keyframe_pts = packet.pts
        is_open = is_open or (keyframe_pts is not None and packet.pts < keyframe_pts)
        is_reordered = is_reordered or (latest_pts is not None and packet.pts < latest_pts)
        latest_pts = packet.pts
    return is_reordered, is_open


def media_of(
    project: Project,
    *,
    with_copies: bool,
    on_start: Callable[[int], object] = lambda _: None,
    on_done: Callable[[], object] = lambda: None,
) -> tuple[dict[int, Media], list[str]]:
    """What is played for each video that is there, by number, and what could not be copied.

    Copies have the same frames at the same times, so decisions are about the same frames; those
    that were made before are used again.

    Args:
        project: The project.
        with_copies: Copy all videos, not only those that browsers cannot play.
        on_start: Called with the number of videos that need a copy, if any.
        on_done: Called after each copy.

    Raises: VideoError, OutputError as `prepare_videos`.
    """
    broken = project.catalogue.problems_of_videos()
    videos = [one for one in project.catalogue.videos() if one.name not in broken]
    copied = [one for one in videos if with_copies or not is_playable(one.path)]
    found = {
        one.id: Media(one.path, _TYPES[one.path.suffix.lower()])
        for one in videos
        if one not in copied
    }
    if not copied:
        return found, []
    on_start(len(copied))
    copies, problems = _copies(project.folder / COPIES, copied, on_done)
    return found | copies, problems


def _copies(
    out: Path, videos: Sequence[ProjectVideo], on_done: Callable[[], object]
) -> tuple[dict[int, Media], list[str]]:
    summary = prepare_videos(
        [one.path for one in videos],
        out,
        short_side=_SHORT_SIDE,
        gop_frames=_GOP_FRAMES,
        on_done=lambda _: on_done(),
    )
    found = {
        one.id: Media(copy_path(one.path, out), "video/mp4")
        for one in videos
        if one.path not in summary.failed
    }
    return found, list(summary.failed.values())
