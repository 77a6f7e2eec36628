"""Best detections of a video: their order, tIoU, rows and colours."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.patches import Rectangle

from mmad.evaluation.best_detections import best_detections, richest_videos
from mmad.labels import MA52
from mmad.report.blocks import strip_inches
from mmad.report.detector_figures.best_detections import draw_best_detections
from support.detections import detect, record
from support.figures import is_whole, texts_of

pytestmark = pytest.mark.slow

VIDEO = record("v0", (4, 8, 9), (0, 4, 24), duration=10.0)
# Half of the second annotation, label 24; the whole first, but of another label; beside it.
FOUND = detect((0, 2, 24, 0.9), (4, 8, 10, 0.7), (9, 10, 9, 0.8), (4, 8, 9, 0.1))


def test_detections_are_by_score_and_their_tiou_is_of_their_label() -> None:
    best = best_detections(VIDEO, FOUND, count=3)
    assert best.annotations.labels.tolist() == [24, 9]
    assert best.detections.scores.tolist() == [0.9, 0.8, 0.7]
    assert best.tiou.tolist() == [2 / 4, 0.0, 0.0]
    assert best_detections(VIDEO, FOUND, count=10).tiou.tolist()[-1] == 1.0
    assert best_detections(VIDEO, detect(), count=10).tiou.tolist() == []


def test_the_videos_with_the_most_labels_are_shown() -> None:
    twice = record("v1", (0, 1, 3), (2, 3, 3), (4, 5, 3))
    records = [twice, VIDEO, record("v2", (0, 1, 1), (0, 1, 2), (0, 1, 3))]
    found = {"v0": FOUND, "v1": FOUND}
    assert [one.video_id for one in richest_videos(records, found, count=2)] == ["v0", "v1"]
    assert [one.video_id for one in richest_videos(records, {}, count=1)] == ["v2"]


@pytest.mark.parametrize("width", [3.5, 7.0])
def test_rows_are_annotations_then_detections_in_the_colour_of_their_tiou(width: float) -> None:
    strip = [(1.0, np.zeros((4, 6, 3), np.uint8)), (3.0, np.zeros((4, 6, 3), np.uint8))]
    shown = [best_detections(VIDEO, FOUND, count=10), best_detections(VIDEO, detect(), count=10)]
    drawn = draw_best_detections(shown, [strip, []], labels=MA52, width_inches=width)
    axis = drawn.figure.axes[1]  # below the strip
    bars = [part for part in axis.patches if isinstance(part, Rectangle)]
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [
        (0, 4), (4, 4), (0, 2), (9, 1), (4, 4), (4, 4)
    ]  # fmt: skip
    colours = [bar.get_facecolor() for bar in bars[2:]]
    assert colours == [colormaps["viridis"](value) for value in (0.5, 0.0, 0.0, 1.0)]
    texts = texts_of(drawn.figure)
    assert f"{MA52.title(24)}  gt-1" in texts
    assert f"{MA52.title(9)} 0.10  pred-4" in texts
    assert is_whole(drawn.figure)
    assert drawn.rows[2] == ("v0", "pred-1", MA52.title(24), 0.0, 2.0, 0.9, 0.5)
    assert len(drawn.rows) == 2 + 4 + 2


def test_frames_are_undistorted() -> None:
    # Two frames of 3:2 and a gap of 3 % over 6.2 in: 0.97 * 6.2 / (2 * 1.5) high.
    frame = np.zeros((4, 6, 3), np.uint8)
    assert strip_inches([(0, frame), (1, frame)], width_inches=6.2) == 0.97 * 6.2 / 3
    assert strip_inches([], width_inches=6.2) == 0
