import itertools

import numpy as np
import pytest

from mmad.evaluation.thresholds import Thresholds
from mmad.labels import MA52
from mmad.report.timeline.contents import TimelineContents, panels_of, rows_of, ticks_of
from mmad.structures import Annotations, Detections


def test_rows_are_by_body_part_and_code_with_lanes() -> None:
    found = Detections([[0, 2], [1, 3], [1, 4], [5, 6]], [9, 9, 0, 24], [0.9, 0.5, 0.7, 0.05])
    contents = TimelineContents(
        *("v", 9.0, found, MA52, Thresholds.same(0.1, MA52)), Annotations([[0.0, 2.2]], [9])
    )
    rows = rows_of(contents)
    assert [contents.name(row.label) for row in rows] == ["A1 shaking body", "B1 nodding"]
    assert [(bar.score, bar.lane) for bar in rows[1].bars] == [(None, 0), (0.5, 2), (0.9, 1)]
    assert rows[1].lanes == 3
    assert "1 below it not drawn" in contents.summary()


@pytest.mark.parametrize("seconds", [0.3, 1.0, 10.4, 59.9, 183.0, 3600.0, 86_400.0, 400_000.0])
@pytest.mark.parametrize("most", [1, 4, 40])
def test_panels_cover_the_video_and_ticks_reach_the_end(seconds: float, most: int) -> None:
    panels = panels_of(seconds, most=most)
    assert len(panels) <= most
    assert panels[0][0] == 0
    assert panels[-1][1] == seconds
    assert all(a[1] == b[0] for a, b in itertools.pairwise(panels))
    length = panels[0][1] - panels[0][0]
    for start, end in panels:
        ticks = ticks_of(start, end, length=length)
        assert (ticks[0], ticks[-1]) == (pytest.approx(start), pytest.approx(end))
        assert (np.diff(ticks) > 0).all()
        assert len(ticks) <= 17
