"""Features out of videos: what they are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.config.features import ExtractionSettings
from mmad.config.run import DetectionRun
from mmad.data.features.files import FeatureFile
from mmad.data.samples import Packer
from mmad.data.videos import WindowStream
from mmad.engine.detection import read_data, records_of
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import extract_to_file
from mmad.engine.features.plan import FeatureBackbone
from mmad.engine.training import train_run
from mmad.errors import FeatureError
from mmad.models.build import build_detector
from mmad.video.open import open_video
from mmad.video.writer import VideoWriter
from support.backbones import random_backbone
from support.synthetic_data import files_of, tiny_clip_config, tiny_config

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


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
        tokens = backbone(clip_1CFHW, torch.zeros(1, dtype=torch.long))
        expected = backbone.pool_clips(tokens)[0]
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
