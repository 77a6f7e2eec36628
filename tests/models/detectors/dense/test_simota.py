"""The targets of TemporalMaxer, against plain loops."""

import numpy as np
import torch

from mmad.models.detectors.dense.points import DenseOutputs, make_points
from support.built_detectors import criterion_of

RANGES = torch.tensor([[0.0, 4.0], [4.0, 10000.0]])


def outputs(seed: int) -> DenseOutputs:
    generator = torch.Generator().manual_seed(seed)
    points = make_points([16, 8], regression_ranges=RANGES)
    return DenseOutputs(
        logits_BPK=torch.randn(2, 24, 3, generator=generator),
        offsets_BPG2=torch.rand(2, 24, 1, 2, generator=generator) * 3,
        mask_BP=torch.ones(2, 24, dtype=torch.bool),
        points_P4=points,
    )


def focal(logit: float, target: float) -> float:
    p = 1 / (1 + np.exp(-logit))
    if target:
        return 0.25 * (1 - p) ** 2 * -np.log(p)
    return 0.75 * p**2 * -np.log(1 - p)


def cost(logits: np.ndarray, offsets: np.ndarray, true: np.ndarray, label: int) -> float:
    classification = sum(focal(logit, float(k == label)) for k, logit in enumerate(logits))
    inner = np.minimum(offsets, true).sum()
    union = offsets.sum() + true.sum() - inner
    hull = np.maximum(offsets, true).sum()
    centres = 0.5 * ((offsets[1] - offsets[0]) - (true[1] - true[0]))
    return classification + 2.0 * (1 - inner / union + (centres / hull) ** 2)


def test_a_point_regresses_to_the_annotation_of_least_cost() -> None:
    out = outputs(0)
    segments = [torch.tensor([[1.0, 9.0], [3.0, 12.0], [4.0, 6.0]]), torch.zeros(0, 2)]
    labels = [torch.tensor([0, 1, 2]), torch.zeros(0, dtype=torch.long)]
    targets = criterion_of("temporalmaxer").assign(out, segments, labels)
    sampled = criterion_of("actionformer").assign(out, segments, labels)
    assert torch.equal(targets.classes_BPK, sampled.classes_BPK)
    assert sampled.positive_BP[0].sum() >= 5
    differing = 0
    for point in torch.nonzero(targets.positive_BP[0]).flatten().tolist():
        position, stride = out.points_P4[point, 0].item(), out.points_P4[point, 3].item()
        candidates = []
        for (start, end), label in zip(segments[0].tolist(), labels[0].tolist(), strict=True):
            true = np.array([position - start, end - position]) / stride
            if true.min() >= 0:
                logits = out.logits_BPK[0, point].double().numpy()
                own = out.offsets_BP2[0, point].double().numpy()
                candidates.append((cost(logits, own, true, label), true))
        best = min(candidates, key=lambda pair: pair[0])[1]
        np.testing.assert_allclose(targets.offsets_BP2[0, point], best, rtol=1e-5)
        differing += not np.allclose(best, sampled.offsets_BP2[0, point], rtol=1e-5)
    assert differing > 0  # else centre sampling would pass, too
    assert targets.classes_BPK[1].sum() == 0
