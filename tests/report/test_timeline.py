from pathlib import Path

import numpy as np
import pytest

from mmad.labels import MA52
from mmad.report.timeline import draw_timeline
from mmad.structures import Annotations, Detections

pytestmark = pytest.mark.slow

FOUND = Detections([[0, 2], [1, 4], [3, 9]], [9, 8, 24], [0.9, 0.5, 0.05])
TRUTH = Annotations([[0.0, 2.2]], [9])


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_timeline_is_drawn(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    frames = [(t, np.full((20, 30, 3), 99, np.uint8)) for t in (1.0, 5.0)]
    draw_timeline(
        path,
        video_id="v",
        duration_seconds=9.0,
        detections=FOUND,
        labels=MA52,
        annotations=TRUTH,
        frames=frames,
    )
    assert path.stat().st_size > 2000


def test_timeline_shows_what_is_sure_enough(tmp_path: Path) -> None:
    path = tmp_path / "t.svg"
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_timeline(path, video_id="v", duration_seconds=9.0, detections=FOUND, labels=MA52)
    text = path.read_text()
    assert "B1 nodding  0.90" in text
    assert "B3 turning head  0.50" in text
    assert "D3 shaking legs" not in text


def test_empty_timeline(tmp_path: Path) -> None:
    draw_timeline(
        tmp_path / "t.png", video_id="v", duration_seconds=9.0, detections=Detections(), labels=MA52
    )
    assert (tmp_path / "t.png").exists()


def svg_of(path: Path, **options: object) -> str:
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_timeline(path, **options)  # type: ignore[arg-type]
    return path.read_text()


def many(count: int, duration: float) -> Detections:
    rng = np.random.default_rng(1)
    start = rng.uniform(0, duration - 2, count)
    return Detections(np.stack([start, start + 2], 1), np.arange(count) % 52, rng.random(count))


def test_an_hour_has_one_row_for_each_action(tmp_path: Path) -> None:
    path = tmp_path / "hour.svg"
    text = svg_of(
        path, video_id="v", duration_seconds=3600.0, detections=many(600, 3600.0), labels=MA52
    )
    assert text.count("B1 nodding") == 1
    assert "1:00:00" in text
    assert "G4 scratching feet" in text


def test_names_with_dollars_are_no_formulas(tmp_path: Path) -> None:
    text = svg_of(
        tmp_path / "t.svg",
        video_id="price_$5_to_$6_{",
        duration_seconds=9.0,
        detections=FOUND,
        labels=MA52,
    )
    assert "price_$5_to_$6_{" in text


def test_only_so_many_detections_a_minute(tmp_path: Path) -> None:
    text = svg_of(
        tmp_path / "t.svg",
        video_id="v",
        duration_seconds=60.0,
        detections=many(200, 60.0),
        labels=MA52,
        min_score=0.0,
        max_detections=30,
    )
    assert "best 30 of 200 detections" in text
