"""The figures of the error analysis: titles, ranges, and numbers that can be read."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from mmad.evaluation.error_analysis import LevelErrors, analyse_errors
from mmad.labels import MA52
from mmad.report.detector_figures.error_figures import FIGURES, PROFILES
from mmad.report.detector_figures.error_profiles import draw_false_negatives, draw_sensitivity
from mmad.report.error_tables import bucket_ranges
from mmad.structures import Annotations, Detections, VideoRecord
from mmad.wording import rounded
from support.figures import is_whole

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def errors() -> LevelErrors:
    rng = np.random.default_rng(0)
    records, found = [], {}
    for number in range(30):
        start = rng.uniform(0, 20, 4)
        segments = np.stack((start, start + rng.uniform(0.5, 12, 4)), axis=1)
        labels = rng.integers(0, 20, 4)
        record = VideoRecord(f"v{number}", 40.0, "val", annotations=Annotations(segments, labels))
        records.append(record)
        found[f"v{number}"] = Detections(
            np.concatenate((segments[:2], segments + 0.5)),
            np.concatenate((labels[:2], (labels + number % 3) % 20)),
            rng.uniform(0.1, 1, 6),
        )
    return analyse_errors(found, records, labels=MA52).levels["action"]


def numbers_of(figure: Figure) -> list[list[str]]:
    return [
        [text.get_text() for text in axis.texts if re.fullmatch(r"-?[\d.]+|none", text.get_text())]
        for axis in figure.axes
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_every_panel_has_a_title_and_no_text_is_cut(name: str, errors: LevelErrors) -> None:
    figure = FIGURES[name](errors)
    figure.draw_without_rendering()
    for axis in figure.axes:
        assert axis.get_title()
        for text in (axis.title, axis.xaxis.label, axis.yaxis.label, *axis.texts):
            if not text.get_text():
                continue
            box = text.get_window_extent()
            assert box.x0 >= figure.bbox.x0 - 1
            assert box.x1 <= figure.bbox.x1 + 1


@pytest.mark.parametrize(
    ("name", "width"), [("false_positives", 3.5), ("false_negatives", 3.5), ("sensitivity", 7.0)]
)
def test_profiles_of_both_levels_are_whole(name: str, width: float, errors: LevelErrors) -> None:
    drawn = PROFILES[name]({"action": errors, "body": errors}, width_inches=width)
    assert drawn.figure.get_figwidth() == width
    assert is_whole(drawn.figure)
    assert {row[0] for row in drawn.rows} == {"action", "body"}


def test_tables_of_profiles_hold_what_is_drawn(errors: LevelErrors) -> None:
    levels = {"action": errors}
    rows = PROFILES["false_positives"](levels, width_inches=7.0).rows
    cells = {row[:4]: row[4] for row in rows}
    assert cells["action", "share", "2G", "background"] == 100 * errors.false_positives[1, 5]
    assert cells["action", "gain", "", "wrong label"] == 100 * errors.gain[1]
    rows = PROFILES["false_negatives"](levels, width_inches=7.0).rows
    assert rows[-1] == ("action", "all", "", 30 * 4, 100 * errors.missed())
    assert rows[1][1:3] == ("share of the video (%)", "S (20–40)")
    assert rows[1][4] == 100 * errors.false_negatives("coverage")[1]


@pytest.mark.parametrize("draw", [draw_false_negatives, draw_sensitivity])
def test_buckets_have_their_ranges_and_rounded_numbers(draw, errors: LevelErrors) -> None:  # type: ignore[no-untyped-def]
    figure = draw({"action": errors}, width_inches=7.0).figure
    values_of = errors.false_negatives if draw is draw_false_negatives else errors.sensitivity
    for axis, name, numbers in zip(
        figure.axes, ("coverage", "length", "instances"), numbers_of(figure), strict=True
    ):
        labels = [label.get_text() for label in axis.get_xticklabels()]
        assert labels[0].startswith("XS\n")
        assert [label.split("\n")[1] for label in labels] == bucket_ranges(name)
        values = [100 * value for value in values_of(name)]
        assert numbers == ["none" if np.isnan(v) else rounded(v, 1) for v in values]


@pytest.mark.parametrize("share", np.linspace(0.05, 0.95, 10))
def test_no_dashed_line_runs_through_a_number(share: float, errors: LevelErrors) -> None:
    class Made(LevelErrors):
        """Missed shares around the one of all."""

        def missed(self, where: np.ndarray | None = None) -> float:
            return share

        def false_negatives(self, characteristic: str) -> list[float]:
            return [max(share - step, 0.0) for step in (0, 0.01, 0.02, 0.04, 0.08)][
                : len(bucket_ranges(characteristic))
            ]

    made = Made(**{name: getattr(errors, name) for name in LevelErrors.__dataclass_fields__})
    figure = draw_false_negatives({"action": made}, width_inches=7.0).figure
    figure.draw_without_rendering()
    for axis in figure.axes:
        line = axis.transData.transform((0, 100 * share))[1]
        for text in axis.texts:
            box = text.get_window_extent()
            assert not box.y0 < line < box.y1, (text.get_text(), share)


def test_halves_are_rounded_alike_everywhere() -> None:
    # 6.25 is a tie in binary; Python's own formatting gives 6.2 where browsers give 6.3.
    assert rounded(6.25, 1) == "6.3"
    assert rounded(100 * 0.0625, 1) == "6.3"
    assert rounded(1e300, 1).startswith("1")
