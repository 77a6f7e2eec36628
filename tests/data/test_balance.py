import numpy as np

from mmad.config.data import BalanceSettings
from mmad.data.balance import BalancedOrder, rarest_classes
from mmad.structures import Annotations


def test_videos_with_rare_classes_are_repeated() -> None:
    videos = [[0, 0], [0, 0, 1], [0, 0], [0, 0]]
    found = [Annotations(np.zeros((len(one), 2)), np.array(one)) for one in videos]
    classes, counts = rarest_classes(found)
    assert classes.tolist() == [0, 1, 0, 0]
    assert counts.tolist() == [8, 1]
    order = BalancedOrder(classes, counts, BalanceSettings(repeat_below=4))
    rng = np.random.default_rng(0)
    # A class with one instance is listed floor(log2(4 / 1)) + 1 times.
    assert [order.item(place, rng=rng) for place in range(len(order))] == [0, 1, 1, 1, 2, 3]


def test_without_balance_the_order_draws_no_random_numbers() -> None:
    order = BalancedOrder([0, 1], [1, 1], BalanceSettings())
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert [order.item(place, rng=rng) for place in range(len(order))] == [0, 1]
    assert rng.bit_generator.state == before


def test_balanced_classes_are_drawn_equally() -> None:
    classes = [0] * 9 + [1]
    order = BalancedOrder(classes, [9, 1], BalanceSettings(balance_exponent=0.0))
    rng = np.random.default_rng(0)
    drawn = [classes[order.item(0, rng=rng)] for _ in range(2000)]
    assert abs(np.mean(drawn) - 1 / 2) < 0.05
