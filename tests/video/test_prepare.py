import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.cli.prepare import app
from mmad.errors import OutputError, VideoError
from mmad.files import partial_path
from mmad.process_lock import held
from mmad.shares import WHOLE, Share
from mmad.video.find import find_videos
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.prepare import MANIFEST_FILE, prepare_videos
from mmad.workers import LocalWorkers
from support.clips import numbers_of, write_clip
from support.commands import run_mmad


def check_same(source: Path, copy: Path) -> None:
    """The copy has the frames of the source at their times."""
    before, after = index_video(source), index_video(copy)
    assert after.num_frames == before.num_frames
    np.testing.assert_allclose(after.times_seconds, before.times_seconds, atol=1e-3)
    with open_video(copy) as video:
        assert numbers_of(video.read(range(after.num_frames))) == list(range(after.num_frames))


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp4", {}),
        ("a.mkv", {"fps": Fraction(30000, 1001)}),
        ("a.ts", {"fps": Fraction(25)}),
        ("a.avi", {}),
        ("a.mp4", {"times_ms": np.cumsum([40, 20, 20, 100] * 15).tolist()}),
        ("a.mp4", {"x264_params": "keyint=12:scenecut=0:bframes=3:open-gop=1"}),
    ],
)
def test_copy_keeps_frames_and_times(name: str, how: dict, tmp_path: Path) -> None:
    source = write_clip(tmp_path / name, width=320, height=96, **how)
    out = tmp_path / "out"
    summary = prepare_videos([source], out, short_side=48)
    assert (len(summary.written), summary.num_frames, summary.failed) == (1, 60, {})
    check_same(source, out / "a.mp4")
    index = index_video(out / "a.mp4")
    assert (index.width, index.height) == (160, 48)
    assert index.is_variable_rate == ("times_ms" in how)
    assert index.fps == pytest.approx(index_video(source).fps, abs=2e-3)
    assert np.diff(index.keyframes).max() <= 16


def test_rotation_is_baked_in(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", width=320, height=96, rotation=90, num_frames=5)
    prepare_videos([source], tmp_path / "out", short_side=48)
    index = index_video(tmp_path / "out" / "a.mp4")
    assert (index.width, index.height, index.rotation_degrees) == (48, 160, 0)
    with (
        open_video(tmp_path / "out" / "a.mp4") as copy,
        open_video(source, size=(160, 48)) as original,
    ):
        difference = copy.read([3])[0].astype(int) - original.read([3])[0]
    assert np.abs(difference).mean() < 8


def test_small_source_is_not_enlarged_and_odd_sides_become_even(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.avi", codec="mpeg4", width=161, height=49, num_frames=5)
    summary = prepare_videos([source], tmp_path / "out", short_side=64)
    index = index_video(tmp_path / "out" / "a.mp4")
    assert (index.width, index.height) == (160, 48)
    assert (
        "161 x 49 pixels is less than short side 64; not enlarged" in summary.written[0].notices[0]
    )


def test_finished_copies_are_left_alone_until_source_or_settings_change(tmp_path: Path) -> None:
    sources = [write_clip(tmp_path / f"{name}.mp4", num_frames=6) for name in "ab"]
    out = tmp_path / "out"

    def names(**how) -> tuple[list[str], list[str]]:
        summary = prepare_videos(sources, out, **{"short_side": 32, **how})
        return [copy.path.name for copy in summary.written], [p.name for p in summary.skipped]

    assert names() == (["a.mp4", "b.mp4"], [])
    assert names() == ([], ["a.mp4", "b.mp4"])
    os.utime(sources[0], (1, 1))
    assert names() == (["a.mp4"], ["b.mp4"])
    (out / "b.mp4").unlink()
    assert names() == (["b.mp4"], ["a.mp4"])
    assert names(crf=30) == (["a.mp4", "b.mp4"], [])
    assert names(crf=30, overwrite=True) == (["a.mp4", "b.mp4"], [])


def test_one_bad_video_does_not_stop_the_others(tmp_path: Path) -> None:
    good = [write_clip(tmp_path / f"{name}.mp4", num_frames=6) for name in "ac"]
    bad = tmp_path / "b.mp4"
    bad.write_bytes(b"no video" * 100)
    missing = tmp_path / "d.mp4"
    out = tmp_path / "out"
    summary = prepare_videos(
        [good[0], bad, missing, good[1]], out, short_side=32, workers=LocalWorkers(2)
    )
    assert sorted(copy.path.name for copy in summary.written) == ["a.mp4", "c.mp4"]
    assert set(summary.failed) == {bad, missing}
    assert "cannot be read as a video" in summary.failed[bad]
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "c.mp4", MANIFEST_FILE]


@pytest.mark.slow
def test_killed_in_the_middle_leaves_no_half_copy_and_the_next_run_completes(
    tmp_path: Path,
) -> None:
    first = write_clip(tmp_path / "a.mp4", num_frames=6)
    second = write_clip(tmp_path / "b.mp4", num_frames=60)
    out = tmp_path / "out"
    # The reader is slowed down so that the signal comes in the middle of the second video.
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from mmad.video import prepare, pyav_reader\n"
        "convert = pyav_reader.PyAVReader._convert\n"
        "def slow(self, frame):\n"
        "    time.sleep(0.05)\n"
        "    return convert(self, frame)\n"
        "pyav_reader.PyAVReader._convert = slow\n"
        "a, b, out = map(Path, sys.argv[1:])\n"
        "prepare.prepare_videos([a, b], out, short_side=32)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(first), str(second), str(out)], cwd=Path.cwd()
    )
    deadline = time.monotonic() + 30
    partial = f"{partial_path(out / 'b.mp4').name[:14]}*"
    while not list(out.glob(partial)) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "b.mp4").exists()
    assert len(list(out.glob(partial))) == 1
    check_same(first, out / "a.mp4")

    summary = prepare_videos([first, second], out, short_side=32)
    assert [copy.path.name for copy in summary.written] == ["b.mp4"]
    assert [path.name for path in summary.skipped] == ["a.mp4"]
    check_same(second, out / "b.mp4")
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "b.mp4", MANIFEST_FILE]


def test_impossible_requests_are_told_together(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", num_frames=3)
    with pytest.raises(VideoError, match="short_side: expected at least 16") as caught:
        prepare_videos([source, tmp_path / "x" / "a.avi"], tmp_path, short_side=2, crf=99)
    message = str(caught.value)
    assert "crf: expected 0 (lossless) to 51, found 99" in message
    assert "would both become" in message
    assert "would be overwritten by its copy" in message
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST_FILE).write_text("[]")
    with pytest.raises(VideoError, match=r"prepared\.json: expected the list of finished copies"):
        prepare_videos([source], tmp_path / "out", short_side=32)


def test_odd_names_do_not_spoil_the_others(tmp_path: Path) -> None:
    """Not UTF-8, as long as names can be, and too long with the ending of a copy."""
    content = write_clip(tmp_path / "a.mp4", num_frames=6).read_bytes()
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    names = [b"bad\xff.mp4", b"line\nbreak.mp4", b"x" * 251 + b".mp4", b"z" * 252 + b".ts"]
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(content)
    found = find_videos(folder)
    assert sorted(found)[:2] == ["bad%FF", "line%0Abreak"]
    summary = prepare_videos(list(found.values()), out, short_side=32)
    assert len(summary.written) == 3
    (message,) = summary.failed.values()
    assert message.endswith("zzz.mp4: cannot be written as a video (File name too long)")
    assert set(find_videos(out)) == {"bad%FF", "line%0Abreak", "x" * 251}
    assert len(prepare_videos(list(found.values()), out, short_side=32).skipped) == 3


def test_videos_and_copies_can_be_moved_together(tmp_path: Path) -> None:
    (tmp_path / "here" / "videos").mkdir(parents=True)
    source = write_clip(tmp_path / "here" / "videos" / "a.mp4", num_frames=6)
    out = tmp_path / "here" / "out"
    prepare_videos([source], out, short_side=32)
    assert str(tmp_path) not in (out / MANIFEST_FILE).read_text()
    (tmp_path / "here").rename(tmp_path / "there")
    source, out = tmp_path / "there" / "videos" / "a.mp4", tmp_path / "there" / "out"
    assert len(prepare_videos([source], out, short_side=32).skipped) == 1
    # Older versions noted where the source was.
    noted = json.loads((out / MANIFEST_FILE).read_text())
    assert noted["copies"]["a.mp4"]["source"] == "../videos/a.mp4"
    noted["copies"]["a.mp4"]["source"] = str(source)
    (out / MANIFEST_FILE).write_text(json.dumps(noted))
    assert len(prepare_videos([source], out, short_side=32).skipped) == 1


def test_command(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "a.mp4", num_frames=6)
    other = write_clip(tmp_path / "b.mp4", num_frames=6)
    out = tmp_path / "out"
    arguments = [str(folder), str(other), "--out", str(out), "--short-side", "32"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "2 copies written (12 frames in" in result.output
    assert set(json.loads((out / MANIFEST_FILE).read_text())["copies"]) == {"a.mp4", "b.mp4"}
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "none.mp4")])
    assert isinstance(result.exception, VideoError)
    assert "none.mp4: video not found" in str(result.exception)
    assert "0 copies written" in result.output
    assert "2 already there, 1 failed" in result.output


def test_shares_make_the_copies_of_one_process(tmp_path: Path) -> None:
    folder, alone, shared = (tmp_path / name for name in ("videos", "alone", "shared"))
    folder.mkdir()
    for name, frames in (("a", 5), ("b", 9), ("c", 3)):
        write_clip(folder / f"{name}.mp4", num_frames=frames)
    words = ["prepare", folder, "--short-side", "32", "--out"]
    run_mmad([*words, alone])
    assert "1 copy written (9 frames" in run_mmad([*words, shared, "--share", "1/2"]).stdout
    assert list(json.loads((shared / MANIFEST_FILE).read_text())["copies"]) == ["b.mp4"]
    assert "2 copies written (8 frames" in run_mmad([*words, shared, "--share", "2/2"]).stdout
    names = {"a.mp4", "b.mp4", "c.mp4", MANIFEST_FILE}
    assert {path.name for path in shared.iterdir()} == names
    for name in names:
        assert (shared / name).read_bytes() == (alone / name).read_bytes()
    assert "0 copies written" in run_mmad([*words, shared, "--share", "2/2"]).stdout


def test_shares_write_beside_each_other_only(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", num_frames=3)
    out = tmp_path / "out"
    first, second = Share(0, 2), Share(1, 2)
    with held(out, share=first), held(out, share=second):
        for share in (first, second, WHOLE):
            with pytest.raises(OutputError, match="is writing to this folder"):
                prepare_videos([video], out, short_side=32, share=share)
    with held(out), pytest.raises(OutputError, match="is writing to this folder"):
        prepare_videos([video], out, short_side=32, share=second)


def test_copies_listed_by_a_killed_share_are_not_made_again(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", num_frames=3)
    out = tmp_path / "out"
    prepare_videos([video], out, short_side=32)
    (out / MANIFEST_FILE).rename(out / ".prepared.share-1-of-2.json")
    summary = prepare_videos([video], out, short_side=32)
    assert summary.skipped == [out / "a.mp4"]
    assert {path.name for path in out.iterdir()} == {"a.mp4", MANIFEST_FILE}


def test_copies_below_the_videos_are_not_copied_again(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    write_clip(tmp_path / "v" / "a.mp4", width=320, height=96)
    words = ("prepare", "v", "--out", "v/small", "--short-side", 48)
    assert "1 copy written" in run_mmad(words, folder=tmp_path).stdout
    assert "0 copies written" in run_mmad(words, folder=tmp_path).stdout
