"""The page of a recogniser, its contents and in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import PredictionError
from mmad.evaluation.clips.details import (
    RecognitionDetails,
    flatten,
    read_details,
    write_details,
)
from mmad.evaluation.clips.recognition import evaluate_recognition
from mmad.evaluation.clips.scores import RecognitionScores, to_recognitions
from mmad.labels import MA52
from mmad.report.recognition_page import write_recognition_page
from mmad.structures import ClipRecord
from support.browser import wait_until

pytestmark = pytest.mark.slow

NASTY = '</script><img src=x onerror="window.hacked=1">'


def write(path: Path, *, num_clips: int = 30, details: bool = True) -> list[ClipRecord]:
    rng = np.random.default_rng(0)
    clips = [
        ClipRecord(f"{NASTY}{n}.mp4", int(rng.integers(0, 12)), "val") for n in range(num_clips)
    ]
    scores = rng.dirichlet(np.ones(52) * 0.1, num_clips)
    for row in range(0, num_clips, 2):  # every second one is right
        scores[row] = 0.5 * scores[row] + 0.5 * np.eye(52)[clips[row].label]
    parts = scores @ np.eye(7)[list(MA52.parents)]
    ids = tuple(clip.clip_id for clip in clips)
    table = RecognitionScores(ids, scores, parts)
    extra = RecognitionDetails(
        ids, rng.normal(size=(num_clips, 8)), rng.dirichlet(np.ones(52), (num_clips, 8))
    )
    write_recognition_page(
        path,
        title=f"run of {NASTY}",
        clips=clips,
        labels=MA52,
        report=evaluate_recognition(to_recognitions(table), clips, labels=MA52),
        scores=table,
        details=extra if details else None,
    )
    return clips


def content_of(path: Path) -> dict:
    match = re.search(r'id="content">(.*?)</script>', path.read_text(), flags=re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def test_the_numbers_of_the_page(tmp_path: Path) -> None:
    clips = write(tmp_path / "r.html")
    assert "<img" not in (tmp_path / "r.html").read_text()
    content = content_of(tmp_path / "r.html")
    level = content["levels"]["action"]
    confusion = np.array(level["confusion"])
    assert confusion.sum() == len(clips)
    assert np.trace(confusion) / len(clips) == pytest.approx(level["top1"])
    for label, row in enumerate(level["classes"]):
        assert row["clips"] == sum(clip.label == label for clip in clips)
        if row["clips"]:
            assert row["recall"] == confusion[label, label] / row["clips"]
    first = content["clips"][0]
    assert first["guesses"][0] == first["truth"]
    assert first["truth"] in first["curves"]["labels"]
    assert len(first["curves"]["values"][0]) == 8
    assert 0 <= min(content["features"]["x"]) <= max(content["features"]["x"]) <= 1


def test_without_details_there_are_no_features(tmp_path: Path) -> None:
    write(tmp_path / "r.html", details=False)
    content = content_of(tmp_path / "r.html")
    assert content["features"] is None
    assert content["clips"][0]["curves"] is None


def test_a_plane_of_few_points_is_that_of_principal_components() -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 1e-9]])
    plane, how = flatten(points, seed=0)
    assert "principal components" in how
    steps = np.diff(plane[:, 0])
    assert (np.sign(steps) == np.sign(steps[0])).all()
    assert flatten(np.zeros((1, 1)), seed=0)[0].shape == (1, 2)


def test_tsne_has_a_seed() -> None:
    pytest.importorskip("sklearn")
    points = np.random.default_rng(0).normal(size=(40, 5))
    one, other = flatten(points, seed=3), flatten(points, seed=3)
    assert "t-SNE" in one[1]
    np.testing.assert_array_equal(one[0], other[0])


def test_details_are_read_back_and_damage_is_told(tmp_path: Path) -> None:
    details = RecognitionDetails(("a.mp4",), np.ones((1, 3)), np.zeros((1, 0, 0)))
    write_details(tmp_path / "d.npz", details)
    back = read_details(tmp_path / "d.npz")
    assert back.clip_ids == ("a.mp4",)
    assert back.features.tolist() == [[1.0, 1.0, 1.0]]
    whole = (tmp_path / "d.npz").read_bytes()
    for damaged in (whole[:40], b"text", b""):
        (tmp_path / "d.npz").write_bytes(damaged)
        with pytest.raises(PredictionError, match=r"d\.npz: .*; expected what mmad predict"):
            read_details(tmp_path / "d.npz")


@pytest.fixture
def page(browser, tmp_path: Path) -> Iterator:  # type: ignore[no-untyped-def]
    write(tmp_path / "r.html")
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    troubles: list[str] = []
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.goto((tmp_path / "r.html").as_uri())
    opened.wait_for_selector("#clip svg")
    yield opened
    assert troubles == []
    assert opened.evaluate("window.hacked") is None
    opened.close()


def test_the_page_in_a_browser(page) -> None:  # type: ignore[no-untyped-def]
    assert page.locator("h2").first.text_content() == "Surest mistakes first"
    assert page.locator("#features circle").count() == 30
    assert page.locator("#list .item").count() == 30
    page.locator("#only-wrong").check()
    assert page.locator("#list .item").count() < 30
    before = page.locator("#clip h3").first.text_content()
    page.locator("h1").click()
    page.keyboard.press("n")
    assert page.locator("#clip h3").first.text_content() != before
    page.get_by_role("button", name="Body parts", exact=True).click()
    assert page.locator("#classes tbody tr").count() == 7
    page.get_by_role("button", name="F1 (%)").click()
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_field_of_the_matrix_leads_to_its_clips(page) -> None:  # type: ignore[no-untyped-def]
    counts = "content.levels.action.confusion"
    most = page.evaluate(f"Math.max(...{counts}.flat())")
    page.locator("#confusion .cell").nth(
        page.evaluate(
            "[...document.querySelectorAll('#confusion .cell')].findIndex("
            f"(cell) => cell.getAttribute('aria-label').includes('{most} of'))"
        )
    ).click()
    assert page.locator("#list .item").count() == most
    page.locator("#clear").click()
    assert page.locator("#list .item").count() == 30


@pytest.mark.parametrize("width", [360, 1440])
def test_no_label_is_cut(page, cut_labels, width: int) -> None:  # type: ignore[no-untyped-def]
    page.set_viewport_size({"width": width, "height": 800})
    for level in ("Body parts", "Actions"):
        page.get_by_role("button", name=level, exact=True).click()
        wait_until(page, "document.querySelectorAll('#clip svg').length === 2")
        assert cut_labels(page) == []
