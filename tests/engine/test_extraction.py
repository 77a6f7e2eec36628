"""Features out of videos: what they are, and that nothing is lost on the way."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_data import tiny_clip_config, tiny_config

from mmad.config.features import ExtractionSettings
from mmad.config.reading import dump_config
from mmad.config.run import DetectionRun
from mmad.data.features.blocks import ClipLayout
from mmad.data.features.files import FeatureFile
from mmad.data.samples import Packer
from mmad.data.videos import WindowStream
from mmad.engine.detection import read_data, records_of
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import extract_to_file
from mmad.engine.features.plan import FeatureBackbone
from mmad.engine.training import train_run
from mmad.errors import FeatureError
from mmad.files import partial_path
from mmad.models.backbones.videomae.network import VideoMAE
from mmad.models.build import build_backbone, build_detector
from mmad.video.find import find_videos
from mmad.video.open import open_video
from mmad.video.writer import VideoWriter

CPU = torch.device("cpu")


def random_backbone(config: DetectionRun) -> VideoMAE:
    """With adapters that do something."""
    torch.manual_seed(0)
    assert config.backbone is not None
    backbone = build_backbone(config.backbone).eval().requires_grad_(False)
    for name, parameter in backbone.named_parameters():
        if ".adapter." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return backbone


def feature_source(config: DetectionRun) -> FeatureBackbone:
    data, settings = config.data, config.backbone
    return FeatureBackbone(random_backbone(config), settings, data, weights_source="test")


def extracted(
    config: DetectionRun, videos: list[tuple[str, Path]], out: Path, **settings: object
) -> FeatureFile:
    block_clips = settings.pop("block_clips", 2)
    chosen = ExtractionSettings(**settings)
    extract_to_file(videos, feature_source(config), chosen, out=out, block_clips=block_clips)
    return FeatureFile(out)


def files_of(videos: Path) -> list[tuple[str, Path]]:
    return sorted(find_videos(videos / "videos").items())


@pytest.mark.parametrize("adapter", ["none", "dsta"])
@pytest.mark.parametrize("background", [True, False])
def test_dense_features_are_what_the_detector_sees(
    adapter: str, background: bool, videos: Path, tmp_path: Path
) -> None:
    config = tiny_config(
        videos,
        backbone__adapter={"name": adapter},
        data__subtract_background=background,
        data__annotations=str(videos / "annotations" / "mma52.json"),
    )
    found = extracted(config, files_of(videos), tmp_path / "f.h5")
    annotations, _ = read_data(config)
    records = records_of(config, annotations, ["train", "val"])
    features = build_detector(config, num_classes=52).features
    features.backbone = random_backbone(config)
    data = config.data
    for sample in WindowStream(records, data, backbone=config.backbone, upsampling=1):
        batch, _ = Packer(clip_frames=16)([sample])
        with torch.no_grad():
            steps_1CT, mask_1T = features(*batch.inputs)
        stored = found.read(sample.video_id, 0, 10000)
        valid = int(mask_1T.sum())
        assert found.video(sample.video_id).num_steps == valid
        np.testing.assert_allclose(stored[:valid], steps_1CT[0].t()[:valid], atol=1e-5)


def long_video(path: Path, *, frames: int) -> Path:
    rng = np.random.default_rng(0)
    with VideoWriter(path, fps=15, width=32, height=32) as writer:
        for _ in range(frames):
            writer.write(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    return path


def test_a_long_video_in_blocks_is_the_video_at_once(videos: Path, tmp_path: Path) -> None:
    """Temporal adapters look into the neighbouring blocks; frames are no multiple of a clip."""
    config = tiny_config(videos, backbone__adapter={"name": "dsta"})
    video = [("long", long_video(tmp_path / "long.mp4", frames=213))]
    parts = extracted(config, video, tmp_path / "parts.h5", block_clips=1)
    whole = extracted(config, video, tmp_path / "whole.h5", block_clips=100)
    assert parts.video("long").num_rows == 14 * 8  # 213 frames are 14 clips of 16
    assert parts.video("long").num_steps == 107
    np.testing.assert_allclose(parts.raw("long"), whole.raw("long"), atol=1e-5)
    clip_wise = extracted(
        tiny_config(videos, backbone__adapter={"name": "standard"}), video, tmp_path / "s.h5"
    )
    assert not np.allclose(clip_wise.raw("long"), whole.raw("long"), atol=1e-2)


def test_windows_with_a_stride(videos: Path, tmp_path: Path) -> None:
    config = tiny_config(videos, backbone__adapter={"name": "dsta"})
    path = long_video(tmp_path / "v.mp4", frames=75)
    found = extracted(
        config, [("v", path)], tmp_path / "f.h5", mode="windows", window=32, stride=5, block_clips=3
    )
    video = found.video("v")
    # Windows start at 0, 5, ..., 40: (75 - 32) // 5 + 1 of them, each at its middle, frame 16.
    assert (video.num_rows, video.num_steps) == (9, 9)
    assert (video.stride_frames, video.offset_frames) == (5.0, 16.0)
    with open_video(path, size=(32, 32)) as reader:
        frames = reader.read(range(75))
    backbone = random_backbone(config)
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    for window in (0, 4, 8):
        clip = (frames[window * 5 : window * 5 + 32 : 2] - mean) / std
        clip_1CFHW = torch.from_numpy(clip.transpose(3, 0, 1, 2)[None]).float()
        expected = backbone(clip_1CFHW, torch.zeros(1, dtype=torch.long)).mean(dim=(0, 1))
        np.testing.assert_allclose(found.raw("v")[window], expected, atol=2e-4)
    short = long_video(tmp_path / "short.mp4", frames=9)
    few = extracted(config, [("s", short)], tmp_path / "g.h5", mode="windows", window=16, stride=4)
    assert few.video("s").num_rows == 1  # its last frame is repeated


def test_tokens_cells_and_blocks(videos: Path, tmp_path: Path) -> None:
    config = tiny_config(videos)
    video = files_of(videos)[:1]
    name = video[0][0]
    pooled = extracted(config, video, tmp_path / "pooled.h5")
    tokens = extracted(config, video, tmp_path / "tokens.h5", spatial="tokens")
    one = extracted(config, video, tmp_path / "one.h5", spatial=1, dtype="float16")
    assert tokens.manifest.step_shape == [2, 2, 16]  # pictures of 32 pixels, patches of 16
    assert tokens.raw(name).shape == (pooled.video(name).num_rows, 2, 2, 16)
    np.testing.assert_allclose(tokens.raw(name).mean(axis=(1, 2)), pooled.raw(name), atol=1e-6)
    assert one.raw(name).dtype == np.float16
    np.testing.assert_allclose(one.raw(name)[:, 0, 0], pooled.raw(name), atol=5e-3)
    first = extracted(config, video, tmp_path / "first.h5", before_block=1, spatial="tokens")
    backbone = random_backbone(config)
    with open_video(video[0][1], size=(32, 32)) as reader:
        frames = reader.read(range(16)).astype(float)
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    clip = torch.from_numpy(((frames - mean) / std).transpose(3, 0, 1, 2)[None]).float()
    seen = []
    hook = backbone.blocks[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(clip, torch.zeros(1, dtype=torch.long))
    hook.remove()
    # The second clip of the video reaches the last tubelet of the first through the adapter.
    ours = first.raw(name)[:7].reshape(7, 4, 16)
    np.testing.assert_allclose(ours, seen[0][0].reshape(8, 4, 16)[:7], atol=1e-4)


def test_impossible_wishes_are_named(videos: Path, tmp_path: Path) -> None:
    config, video = tiny_config(videos), files_of(videos)[:1]
    with pytest.raises(FeatureError, match="backbone has blocks 0 to 1"):
        extracted(config, video, tmp_path / "f.h5", before_block=2)
    with pytest.raises(FeatureError, match="a window is a multiple of 16"):
        extracted(config, video, tmp_path / "f.h5", mode="windows", window=20, stride=4)


def test_a_recogniser_gives_features(videos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_run(tiny_clip_config(videos, training__epochs=1), out=run, quiet=True)
    source = open_backbone(run, device=CPU)
    extract_to_file(files_of(videos), source, ExtractionSettings(), out=tmp_path / "f.h5")
    assert FeatureFile(tmp_path / "f.h5").manifest.weights_source == str(run)


# ---- the command ----


@pytest.fixture(scope="module")
def config_file(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(dump_config(tiny_config(videos)))
    return path


def command(config: Path, videos: Path, out: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "mmad", "extract-features", str(config), str(videos)),
        *("--out", str(out), "--random-weights", "--block-clips", "1", *options),
    ]


def run(
    arguments: list[str], *, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        arguments, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.h5"
    run(command(config_file, videos / "videos", whole))
    out = tmp_path / "killed.h5"
    rng = random.Random(0)
    kills = 0
    while kills < 3:
        process = subprocess.Popen(
            command(config_file, videos / "videos", out),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        process.stdout.readline()  # "6 videos to do": from here on it works
        time.sleep(rng.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    run(command(config_file, videos / "videos", out))
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole.h5", "killed.h5"}
    again = run(command(config_file, videos / "videos", out))
    assert "0 videos to do" in again.stdout
    assert out.read_bytes() == whole.read_bytes()


def test_two_processes_share_the_list(config_file: Path, videos: Path, tmp_path: Path) -> None:
    alone, shared, torchrun = (tmp_path / name for name in ("a.h5", "b.h5", "c.h5"))
    run(command(config_file, videos / "videos", alone))
    first = run(command(config_file, videos / "videos", shared, "--share", "1/2"))
    assert "waits for the other shares" in first.stdout
    assert not shared.exists()
    run(command(config_file, videos / "videos", shared, "--share", "2/2"))
    assert shared.read_bytes() == alone.read_bytes()
    words = command(config_file, videos / "videos", torchrun)[1:]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29641"]
    run([sys.executable, *launcher, *words], OMP_NUM_THREADS="1")
    assert torchrun.read_bytes() == alone.read_bytes()
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
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "3", "--master-port", "29643"]
    words = command(config_file, folder, out)[1:]
    result = subprocess.run(
        [sys.executable, *launcher, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode != 0
    assert f"mmad: extract-features: {folder / 'bad.mp4'}" in result.stderr
    assert FeatureFile(out).video_ids() == ["good"]


def test_decoding_ahead_changes_nothing(config_file: Path, videos: Path, tmp_path: Path) -> None:
    run(command(config_file, videos / "videos", tmp_path / "a.h5"))
    run(command(config_file, videos / "videos", tmp_path / "b.h5", "--workers", "2"))
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
    result = run(command(config_file, folder, out), code=2)
    assert str(folder / "a.mp4") in result.stderr
    assert FeatureFile(out).video_ids() == ["b", "c"]
    (folder / "a.mp4").write_bytes(good.read_bytes())
    assert "1 video to do" in run(command(config_file, folder, out)).stdout
    found = FeatureFile(out)
    assert found.video_ids() == ["a", "b", "c"]
    np.testing.assert_array_equal(found.raw("a"), found.raw("b"))
    # A video that has changed is made again, others are left alone.
    (folder / "c.mp4").write_bytes(good.read_bytes())
    assert "1 video to do" in run(command(config_file, folder, out)).stdout
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
    result = run(command(config_file, videos / "videos", tmp_path / "f.h5", *options), code=2)
    assert expected in result.stderr
    assert not list(tmp_path.iterdir())


def test_other_features_are_not_mixed(config_file: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    run(command(config_file, videos / "videos", out))
    before = out.read_bytes()
    result = run(command(config_file, videos / "videos", out, "--set", "seed=3"), code=2)
    assert "made otherwise (asked and found: weights_sha256" in result.stderr
    assert out.read_bytes() == before
    run(command(config_file, videos / "videos", out, "--set", "seed=3", "--overwrite"))
    assert out.read_bytes() != before


def test_no_weights_is_an_error(config_file: Path, videos: Path, tmp_path: Path) -> None:
    arguments = command(config_file, videos / "videos", tmp_path / "f.h5")
    arguments.remove("--random-weights")
    assert "backbone.pretrained is null" in run(arguments, code=2).stderr


def test_what_a_killed_process_left_is_cleared(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    """Locks and halves of files, as they lie there after it was killed while it joined."""
    whole, out = tmp_path / "whole.h5", tmp_path / "f.h5"
    run(command(config_file, videos / "videos", whole))
    run(command(config_file, videos / "videos", out, "--share", "1/2"))
    folder = tmp_path / "f.h5.parts"
    dead = f"{socket.gethostname()} 999999"
    (tmp_path / "f.h5.joining").write_text(dead)
    (folder / "share-2-of-2.lock").write_text(dead)
    for path in (folder / "gone.h5", out):
        half = partial_path(path)
        half.with_name(half.name.replace(str(os.getpid()), "999999")).write_bytes(b"half")
    run(command(config_file, videos / "videos", out, "--share", "2/2"))
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole.h5", "f.h5"}


def test_two_that_do_the_same_are_told_apart(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "f.h5.parts"
    folder.mkdir()
    (folder / "share-1-of-1.lock").write_text(f"{socket.gethostname()} {os.getpid()}")
    said = run(command(config_file, videos / "videos", tmp_path / "f.h5"), code=2).stderr
    assert f"process {os.getpid()} on {socket.gethostname()} is making the same features" in said


def test_parts_of_other_settings_are_not_joined(
    config_file: Path, videos: Path, tmp_path: Path
) -> None:
    out, expected = tmp_path / "f.h5", tmp_path / "expected.h5"
    run(command(config_file, videos / "videos", expected))
    run(command(config_file, videos / "videos", out, "--share", "2/2", "--set", "seed=3"))
    said = run(command(config_file, videos / "videos", out, "--share", "1/2")).stdout
    assert "waits for the other shares" in said
    run(command(config_file, videos / "videos", out, "--share", "2/2"))
    assert out.read_bytes() == expected.read_bytes()


def test_other_videos_stay(config_file: Path, videos: Path, tmp_path: Path) -> None:
    """Finished ones when some are made again, and parts that another call is still making."""
    out = tmp_path / "f.h5"
    first, *others = (str(path) for _, path in files_of(videos))
    run(command(config_file, Path(first), out))
    whole = command(config_file, videos / "videos", out, "--share", "1/2")
    run(whole)
    parts = set((tmp_path / "f.h5.parts").glob("*.h5"))
    assert parts
    run(command(config_file, Path(others[0]), out, "--overwrite"))
    assert FeatureFile(out).video_ids() == sorted(Path(p).stem for p in (first, others[0]))
    left = set((tmp_path / "f.h5.parts").glob("*.h5"))
    assert left == parts - {tmp_path / "f.h5.parts" / f"{Path(others[0]).stem}.h5"}


def test_numbers_too_large_for_half_precision(videos: Path, tmp_path: Path) -> None:
    config = tiny_config(videos)
    source = feature_source(config)
    source.backbone.blocks[-1].mlp.fc2.bias[0] = 1e6
    out = tmp_path / "f.h5"
    done = extract_to_file(files_of(videos), source, ExtractionSettings(dtype="float16"), out=out)
    assert len(done.failed) == 6
    assert "not finite as float16 (largest 1e+06)" in done.failed[0].message
    assert not out.exists()


def test_wide_temporal_kernels_reach_further(videos: Path, tmp_path: Path) -> None:
    adapter = {"name": "dsta", "temporal_kernel": 41}
    config = tiny_config(videos, backbone__adapter=adapter)
    video = [("long", long_video(tmp_path / "long.mp4", frames=200))]
    parts = extracted(config, video, tmp_path / "parts.h5", block_clips=1)
    whole = extracted(config, video, tmp_path / "whole.h5", block_clips=100)
    np.testing.assert_allclose(parts.raw("long"), whole.raw("long"), atol=1e-5)


def test_the_norm_of_pooled_vectors_is_chosen(videos: Path, tmp_path: Path) -> None:
    """As the features of VideoMAEv2's authors: the mean over a clip, then fc_norm."""
    path = dict(files_of(videos))["val0000"]
    windows = {"mode": "windows", "window": 16, "stride": 8}
    plain = extracted(tiny_config(videos), [("v", path)], tmp_path / "a.h5", **windows)
    config = tiny_config(videos, backbone__final_norm="pooled")
    source = feature_source(config)
    assert source.backbone.fc_norm is not None
    torch.nn.init.normal_(source.backbone.fc_norm.weight)
    settings = ExtractionSettings(**windows)
    extract_to_file([("v", path)], source, settings, out=tmp_path / "b.h5")
    with torch.no_grad():
        expected = source.backbone.fc_norm(torch.from_numpy(plain.raw("v")))
    np.testing.assert_allclose(FeatureFile(tmp_path / "b.h5").raw("v"), expected, atol=1e-5)
    tokens = ExtractionSettings(spatial="tokens")
    with pytest.raises(FeatureError, match="norms pooled vectors only"):
        extract_to_file([("v", path)], source, tokens, out=tmp_path / "c.h5")


def test_blocks_of_windows_far_apart_stay_small() -> None:
    layout = ClipLayout(16, 16, 500, 1, block_clips=8, is_dense=False)
    spans = [len(span) for span, _, _ in layout.blocks(20_000)]
    assert max(spans) <= 8 * 16
    assert len(spans) == layout.num_clips(20_000)


def test_a_rate_that_is_resampled_is_told(config_file: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    said = run(command(config_file, videos / "videos", out, "--fps", "5")).stderr
    assert "notice: 6 of 6 videos resampled by time to 5 frames/s" in said
    found = FeatureFile(out)
    assert all(found.video(name).fps == 5.0 for name in found.video_ids())
    assert all(len(found.video(name).notices) == 1 for name in found.video_ids())
