import numpy as np
import pytest
import torch

from mmad.config.detectors.actionformer import ActionFormerSettings
from mmad.models.detectors.actionformer.build import FAMILY
from mmad.models.detectors.dense.head import DenseDetector
from support.detector_batches import assert_points_do_not_see_padding, shaken

RANGES = [(0.0, 4.0), (4.0, 8.0), (8.0, 10000.0)]


SMALL = {
    "channels": 16,
    "num_heads": 2,
    "num_embedding": 2,
    "num_stem": 1,
    "num_branch": 2,
    "regression_ranges": RANGES,
    "drop_path": 0.0,
}


def network(**changes: object) -> DenseDetector:
    return shaken(FAMILY.network(ActionFormerSettings(**(SMALL | changes)), 6, 3)).eval()


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("positions", [False, True])
def test_padding_changes_nothing(window: int | None, positions: bool) -> None:
    model = network(attention_window=window, absolute_positions=positions)
    assert_points_do_not_see_padding(model, [23, 40])


def test_peers_pooling_sees_padding() -> None:
    x = torch.randn(1, 6, 23) - 3.0
    padded = torch.nn.functional.pad(x, (0, 9))
    mask = torch.arange(32)[None] < 23
    correct, peers = network(), network(pool_sees_padding=True)
    alone = correct(x, torch.ones(1, 23, dtype=torch.bool))
    keep = correct(padded, mask).mask_BP[0]
    torch.testing.assert_close(
        correct(padded, mask).logits_BPK[0][keep], alone.logits_BPK[0][alone.mask_BP[0]]
    )
    assert not torch.allclose(peers(padded, mask).logits_BPK, correct(padded, mask).logits_BPK)


def test_local_attention_with_a_wide_window_is_global() -> None:
    x, mask = torch.randn(1, 6, 20), torch.ones(1, 20, dtype=torch.bool)
    wide, everywhere = network(attention_window=99), network()
    torch.testing.assert_close(
        wide(x, mask).logits_BPK, everywhere(x, mask).logits_BPK, rtol=1e-4, atol=1e-5
    )


def test_absolute_positions_are_sinusoids_over_the_root_of_the_width() -> None:
    with_positions, without = network(absolute_positions=True), network()
    with_positions.load_state_dict(without.state_dict())
    steps, channels = 12, 16
    rate = 10000.0 ** (-2 * (np.arange(channels) // 2) / channels)
    angle = np.arange(steps)[:, None] * rate
    table = np.where(np.arange(channels) % 2 == 0, np.sin(angle), np.cos(angle)) / 4.0
    seen = []
    for model in (with_positions, without):
        hook = model.pyramid.stem[0].register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0].detach())
        )
        model(torch.randn(1, 6, steps, generator=torch.manual_seed(3)), torch.ones(1, steps) > 0)
        hook.remove()
    np.testing.assert_allclose((seen[0] - seen[1])[0].T, table, atol=1e-5)
