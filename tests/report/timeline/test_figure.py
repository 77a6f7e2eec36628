from pathlib import Path

import numpy as np
import pytest

from mmad.evaluation.thresholds import Thresholds
from mmad.labels import MA52, LabelMap
from mmad.report.timeline.contents import TimelineContents
from mmad.report.timeline.figure import draw_timeline
from mmad.structures import Annotations, Detections

pytestmark = pytest.mark.slow

FOUND = Detections([[0, 2], [1, 4], [3, 9]], [9, 8, 24], [0.9, 0.5, 0.05])
TRUTH = Annotations([[0.0, 2.2]], [9])


def contents(detections: Detections = FOUND, *, least: float = 0.1, **changes) -> TimelineContents:
    labels = changes.pop("labels", MA52)
    values = {"video_id": "v", "duration_seconds": 9.0, **changes}
    return TimelineContents(
        detections=detections, labels=labels, thresholds=Thresholds.same(least, labels), **values
    )


def svg_of(path: Path, shown: TimelineContents) -> str:
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_timeline(path / "t.svg", shown)
    return (path / "t.svg").read_text()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_timeline_is_drawn(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    frames = [(t, np.full((20, 30, 3), 99, np.uint8)) for t in (1.0, 5.0)]
    draw_timeline(path, contents(annotations=TRUTH, frames=frames, note="seen: nobody"))
    assert path.stat().st_size > 2000


def test_what_reaches_its_threshold_is_drawn_and_the_rest_is_counted(tmp_path: Path) -> None:
    text = svg_of(tmp_path, contents())
    assert "B1 nodding" in text
    assert "0.90" in text
    assert "D3 shaking legs" not in text
    assert "2 detections with a score of at least 0.1; 1 below it not drawn" in text
    assert "score below 0.2" in text
    own = Thresholds((0.95, *[0.01] * 51), "one for each", 0.01)
    shown = TimelineContents("v", 9.0, FOUND, MA52, own, codes=False, note="drawn people")
    text = svg_of(tmp_path, shown)
    assert "D3" not in text
    assert "shaking legs" in text
    assert "3 detections with a score above their threshold" in text
    assert "drawn people" in text


def test_empty_timeline(tmp_path: Path) -> None:
    assert "no detection reaches its threshold" in svg_of(tmp_path, contents(Detections()))


def many(count: int, duration: float) -> Detections:
    rng = np.random.default_rng(1)
    start = rng.uniform(0, duration - 2, count)
    return Detections(np.stack([start, start + 2], 1), np.arange(count) % 52, rng.random(count))


def test_an_hour_has_panels_with_one_row_for_each_action(tmp_path: Path) -> None:
    text = svg_of(tmp_path, contents(many(600, 3600.0), duration_seconds=3600.0))
    panels = text.count("B1 nodding")
    assert panels > 1
    assert text.count("G4 scratching feet") == panels
    assert "1:00:00" in text


def test_ten_thousand_detections_are_all_drawn(tmp_path: Path) -> None:
    text = svg_of(tmp_path, contents(many(10_000, 180.0), duration_seconds=180.0, least=0.0))
    assert "10000 detections with a score of at least 0<" in text
    assert "not drawn" not in text


def test_hostile_names_are_no_formulas_and_fit(tmp_path: Path) -> None:
    labels = LabelMap(("$x_{", "y" * 500, *map(str, range(50))))
    text = svg_of(tmp_path, contents(labels=labels, video_id="price_$5_to_$6_{" + "z" * 900))
    assert "price_$5_to_$6_{" in text
    draw_timeline(tmp_path / "t.png", contents(labels=labels, video_id="a\nb" * 300))
