"""The page of a time budget, its contents and in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmad.annotations.exchange.events import Event
from mmad.evaluation.budget.budget import TimeBudget, make_budget
from mmad.evaluation.budget.coding import make_coding
from mmad.evaluation.budget.conditions import read_conditions
from mmad.projects.budget import CorrectedFigures, correct_study, study_coding
from mmad.projects.study import read_study
from mmad.report.budget import page as pages
from mmad.report.budget.page import write_budget_page
from support.coded import code_blind, drawn_study

NASTY = '</script><img src=x onerror="window.hacked=1">'


def budget_of(folder: Path) -> TimeBudget:
    table = folder / "persons.csv"
    table.write_text("video,group\nv0,old\nv1,young\nv2,old\nv3,young\n", encoding="utf-8")
    events = [
        Event(f"v{i}", name, start, start + length)
        for i in range(3)
        for name, start, length in ((NASTY, 1.0 + i, 2.0), ("nod", 2.0, 3.0), ("blink", 8.0, 0.0))
    ]
    seconds = {f"v{i}": 10.0 + 5 * i for i in range(4)}
    coding = make_coding(events, seconds=seconds, conditions=read_conditions(table, seconds))
    return make_budget(coding, bin_seconds=5.0, num_resamples=50)


def write(path: Path) -> dict:
    write_budget_page(path, budget_of(path.parent), title=f"budget of {NASTY}")
    return content_of(path)


def write_corrected_page(path: Path) -> CorrectedFigures:
    """The page of a study with a blind share."""
    drawn = drawn_study(path.parent / "study")
    code_blind(drawn)
    study = read_study(drawn.project)
    coding = study_coding(study)
    corrected = correct_study(study, coding)
    assert corrected is not None
    budget = make_budget(coding, num_resamples=50)
    write_budget_page(path, budget, title="study", notices=["one more"], corrected=corrected)
    return corrected


def content_of(path: Path) -> dict:
    match = re.search(r'id="content">(.*?)</script>', path.read_text(), flags=re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def test_the_numbers_of_the_page(tmp_path: Path) -> None:
    content = write(tmp_path / "b.html")
    assert [one["values"][0] for one in content["observations"]] == ["old", "old", "young", "young"]
    first = content["observations"][0]
    assert (first["start"][0], first["end"][0]) == (100, 300)
    whole = next(one for one in content["tables"] if one["name"] == "all")
    nod = whole["labels"].index("nod")
    rate, low, high = (one[0][nod] for one in whole["measures"]["rate"])
    assert rate == pytest.approx(60 * 3 / 70, abs=1e-6)
    assert low < rate < high
    assert whole["measures"]["share"][0][0][whole["labels"].index("blink")] is None
    groups = next(one for one in content["tables"] if one["name"] == "group")
    assert groups["groups"] == ["old", "young"]
    (pair,) = content["together"]["action"]
    assert pair[2:] == [5.0, pytest.approx(0.6 + 0.4 + 0.3), pytest.approx(5 / 10)]
    assert content["left_out"] == 0


def test_a_page_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_OBSERVATIONS", 2)
    content = write(tmp_path / "b.html")
    assert (len(content["observations"]), content["left_out"]) == (2, 2)


def test_a_page_has_the_corrected_figures_of_the_table(tmp_path: Path) -> None:
    corrected = write_corrected_page(tmp_path / "b.html")
    content = content_of(tmp_path / "b.html")
    assert content["notices"][0] == "one more"
    assert content["corrected"]["about"].startswith("Ann coded 8 stretches (4.0 min) without")
    rows = [dict(zip(corrected.header, row, strict=True)) for row in corrected.rows]
    shown = content["corrected"]["rows"]
    assert [(one["table"], one["group"]) for one in shown] == [
        (row["table"], row["group"]) for row in rows
    ]
    assert shown[0]["name"] == "B1 nodding"
    for one, row in zip(shown, rows, strict=True):
        for key, name in (("count", "count"), ("share", "share_of_time")):
            expected = [row[f"raw_{name}"], row[name], row[f"{key}_low"], row[f"{key}_high"]]
            assert one["values"][key] == expected
    assert "corrected" not in write(tmp_path / "raw.html")


@pytest.mark.slow
def test_corrected_figures_in_a_browser(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_corrected_page(tmp_path / "b.html")
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto((tmp_path / "b.html").as_uri())
    rows = "#corrected-tables > :first-child .figures"
    assert page.locator(rows).count() == 2
    assert page.locator("#about-bars").is_visible()
    page.locator("#corrected-grouping").select_option("group")
    assert [page.locator(f"{rows} .swatch").nth(i).text_content() for i in range(4)] == [
        *("old", "young") * 2,
    ]
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for table in page.locator("#corrected .scroll").all():
        assert table.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
    page.close()


@pytest.fixture
def page(browser, tmp_path: Path) -> Iterator:  # type: ignore[no-untyped-def]
    write(tmp_path / "b.html")
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.goto((tmp_path / "b.html").as_uri())
    opened.wait_for_selector("#raster svg")
    yield opened
    assert troubles == []
    assert opened.evaluate("window.hacked") is None
    opened.close()


@pytest.mark.slow
def test_the_page_in_a_browser(page, cut_labels) -> None:  # type: ignore[no-untyped-def]
    assert page.locator("#raster .mark").count() == 9
    assert page.locator("#bars .mark").count() == 3
    page.locator("#grouping").select_option("group")
    assert page.locator("#bars .mark").count() == 6
    page.locator("#measure").select_option("share")
    page.locator("#behaviour").select_option(label="nod")
    assert page.locator("#raster .mark").count() == 3
    page.locator("#find").fill("v3")
    assert "1 of 4 observations" in page.locator("#how-many").text_content()
    assert page.locator("#together tbody tr").count() == 1
    for width in (1440, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.wait_for_timeout(100)
        assert cut_labels(page) == []
