import torch

from mmad.models.layers.transformer import sinusoid_table


def test_sinusoid_table_by_hand() -> None:
    table = sinusoid_table(3, 4)
    expected = torch.tensor([2.0, 2.0, 2 / 100, 2 / 100]).double()
    torch.testing.assert_close(
        table[2].double(),
        torch.stack([expected[0].sin(), expected[1].cos(), expected[2].sin(), expected[3].cos()]),
    )
