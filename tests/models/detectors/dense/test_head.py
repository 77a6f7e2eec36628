import numpy as np
import pytest
import torch

from mmad.config.detectors.union import settings_of_detector
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.dense.targets import PointTargets
from mmad.models.detectors.families import build_network
from support.built_detectors import criterion_of, decoder_of


def test_smoothed_loss_by_hand() -> None:
    targets = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])  # two labels at one point
    logits = torch.tensor([[[0.3, -1.0, 2.0], [0.1, 0.2, -0.4]]])
    criterion = criterion_of("actionformer", label_smoothing=0.1)
    outputs = DenseOutputs(
        logits,
        torch.ones(1, 2, 1, 2),
        torch.tensor([[True, True]]),
        torch.tensor([[0.0, 0, 4, 1], [1.0, 0, 4, 1]]),
    )
    losses = criterion.losses(outputs, PointTargets(targets, torch.ones(1, 2, 1, 2)))
    smooth = targets.numpy()[0] * 0.9 + 0.1 / 4
    p = 1 / (1 + np.exp(-logits.numpy()[0].astype(float)))
    entropy = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p))
    right = p * smooth + (1 - p) * (1 - smooth)
    alpha = 0.25 * smooth + 0.75 * (1 - smooth)
    assert losses.parts["classification"].item() == pytest.approx(
        (alpha * (1 - right) ** 2 * entropy).sum()
    )
    assert losses.parts["regression"].item() == pytest.approx(0.0)


def outputs() -> DenseOutputs:
    """Two points of level 0 and one of level 1, two classes, falling scores on level 0."""
    logits = torch.tensor([[[3.0, 2.9], [2.8, 2.7], [1.0, 0.5]]])
    offsets = torch.tensor([[[0.01, 0.02], [1.0, 1.0], [1.0, 1.0]]])
    points = torch.tensor([[0.0, 0, 4, 1], [1.0, 0, 4, 1], [0.0, 4, 8, 2]])
    return DenseOutputs(logits, offsets[:, :, None], torch.ones(1, 3, dtype=torch.bool), points)


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


def distances(name: str, *, seed: int, bias: float) -> torch.Tensor:
    """Distances of an untrained detector at each point, or their logits, (points, sides)."""
    torch.manual_seed(seed)
    settings = settings_of_detector({"name": name})(channels=96, regression_bias=bias)
    network = build_network(settings, in_channels=96, num_classes=5).eval()
    with torch.no_grad():
        outputs = network(torch.randn(1, 96, 192), torch.ones(1, 192, dtype=torch.bool))
    found = getattr(outputs, "offsets_BPG2", None)
    return (outputs.distance_logits_BP2N if found is None else found).flatten(0, 1).flatten(1)


@pytest.mark.parametrize("name", ["actionformer", "temporalmaxer", "tridet", "dyfadet"])
def test_every_distance_learns_from_the_first_step(name: str) -> None:
    for seed in range(5):
        assert (distances(name, seed=seed, bias=1.0) > 0).float().mean(dim=0).min() > 0.5


def test_without_a_bias_chance_decides() -> None:
    """A side of the segment that is 0 at nearly all points has hardly a gradient."""
    passing = [
        (distances("actionformer", seed=seed, bias=0.0) > 0).float().mean(dim=0).min().item()
        for seed in range(20)
    ]
    assert sum(share < 0.03 for share in passing) >= 3
