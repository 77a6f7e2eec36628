import pytest
import torch

from mmad.models.detectors.dense.body import BodyLogits, joint_logits, num_rows, split_rows

PARENTS = torch.tensor([0, 0, 1])


def test_an_action_is_as_likely_as_its_body_part_and_it_given_that() -> None:
    generator = torch.Generator().manual_seed(0)
    body, action = torch.randn(2, 4, 5, generator=generator).double() * 5
    expected = body.sigmoid() * action.sigmoid()
    torch.testing.assert_close(joint_logits(body, action).sigmoid(), expected)


def test_large_logits_stay_finite() -> None:
    far = torch.tensor([-80.0, 80.0])
    found = joint_logits(*torch.meshgrid(far, far, indexing="ij"))
    assert torch.isfinite(found).all()
    assert found[1, 1].item() == pytest.approx(80 - torch.tensor(2.0).log().item())


def test_rows_are_actions_and_then_body_parts() -> None:
    rows = torch.tensor([[[0.0, 1.0, 2.0, -1.0, 3.0]]])
    logits, body = split_rows(rows, PARENTS)
    assert num_rows(3, PARENTS.tolist()) == 3 + 2
    assert body is not None
    assert body.logits_BPJ.tolist() == [[[-1.0, 3.0]]]
    sigmoid = torch.sigmoid
    expected = sigmoid(rows[0, 0, [3, 3, 4]]) * sigmoid(rows[0, 0, :3])
    torch.testing.assert_close(logits[0, 0].sigmoid(), expected)
    assert split_rows(rows, PARENTS[:0]) == (rows, None)


def test_a_body_part_is_wanted_with_any_of_its_actions() -> None:
    head = BodyLogits(torch.zeros(1, 3, 2), PARENTS)
    classes = torch.tensor([[[1.0, 1, 0], [0, 0, 1], [0, 0, 0]]])
    assert head.targets(classes)[0].tolist() == [[1, 0], [0, 1], [0, 0]]
