"""The video that an ELAN file is about: its link, and its length.

Source: ELAN Annotation Format 3.0, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import mimetypes
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from mmad.annotations.validation import RawFile, RawVideo
from mmad.errors import VideoError
from mmad.video.find import SUFFIXES


def link_video(root: ElementTree.Element, *, video: Path, folder: Path) -> None:
    """Link ``video`` in the header, unless a person has already linked one."""
    header = root.find("HEADER")
    assert header is not None
    if header.find("MEDIA_DESCRIPTOR") is not None:
        return
    absolute = video.resolve()
    descriptor = ElementTree.Element(
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=absolute.as_uri(),
        MIME_TYPE=mimetypes.guess_type(video.name)[0] or "video/mp4",
    )
    try:
        relative = Path(os.path.relpath(absolute, folder.resolve())).as_posix()
    except ValueError:  # on another drive there is no relative path
        relative = ""
    if relative:
        link = relative if relative.startswith("../") else f"./{relative}"
        descriptor.set("RELATIVE_MEDIA_URL", quote(os.fsencode(link)))
    header.insert(0, descriptor)


def linked_video(root: ElementTree.Element, *, name: str, raw: RawFile) -> list[str]:
    """The links to the first video, or to another medium, with slashes; none if there is none."""
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    videos = [one for one in media if one.get("MIME_TYPE", "").startswith("video")]
    for one in videos or media:
        # Links made on Windows may have backslashes, and all have %20 for a space.
        urls = (one.get("MEDIA_URL", ""), one.get("RELATIVE_MEDIA_URL", ""))
        links = [unquote(url).replace("\\", "/") for url in urls]
        links = [link for link in links if PurePosixPath(link).stem]
        if not links:
            continue
        if one.get("TIME_ORIGIN", "0") != "0":
            raw.notices.append(
                f"{name}: the video {PurePosixPath(links[0]).stem} is linked with an offset of "
                f"{one.get('TIME_ORIGIN')} ms, which is not applied to the times"
            )
        return links
    return []


def measure(video: RawVideo, *, links: Sequence[str], folder: Path) -> bool:
    """Set duration, frame rate and number of frames of ``video`` from the linked file.

    Returns False if there is no such file.
    """
    # Imported here because the decoder is slow to import, and few files need it.
    from mmad.video.index import index_video

    linked = [Path(urlsplit(one).path if one.startswith("file:") else one) for one in links]
    for path in (folder / place for one in linked for place in (one, one.name)):
        if path.suffix.lower() not in SUFFIXES or not os.path.isfile(path):
            continue
        try:
            index = index_video(path)
        except VideoError:
            continue
        video.duration_seconds, video.num_frames = index.duration_seconds, index.num_frames
        video.fps = video.fps or index.fps
        video.is_length_assumed = False
        return True
    return False
