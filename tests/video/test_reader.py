import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.video.index import index_video
from mmad.video.open import READERS, open_video
from mmad.video.reader import scaled_size
from mmad.video.reading import describe_reading
from support.clips import copy_from, number_of, numbers_of, write_clip, write_sound

CLOSED = "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0"
CLIPS = {
    "mp4": ("a.mp4", {}),
    "no B-frames": ("a.mp4", {"x264_params": "keyint=12:bframes=0"}),
    "open GOP": ("a.mp4", {"x264_params": CLOSED + ":open-gop=1"}),
    "intra refresh": ("a.mp4", {"x264_params": "keyint=12:intra-refresh=1:bframes=0"}),
    "29.97": ("a.mp4", {"fps": Fraction(30000, 1001)}),
    "mkv": ("a.mkv", {}),
    "open GOP mkv": ("a.mkv", {"x264_params": CLOSED + ":open-gop=1"}),
    "MPEG-TS": ("a.ts", {}),
    "open GOP MPEG-TS": ("a.ts", {"x264_params": CLOSED + ":open-gop=1"}),
    "avi": ("a.avi", {}),
    "mpeg4 avi": ("a.avi", {"codec": "mpeg4"}),
    "mov": ("a.mov", {}),
    "variable": ("a.mp4", {"times_ms": np.cumsum([40, 20, 20, 100] * 15).tolist()}),
}


@pytest.mark.parametrize("case", CLIPS)
def test_every_frame_is_the_one_asked_for(case: str, tmp_path: Path) -> None:
    name, how = CLIPS[case]
    path = write_clip(tmp_path / name, **how)
    with open_video(path) as video:
        assert video.index.num_frames == 60
        assert numbers_of(video.read(range(60))) == list(range(60))
        assert [number_of(frame) for frame in video.stream()] == list(range(60))
    wanted = np.random.default_rng(0).integers(0, 60, 25).tolist()
    with open_video(path, threads=1) as video:
        assert numbers_of(video.read(wanted)) == wanted
        # One at a time, so that each is a seek of its own.
        assert [number_of(video.read([index])[0]) for index in wanted] == wanted
        assert not video.damaged


def test_a_late_frame_is_reached_by_seeking_not_by_decoding_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mmad.video.pyav_reader as module

    path = write_clip(tmp_path / "a.mp4")
    decoded = []
    original = module.decode_packet

    def counted(packet):
        decoded.append(packet.pts)
        return original(packet)

    monkeypatch.setattr(module, "decode_packet", counted)
    with open_video(path, threads=1) as video:
        assert number_of(video.read([55])[0]) == 55
    assert 0 < len(decoded) <= 2 * 12


def test_stream_gives_the_first_frame_before_it_reads_the_others(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")

    def indices():
        yield 3
        raise AssertionError("the second index was taken before it was needed")

    with open_video(path) as video:
        assert number_of(next(video.stream(indices()))) == 3


def test_stream_must_go_forward_and_stay_inside(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", num_frames=12)
    with open_video(path) as video:
        with pytest.raises(VideoError, match=r"a\.mp4: stream\(\) goes forward only"):
            list(video.stream([5, 4]))
        with pytest.raises(VideoError, match=r"frame 12 was asked for.*frames 0 to 11"):
            video.read([12])
        with pytest.raises(VideoError, match="frame -1 was asked for"):
            video.read([-1])
        assert video.read([]).shape == (0, 48, 160, 3)


def test_resized_while_decoding(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", width=320, height=96)
    with open_video(path, short_side=48) as video:
        frames = video.read([7, 2])
    assert frames.shape == (2, 48, 160, 3)
    assert frames.dtype == np.uint8
    assert numbers_of(frames) == [7, 2]
    with open_video(path, size=(40, 100)) as video:
        assert video.read([0]).shape == (1, 40, 100, 3)
    assert scaled_size(320, 96, short_side=48) == (48, 160)


def test_shrinking_averages_rather_than_picks(tmp_path: Path) -> None:
    from mmad.video.writer import VideoWriter

    checks = np.zeros((64, 64, 3), dtype=np.uint8)
    checks[:, ::2] = 255
    with VideoWriter(tmp_path / "a.mp4", fps=30, width=64, height=64, crf=1) as writer:
        writer.write(checks)
    with open_video(tmp_path / "a.mp4", short_side=16) as video:
        image = video.read([0])[0].astype(int)
    assert np.abs(image - 255 / 2).max() < 12


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_rotation_tag_is_applied(degrees: int, tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", num_frames=5)
    tagged = write_clip(tmp_path / "tagged.mp4", num_frames=5, rotation=degrees)
    index = index_video(tagged)
    assert index.rotation_degrees % 180 == degrees % 180
    with open_video(plain) as one, open_video(tagged) as other:
        upright = np.rot90(one.read([4])[0], index.rotation_degrees // 90)
        assert other.read([4])[0].shape == upright.shape == (index.height, index.width, 3)
        np.testing.assert_array_equal(other.read([4])[0], upright)
    with open_video(tagged, size=(30, 40)) as video:
        assert video.read([0]).shape == (1, 30, 40, 3)


def test_a_phone_held_upright_stores_the_quarter_turn_that_players_use(tmp_path: Path) -> None:
    # ISO 14496-12: the matrix (0 1 0; -1 0 0) maps the top of the stored image to the right
    # side, which is a quarter turn clockwise, 270 degrees counter-clockwise.
    path = write_clip(tmp_path / "a.mp4", num_frames=3)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = np.array(
        [0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], dtype=">i4"
    ).tobytes()
    path.write_bytes(content)
    index = index_video(path)
    assert (index.rotation_degrees, index.width, index.height) == (270, 48, 160)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_stream_copied_cut_gives_the_frames_that_are_shown(suffix: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", x264_params=CLOSED + ":open-gop=1")
    cut = copy_from(source, tmp_path / f"cut{suffix}", start_seconds=30 / 30)
    with open_video(cut) as video:
        numbers = numbers_of(video.read(range(video.index.num_frames)))
        assert numbers == list(range(numbers[0], 60))
        assert len(numbers) >= 60 - 30
        last = video.index.num_frames - 1
        for index in (last, 0, last // 2):
            assert number_of(video.read([index])[0]) == numbers[index]
        assert not video.damaged


def test_truncated_file_gives_what_it_holds_and_says_what_is_missing(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", faststart=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    index = index_video(path)
    assert 20 < index.num_frames < 60
    assert index.num_missing_frames == 60 - index.num_frames
    with open_video(path) as video:
        numbers = numbers_of(video.read(range(index.num_frames)))
    good = index.num_frames - len(video.damaged)
    assert numbers[: good - 4] == list(range(good - 4))
    assert max(numbers) < 60


def test_damaged_packets_are_counted_and_filled_with_one_notice(tmp_path: Path) -> None:
    import av

    path = write_clip(
        tmp_path / "a.mp4", x264_params="keyint=12:min-keyint=12:scenecut=0:bframes=0"
    )
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets[20:24]:
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    with open_video(path, threads=1) as video:
        numbers = numbers_of(video.read(range(60)))
        assert len(video.damaged) >= 4
        assert numbers[:20] == list(range(20))
        assert numbers[20:24] == [19] * 4
        assert numbers[24 + 12 :] == list(range(36, 60))
        assert number_of(video.read([22])[0]) == 19
        (notice,) = describe_reading(video.index, damaged=video.damaged).file_notices()
    assert re.search(r"a\.mp4: \d+ of 60 frames missing or damaged .*the first at 0\.67 s", notice)


def test_every_packet_damaged_is_an_error(tmp_path: Path) -> None:
    import av

    path = write_clip(tmp_path / "a.mp4", num_frames=12)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets:
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4: not a single frame could be decoded"):
        open_video(path)


def write_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD_FILES = {
    "missing": (lambda folder: folder / "a.mp4", "video not found"),
    "folder": (lambda folder: folder, "expected a video file, found a folder"),
    "empty": (lambda folder: write_bytes(folder / "a.mp4", b""), "empty"),
    "garbage": (
        lambda folder: write_bytes(folder / "a.mp4", bytes(range(7, 250)) * 40),
        "cannot be read as a video",
    ),
    "sound": (lambda folder: write_sound(folder / "a.m4a"), "no video stream, only audio"),
    "no index": (
        lambda folder: write_bytes(
            folder / "a.mp4", write_clip(folder / "b.mp4").read_bytes()[:3000]
        ),
        "cannot be read as a video",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_what_cannot_be_read_is_one_typed_error(case: str, tmp_path: Path) -> None:
    make, message = BAD_FILES[case]
    path = make(tmp_path)
    with pytest.raises(VideoError, match=message) as caught:
        open_video(path)
    assert str(path) in str(caught.value)


def test_impossible_requests(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", num_frames=3)
    with pytest.raises(VideoError, match="expected one of pyav, decord; found 'opencv'"):
        open_video(path, reader="opencv")
    with pytest.raises(VideoError, match="short_side or size, not both"):
        open_video(path, short_side=10, size=(10, 10))
    with pytest.raises(VideoError, match="at least 1 pixel, found 0"):
        open_video(path, short_side=0)


def test_decord_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mp4", num_frames=3)
    monkeypatch.setitem(__import__("sys").modules, "decord", None)
    with pytest.raises(VideoError, match="pip install decord, elsewhere reader=pyav"):
        open_video(path, reader="decord")


def test_decord_reads_ordinary_files_the_same(tmp_path: Path) -> None:
    pytest.importorskip("decord")
    path = write_clip(tmp_path / "a.mp4", width=320, height=96)
    wanted = [3, 50, 3, 20]
    with open_video(path, reader="decord", short_side=48) as video:
        assert numbers_of(video.read(wanted)) == wanted
        assert [number_of(frame) for frame in video.stream()] == list(range(60))
        assert video.read([]).shape == (0, 48, 160, 3)
    assert set(READERS) == {"pyav", "decord"}
