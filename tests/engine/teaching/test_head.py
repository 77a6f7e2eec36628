"""The head that a project teaches."""

from pathlib import Path

import numpy as np
import torch

from mmad.engine.teaching.head import head_config, train_head
from mmad.engine.teaching.lesson import WINDOW_STEPS, VideoLesson, batch_of, windows_of
from mmad.engine.teaching.sequences import StepSequence
from mmad.models.build import build_detector
from mmad.models.detectors.contract import PartialCriterion
from mmad.models.detectors.families import build_criterion
from mmad.structures import FeatureGrid

CONFIG = head_config(Path("features.h5"), steps_per_stored=1.0, seed=0)


def lesson(known: torch.Tensor, steps: int = 300) -> VideoLesson:
    torch.manual_seed(0)
    sequence = StepSequence(torch.randn(8, steps), FeatureGrid(15, 2, steps))
    segments = torch.tensor([[10.0, 16.0], [120.0, 140.0]])
    return VideoLesson(sequence, segments, torch.tensor([0, 1]), known)


def test_what_is_unknown_is_no_background() -> None:
    network = build_detector(CONFIG, num_classes=2, feature_channels=8)
    criterion = build_criterion(CONFIG.detector, num_classes=2)
    known = torch.zeros(1, 40, 2, dtype=torch.bool)
    known[0, 30:, 0] = True
    features = torch.randn(1, 8, 40)
    outputs = network(features, torch.ones(1, 40, dtype=torch.bool))
    outputs.logits_BPK.retain_grad()
    where = ((torch.tensor([[4.0, 10.0]]),), (torch.tensor([1]),))
    assert isinstance(criterion, PartialCriterion)
    criterion.where_known(outputs, *where, known).total.backward()
    gradient = outputs.logits_BPK.grad[0][outputs.mask_BP[0]]
    step = outputs.points_P4[outputs.mask_BP[0], 0]
    assert (gradient[step >= 30, 0] != 0).all()
    assert (gradient[step < 30, 0] == 0).all()
    assert (gradient[step >= 30, 1] == 0).all()
    assert (gradient[(step > 4) & (step < 10), 1] != 0).any(), "a present segment is known"


def test_windows_cover_what_is_known_and_cut_segments_are_unknown() -> None:
    known = torch.zeros(300, 2, dtype=torch.bool)
    known[100:260] = True
    one = lesson(known)
    for seed in range(20):
        windows = windows_of([one], np.random.default_rng(seed))
        covered = torch.zeros(300, dtype=torch.bool)
        for _, first in windows:
            covered[first : first + WINDOW_STEPS] = True
        assert covered[100:260].all()
    batch = batch_of([(one, 135)])
    assert len(batch.labels[0]) == 0
    assert not batch.known_BTK[0, :5, 1].any()
    assert batch.known_BTK[0, :5, 0].all()
    assert batch_of([(one, 125)]).segments_grid[0].tolist() == [[-5.0, 15.0]]


def test_on_stored_features_a_head_gives_the_same() -> None:
    torch.manual_seed(1)
    one = lesson(torch.ones(300, 2, dtype=torch.bool))
    head, later = train_head(CONFIG, {"a": one}, num_behaviours=2, checkpoints=(1, 2))
    assert (head.num_steps, later.num_steps) == (1, 2)
    (again,) = train_head(CONFIG, {"a": one}, num_behaviours=2, checkpoints=(2,))
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, later.network.state_dict()[name]), "another for the same seed"
    projection = torch.randn(8, 20)
    stored = torch.randn(1, 20, 50)
    mask = torch.ones(1, 50, dtype=torch.bool)
    with torch.no_grad():
        wanted = head.network(projection @ stored, mask)
        found = head.on_stored(projection)(stored, mask)
    torch.testing.assert_close(found.logits_BPK, wanted.logits_BPK, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.offsets_BPG2, wanted.offsets_BPG2, atol=1e-3, rtol=1e-3)
