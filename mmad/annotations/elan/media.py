"""The media that an ELAN file links: where the video is, how long, and where its time begins.

Links are paths or ``file:`` addresses, absolute and relative to the ELAN file, with percent escapes
or without, from any system. TIME_ORIGIN is the time of a medium at which the timeline of ELAN
begins, because ELAN can skip the beginnings of media to synchronise them.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import mimetypes
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from mmad.annotations.elan.document import ElanDocument, signed_number
from mmad.annotations.validation import RawVideo
from mmad.errors import VideoError
from mmad.files import path_from
from mmad.names import file_key
from mmad.video.find import SUFFIXES, video_id_of

# Names the video whose file name alone does not identify it, such as P01/cam1.
VIDEO_PROPERTY = "mmad:video"
# A moved project is looked for this many folders up, by this many last parts of the old path.
_MOST_UP = 3


@dataclass(frozen=True)
class Medium:
    """A linked video or audio file.

    Attributes:
        name: Its file name.
        links: Its links with slashes, the relative one first.
        is_video: Whether it is a video.
        origin_milliseconds: Its time at which the timeline of ELAN begins.
    """

    name: str
    links: tuple[str, ...]
    is_video: bool
    origin_milliseconds: int = 0

    @property
    def video_id(self) -> str:
        """The id of the video, from its file name."""
        return video_id_of(Path(self.name))

    def find(self, folder: Path) -> Path | None:
        """The file, for an ELAN file in ``folder``: at a link, beside it, or moved with it."""
        for path in self._places(folder):
            if path.suffix.lower() in SUFFIXES and os.path.isfile(path):
                return path
        return None

    def _places(self, folder: Path) -> Iterator[Path]:
        for link in self.links:
            yield folder / link
        yield folder / self.name
        above = [folder, *folder.resolve().parents][: _MOST_UP + 1]
        for link in self.links:
            parts = [part for part in PurePosixPath(link).parts if part not in ("/", "..", ".")]
            for count in range(2, min(len(parts), _MOST_UP + 1) + 1):
                for place in above:
                    yield place.joinpath(*parts[-count:])


def media_of(document: ElanDocument) -> list[Medium]:
    """The linked media in the order of the file; those without a name are left out."""
    found = []
    for one in document.header.iterfind("MEDIA_DESCRIPTOR"):
        absolute, relative = (
            paths_of(one.get(f"{kind}MEDIA_URL", "")) for kind in ("", "RELATIVE_")
        )
        links = tuple(dict.fromkeys((*relative, *absolute)))
        kind = one.get("MIME_TYPE", "")
        if links:
            found.append(
                Medium(
                    name=PurePosixPath([*absolute, *relative][0]).name,
                    links=links,
                    is_video=kind.startswith("video"),
                    origin_milliseconds=signed_number(one.get("TIME_ORIGIN", "")) or 0,
                )
            )
    return found


def main_medium(media: Sequence[Medium]) -> Medium | None:
    """The first video, else the first medium, which ELAN plays as the master; or None."""
    return next((one for one in media if one.is_video), media[0] if media else None)


def paths_of(url: str) -> list[str]:
    r"""The paths that a link may mean, with slashes; none if it has no file name.

    >>> paths_of("file:///C:/my%20data/a.mp4")
    ['C:/my data/a.mp4', 'C:/my%20data/a.mp4']
    >>> paths_of("..\\videos\\a.mp4"), paths_of("file:///home/ada/50%.mp4"), paths_of("./")
    (['../videos/a.mp4'], ['/home/ada/50%.mp4'], [])
    """
    slashed = url.replace("\\", "/")
    path = slashed
    if slashed.startswith("file:"):
        path = slashed.removeprefix("file:")
        if path.startswith("///"):
            path = path[2:]
        path = re.sub(r"^/+(?=[A-Za-z]:)", "", path)
    paths = [one for one in dict.fromkeys((unquote(path), path)) if "\0" not in one]
    return [one for one in paths if PurePosixPath(one).stem not in ("", ".", "..")]


def id_of_video(document: ElanDocument, medium: Medium | None) -> str:
    """The id of the video: what mmad has noted, if it fits the link; else the linked name.

    Without media, the name of the ELAN file.
    """
    noted = document.property(VIDEO_PROPERTY)
    if medium is None:
        return noted or document.path.stem
    if noted and file_key(PurePosixPath(noted).name) == file_key(medium.video_id):
        return noted
    return medium.video_id


def measure(video: RawVideo, *, medium: Medium | None, folder: Path) -> bool:
    """Set duration, frame rate and number of frames of ``video`` from the linked file.

    Returns False if there is no such file.
    """
    path = None if medium is None else medium.find(folder)
    if path is None:
        return False
    # Imported here because the decoder is slow to import, and few files need it.
    from mmad.video.index import index_video

    try:
        index = index_video(path)
    except VideoError:
        return False
    video.duration_seconds, video.num_frames = index.duration_seconds, index.num_frames
    video.fps = video.fps or index.fps
    video.is_length_assumed = False
    return True


def descriptor_of(video: Path, *, folder: Path) -> ElementTree.Element:
    """The link to a video, for an ELAN file in ``folder``."""
    absolute = video.resolve()
    descriptor = ElementTree.Element(
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=absolute.as_uri(),
        MIME_TYPE=mimetypes.guess_type(video.name)[0] or "video/mp4",
    )
    if relative := path_from(folder, absolute):
        link = relative if relative.startswith("../") else f"./{relative}"
        descriptor.set("RELATIVE_MEDIA_URL", quote(os.fsencode(link)))
    return descriptor
