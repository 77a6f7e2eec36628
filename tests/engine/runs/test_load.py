import torch

from mmad.engine.runs.load import rows_of_parts


def test_actions_start_from_the_rows_of_their_body_part() -> None:
    parents = (0, 0, 1)
    parts = torch.arange(2.0)[:, None] + torch.tensor([[0.0, 10.0]])
    weights = {"out": parts, "offsets": torch.arange(4.0), "same": torch.ones(2)}
    state = {"out": torch.zeros(3, 2), "offsets": torch.zeros(6), "same": torch.zeros(2)}
    found = rows_of_parts(weights, state, parents, num_parts=2)
    assert found["out"].tolist() == parts[[0, 0, 1]].tolist()
    assert found["offsets"].tolist() == [0, 1, 0, 1, 2, 3]  # two rows for each class
    assert found["same"].tolist() == [1, 1]
    head = rows_of_parts(weights, {**state, "out": torch.zeros(5, 2)}, parents, num_parts=2)
    assert head["out"].tolist() == parts[[0, 0, 1, 0, 1]].tolist()
