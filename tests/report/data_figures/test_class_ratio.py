"""The class ratio: shares of each subset, in rows of panels that are cut between body parts."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mmad.annotations.description.instances import Instances
from mmad.labels import MA52, flat_labels
from mmad.report.axes import shown_order
from mmad.report.colours import SUBSET_COLOURS
from mmad.report.data_figures.bars import split_order
from mmad.report.data_figures.class_ratio import draw_class_ratio
from support.figures import is_whole, texts_of
from support.scores import SMALL

pytestmark = pytest.mark.slow


def of(name: str, *labels: int) -> Instances:
    return Instances(name, np.array(labels, dtype=np.int64), None)


def test_bars_are_shares_of_their_subset() -> None:
    drawn = draw_class_ratio(
        [of("train", 0, 0, 0, 2), of("val", 1, 2)], labels=SMALL, width_inches=7.0
    )
    body, action = drawn.figure.axes
    for axis, train, val in (
        (body, [100 * 3 / 4, 100 / 4], [100 / 2, 100 / 2]),
        (action, [75, 0, 25], [0, 50, 50]),
    ):
        bars = [
            [bar.get_height() for bar in axis.patches if to_hex(bar.get_facecolor()) == colour]
            for colour in SUBSET_COLOURS[:2]
        ]
        assert bars == [train, val]
    assert {"train (4)", "val (2)", "instances (%)", "x", "a"} <= set(texts_of(drawn.figure))
    assert drawn.rows[0] == ("body", "x", "train", 3, 75.0)
    assert drawn.rows[-1] == ("action", "c", "val", 1, 50.0)
    assert len(drawn.rows) == 2 * (2 + 3)


@pytest.mark.parametrize(("width", "num_panels"), [(7.0, 2), (3.5, 3)])
def test_a_narrow_figure_has_more_rows(width: float, num_panels: int) -> None:
    drawn = draw_class_ratio([of("val", *range(52))], labels=MA52, width_inches=width)
    assert len(drawn.figure.axes) == num_panels
    named = [text.get_text() for axis in drawn.figure.axes[1:] for text in axis.get_xticklabels()]
    assert named == [MA52.codes[label] for label in shown_order(MA52)]
    assert is_whole(drawn.figure)


def test_the_legend_of_many_subsets_has_rows() -> None:
    subsets = [of(f"subset {number}", 0) for number in range(7)]
    drawn = draw_class_ratio(subsets, labels=SMALL, width_inches=3.5)
    drawn.figure.draw_without_rendering()
    bottom = drawn.figure.legends[0].get_window_extent().y0
    assert bottom > max(axis.get_window_extent().y1 for axis in drawn.figure.axes)
    assert is_whole(drawn.figure)


def test_rows_are_cut_between_body_parts_while_they_fit() -> None:
    order = shown_order(MA52)
    # 5 + 6 + 13 actions of the first three body parts, and the other 28.
    assert [len(row) for row in split_order(MA52, order, most=34)] == [24, 28]
    assert [len(row) for row in split_order(MA52, order, most=12)] == [11, 11, 10, 10, 10]
    assert [label for row in split_order(MA52, order, most=12) for label in row] == order
    flat = flat_labels([f"long name of class {n}" for n in range(100)])
    assert [len(row) for row in split_order(flat, range(100), most=40)] == [34, 33, 33]
    drawn = draw_class_ratio([of("val", 3)], labels=flat, width_inches=3.5)
    assert is_whole(drawn.figure)
