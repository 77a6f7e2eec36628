"""The report in a real browser: it opens, is quiet, and does what its controls say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.formats import read_annotations
from mmad.evaluation.beyond_detad import errors_by_video
from mmad.evaluation.detection import evaluate_detections, parse_tiou
from mmad.evaluation.error_analysis import analyse_errors
from mmad.labels import MA52, LabelMap
from mmad.report.web_page import page_content, write_web_page
from mmad.structures import Annotations, Detections, VideoRecord
from mmad.video.find import find_videos
from mmad.wording import rounded
from support.browser import wait_until
from support.synthetic_data import make_videos

pytestmark = pytest.mark.slow

NASTY = '</script><img src=x onerror="window.hacked=1"> & "b"'


def make(num_videos: int = 4, *, names: str = "val") -> tuple[dict, list[VideoRecord]]:
    rng = np.random.default_rng(2)
    records, found = [], {}
    for number in range(num_videos):
        starts = rng.uniform(0, 8, 3)
        segments = np.stack((starts, starts + rng.uniform(0.5, 3, 3)), axis=1)
        labels = rng.integers(0, 52, 3)
        video = f"{names}{number}"
        records.append(VideoRecord(video, 12.0, "val", annotations=Annotations(segments, labels)))
        guesses = np.concatenate((segments + 0.1, segments + 0.9, segments))
        kinds = np.concatenate((labels, labels, (labels + 1) % 52))
        # The more videos before it, the fewer right: the last one is worst.
        scores = rng.uniform(0.1, 1, 9) * (1 - 0.5 * (np.arange(9) > 2))
        found[video] = Detections(guesses, kinds, scores)
    return found, records


def write(path: Path, found: dict, records: list, labels: LabelMap = MA52, **more: object) -> Path:
    tiou = parse_tiou("0.1:0.9")
    write_web_page(
        path,
        title=f"run of {NASTY}",
        records=records,
        labels=labels,
        scores=evaluate_detections(found, records, labels=labels, tiou=tiou),
        errors=analyse_errors(found, records, labels=labels),
        **more,  # type: ignore[arg-type]
    )
    return path


def content_of(path: Path) -> dict:
    text = path.read_text(encoding="utf-8")
    match = re.search(r'id="content">(.*?)</script>', text, flags=re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    found, records = make(names=NASTY)
    path = write(tmp_path / "report.html", found, records)
    text = path.read_text(encoding="utf-8")
    assert "<img" not in text
    assert content_of(path)["videos"][0]["id"] == f"{NASTY}0"


def test_the_page_asks_for_nothing_from_outside(tmp_path: Path) -> None:
    text = write(tmp_path / "report.html", *make()).read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", text)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_rows_of_the_page_are_those_of_the_tables() -> None:
    found, records = make()
    scores = evaluate_detections(found, records, labels=MA52, tiou=parse_tiou("0.5"))
    errors = analyse_errors(found, records, labels=MA52)
    content = page_content(records=records, labels=MA52, scores=scores, errors=errors, links={})
    rows = content["found"]
    assert isinstance(rows, dict)
    for number, record in enumerate(records):
        mine = slice(rows["offsets"][number], rows["offsets"][number + 1])
        expected = found[record.video_id]
        np.testing.assert_allclose(
            np.array(rows["start"][mine]) / 100, expected.segments_seconds[:, 0], atol=0.005
        )
        assert rows["label"][mine] == expected.labels.tolist()
    assert content["levels"]["action"]["average"] == pytest.approx(scores.levels["action"].average)


def test_videos_are_linked_from_where_the_page_is(tmp_path: Path) -> None:
    found, records = make(2)
    file = tmp_path / "my videos" / "val0.mp4"
    file.parent.mkdir()
    path = write(tmp_path / "out" / "report.html", found, records, videos={"val0": file})
    files = [video["file"] for video in content_of(path)["videos"]]
    assert files == ["../my%20videos/val0.mp4", None]


def test_labels_without_parents_have_one_level(tmp_path: Path) -> None:
    labels = LabelMap(("a", "b"))
    records = [VideoRecord("v", 5.0, "val", annotations=Annotations([[0, 1]], [0]))]
    found = {"v": Detections([[0, 1], [2, 2.5]], [0, 1], [0.9, 0.8])}
    path = write(tmp_path / "report.html", found, records, labels)
    assert list(content_of(path)["levels"]) == ["action"]


@pytest.fixture
def page(browser, tmp_path: Path) -> Iterator:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "report.html", *make(6, names=NASTY))
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    troubles: list[str] = []
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(path.as_uri())
    opened.wait_for_selector("#timeline svg")
    yield opened
    assert troubles == []
    assert len(asked) == 1
    assert opened.evaluate("window.hacked") is None
    opened.close()


def names_of(page) -> list[str]:  # type: ignore[no-untyped-def]
    return page.locator("#list .item-name").all_text_contents()


def chosen_video(page) -> str:  # type: ignore[no-untyped-def]
    return page.locator('#list [aria-selected="true"] .item-name').text_content()


def test_it_opens_on_the_worst_video(page, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found, records = make(6, names=NASTY)
    report = analyse_errors(found, records, labels=MA52)
    expected = [(row.video_id, row.num_errors) for row in errors_by_video(report, level="action")]
    counts = [int(text.split()[0]) for text in page.locator("#list .count").all_text_contents()]
    assert list(zip(names_of(page), counts, strict=True)) == expected
    assert chosen_video(page) == expected[0][0]
    assert NASTY in page.locator("h1").text_content()


def test_videos_come_first_and_the_video_is_large(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    opened = open_with_videos(browser, tmp_path)
    assert opened.locator("h2").first.text_content() == "Worst videos first"
    assert opened.locator("section").first.locator("#timeline svg").count() == 1
    video = opened.locator("#player").bounding_box()
    timeline = opened.locator("#timeline").bounding_box()
    assert video["width"] >= 450  # of 1,440, though the file has 48 pixels
    assert video["y"] + video["height"] < 900
    assert timeline["x"] > video["x"] + video["width"]
    # Nothing lies over the video.
    assert opened.locator("#player").get_attribute("controls") is None
    assert opened.locator("#transport").bounding_box()["y"] >= video["y"] + video["height"]
    assert opened.locator("#player").evaluate("v => getComputedStyle(v).imageRendering") == (
        "pixelated"
    )
    opened.close()


def test_keys_go_from_video_to_video_and_bar_to_bar(page) -> None:  # type: ignore[no-untyped-def]
    first = chosen_video(page)
    page.keyboard.press("n")
    assert chosen_video(page) == names_of(page)[1] != first
    page.keyboard.press("p")
    assert chosen_video(page) == first
    page.locator("#list").focus()
    page.keyboard.press("End")
    assert chosen_video(page) == names_of(page)[-1]
    page.locator("#timeline").focus()
    page.keyboard.press("Home")
    one = page.locator("#about").text_content()
    assert one.startswith(("Annotated", "Detected"))
    assert page.locator("#timeline .chosen").count() == 1
    page.keyboard.press("ArrowRight")
    assert page.locator("#about").text_content() != one


def test_every_control_is_reached_with_tab(page) -> None:  # type: ignore[no-untyped-def]
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id"))
    wanted = {"theme", "class", "kind", "find", "threshold", "previous", "next", "list", "timeline"}
    assert wanted <= seen


def test_the_threshold_hides_detections(page) -> None:  # type: ignore[no-untyped-def]
    slider = page.locator("#threshold")
    counts = []
    for value in ("0", "0.5", "1"):
        slider.fill(value)
        counts.append(page.locator("#timeline .found").count())
    assert counts[0] == 9
    assert counts[0] > counts[1] >= counts[2]
    assert page.locator("#timeline .truth").count() == 3


def test_one_class_is_shown_alone(page) -> None:  # type: ignore[no-untyped-def]
    page.locator("#threshold").fill("0")
    everything = page.locator("#timeline .mark").count()
    label = page.evaluate("content.truth.label[content.truth.offsets[state.video]]")
    page.locator("#class").select_option(str(label))
    assert 0 < page.locator("#timeline .mark").count() < everything
    annotated = page.evaluate("state.drawn.bars.filter((bar) => bar.isTruth).map((b) => b.label)")
    assert set(annotated) == {label}
    # Each video that is left has the class; no other does.
    found, records = make(6, names=NASTY)
    having = {
        record.video_id
        for record in records
        if label in record.annotations.labels or label in found[record.video_id].labels
    }
    assert set(names_of(page)) <= having
    assert {r.video_id for r in records if label in r.annotations.labels} <= set(names_of(page))
    page.locator("#kind").select_option(label="missed")
    assert page.locator("#timeline .truth:not(.missed)").count() == 0
    page.locator("#clear").click()
    assert len(names_of(page)) == 6
    assert page.locator("#timeline .mark").count() == everything


def test_a_class_of_the_table_leads_to_its_videos(page) -> None:  # type: ignore[no-untyped-def]
    name = page.locator("#classes tbody button").first.text_content()
    page.locator("#classes tbody button").first.click()
    assert page.locator("#class option:checked").text_content() == name


def test_the_timeline_zooms(page) -> None:  # type: ignore[no-untyped-def]
    def span() -> list[float]:
        return page.evaluate("[state.drawn.from, state.drawn.to]")

    def length() -> float:
        return span()[1] - span()[0]

    whole = length()
    page.locator("#zoom-in").click()
    assert length() == pytest.approx(whole / 2)
    page.locator("#timeline").focus()
    page.keyboard.press("+")
    assert length() == pytest.approx(whole / 4)
    before = span()
    page.keyboard.press("Shift+ArrowRight" if before[0] < 1 else "Shift+ArrowLeft")
    assert span() != before
    assert length() == pytest.approx(whole / 4)
    box = page.locator("#timeline").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    page.mouse.wheel(0, 100)
    wait_until(page, f"state.drawn.to - state.drawn.from > {whole / 4 + 0.1}")
    page.keyboard.press("0")
    assert length() == pytest.approx(whole)
    # Bars outside of the view go, and those inside are longer.
    page.keyboard.press("Home")
    widths = "[...document.querySelectorAll('#timeline .mark')].map((m) => m.getBBox().width)"
    before_zoom = max(page.evaluate(widths))
    page.keyboard.press("+")
    assert max(page.evaluate(widths)) > before_zoom


@pytest.mark.parametrize("act", ["ArrowRight", "Escape", "scroll"])
def test_a_tooltip_does_not_stay(page, act: str) -> None:  # type: ignore[no-untyped-def]
    tip = "getComputedStyle(document.getElementById('tip')).visibility"
    page.locator("#timeline").focus()
    page.locator("#timeline .mark").first.hover()
    assert page.evaluate(tip) == "visible"
    if act == "scroll":
        page.evaluate("scrollBy(0, 40)")
        wait_until(page, f"{tip} === 'hidden'")
    else:
        page.keyboard.press(act)
    assert page.evaluate(tip) == "hidden"


@pytest.mark.parametrize("width", [360, 1440])
def test_no_label_is_cut(page, cut_labels, width: int) -> None:  # type: ignore[no-untyped-def]
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#threshold").fill("0")
    for level in ("Body parts", "Actions"):
        page.get_by_role("button", name=level, exact=True).click()
        wait_until(page, "document.querySelectorAll('#charts svg').length === 15")
        assert cut_labels(page) == []
    titles = {MA52.title(label) for label in range(52)}
    shown = page.locator("#timeline .name").all_text_contents()
    assert shown
    assert {re.sub(r"^[✓DWLCB] (?=[A-G]\d)", "", text) for text in shown} <= titles


def test_ticks_are_round(page) -> None:  # type: ignore[no-untyped-def]
    axes = page.evaluate(
        "[...document.querySelectorAll('#charts svg')].map((svg) => "
        "['end', 'middle'].map((side) => [...svg.querySelectorAll(`.tick[text-anchor=${side}]`)]"
        ".map((tick) => parseFloat(tick.textContent))))"
    )
    ticks = [axis for pair in axes for axis in pair if len(axis) > 1]
    assert len(ticks) >= 12
    for values in ticks:
        step = values[1] - values[0]
        mantissa = float(f"{step:e}".split("e")[0])
        assert round(mantissa, 3) in (1, 2, 5), values
        np.testing.assert_allclose(np.diff(values), step, rtol=1e-6)
        np.testing.assert_allclose(np.array(values) / step, np.round(np.array(values) / step))


def test_numbers_are_rounded_as_in_the_figures(page) -> None:  # type: ignore[no-untyped-def]
    values = [6.25, 0.25, 31.125, -6.25, 12.345, *np.random.default_rng(0).normal(0, 50, 200)]
    values += [100 * k / 16 for k in range(17)]
    texts = page.evaluate("(values) => values.map((value) => shown(value, 1))", list(values))
    assert texts == [rounded(value, 1) for value in values]


def test_numbers_do_not_lie_on_the_dashed_line(page) -> None:  # type: ignore[no-untyped-def]
    svg = page.evaluate_handle(
        "barChart(400, { names: [['a'], ['b'], ['c']], values: [26, 27, 40], unit: ' %', "
        "name: '', dashed: 26.9 })"
    )
    clear = page.evaluate(
        """(svg) => {
          document.body.append(svg);
          const line = Number(svg.querySelector(".dashed").getAttribute("y1"));
          return [...svg.querySelectorAll(".value")].map((text) => {
            const y = Number(text.getAttribute("y"));
            return line > y || line < y - 9;
          });
        }""",
        svg,
    )
    assert clear == [True, True, True]


def test_classes_are_sorted_by_a_column(page) -> None:  # type: ignore[no-untyped-def]
    def column(place: int) -> list[str]:
        return page.locator(f"#classes tbody tr td:nth-child({place})").all_text_contents()

    counts = [int(text) for text in column(2)]
    assert counts == sorted(counts, reverse=True)
    page.get_by_role("button", name="class", exact=True).click()
    names = column(1)
    assert names == sorted(names)
    assert len(names) == 52
    page.get_by_role("button", name="Body parts", exact=True).click()
    assert len(column(1)) == 7


def test_search_leaves_what_fits(page) -> None:  # type: ignore[no-untyped-def]
    page.locator("#find").fill('"b"3')
    assert len(names_of(page)) == 1
    assert '"b"3' in page.locator("#video-name").text_content()


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_is_wider_than_the_window(page, width: int) -> None:  # type: ignore[no-untyped-def]
    page.set_viewport_size({"width": width, "height": 800})
    wait_until(
        page, "Number(document.querySelector('#timeline svg').getAttribute('width')) <= innerWidth"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark(page) -> None:  # type: ignore[no-untyped-def]
    def luminance(name: str) -> float:
        colour = page.evaluate(f"getComputedStyle(document.body).{name}")
        linear = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    backgrounds = []
    for _ in range(2):
        low, high = sorted((luminance("color"), luminance("backgroundColor")))
        assert (high + 0.05) / (low + 0.05) > 7  # WCAG AAA
        backgrounds.append(luminance("backgroundColor"))
        page.locator("#theme").click()
    assert min(backgrounds) < 0.05
    assert max(backgrounds) > 0.9


def open_with_videos(browser, folder: Path):  # type: ignore[no-untyped-def]
    """The page of true annotations as detections, with the videos beside it."""
    videos = make_videos(folder)
    records = read_annotations(videos / "annotations" / "mma52.json", subsets=["val"]).records
    found = {
        record.video_id: Detections(
            record.annotations.segments_seconds,
            record.annotations.labels,
            np.full(len(record.annotations), 0.9),
        )
        for record in records
    }
    files = find_videos(videos / "videos")
    path = write(folder / "report.html", found, list(records), videos=files)
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.goto(path.as_uri())
    opened.wait_for_selector("#player", state="visible")
    return opened


def test_a_video_at_hand_plays_in_step(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    opened = open_with_videos(browser, tmp_path)
    opened.locator("#timeline").focus()
    opened.keyboard.press("End")
    last = opened.evaluate("state.drawn.bars[state.chosen].start")
    wait_until(opened, f"Math.abs(document.getElementById('player').currentTime - {last}) < 0.1")
    wait_until(
        opened, "document.querySelector('.playhead').getAttribute('visibility') === 'visible'"
    )
    opened.locator("#play").click()
    wait_until(opened, "!document.getElementById('player').paused")
    opened.keyboard.press("Tab")
    opened.locator("h1").click()
    opened.keyboard.press(" ")
    wait_until(opened, "document.getElementById('player').paused")
    opened.close()


def test_a_video_that_is_gone_can_be_named(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found, records = make(1)
    path = write(tmp_path / "r.html", found, records, videos={"val0": tmp_path / "gone.mp4"})
    opened = browser.new_page()
    opened.goto(path.as_uri())
    opened.wait_for_selector("#no-video", state="visible")
    assert opened.locator("#player").is_hidden()
    opened.close()
