"""Mean and deviation of lengths by body part and action."""

import numpy as np
import pytest

from mmad.annotations.description.instances import Instances, instances_of_videos, merged
from mmad.labels import MA52
from mmad.report.data_figures.durations import draw_durations
from support.detections import record
from support.figures import is_whole, texts_of
from support.scores import SMALL

pytestmark = pytest.mark.slow


def test_bars_are_means_with_deviations_that_end_at_zero() -> None:
    records = [record("v0", (0, 1, 0), (2, 5, 0)), record("v1", (0, 2, 2))]
    drawn = draw_durations(merged(instances_of_videos(records)), labels=SMALL, width_inches=3.5)
    body, action = drawn.figure.axes
    # Lengths of 1 and 3 s have the mean 2 and the sample deviation sqrt(2).
    assert [bar.get_height() for bar in action.patches] == [2.0, 0.0, 2.0]
    assert [bar.get_height() for bar in body.patches] == [2.0, 2.0]
    assert drawn.rows[2] == ("action", "a", 2, 2.0, pytest.approx(2**0.5))
    assert drawn.rows[3] == ("action", "b", 0, 0.0, 0.0)
    assert "mean of all, 2.00 s" in texts_of(drawn.figure)
    low, high = action.collections[0].get_segments()[0][:, 1]
    assert (low, high) == (pytest.approx(2 - 2**0.5), pytest.approx(2 + 2**0.5))


def test_no_deviation_reaches_below_zero() -> None:
    seconds = np.array([0.1, 0.1, 9.0])
    drawn = draw_durations(
        Instances("all", np.zeros(3, np.int64), seconds), labels=SMALL, width_inches=3.5
    )
    ends = [segment[0, 1] for axis in drawn.figure.axes for segment in
            axis.collections[0].get_segments()]  # fmt: skip
    assert min(ends) == 0.0


def test_all_of_ma52_fits_a_column() -> None:
    labels = np.arange(52)
    drawn = draw_durations(
        Instances("all", labels, labels / 10 + 0.5), labels=MA52, width_inches=3.5
    )
    assert is_whole(drawn.figure)
