"""Losses and decoder of PointTAD, against plain NumPy loops."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import softmax

from mmad.models.detectors.pointtad.criterion import label_steps, matching_cost
from mmad.models.detectors.pointtad.network import PointTADOutputs
from support.built_detectors import criterion_of, decoder_of


def annotations() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    segments = [torch.tensor([[2.0, 9.5], [12.2, 17.0]]), torch.zeros(0, 2)]
    return segments, [torch.tensor([2, 0]), torch.zeros(0, dtype=torch.long)]


def random_outputs(*, layers: int = 2, queries: int = 4) -> PointTADOutputs:
    generator = torch.Generator().manual_seed(1)
    bounds = torch.rand(layers, 2, queries, 2, generator=generator) * 1.4 - 0.2
    return PointTADOutputs(
        torch.randn(layers, 2, queries, 4, generator=generator),
        bounds.sort(dim=-1).values,
        torch.randn(2, 20, 3, generator=generator),
        torch.arange(20)[None] < torch.tensor([[20], [13]]),
    )


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    a = np.clip(a, 0, 1)
    inner = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return inner / (a[1] - a[0] + b[1] - b[0] - inner)


def plain_distance(a: np.ndarray, b: np.ndarray) -> float:
    return abs((a[0] + a[1]) / 2 - (b[0] + b[1]) / 2) + abs((a[1] - a[0]) - (b[1] - b[0]))


def plain_layer_losses(outputs: PointTADOutputs, depth: int, segments, labels):
    """Best of all matchings, and the sums of its losses."""
    lengths = outputs.mask_BT.sum(1).numpy()
    entropies, weights, distance, iou = [], [], 0.0, 0.0
    for video, (true, classes) in enumerate(zip(segments, labels, strict=True)):
        probability = softmax(outputs.logits_DBQK[depth, video].numpy().astype(float), axis=1)
        found = outputs.segments_DBQ2[depth, video].numpy().astype(float)
        true = true.numpy() / lengths[video]

        def cost(q, n, probability=probability, found=found, true=true, classes=classes):
            return (
                -10 * probability[q, classes[n]]
                + 5 * plain_distance(found[q], true[n])
                - 5 * plain_iou(found[q], true[n])
            )

        best = min(
            itertools.permutations(range(len(found)), len(true)),
            key=lambda chosen: sum(cost(q, n) for n, q in enumerate(chosen)),
        )
        distance += sum(plain_distance(found[q], true[n]) for n, q in enumerate(best))
        iou += sum(1 - plain_iou(found[q], true[n]) for n, q in enumerate(best))
        for q in range(len(found)):
            label = classes[best.index(q)] if q in best else 3
            weights.append(1.0 if q in best else 0.1)
            entropies.append(-np.log(probability[q, label]))
    return np.average(entropies, weights=weights), distance, iou


def test_losses_equal_plain_loops() -> None:
    outputs = random_outputs()
    segments, labels = annotations()
    segments[1], labels[1] = torch.tensor([[1.0, 4.0]]), torch.tensor([1])
    losses = criterion_of("pointtad")(outputs, segments, labels)
    assert losses.num_positives == 3
    entropy, distance, iou = plain_layer_losses(outputs, 1, segments, labels)
    assert losses.parts["classification"].item() == pytest.approx(3 * entropy, rel=1e-5)
    assert losses.parts["distance"].item() == pytest.approx(5 * distance, rel=1e-5)
    assert losses.parts["iou"].item() == pytest.approx(5 * iou, rel=1e-5)
    entropy, distance, iou = plain_layer_losses(outputs, 0, segments, labels)
    auxiliary = 3 * entropy + 5 * distance + 5 * iou
    assert losses.parts["auxiliary"].item() == pytest.approx(auxiliary, rel=1e-5)

    entropies = []
    for video, length in enumerate([20, 13]):
        for step in range(length):
            for label in range(3):
                inside = any(
                    int(start) <= step <= int(end) and own == label
                    for (start, end), own in zip(
                        segments[video].tolist(), labels[video].tolist(), strict=True
                    )
                )
                score = 1 / (1 + np.exp(-outputs.dense_logits_BTK[video, step, label].item()))
                entropies.append(-np.log(score if inside else 1 - score))
    assert losses.parts["dense"].item() == pytest.approx(3 * 10 * np.mean(entropies), rel=1e-5)


def test_losses_do_not_see_padding() -> None:
    outputs = random_outputs()
    criterion = criterion_of("pointtad")
    before = criterion(outputs, *annotations()).total
    outputs.dense_logits_BTK[1, 13:] = 1e4
    torch.testing.assert_close(criterion(outputs, *annotations()).total, before)


def test_matching_cost_by_hand() -> None:
    cost = matching_cost(
        torch.tensor([[0.0, 0.0, 0.0]]),
        torch.tensor([[-0.5, 0.5]]),
        torch.tensor([[0.0, 1.0]]),
        torch.tensor([0]),
        class_cost=10.0,
        distance_cost=5.0,
        iou_cost=5.0,
    )
    # Centres 0 and 0.5, both widths 1; the overlap is that of what is inside the video.
    assert cost.item() == pytest.approx(5 * 0.5 - 10 / 3 - 5 * 0.5)


def test_more_annotations_than_queries() -> None:
    outputs = random_outputs(queries=1)
    losses = criterion_of("pointtad")(outputs, *annotations())
    assert losses.num_positives == 2
    assert losses.total.isfinite()


def test_labels_of_steps() -> None:
    truth = label_steps(
        [torch.tensor([[0.9, 2.0], [1.5, 1.9], [3.0, 9.0]])],
        [torch.tensor([0, 1, 0])],
        num_steps=5,
        num_classes=2,
    )
    assert truth[0].T.tolist() == [[1, 1, 1, 1, 1], [0, 1, 0, 0, 0]]


# ---- decoding ----


def test_decoder_by_hand() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, 0.5], [0.0, 0.0, 3.0, -1.0]]).view(1, 1, 2, 4)
    segments = torch.tensor([[-0.1, 0.5], [0.25, 2.0]]).view(1, 1, 2, 2)
    mask = torch.arange(20)[None] < 10
    outputs = PointTADOutputs(logits, segments, torch.zeros(1, 20, 3), mask)
    (found,) = decoder_of("pointtad", score_threshold=0.0, max_candidates=9)(outputs)
    scores = softmax(logits[0, 0].numpy().astype(float), axis=1)
    assert found.labels.tolist() == [2, 0]
    assert found.segments_grid.tolist() == [[2.5, 10.0], [0.0, 5.0]]
    np.testing.assert_allclose(found.scores, [scores[1, 2], scores[0, 0]], rtol=1e-6)

    (found,) = decoder_of("pointtad", score_threshold=0.0, max_candidates=3, labels_per_query=2)(
        outputs
    )
    assert found.labels.tolist() == [2, 0, 1]
    assert found.segments_grid[1:].tolist() == [[0.0, 5.0]] * 2
    (found,) = decoder_of("pointtad", score_threshold=0.0, max_candidates=9, min_length=6.0)(
        outputs
    )
    assert found.labels.tolist() == [2]
    (found,) = decoder_of("pointtad", score_threshold=0.99, max_candidates=9)(outputs)
    assert len(found.scores) == 0
