"""What the browser shows at frame n is frame n: the frames carry their number as black and white
blocks, which are read back from what the video element shows."""

import base64
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from mmad.projects.project import Project, new_project
from mmad.review.media import COPIES
from mmad.video.find import find_videos
from mmad.video.index import index_video
from support.browser import wait_until
from support.clips import copy_from, number_of, numbered_frame, write_clip
from support.review_page import chromium, open_page, served
from support.studies import LABELS

pytestmark = [pytest.mark.slow, pytest.mark.long]

GROUPS = "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0"
UNEVEN = np.cumsum([40, 20, 20, 100, 33, 7] * 10)
CLIPS: dict[str, dict[str, Any]] = {
    "constant.mp4": {},
    "ntsc.mp4": {"fps": Fraction(30000, 1001)},
    "variable.mp4": {"times_ms": UNEVEN.tolist()},
    "variable_in_order.mp4": {"times_ms": UNEVEN.tolist(), "x264_params": "keyint=12:bframes=0"},
    "open_group.mp4": {"x264_params": GROUPS + ":open-gop=1"},
    "turned.mp4": {"rotation": 90},
    "upside_down.mp4": {"rotation": 180},
    "late_in_order.mp4": {
        "times_ms": (UNEVEN + 700).tolist(),
        "x264_params": "keyint=12:bframes=0",
    },
    "vp9.webm": {"codec": "libvpx-vp9"},
    "late.mp4": {"times_ms": (UNEVEN + 700).tolist()},
    "old.avi": {"codec": "mpeg4"},
    "transport.ts": {"x264_params": GROUPS + ":open-gop=1"},
    "matroska.mkv": {"times_ms": UNEVEN.tolist()},
}
_PICTURE = """async () => {
  const video = document.querySelector("#video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""
# While it plays: the picture of each frame that the browser reports, with the number on the page.
_PLAYED = """async (count) => {
  const video = document.querySelector("#video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const found = [];
  return await new Promise((resolve) => {
    const shown = () => {
      canvas.getContext("2d").drawImage(video, 0, 0);
      const told = document.querySelector("#clock").textContent;
      found.push([told, canvas.toDataURL("image/png").split(",")[1]]);
      if (found.length === count) resolve(found);
      else video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
    dispatchEvent(new KeyboardEvent("keydown", { key: " " }));
  });
}"""


COPIED = {
    "variable.mp4",
    "open_group.mp4",
    "late.mp4",
    "old.avi",
    "transport.ts",
    "matroska.mkv",
    "cut.mp4",
}


def write_with_earlier_sound(path: Path) -> None:
    """A clip whose sound begins 0.4 s before its picture."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 160, 48, "yuv420p"
        picture.options = {"crf": "18", "x264-params": GROUPS}
        sound = container.add_stream("aac", rate=16000)
        for number in range(40):
            heard = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            heard.sample_rate, heard.pts = 16000, 1024 * number
            container.mux(sound.encode(heard))
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            frame.pts, frame.time_base = number + 10, Fraction(1, 25)
            container.mux(picture.encode(frame))
        for stream in (picture, sound):
            container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("exact")
    (folder / "videos").mkdir()
    for name, how in CLIPS.items():
        write_clip(folder / "videos" / name, **how)
    write_with_earlier_sound(folder / "videos" / "earlier_sound.mp4")
    whole = write_clip(folder / "whole.mp4", x264_params=GROUPS + ":open-gop=1")
    copy_from(whole, folder / "videos" / "cut.mp4", start_seconds=1.0)
    found = new_project(folder / "study", labels=LABELS)
    found.catalogue.add_videos(find_videos(folder / "videos"))
    return found


@pytest.fixture(scope="module")
def page(project: Project) -> Iterator[Any]:
    with served(project.folder) as (address, _), chromium() as browser:
        opened = browser.new_page()
        open_page(opened, address)
        yield opened


def open_video(page: Any, number: int) -> None:
    page.select_option("#video-pick", str(number))
    # Frames are asked for by number once the video is loaded.
    wait_until(page, f"{STRIP} strip.number === {number} && strip.frameAt !== null; }})()")
    wait_until(page, "document.querySelector('#video').readyState >= 2")


STRIP = "(async () => { const { strip } = (await import('/static/app.js')).timeline; return"
SEEK = "async (at) => (await import('/static/app.js')).timeline.on.onSeek(at)"


def number_in(content: str, *, turns: int) -> int:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    return number_of(np.rot90(image, -turns))


@pytest.mark.parametrize("name", [*CLIPS, "earlier_sound.mp4", "cut.mp4"])
def test_the_frame_that_is_shown_is_the_one_that_is_told(
    name: str, page: Any, project: Project
) -> None:
    video = project.catalogue.video(Path(name).stem)
    index = index_video(video.path)
    first = 0 if name != "cut.mp4" else None
    # A copy is upright.
    is_copied = (project.folder / COPIES / f"{Path(name).stem}.mp4").exists()
    assert is_copied == (name in COPIED)
    turns = 0 if is_copied else index.rotation_degrees // 90
    open_video(page, video.id)
    rng = np.random.default_rng(len(name))
    wanted = [0, index.num_frames - 1, *rng.integers(0, index.num_frames, 8).tolist()]
    for number in wanted:
        page.evaluate(SEEK, float(index.times_seconds[number]))
        shown, told = picture_at(page, number, first=first, turns=turns)
        first = shown - number if first is None else first
        assert (shown - first, told) == (number, number)
    # Frame by frame, backwards over the borders of groups.
    start = min(30, index.num_frames - 1)
    page.evaluate(SEEK, float(index.times_seconds[start]))
    for number in range(start - 1, start - 6, -1):
        page.keyboard.press("ArrowLeft")
        shown, told = picture_at(page, number, first=first, turns=turns)
        assert (shown - first, told) == (number, number)
    page.evaluate(SEEK, 0.0)
    picture_at(page, 0, first=first, turns=turns)
    # On a busy machine the picture may be that of a later frame: the callback came late.
    late = [
        number_in(content, turns=turns) - first - told_in(text)
        for text, content in page.evaluate(_PLAYED, 12)
    ]
    assert min(late) == 0
    assert late.count(0) > 2
    page.keyboard.press(" ")


def told_in(text: str) -> int:
    return int(text.split("frame ")[1].split(" ")[0])


def picture_at(page: Any, number: int, *, first: int | None, turns: int) -> tuple[int, int]:
    """The numbers of the frame that is shown and of the one that is told, once a seek is done."""
    for _ in range(100):
        wait_until(page, "!document.querySelector('#video').seeking")
        shown = number_in(page.evaluate(_PICTURE), turns=turns)
        told = told_in(page.text_content("#clock"))
        if shown - (first or 0) == number == told:
            break
        page.wait_for_timeout(20)
    return shown, told
