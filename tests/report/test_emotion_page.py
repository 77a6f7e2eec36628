"""The page of predicted emotions, its contents and in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmad.evaluation.emotions.metrics import evaluate_emotions
from mmad.evaluation.emotions.predictions import EmotionPredictions
from mmad.labels import MA52
from mmad.report.emotion_page import surest_mistakes_first, write_emotion_page
from mmad.structures import EmotionRecord

pytestmark = pytest.mark.slow

NASTY = '</script><img src=x onerror="window.hacked=1">'
# The emotion of each video, and the probabilities of all.
FELT = {"a": 0, "b": 1, f"c{NASTY}": 1, "d": 4}
SCORES = [[0.9, 0.1, 0, 0, 0], [0.7, 0.3, 0, 0, 0], [0.4, 0.6, 0, 0, 0], [0, 0, 0, 0.8, 0.2]]
ACTIONS = [(9, 32), (9,), (), (48,)]


def write(path: Path, *, has_actions: bool = True) -> dict:
    videos = [
        EmotionRecord(name, emotion, actions, "val")
        for (name, emotion), actions in zip(FELT.items(), ACTIONS, strict=True)
    ]
    labels = np.arange(52 if has_actions else 0)
    scores = np.random.default_rng(0).random((4, len(labels)))
    predictions = EmotionPredictions(tuple(FELT), np.array(SCORES), scores, labels)
    write_emotion_page(
        path,
        title=f"run of {NASTY}",
        videos=videos,
        labels=MA52,
        predictions=predictions,
        report=evaluate_emotions(predictions, videos, labels=MA52),
        pictures={"a": b"\xff\xd8"},
    )
    first = [video.video_id for video in surest_mistakes_first(videos, predictions)]
    assert first == ["d", "b", "a", f"c{NASTY}"]  # 0.8 and 0.7 are wrong, then 0.9 and 0.6
    match = re.search(r'id="content">(.*?)</script>', path.read_text(), flags=re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def test_the_numbers_of_the_page(tmp_path: Path) -> None:
    content = write(tmp_path / "r.html")
    assert "<img src=x" not in (tmp_path / "r.html").read_text()
    assert content["tiles"][0][:2] == ["accuracy", 2 / 4]
    sadness = content["classes"][1]
    assert (sadness["videos"], sadness["recall"], sadness["precision"]) == (2, 1 / 2, 1 / 1)
    assert sadness["taken"] == "joy"
    assert content["classes"][2]["recall"] is None
    assert len(content["precisions"]) == 52
    first = content["videos"][0]
    shown = [label for label, _ in first["shown"]]
    assert {9, 32} <= set(shown)
    assert 6 <= len(shown) <= 6 + 2  # the likeliest and both annotated ones
    assert first["picture"].startswith("data:image/jpeg;base64,")
    assert content["videos"][1]["picture"] is None


def test_faces_alone_have_no_actions(tmp_path: Path) -> None:
    content = write(tmp_path / "r.html", has_actions=False)
    assert content["precisions"] == []
    assert [name for name, *_ in content["tiles"]] == [
        *("accuracy", "F1, weighted", "F1, macro", "mean recall")
    ]


@pytest.fixture
def page(browser, tmp_path: Path) -> Iterator:  # type: ignore[no-untyped-def]
    write(tmp_path / "r.html")
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.goto((tmp_path / "r.html").as_uri())
    opened.wait_for_selector("#video svg")
    yield opened
    assert troubles == []
    assert opened.evaluate("window.hacked") is None
    opened.close()


def test_the_page_in_a_browser(page, cut_labels) -> None:  # type: ignore[no-untyped-def]
    assert page.locator("#list .item").count() == 4
    assert page.locator("#list img").count() == 1
    assert page.locator("#video h3").first.text_content() == "d"
    page.locator("#only-wrong").check()
    assert page.locator("#list .item").count() == 2
    page.locator("#clear").click()
    page.locator("#actions").get_by_role("button", name="B1 nodding").click()
    assert page.locator("#list .item").count() == 2
    page.locator("#emotions").get_by_role("button", name="sadness", exact=True).click()
    assert page.locator("#list .item").count() == 2
    for width in (1440, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.wait_for_timeout(100)
        assert cut_labels(page) == []
