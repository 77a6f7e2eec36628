"""The tree of labels: every action with its number, whole at both widths."""

import numpy as np
import pytest

from mmad.annotations.description.instances import Instances
from mmad.labels import MA52, flat_labels
from mmad.report.data_figures.label_tree import draw_label_tree
from support.figures import is_whole, texts_of

pytestmark = pytest.mark.slow

# B1 (label 9) most of the time.
LABELS = np.array([9] * 12345 + list(range(52)))


@pytest.mark.parametrize(("width", "num_columns"), [(3.5, 1), (7.0, 2)])
def test_every_action_has_its_number_and_share(width: float, num_columns: int) -> None:
    drawn = draw_label_tree(Instances("all", LABELS, None), labels=MA52, width_inches=width)
    assert len(drawn.figure.axes) == num_columns
    texts = texts_of(drawn.figure)
    total = 12345 + 52
    assert "12,346 (99.6 %)" in texts  # 100 * 12346 / 12397
    assert f"{12345 + 6:,} (99.6 %)" in texts  # the six actions of the head
    assert set(map(MA52.title, range(52))) <= set(texts)
    assert dict((row[1], row[2:]) for row in drawn.rows)["B1 nodding"] == (
        12346,
        pytest.approx(100 * 12346 / total),
    )
    assert is_whole(drawn.figure)


def test_a_flat_label_set_is_a_list() -> None:
    flat = flat_labels(("costs $5", "a" * 60))
    drawn = draw_label_tree(Instances("all", np.array([1]), None), labels=flat, width_inches=7.0)
    assert "a" * 34 + "…" in texts_of(drawn.figure)
    assert [row[0] for row in drawn.rows] == ["", ""]
    assert [len(axis.patches) for axis in drawn.figure.axes] == [1, 1]  # a bar in each column
    assert is_whole(drawn.figure)
