"""The page of a pre-training, its contents and in a browser."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.cli.report import app
from mmad.config.reading import dump_config, load_any_config
from mmad.report.pretraining.page import write_pretraining_page

ROWS = [
    {"kind": "data", "step": 0, "num_videos": 3.0, "num_broken": 1.0},
    *({"kind": "step", "step": step, "loss": 1 / step} for step in range(1, 301)),
    {"kind": "validation", "step": 150, "reconstruction_error": 0.75, "probe_top1": 0.125},
    {"kind": "validation", "step": 300, "reconstruction_error": 0.5},
]
# The smallest PNG.
IMAGE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8ffff3f0005fe02fea7d63d2c0000000049454e44ae426082"
)


def content_of(page: Path) -> dict:
    match = re.search(r'id="content">(.*?)</script>', page.read_text(), flags=re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def make_run(folder: Path) -> Path:
    folder.mkdir()
    config = load_any_config("configs/demo_backbone_without_labels.yaml")
    (folder / "config.yaml").write_text(f"paths_relative_to: .\n{dump_config(config)}")
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    (folder / "reconstructions.png").write_bytes(IMAGE)
    return folder


def test_mmad_report_writes_the_page_of_a_pre_training(tmp_path: Path) -> None:
    run = make_run(tmp_path / "pretrained")
    result = CliRunner().invoke(app, [str(run)])
    assert result.exception is None, result.output
    content = content_of(run / "report.html")
    facts = dict(content["facts"])
    assert facts[""] == "300 steps"
    assert (facts["videos"], facts["skipped"]) == ("3", "1 broken video")
    assert facts["masks"] == "random, 75 % hidden"
    tiles = {name: value for name, value, *_ in content["tiles"]}
    assert (tiles["error, lowest"], tiles["error, first"]) == ("0.5", "0.75")
    assert tiles["linear probe, last"] == 0.125
    training, validation, probe = content["curves"]
    assert len(training["x"]) == 120
    assert training["x"][-1] == 300
    assert (validation["values"], probe["values"]) == ([0.75, 0.5], [12.5])
    assert content["image"].startswith("data:image/png;base64,iVBOR")


def test_a_run_without_validation_has_a_page_too(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_pretraining_page(
        page, title="run </script>", rows=ROWS[:5], facts={}, normalised=True, image=None
    )
    content = content_of(page)
    assert content["tiles"] == []
    assert [curve["title"] for curve in content["curves"]] == ["training error"]
    assert content["image"] is None


@pytest.mark.slow
def test_the_page_in_a_browser(browser, cut_labels, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run = make_run(tmp_path / "pretrained")
    CliRunner().invoke(app, [str(run)])
    page = browser.new_page(viewport={"width": 360, "height": 800})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((run / "report.html").as_uri())
    page.wait_for_selector("#curves svg")
    assert page.locator("#curves svg").count() == 3
    assert page.locator("#tiles .tile").first.inner_text() == "0.5\nerror, lowest"
    assert page.locator("#image").evaluate("image => image.naturalWidth") == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert cut_labels(page) == []
    assert errors == []
    page.close()
