from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmad.export.candidates import CandidateStage, candidate_stage
from mmad.models.detectors.dense.head import DenseDecoder
from mmad.models.detectors.dense.points import DenseOutputs, make_points
from support.synthetic_data import tiny_config


def outputs(classes: int = 3) -> DenseOutputs:
    torch.manual_seed(0)
    points = make_points([8, 4], regression_ranges=torch.tensor([[0.0, 4.0], [4.0, 99.0]]))
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[1, 6:8] = mask[1, 11:] = False
    return DenseOutputs(
        logits_BPK=torch.randn(2, 12, classes),
        offsets_BPG2=torch.rand(2, 12, 1, 2),
        mask_BP=mask,
        points_P4=points,
    )


def stage(**changes: Any) -> CandidateStage:
    decoder = DenseDecoder(
        score_threshold=0.3, max_candidates=30, candidates_per_level=False, min_length=0.8
    )
    return CandidateStage(replace(decoder, **changes), DenseOutputs, unit=2.0)


def arrays(found: dict[str, Tensor], raw: DenseOutputs) -> dict[str, np.ndarray]:
    named = {name: getattr(raw, name) for name in ("logits_BPK", "offsets_BPG2")}
    named |= {"mask_BP": raw.mask_BP, "points_P4": raw.points_P4}
    return {name: value.numpy() for name, value in (found | named).items()}


def test_candidates_are_those_of_the_decoder_and_then_none() -> None:
    raw = outputs()
    found = stage()(raw)
    assert found["segments"].shape == (2, 30, 2)
    for window, expected in enumerate(stage().decoder(raw)):
        number = len(expected.scores)
        assert 0 < number < 30
        assert torch.equal(found["scores"][window, :number], expected.scores)
        assert torch.equal(found["labels"][window, :number], expected.labels)
        assert torch.equal(found["segments"][window, :number], 2 * expected.segments_grid)
        assert not found["scores"][window, number:].any()
    assert stage().difference(arrays(found, raw)) < 1e-6


@pytest.mark.parametrize("name", ["segments", "scores", "labels"])
def test_other_candidates_are_noticed(name: str) -> None:
    raw = outputs()
    found = arrays(stage()(raw), raw)
    found[name] = np.roll(found[name], 1, axis=1)
    assert stage().difference(found) > 0.01


def test_candidates_at_the_limit_may_be_others() -> None:
    raw = outputs()
    few = stage(max_candidates=5, score_threshold=0.0)
    found = arrays(few(raw), raw)
    found["labels"][:, 4] += 1
    assert few.difference(found) < 1e-6
    found["labels"][:, 2] += 1
    assert few.difference(found) > 0.1


@pytest.mark.parametrize("per_level", [False, True])
def test_no_candidates_where_values_decide_their_number(per_level: bool, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, inference__candidates_per_level=per_level)
    assert (candidate_stage(config, unit=1.0) is None) == per_level
