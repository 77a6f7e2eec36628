from pathlib import Path

import numpy as np
import pytest

import mmad
from mmad.api.results import RecognizedEmotion
from mmad.labels import flat_labels
from mmad.structures import VideoRecord


def made(scores: list[float] | None = None, *, seconds: float = 12.0) -> mmad.Detections:
    return mmad.Detections(
        [[0.5, 2.0], [1.0, 3.0], [8.0, 9.5]],
        [9, 10, 0],
        [0.9, 0.5, 0.05] if scores is None else scores,
        video=VideoRecord("P01 <b>", seconds, "none"),
        label_map=mmad.MA52,
    )


def test_indexing_keeps_the_video_and_the_labels() -> None:
    found = made()
    for chosen, number in (
        (found[found.scores > 0.3], 2),
        (found[:1], 1),
        (found[2], 1),
        (found[[0, 2]], 2),
        (found.by_score(), 3),
        (found[found.scores > 1], 0),
    ):
        assert isinstance(chosen, mmad.Detections)
        assert (len(chosen), chosen.video_id) == (number, "P01 <b>")
    assert (
        [one.label for one in found] == found.names == ["nodding", "shaking head", "shaking body"]
    )
    assert repr(found) == (
        "<3 detections in 'P01 <b>' (12.0 s); best: nodding 0.90 at 0.5 to 2.0 s>"
    )


def test_a_notebook_shows_a_timeline_without_scripts() -> None:
    page = made()._repr_html_()
    assert "P01 &lt;b&gt;" in page
    assert "<b>P01 <b>" not in page
    assert "2 of 3 detections with a score of at least 0.1" in page
    assert 'title="B1 nodding, 0.50 to 2.00 s, score 0.90"' in page
    assert page.count("position:absolute;box-sizing") == 2
    for word in ("<script", "<style", "http", "#000", "#fff"):
        assert word not in page
    assert page.count("<div") == page.count("</div")
    assert "none of 3 detections" in made([0.03, 0.02, 0.01])._repr_html_()
    assert "no detections" in made()[:0]._repr_html_()
    flat = mmad.Detections(
        [[0, 1]], [1], [0.5], video=VideoRecord("a", 0.0, "none"), label_map=flat_labels("ab")
    )
    assert "actions" in flat._repr_html_()


def test_a_plot_is_a_figure_that_notebooks_show(tmp_path: Path) -> None:
    figure = made().plot(tmp_path / "timeline.svg")
    assert (tmp_path / "timeline.svg").is_file()
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(mmad.MmadError, match=r"expected a figure ending in .png"):
        made().plot(tmp_path / "timeline.gif")
    with pytest.raises(mmad.MmadError, match="have no video file"):
        made().to_elan(tmp_path / "x.eaf")


def test_tables_come_back_as_they_were() -> None:
    found = made()
    frame = found.to_frame()
    assert frame["label"].tolist() == found.names
    assert frame["body_part"].tolist() == ["head", "head", "body"]
    (back,) = mmad.read_predictions(frame)
    np.testing.assert_array_equal(back.segments_seconds, found.segments_seconds)
    np.testing.assert_array_equal(back.labels, found.labels)
    assert len(mmad.to_frame([found, found])) == 6
    with pytest.raises(mmad.MmadError, match="missing score"):
        mmad.read_predictions(frame.drop(columns="score"))
    with pytest.raises(mmad.MmadError, match="did you mean 'nodding'"):
        mmad.read_predictions(frame.replace("nodding", "noding"))
    with pytest.raises(mmad.MmadError, match="found no results"):
        mmad.to_frame([])


def test_recognitions_and_emotions_have_tables_and_pages() -> None:
    scores = np.zeros(52)
    scores[9] = 0.7
    one = mmad.Recognition("clip.mp4", scores, np.eye(7)[1], mmad.MA52)
    assert (one.label, one.body_part, one.top(1)) == ("nodding", "head", [("nodding", 0.7)])
    assert repr(one).startswith("<'clip.mp4': nodding 0.70, ")
    assert "70.0 %" in one._repr_html_()
    assert one.to_frame()["label"].iloc[0] == "nodding"
    felt = RecognizedEmotion("a", np.eye(5)[2], np.array([0.2, 0.8]), np.array([9, 10]), mmad.MA52)
    assert (felt.emotion, felt.actions()) == ("surprise", [("shaking head", 0.8)])
    assert repr(felt) == "<'a': surprise 1.00; 1 action>"
    assert "shaking head" in felt._repr_html_()
    assert felt.to_frame()["kind"].tolist() == ["emotion"] * 5 + ["action"] * 2
