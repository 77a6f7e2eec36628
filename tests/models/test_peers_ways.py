"""The settings that make ours do what the published codes do otherwise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from built_detectors import decoder_of
from synthetic_data import tiny_content

from mmad.config.reading import dump_config, load_config, parse_config
from mmad.data.windows import sliding_windows
from mmad.engine.inference import merge_windows
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.suppression import Candidates, suppress


def candidates(*rows: tuple[float, float, float, int]) -> Candidates:
    table = np.array(rows, dtype=np.float64)
    videos = np.zeros(len(table), dtype=np.int64)
    return Candidates(table[:, :2], table[:, 2], table[:, 3].astype(np.int64), videos)


@pytest.mark.parametrize("preset", ["opentad", "actionformer"])
def test_a_preset_is_read_back_as_it_was(preset: str, tmp_path: Path) -> None:
    content = tiny_content(tmp_path) | {"compat": preset}
    content["detector"]["norm_eps"] = 0.5  # what the config says itself stays
    config = parse_config(content, source="test")
    assert config.detector.norm_eps == 0.5
    assert config.detector.pool_sees_padding
    assert config.data.pad_to_window
    assert config.inference.keep_best
    assert config.inference.candidates_per_level == (preset == "actionformer")
    assert config.inference.round_seconds == (0.01 if preset == "opentad" else None)
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "c.yaml") == config


def test_without_a_preset_nothing_is_theirs(tmp_path: Path) -> None:
    config = parse_config(tiny_content(tmp_path), source="test")
    assert config.compat is None
    assert not config.detector.pool_sees_padding
    assert config.detector.mask_features


def test_gaussian_by_length_spares_small_overlaps_with_long_segments() -> None:
    # tIoU of both others with the first is 1/3; the threshold is 0.1 + 0.05 x 4 = 0.3.
    found = candidates((0, 4, 0.9, 0), (2, 6, 0.8, 0), (20, 30, 0.7, 0), (25, 35, 0.6, 0))
    result = suppress(
        found, method="soft_gaussian_by_length", sigma=0.5, length_threshold=(0.1, 0.05)
    )
    decayed = 0.8 * np.exp(-((2 / 6) ** 2) / 0.5)
    # For the second pair it is 0.1 + 0.05 x 10 = 0.6: nothing decays.
    assert result.scores == pytest.approx(sorted([0.9, decayed, 0.7, 0.6])[::-1], abs=1e-6)


def test_the_best_of_a_class_may_be_kept_below_the_lowest_score() -> None:
    found = candidates((0, 1, 0.04, 0), (5, 6, 0.03, 0), (0, 1, 0.5, 1))
    assert suppress(found, min_score=0.1).scores.tolist() == [0.5]
    assert suppress(found, min_score=0.1, keep_best=True).scores.tolist() == [0.5, 0.04]


def outputs() -> DenseOutputs:
    """Two points of level 0 and one of level 1, two classes, falling scores on level 0."""
    logits = torch.tensor([[[3.0, 2.9], [2.8, 2.7], [1.0, 0.5]]])
    offsets = torch.tensor([[[0.01, 0.02], [1.0, 1.0], [1.0, 1.0]]])
    points = torch.tensor([[0.0, 0, 4, 1], [1.0, 0, 4, 1], [0.0, 4, 8, 2]])
    return DenseOutputs(logits, offsets, torch.ones(1, 3, dtype=torch.bool), points)


def test_candidates_of_each_level() -> None:
    whole = decoder_of("actionformer", score_threshold=0.1, max_candidates=2)(outputs())[0]
    assert whole.scores.tolist() == pytest.approx(torch.tensor([3.0, 2.9]).sigmoid().tolist())
    levels = decoder_of(
        "actionformer", score_threshold=0.1, max_candidates=2, candidates_per_level=True
    )(outputs())[0]
    expected = torch.tensor([3.0, 2.9, 1.0, 0.5]).sigmoid()
    assert levels.scores.tolist() == pytest.approx(expected.tolist())
    assert levels.segments_grid[2].tolist() == [-2.0, 2.0]  # offsets times the stride of 2


def test_short_candidates_are_dropped() -> None:
    found = decoder_of("actionformer", score_threshold=0.1, max_candidates=9, min_length=0.05)(
        outputs()
    )[0]
    assert len(found.scores) == 4
    assert 0.03 not in (found.segments_grid[:, 1] - found.segments_grid[:, 0]).tolist()


def test_times_and_scores_are_rounded_on_request(tmp_path: Path) -> None:
    content = tiny_content(tmp_path)
    content["inference"] = {"round_seconds": 0.01, "round_scores": 0.0001}
    config = parse_config(content, source="test")
    part = (np.array([[1.23456, 2.34567]]), np.array([3]), np.array([0.123456]))
    found = merge_windows([part], config, duration_seconds=9.0)
    assert found.segments_seconds.tolist() == [[1.23, 2.35]]
    assert found.scores.tolist() == [0.1235]


def test_tails_are_kept_unless_asked_otherwise() -> None:
    kept = sliding_windows(1000, window_frames=768, overlap=0.25)
    lost = sliding_windows(1000, window_frames=768, overlap=0.25, keep_tail=False)
    assert [window.stop for window in kept] == [768, 1000]
    assert [window.stop for window in lost] == [768]
