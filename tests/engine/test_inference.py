"""Detections of whole videos from windows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.config.reading import parse_config
from mmad.data.samples import Packer
from mmad.data.videos import TrainingVideos
from mmad.engine.detection import read_data, records_of
from mmad.engine.inference import detect_videos, merge_windows
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector
from support.synthetic_data import tiny_config, tiny_content

CPU = torch.device("cpu")


def random_detector(config: object) -> EndToEndDetector:
    model = build_detector(config, num_classes=52).eval()
    for name, parameter in model.named_parameters():
        if ".adapter." in name or "scale_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def outputs_of(model: EndToEndDetector, samples: list) -> list[tuple[torch.Tensor, torch.Tensor]]:
    batch, _ = Packer(clip_frames=16)(samples)
    with torch.no_grad():
        out = model(batch.clips, batch.colours, batch.clips_per_window, batch.frames_per_window)
    return [
        (logits[mask], offsets[mask])
        for logits, offsets, mask in zip(out.logits_BPK, out.offsets_BP2, out.mask_BP, strict=True)
    ]


@pytest.mark.slow
def test_batch_equals_single(videos: Path) -> None:
    config = tiny_config(videos)
    annotations, _ = read_data(config)
    records = records_of(config, annotations, ["train"])
    dataset = TrainingVideos(records, config.data, backbone=config.backbone, upsampling=1, seed=0)
    samples = [dataset[0, index] for index in range(4)]
    assert len({len(sample.frames) for sample in samples}) > 1
    model = random_detector(config)
    together = outputs_of(model, samples)
    for sample, (logits, offsets) in zip(samples, together, strict=True):
        ((alone_logits, alone_offsets),) = outputs_of(model, [sample])
        torch.testing.assert_close(logits, alone_logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(offsets, alone_offsets, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_video_that_fits_one_window_is_one_window(videos: Path) -> None:
    wide = tiny_config(videos)
    annotations, _ = read_data(wide)
    records = records_of(wide, annotations, ["val"])
    wider = tiny_config(videos, data__window_frames=128)
    model = random_detector(wide)
    first = detect_videos(model, records, wide, device=CPU).detections
    second = detect_videos(model, records, wider, device=CPU).detections
    for video, found in first.items():
        np.testing.assert_allclose(found.scores, second[video].scores, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            found.segments_seconds, second[video].segments_seconds, rtol=1e-4, atol=1e-4
        )


def test_times_and_scores_are_rounded_on_request(tmp_path: Path) -> None:
    content = tiny_content(tmp_path)
    content["inference"] = {"round_seconds": 0.01, "round_scores": 0.0001}
    config = parse_config(content, source="test")
    part = (np.array([[1.23456, 2.34567]]), np.array([3]), np.array([0.123456]))
    found = merge_windows([part], config, duration_seconds=9.0)
    assert found.segments_seconds.tolist() == [[1.23, 2.35]]
    assert found.scores.tolist() == [0.1235]
