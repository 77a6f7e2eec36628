import pytest
import torch

from mmad.config.detectors.union import settings_of_detector
from mmad.errors import ConfigError
from mmad.models.detectors.dense.criterion import background_weights
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.dense.targets import PointTargets
from mmad.models.detectors.families import build_criterion, build_decoder, build_network
from mmad.models.detectors.losses import distance_iou_loss
from support.built_detectors import criterion_of

EVERY_CLASS = {"shortest_labels_only": False, "class_offsets": True}
SWITCHES = {"body_head": True, "background_cap": 1.0, **EVERY_CLASS}


def test_background_counts_as_much_as_the_most_frequent_class() -> None:
    classes = torch.zeros(1, 12, 2)
    classes[0, :3, 0] = classes[0, 2:4, 1] = 1  # 3 and 2 points, 4 of them in all
    mask = torch.ones(1, 12, dtype=torch.bool)
    mask[0, 10:] = False
    weights = background_weights(classes, mask, cap=1.0)
    assert weights is not None
    assert weights[0, :4].tolist() == [1, 1, 1, 1]
    torch.testing.assert_close(weights[0, 4:10], torch.full((6,), 3 / 6))
    assert background_weights(classes, mask, cap=None) is None
    enough = background_weights(classes, mask, cap=5.0)
    assert enough is not None
    assert enough.min() == 1


def test_the_cap_changes_the_loss_of_points_without_a_class_alone() -> None:
    outputs = DenseOutputs(
        torch.zeros(1, 5, 1), torch.ones(1, 5, 1, 2), torch.ones(1, 5) > 0, torch.ones(5, 4)
    )
    targets = PointTargets(torch.tensor([[[1.0], [0], [0], [0], [0]]]), torch.ones(1, 5, 1, 2))
    log = torch.tensor(2.0).log().item()
    positive, negative = 0.25 * 0.25 * log, 0.75 * 0.25 * log  # alpha, (1/2)^2, -log 1/2
    for cap, count in ((None, 4), (1.0, 1), (2.0, 2)):
        losses = criterion_of("actionformer", background_cap=cap).losses(outputs, targets)
        expected = positive + count * negative
        assert losses.parts["classification"].item() == pytest.approx(expected)


def test_each_class_has_its_own_offsets() -> None:
    generator = torch.Generator().manual_seed(0)
    offsets, true = torch.rand(2, 1, 3, 2, 2, generator=generator) + 0.1
    classes = torch.tensor([[[1.0, 1], [0, 1], [0, 0]]])
    outputs = DenseOutputs(
        torch.zeros(1, 3, 2), offsets, torch.ones(1, 3, dtype=torch.bool), torch.ones(3, 4)
    )
    losses = criterion_of("actionformer", **EVERY_CLASS).losses(
        outputs, PointTargets(classes, true)
    )
    pairs = [(0, 0), (0, 1), (1, 1)]
    expected = sum(distance_iou_loss(offsets[0, p, k], true[0, p, k]) for p, k in pairs)
    torch.testing.assert_close(losses.parts["regression"], expected)
    assert losses.num_positives == 2


@pytest.mark.parametrize("name", ["actionformer", "temporalmaxer", "tridet", "dyfadet"])
def test_every_dense_detector_has_the_switches(name: str) -> None:
    extra = {"assigner": None} if name == "temporalmaxer" else {}
    settings = settings_of_detector({"name": name})(**SWITCHES, **extra).tiny()
    torch.manual_seed(0)
    network = build_network(settings, in_channels=6, num_classes=3, parents=(0, 0, 1))
    criterion = build_criterion(settings, num_classes=3)
    outputs = network(torch.randn(2, 6, 64), torch.ones(2, 64, dtype=torch.bool))
    segments = [torch.tensor([[4.0, 20.0], [6.0, 22.0]]), torch.zeros(0, 2)]
    losses = criterion(outputs, segments, [torch.tensor([0, 2]), torch.zeros(0).long()])
    assert set(losses.parts) == {"classification", "regression", "body"}
    losses.total.backward()
    rows = network.classification.out.conv.weight.grad.flatten(1).abs().sum(1)  # type: ignore
    assert (rows > 0).tolist() == [True] * (3 + 2)
    decoder = build_decoder(settings, _inference())
    assert all(one.scores.max() < 0.1 for one in decoder(outputs))  # prior 0.01 times 1/2


def _inference():  # type: ignore[no-untyped-def]
    from mmad.config.inference import InferenceSettings

    return InferenceSettings(score_threshold=0.0)


def test_a_body_level_head_needs_body_parts() -> None:
    settings = settings_of_detector({})(body_head=True).tiny()
    with pytest.raises(ConfigError, match="body_head=true needs labels with body parts"):
        build_network(settings, in_channels=6, num_classes=3)


def test_offsets_of_classes_need_several_classes_at_a_point() -> None:
    with pytest.raises(ValueError, match="set shortest_labels_only=false"):
        settings_of_detector({})(class_offsets=True)


def test_a_weight_of_body_parts_needs_their_head() -> None:
    with pytest.raises(ValueError, match="body_weight 2 needs the body-level head"):
        settings_of_detector({})(body_weight=2)
