"""Extraction by command: killed, shared, interrupted by broken files, and nothing is lost."""

import os
import random
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from mmad.cli import extract_features
from mmad.config.reading import dump_config
from mmad.data.features.files import FeatureFile
from mmad.files import partial_path
from mmad.workers import LocalWorkers
from support.commands import run_mmad
from support.processes import run_ranks, started
from support.synthetic_data import files_of, tiny_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config_file(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(dump_config(tiny_config(videos)))
    return path


def command(config: Path, videos: Path, out: Path, *options: str) -> list[str]:
    return [
        *("extract-features", str(config), str(videos)),
        *("--out", str(out), "--random-weights", "--block-clips", "1", *options),
    ]


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.h5"
    run_mmad(command(config_file, videos / "videos", whole))
    out = tmp_path / "killed.h5"
    rng = random.Random(0)
    for _ in range(3):
        with started(command(config_file, videos / "videos", out)) as one:
            while "videos to do" not in one.said()[0]:  # from here on it works
                assert one.process.is_alive(), one.said()
                time.sleep(0.002)
            time.sleep(rng.uniform(0.0, 0.15))
    run_mmad(command(config_file, videos / "videos", out))
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole.h5", "killed.h5"}
    again = run_mmad(command(config_file, videos / "videos", out))
    assert "0 videos to do" in again.stdout
    assert out.read_bytes() == whole.read_bytes()


def test_two_processes_share_the_list(config_file: Path, videos: Path, tmp_path: Path) -> None:
    alone, shared, together = (tmp_path / name for name in ("a.h5", "b.h5", "c.h5"))
    run_mmad(command(config_file, videos / "videos", alone))
    first = run_mmad(command(config_file, videos / "videos", shared, "--share", "1/2"))
    assert "waiting for the other shares" in first.stdout
    assert not shared.exists()
    run_mmad(command(config_file, videos / "videos", shared, "--share", "2/2"))
    assert shared.read_bytes() == alone.read_bytes()
    for rank in run_ranks(2, command(config_file, videos / "videos", together)):
        assert rank.returncode == 0, rank.stderr
    assert together.read_bytes() == alone.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "b.h5", "c.h5"}


def test_a_broken_video_does_not_stop_the_others_of_torchrun(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    """Rank 1 has nothing but the broken video, or nothing at all."""
    folder, out = tmp_path / "videos", tmp_path / "f.h5"
    folder.mkdir()
    good = files_of(videos)[0][1].read_bytes()
    (folder / "good.mp4").write_bytes(good)
    (folder / "bad.mp4").write_bytes(good[:90])
    ranks = run_ranks(3, command(config_file, folder, out))
    assert any(rank.returncode for rank in ranks)
    said = "".join(rank.stderr for rank in ranks)
    assert f"mmad: extract-features: {folder / 'bad.mp4'}" in said
    assert FeatureFile(out).video_ids() == ["good"]


def test_decoding_ahead_changes_nothing(config_file: Path, videos: Path, tmp_path: Path) -> None:
    run_mmad(command(config_file, videos / "videos", tmp_path / "a.h5"))
    run_mmad(command(config_file, videos / "videos", tmp_path / "b.h5", "--workers", "2"))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_broken_video_is_told_and_does_not_stop_the_rest(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    good, second = (path for _, path in files_of(videos)[:2])
    (folder / "b.mp4").write_bytes(good.read_bytes())
    (folder / "a.mp4").write_bytes(good.read_bytes()[:100])
    (folder / "c.mp4").write_bytes(second.read_bytes())
    out = tmp_path / "f.h5"
    result = run_mmad(command(config_file, folder, out), code=2)
    assert str(folder / "a.mp4") in result.stderr
    assert FeatureFile(out).video_ids() == ["b", "c"]
    (folder / "a.mp4").write_bytes(good.read_bytes())
    assert "1 video to do" in run_mmad(command(config_file, folder, out)).stdout
    found = FeatureFile(out)
    assert found.video_ids() == ["a", "b", "c"]
    np.testing.assert_array_equal(found.raw("a"), found.raw("b"))
    # A video that has changed is made again, others are left alone.
    (folder / "c.mp4").write_bytes(good.read_bytes())
    assert "1 video to do" in run_mmad(command(config_file, folder, out)).stdout
    np.testing.assert_array_equal(FeatureFile(out).raw("c"), found.raw("b"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--window", "16"), "windows need both --window and --stride"),
        (("--dtype", "int8"), "--dtype"),
        (("--spatial", "cube"), "--spatial"),
        (("--share", "3/2"), "expected I/N"),
        (("--precision", "fp8"), "--precision"),
        (("--set", "data.image_sise=3"), "image_sise"),
        (("--spatial", "²"), "--spatial"),
        (("--fps", "1e12"), "--fps"),
    ],
)
def test_wrong_options(
    options: tuple[str, ...], expected: str, config_file: Path, videos: Path, tmp_path: Path
) -> None:
    result = run_mmad(command(config_file, videos / "videos", tmp_path / "f.h5", *options), code=2)
    assert expected in result.stderr
    assert not list(tmp_path.iterdir())


def test_other_features_are_not_mixed(config_file: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    run_mmad(command(config_file, videos / "videos", out))
    before = out.read_bytes()
    result = run_mmad(command(config_file, videos / "videos", out, "--set", "seed=3"), code=2)
    assert "made with other settings (asked and found: weights_sha256" in result.stderr
    assert out.read_bytes() == before
    run_mmad(command(config_file, videos / "videos", out, "--set", "seed=3", "--overwrite"))
    assert out.read_bytes() != before


def test_no_weights_is_an_error(config_file: Path, videos: Path, tmp_path: Path) -> None:
    arguments = command(config_file, videos / "videos", tmp_path / "f.h5")
    arguments.remove("--random-weights")
    assert "backbone.pretrained is null" in run_mmad(arguments, code=2).stderr


def test_what_a_killed_process_left_is_cleared(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    """Locks and halves of files, as they lie there after it was killed while it joined."""
    whole, out = tmp_path / "whole.h5", tmp_path / "f.h5"
    run_mmad(command(config_file, videos / "videos", whole))
    run_mmad(command(config_file, videos / "videos", out, "--share", "1/2"))
    folder = tmp_path / "f.h5.parts"
    dead = f"{socket.gethostname()} 999999"
    (tmp_path / "f.h5.joining").write_text(dead)
    (folder / "share-2-of-2.lock").write_text(dead)
    for path in (folder / "gone.h5", out):
        half = partial_path(path)
        half.with_name(half.name.replace(str(os.getpid()), "999999")).write_bytes(b"half")
    run_mmad(command(config_file, videos / "videos", out, "--share", "2/2"))
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole.h5", "f.h5"}


def test_two_that_do_the_same_are_told_apart(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "f.h5.parts"
    folder.mkdir()
    (folder / "share-1-of-1.lock").write_text(f"{socket.gethostname()} {os.getpid()}")
    said = run_mmad(command(config_file, videos / "videos", tmp_path / "f.h5"), code=2).stderr
    assert f"process {os.getpid()} on {socket.gethostname()} is making the same features" in said


def test_parts_of_other_settings_are_not_joined(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    out, expected = tmp_path / "f.h5", tmp_path / "expected.h5"
    run_mmad(command(config_file, videos / "videos", expected))
    run_mmad(command(config_file, videos / "videos", out, "--share", "2/2", "--set", "seed=3"))
    said = run_mmad(command(config_file, videos / "videos", out, "--share", "1/2")).stdout
    assert "waiting for the other shares" in said
    run_mmad(command(config_file, videos / "videos", out, "--share", "2/2"))
    assert out.read_bytes() == expected.read_bytes()


def test_other_videos_stay(config_file: Path, videos: Path, tmp_path: Path) -> None:
    """Finished ones when some are made again, and parts that another call is still making."""
    out = tmp_path / "f.h5"
    first, *others = (str(path) for _, path in files_of(videos))
    run_mmad(command(config_file, Path(first), out))
    whole = command(config_file, videos / "videos", out, "--share", "1/2")
    run_mmad(whole)
    parts = set((tmp_path / "f.h5.parts").glob("*.h5"))
    assert parts
    run_mmad(command(config_file, Path(others[0]), out, "--overwrite"))
    assert FeatureFile(out).video_ids() == sorted(Path(p).stem for p in (first, others[0]))
    left = set((tmp_path / "f.h5.parts").glob("*.h5"))
    assert left == parts - {tmp_path / "f.h5.parts" / f"{Path(others[0]).stem}.h5"}


def test_a_rate_that_is_resampled_is_told(config_file: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    said = run_mmad(command(config_file, videos / "videos", out, "--fps", "5")).stderr
    assert "notice: 6 of 6 videos resampled by time to 5 frames/s" in said
    found = FeatureFile(out)
    assert all(found.video(name).fps == 5.0 for name in found.video_ids())
    assert all(len(found.video(name).notices) == 1 for name in found.video_ids())


def test_work_on_a_cluster_gives_the_same_bytes(
    config_file: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With workers of this process instead of those of Ray (tests/test_ray_workers.py)."""
    monkeypatch.setattr(extract_features, "chosen_workers", lambda *_, **__: LocalWorkers())
    alone, there = tmp_path / "a.h5", tmp_path / "b.h5"
    run_mmad(command(config_file, videos / "videos", alone))
    said = run_mmad(command(config_file, videos / "videos", there, "--on", "ray")).stdout
    assert "6 videos to do, 0 parts there" in said
    assert there.read_bytes() == alone.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "b.h5"}
