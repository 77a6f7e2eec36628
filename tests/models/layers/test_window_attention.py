"""Windows of a map: which tokens see each other, and with which bias."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from mmad.models.layers.window_attention import WindowAttention, Windows


def groups(size: tuple[int, int, int], **windows: tuple[int, int, int]) -> set[frozenset[int]]:
    """Places (numbered through the map, -1 for padding) that see each other."""
    cut = Windows.fitted(size, **windows)
    places_THW = torch.arange(math.prod(size)).reshape(size)
    places_WL = cut.cut(places_THW[None, ..., None] + 1)[0, :, :, 0] - 1
    mask = cut.mask()
    found = set()
    for number, window in enumerate(places_WL.tolist()):
        for row in range(len(window)):
            seen = [True] * len(window) if mask is None else (mask[number, 0, row] == 0).tolist()
            found.add(
                frozenset(place for place, is_seen in zip(window, seen, strict=True) if is_seen)
            )
    return found


def line(*groups: range | tuple[int, ...]) -> set[frozenset[int]]:
    return {frozenset(group) for group in groups}


def test_windows_of_a_row_by_hand() -> None:
    window = (1, 1, 7)
    plain = groups((1, 1, 14), window=window, shift=(0, 0, 0))
    assert plain == line(range(7), range(7, 14))
    # Moved by three towards the end, what is left over on either side stays apart.
    shifted = groups((1, 1, 14), window=window, shift=(0, 0, 3))
    assert shifted == line(range(3), range(3, 10), range(10, 14))


def test_padding_lies_at_the_end_and_is_seen() -> None:
    assert groups((1, 1, 5), window=(1, 1, 3), shift=(0, 0, 0)) == line(range(3), (3, 4, -1))
    # Rolled, 1 2 3 | 4 pad 0: the first token comes from the other end.
    assert groups((1, 1, 5), window=(1, 1, 3), shift=(0, 0, 1)) == line((1, 2, 3), (4, -1), (0,))


def test_only_the_dimension_that_a_window_covers_is_not_shifted() -> None:
    found = groups((2, 2, 4), window=(2, 2, 2), shift=(1, 1, 1))
    assert found == groups((2, 2, 4), window=(2, 2, 2), shift=(0, 0, 1))
    columns = [{t * 8 + h * 4 + w for t in (0, 1) for h in (0, 1)} for w in range(4)]
    assert found == line(tuple(columns[0]), tuple(columns[1] | columns[2]), tuple(columns[3]))


@pytest.mark.parametrize("shift", [(0, 0, 0), (2, 1, 1)])
def test_joining_undoes_cutting(shift: tuple[int, int, int]) -> None:
    x = torch.randn(2, 5, 6, 7, 3)
    windows = Windows.fitted((5, 6, 7), window=(4, 3, 3), shift=shift)
    assert torch.equal(windows.join(windows.cut(x)), x)


def by_hand(layer: WindowAttention, x_LC: Tensor, places: list[tuple[int, ...]]) -> Tensor:
    """Attention of one head, token by token; places give the relative biases."""
    q, k, v = (x_LC @ layer.qkv.weight.T + layer.qkv.bias).chunk(3, dim=1)
    rows = []
    for query, there in zip(q, places, strict=True):
        scores = []
        for key, here in zip(k, places, strict=True):
            t, h, w = (a - b + s - 1 for a, b, s in zip(there, here, FULL, strict=True))
            bias = layer.bias_table[(t * (2 * FULL[1] - 1) + h) * (2 * FULL[2] - 1) + w, 0]
            scores.append(query @ key / len(query) ** 0.5 + bias)
        rows.append(torch.stack(scores).softmax(dim=0) @ v)
    return torch.stack(rows) @ layer.proj.weight.T + layer.proj.bias


FULL = (2, 3, 3)


# A smaller window has the biases of the first tokens of the full one in its order, not its own.
@pytest.mark.parametrize("window", [FULL, (2, 2, 3), (1, 2, 2)])
def test_attention_token_by_token(window: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    layer = WindowAttention(4, num_heads=1, window=FULL, qkv_bias=True)
    torch.nn.init.normal_(layer.bias_table)
    torch.nn.init.normal_(layer.qkv.bias)
    x_LC = torch.randn(math.prod(window), 4)
    places = list(itertools.product(*(range(size) for size in FULL)))[: len(x_LC)]
    found = layer(x_LC[None, None], None)[0, 0]
    torch.testing.assert_close(found, by_hand(layer, x_LC, places), rtol=1e-5, atol=1e-6)
    if window == (1, 2, 2):
        own = list(itertools.product(*(range(size) for size in window)))
        assert (found - by_hand(layer, x_LC, own)).abs().max() > 1e-3
