"""Files as cameras, editors and broken copies leave them."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.reading import describe_reading, notices, require_whole
from mmad.video.sampling import sample_frames
from support.clips import HEIGHT, WIDTH, numbered_frame, numbers_of, write_clip

ONE, UNIT = 1 << 16, 1 << 30


def with_matrix(path: Path, matrix: tuple[int, ...]) -> Path:
    """The clip at ``path`` with another display matrix in its track header."""
    content = bytearray(path.read_bytes())
    # Of version 0: after the name 4 bytes of flags, 5 numbers, 16 bytes up to the matrix.
    start = content.index(b"tkhd") + 4 + 4 + 5 * 4 + 16
    content[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((-ONE, 0, 0, 0, ONE, 0, 0, 0, UNIT), lambda frame: frame[:, ::-1]),
        ((ONE, 0, 0, 0, -ONE, 0, 0, 0, UNIT), lambda frame: frame[::-1]),
        ((0, ONE, 0, ONE, 0, 0, 0, 0, UNIT), lambda frame: frame.transpose(1, 0, 2)),
        ((0, ONE, 0, -ONE, 0, 0, 0, 0, UNIT), lambda frame: np.rot90(frame, 3)),
        ((0,) * 9, lambda frame: frame),
    ],
    ids=["mirrored", "upside down", "transposed", "turned", "empty"],
)
def test_display_matrix(matrix: tuple[int, ...], shown, tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "a.mp4", num_frames=5)
    with open_video(plain) as video:
        stored = video.read([3])[0]
    path = with_matrix(write_clip(tmp_path / "b.mp4", num_frames=5), matrix)
    with open_video(path) as video:
        np.testing.assert_array_equal(video.read([3])[0], shown(stored))
        assert any("display matrix is empty" in text for text in video.index.notices) == (
            not any(matrix)
        )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_image_is_not_the_film(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=30)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        film = container.add_stream("libx264", rate=30)
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(12):
            if number == 0:
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                container.mux(cover.encode(image))
            image = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            container.mux(film.encode(image))
        container.mux(cover.encode(None))
        container.mux(film.encode(None))
    index = index_video(path)
    assert (index.num_frames, index.width, index.height) == (12, WIDTH, HEIGHT)
    with open_video(path) as video:
        assert numbers_of(video.read(range(12))) == list(range(12))


def write_raw(path: Path, codec: str, pixels: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        for number in range(10):
            image = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    return path


def test_a_raw_stream_has_the_rate_that_it_states_or_says_that_it_is_a_guess(
    tmp_path: Path,
) -> None:
    stated = index_video(write_raw(tmp_path / "a.h264", "libx264", "yuv420p"))
    assert (stated.num_frames, stated.fps, stated.notices) == (10, 20, ())
    guessed = index_video(write_raw(tmp_path / "a.mjpeg", "mjpeg", "yuvj420p"))
    assert (guessed.num_frames, guessed.fps) == (10, 25)
    assert "25 frames/s is a guess" in guessed.notices[0]


def test_a_time_stamp_that_jumps_is_capped_and_told(tmp_path: Path) -> None:
    jump = 1_000_000_000
    times = [k * 100 + (jump if k >= 7 else 0) for k in range(12)]
    index = index_video(write_clip(tmp_path / "a.mkv", num_frames=12, times_ms=times))
    np.testing.assert_allclose(index.times_seconds, np.arange(12) / 10, atol=2e-3)
    assert index.duration_seconds == pytest.approx(1.2, abs=0.01)
    assert "after 0.60 s jumps by 1000000 s" in index.notices[0]
    # A scene that stands still for a minute is no jump.
    still = index_video(
        write_clip(tmp_path / "b.mkv", num_frames=4, times_ms=[0, 100, 60_100, 60_200])
    )
    assert still.notices == ()
    assert still.times_seconds[2] == pytest.approx(60.1)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_film_that_begins_late_lacks_nothing(name: str, tmp_path: Path) -> None:
    codec = "libvpx" if name == "a.webm" else "libx264"
    times = [2000 + k * 50 for k in range(20)]
    path = write_clip(tmp_path / name, num_frames=20, times_ms=times, codec=codec)
    index = index_video(path)
    assert (index.num_frames, index.num_missing_frames) == (20, 0)


def test_a_time_lapse_is_refused_rather_than_repeated(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", num_frames=4, times_ms=[k * 590_000 for k in range(4)])
    with pytest.raises(VideoError, match=r"has 4 frames in 2\d\d\d s; at 30 frames/s almost all"):
        sample_frames(index_video(path), fps=30, tolerance=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_truncated_file_tells_how_much_is_missing_and_from_when(
    suffix: str, tmp_path: Path
) -> None:
    is_mp4 = suffix == ".mp4"
    codec = "libvpx" if suffix == ".webm" else "libx264"
    path = write_clip(tmp_path / f"a{suffix}", num_frames=100, codec=codec, faststart=is_mp4)
    assert describe_reading(index_video(path)).damage() is None
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    index = index_video(path)
    found = describe_reading(index)
    held = index.num_frames
    assert 5 <= held <= 60
    # MP4 announces a number of frames, Matroska a length; some of the last frames held come late.
    assert found.num_missing == pytest.approx(100 - held, abs=0 if is_mp4 else 12)
    assert found.first_seconds == pytest.approx(held / 30, abs=0.15)
    assert f"{found.num_missing} of {held + found.num_missing} frames missing" in found.damage()
    with pytest.raises(VideoError, match=r"more than 10%"):
        require_whole(found, max_missing=0.1)
    require_whole(found, max_missing=1.0)
    assert found.to_json()["missing_frames"] == found.num_missing


def test_resampling_is_told_once_with_counts(tmp_path: Path) -> None:
    videos = []
    for number, fps in enumerate((15, 25, 25, 30)):
        index = index_video(write_clip(tmp_path / f"{number}.mp4", num_frames=10, fps=fps))
        sampled = sample_frames(index, fps=15, tolerance=0.05)
        videos.append(describe_reading(index, resampled_fps=sampled.resampled_fps))
    assert notices(videos) == [
        "3 of 4 videos resampled by time to 15 frames/s (2 of 25 frames/s, 1 of 30 frames/s)"
    ]


@pytest.mark.parametrize("name", ["a:b.mp4", "pipe:0", "http:x.mp4", "-i.mp4", "a%03d.mp4"])
def test_names_that_look_like_addresses_are_files(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "plain.mp4", num_frames=5).rename(tmp_path / name)
    assert index_video(name).num_frames == 5


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{other}'\n",
    ],
)
def test_playlists_are_refused(text: str, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "a.ts", num_frames=5)
    path = tmp_path / "list.m3u8"
    path.write_text(text.format(other=other))
    with pytest.raises(VideoError, match="is a playlist, which names other files"):
        index_video(path)
