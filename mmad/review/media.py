"""Which file is played for a video: itself, or a copy that browsers can play."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.projects.project import Project
from mmad.projects.records import ProjectVideo
from mmad.video.copies import copy_path
from mmad.video.index import open_container, video_stream
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
    """Whether common browsers play a video file, by container, codec and pixels.

    Raises: VideoError if it cannot be opened.
    """
    codecs = _CODECS.get(_TYPES.get(path.suffix.lower(), ""), ())
    if not codecs:
        return False
    with open_container(path) as container:
        context = video_stream(container).codec_context
        return context.name in codecs and context.pix_fmt in _PIXELS


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
