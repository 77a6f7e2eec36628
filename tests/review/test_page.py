"""The page in a browser, on a server of its own process, with the database as the judge."""

import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mmad.projects.project import Project
from mmad.projects.records import Curves
from mmad.video.index import index_video
from support.browser import wait_until
from support.review_page import chromium, open_page, served
from support.studies import first_of

pytestmark = [pytest.mark.slow, pytest.mark.long]

PAGE_PLAYER = "import('/static/app.js').then((one) => one.player)"
PAGE = "(async () => { const { timeline } = await import('/static/app.js'); return"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def server(project: Project) -> Iterator[tuple[str, subprocess.Popen]]:
    with served(project.folder) as running:
        yield running


@pytest.fixture
def page(browser: Any, server: tuple[str, subprocess.Popen]) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda asked: "//127.0.0.1:" in asked.url or wrong.append(asked.url))
    open_page(opened, server[0])
    assert "token" not in opened.url
    yield opened
    assert not wrong
    context.close()


def told(page: Any) -> str:
    return page.text_content("#done-text")


def after(page: Any, number: int) -> None:
    """Wait until so many changes can be undone."""
    title = "document.querySelector('#undo')"
    wait_until(page, f"{title}.dataset.number === '{number}'")


def coded(project: Project) -> list[tuple]:
    return [
        (one.behaviour, one.state, one.detection)
        for one in project.decisions.instances(first_of(project), "Ann")
    ]


def test_a_person_decides(page: Any, project: Project, server: tuple) -> None:
    name = first_of(project)
    page.uncheck("#goes-on")
    page.select_option("#order", "time")
    page.keyboard.press("n")
    wait_until(page, "document.querySelector('#card-name').textContent === 'nodding'")
    page.keyboard.press("a")
    after(page, 1)
    assert coded(project) == [(1, "accepted", 1)]
    page.keyboard.press("r")
    page.fill("#label-search", "shr")
    page.keyboard.press("Enter")
    after(page, 2)
    assert coded(project) == [(3, "accepted", 1)]
    # The end of the selected one, dragged to the right.
    page.keyboard.press("0")
    page.wait_for_timeout(300)
    start, end = drag_end(page, pixels=60)
    after(page, 3)
    (moved,) = project.decisions.instances(name, "Ann")
    assert (moved.start_seconds, moved.end_seconds > end) == (start, True)
    page.keyboard.press("4")
    after(page, 4)
    (nudged,) = project.decisions.instances(name, "Ann")
    spacing = 1 / project.catalogue.video(name).fps
    assert nudged.end_seconds - moved.end_seconds == pytest.approx(spacing, abs=0.002)
    for number in (3, 2, 1, 0):
        page.keyboard.press("Control+z")
        after(page, number)
    assert coded(project) == []
    page.keyboard.press("Control+Shift+z")
    after(page, 1)
    assert coded(project) == [(1, "accepted", 1)]
    page.check("#goes-on")
    page.keyboard.press("x")
    after(page, 2)
    assert coded(project) == [(1, "rejected", 1)]
    wait_until(page, "document.querySelector('#card-name').textContent === 'waving'")
    draw(page)
    after(page, 3)
    drawn = [one for one in project.decisions.instances(name, "Ann") if one.detection is None]
    assert [(one.behaviour, one.state) for one in drawn] == [(2, "accepted")]
    _, process = server
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert "every decision is on disk" in process.stdout.read()
    page.keyboard.press("a")
    wait_until(page, "document.querySelector('#toast').textContent.includes('has ended')")
    assert len(project.decisions.history()) == 3 + 4 + 4 + 1 - 1


def drag_end(page: Any, *, pixels: int) -> tuple[float, float]:
    """Drag the end of the selected item; its start and end before."""
    where = page.evaluate(
        """async () => {
          const { selectedItem } = await import("/static/store.js");
          const { timeline } = await import("/static/app.js");
          const item = selectedItem();
          const box = document.querySelector("#body").getBoundingClientRect();
          const lane = timeline.places.get(item.behaviour);
          return [item.start, item.end, box.left + timeline.x(item.end),
            box.top + (lane + 0.5) * timeline.laneHeight];
        }"""
    )
    start, end, x, y = where
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels / 2, y)
    page.mouse.move(x + pixels, y)
    page.mouse.up()
    return start, end


def draw(page: Any) -> None:
    """Draw in the row for new ones, as "waving"."""
    box = page.locator("#head").bounding_box()
    y = box["y"] + box["height"] - 8
    page.mouse.move(box["x"] + 400, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 480, y)
    page.mouse.move(box["x"] + 560, y)
    page.mouse.up()
    page.fill("#label-search", "wav")
    page.keyboard.press("Enter")


def test_every_frame_is_the_one_of_the_index(page: Any, project: Project) -> None:
    page.keyboard.press("0")
    shown = []
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
        shown.append(page.text_content("#clock"))
    times = [float(text.split(" ")[0].split(":")[1]) for text in shown]
    frames = [int(re.search(r"frame (\d+)", text).group(1)) for text in shown]
    assert frames == [1, 2, 3, 4, 5]
    spacing = 1 / project.catalogue.videos()[0].fps
    assert times == pytest.approx([frame * spacing for frame in frames], abs=0.002)


def test_reviewed_stretches_scores_and_film_strip(page: Any, project: Project) -> None:
    name, times = first_of(project), index_video(project.catalogue.videos()[0].path).times_seconds
    page.keyboard.press("0")
    page.keyboard.press("w")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("w")
    wait_until(page, "document.querySelector('#live').textContent.endsWith(': reviewed')")
    (stretch,) = project.decisions.reviewed("Ann")
    assert (stretch.start_seconds, stretch.end_seconds) == (0.0, pytest.approx(times[4]))
    wait_until(
        page, "/ [1-9]\\d* % reviewed/.test(document.querySelector('#done-text').textContent)"
    )
    # Dragging over the band takes it back.
    box = page.locator("#head").bounding_box()
    y = page.evaluate(f"{PAGE} timeline.rows.reviewed[0] + 6; }})()") + box["y"]
    x = page.evaluate(f"{PAGE} timeline.x({times[2]}); }})()") + box["x"]
    page.mouse.move(x + 1, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, y)
    page.mouse.up()
    wait_until(page, "document.querySelector('#live').textContent.endsWith('not reviewed')")
    (stretch,) = project.decisions.reviewed("Ann")
    assert (stretch.start_seconds, stretch.end_seconds) == (0.0, pytest.approx(times[2]))
    for _ in range(4):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+W")
    wait_until(page, f"{PAGE} document.querySelector('#unreviewed').disabled; }})()")
    assert project.decisions.reviewed("Ann") == []
    wait_until(page, f"{PAGE} timeline.strip.kept.size > 3; }})()")
    assert page.evaluate(f"{PAGE} [...timeline.strip.kept.values()].every(Boolean); }})()")
    scores = np.zeros((20, 3), np.uint8)
    scores[5:8, 1] = 255
    project.findings.add_curves(1, name, Curves(0.1, (1, 2, 3), scores))
    page.evaluate(f"{PAGE} timeline.curves.open(1); }})()")
    wait_until(page, f"{PAGE} timeline.curves.behaviours.length === 3; }})()")
    assert page.evaluate(f"{PAGE} [...timeline.curves.level(2, 1)]; }})()")[2:5] == [255, 255, 0]


def test_what_is_reviewed_waits_no_more(page: Any, project: Project) -> None:
    """The page, the queue and what is left agree about what is settled."""
    states = "import('/static/store.js').then((one) => one.allItems().map((item) => item.state))"
    left = "document.querySelector('#left-text').textContent"
    assert page.text_content("#left-text") == "6 wait"
    assert page.evaluate("document.querySelector('#video-pick').selectedIndex") == 0
    page.keyboard.press("w")
    page.evaluate(f"{PAGE_PLAYER}.then((player) => player.seek(99))")
    wait_until(page, f"{PAGE_PLAYER}.then(({{ frame, times }}) => frame + 1 === times.length)")
    page.keyboard.press("w")
    wait_until(page, f"{states}.then((all) => all.every((one) => one === 'settled'))")
    page.keyboard.press("ArrowDown")
    assert page.text_content("#card-state") == "settled"
    page.keyboard.press("n")
    wait_until(page, f"{left} === '2 wait'")
    wait_until(page, "document.querySelector('#video-pick').selectedIndex === 1")
    wait_until(page, "document.querySelector('#card-state').textContent === 'open'")
    assert ", 2 left" in page.text_content("#done-text")
    assert [one.open for one in project.queue.progress("Ann")] == [0, 2]
    page.select_option("#video-pick", index=0)
    wait_until(page, f"{states}.then((all) => all.length === 4)")
    # It can be accepted all the same; and without the stretch the others wait again.
    page.uncheck("#goes-on")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("a")
    after(page, 1)
    page.keyboard.press("Shift+W")
    wait_until(page, f"{states}.then((all) => all.filter((one) => one === 'open').length === 3)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_everything_has_a_name(
    browser: Any, server: tuple, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    open_page(page, server[0])
    page.tap("#next")
    wait_until(page, "!document.querySelector('#accept').disabled")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, [role=listbox]")]
          .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label")
            || one.getAttribute("aria-labelledby") || one.labels?.length || one.hidden))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    page.tap("#accept")
    after(page, 1)
    context.close()


def test_the_blind_share_is_coded_without_suggestions(page: Any, project: Project) -> None:
    project.blind.draw(1e-3)
    (stretch,) = project.blind.stretches()
    page.reload()
    page.click("#who-start")
    wait_until(page, "document.querySelector('#blind-open').textContent === 'Blind 0/1'")
    page.click("#blind-open")
    wait_until(page, "document.querySelector('#blind-title').textContent.includes('1 of 1')")
    assert page.evaluate("import('/static/store.js').then((one) => one.store.detections.size)") == 0
    assert page.text_content("#card-facts").startswith("Draw what you see")
    assert page.evaluate(f"{PAGE} timeline.rows.reviewed[1]; }})()") == 0
    page.keyboard.press("a")
    wait_until(page, "document.querySelector('#toast').textContent.includes('are hidden')")
    # Watched to its end, and nothing drawn.
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.click("#blind-done")
    wait_until(page, "document.querySelector('#blind-done').textContent.includes('really')")
    draw(page)
    wait_until(page, "document.querySelector('#undo').dataset.number === '1'")
    page.click("#blind-done")
    wait_until(page, "document.querySelector('#blind').hidden")
    assert project.blind.done("Ann").keys() == {stretch.id}
    assert [one.detection for one in project.decisions.instances(stretch.video, "Ann")] == [None]
    wait_until(page, "import('/static/store.js').then((one) => one.store.detections.size > 0)")
    assert page.evaluate(f"{PAGE} timeline.rows.reviewed[1]; }})()") > 0


def test_a_list_that_comes_late_does_not_bring_a_decision_back(page: Any) -> None:
    """A list that was asked for before a decision, and arrives after it."""
    brought = page.evaluate(
        """async () => {
          const { Queue } = await import("/static/queue.js");
          const queue = new Queue({ onNews() {}, tell() {} });
          await queue.refresh();
          const [, first] = queue.waiting[0];
          const late = queue.refresh();
          queue.note({ before: [], after: [{ detection: first }] });
          await late;
          const [, found] = await queue.next(null);
          return [first, found];
        }"""
    )
    assert brought[0] != brought[1]
