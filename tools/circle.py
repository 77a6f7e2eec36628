"""Play a project from videos to counts, with a simulated coder in a real browser.

    python tools/circle.py VIDEOS --annotations FILE --checkpoint RUN --out FOLDER

VIDEOS is a folder, and the annotations say what happens in them: they are what the simulated coder
knows. Makes a project, detects, decides about detections on the page, draws a behaviour that the
model does not know, teaches it, codes the blind share, measures quality, and counts. Stops with the
first thing that is not as it should be. Needs the extra `review`, Playwright, and chromium on PATH.
"""

import argparse
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulated_coder import Coder, Truth
from study import run_command

from mmad.annotations.exchange.reading import read_events
from mmad.projects.project import Project

Run = Callable[[list[str]], str]
ANNOTATOR = "Ann"
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_STOP_SECONDS = 20
_DESKTOP = {"width": 1440, "height": 900}
_PICTURE_MS = 1500


@dataclass(frozen=True)
class Plan:
    """How much is played.

    Attributes:
        decisions: Detections of the queue about which the coder decides.
        drawn: Instances of the new behaviour that the coder draws, in videos reviewed as a whole.
        new: Behaviour of the annotations that the model does not know.
        own: The name under which the coder draws and teaches it.
        blind_share: Share of the videos that is coded with suggestions hidden.
        min_score: Score from which detections are kept.
        screenshots: Folder for pictures of the page, or None.
    """

    decisions: int = 60
    drawn: int = 10
    new: str = "turning around"
    own: str = "turning away"
    blind_share: float = 0.1
    min_score: float = 0.05
    screenshots: Path | None = None


def truth_of(annotations: Path, *, plan: Plan) -> dict[str, list[Truth]]:
    """What happens in each video, with the new behaviour under its own name."""
    truth: dict[str, list[Truth]] = {}
    for event in read_events(annotations).events:
        name = plan.own if event.label == plan.new else event.label
        truth.setdefault(event.video_id, []).append((event.start_seconds, event.end_seconds, name))
    return truth


@contextmanager
def reviewing(folder: Path) -> Iterator[Any]:
    """The page of a project in a browser, open and empty, on a server of its own process."""
    from playwright.sync_api import sync_playwright

    words = [sys.executable, "-m", "mmad", "review", str(folder), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://\S+", server.stdout.readline())
            if address is None:
                raise SystemExit(f"mmad review {folder}: printed no address")
            with sync_playwright() as play:
                browser = play.chromium.launch(
                    executable_path=shutil.which("chromium"), args=list(_FLAGS)
                )
                page = browser.new_page(viewport=_DESKTOP)
                wrong: list[str] = []
                page.on("pageerror", lambda error: wrong.append(str(error)))
                page.goto(address.group())
                yield page
                browser.close()
            server.send_signal(signal.SIGINT)
            code = server.wait(_STOP_SECONDS)
        finally:
            server.kill()
    _require(code == 0, f"mmad review ended with exit code {code}")
    _require(not wrong, f"the page: {wrong[:1]}")


def play(
    videos: Path,
    annotations: Path,
    *,
    checkpoint: Path,
    out: Path,
    plan: Plan,
    run: Run = run_command,
) -> None:
    """Play the project; raises SystemExit with what is not as it should be."""
    study, budget = out / "study", out / "budget"
    truth = truth_of(annotations, plan=plan)
    run(["project", "new", str(study), "--videos", str(videos)])
    detect = ["project", "add", str(study), "--checkpoint", str(checkpoint)]
    run([*detect, "--min-score", str(plan.min_score)])
    run(["project", "blind", str(study), "--share", str(plan.blind_share)])
    with reviewing(study) as page:
        coder = Coder(page, truth)
        coder.enter(ANNOTATOR)
        decided = coder.decide(plan.decisions)
        _picture(page, plan, "review")
        _require(decided == plan.decisions, f"decided {decided} of {plan.decisions} detections")
        reviewed = _review_until_taught(study, coder, plan)
        said = coder.teach()
        print(said)
        _require(plan.own in said, f"teaching did not learn {plan.own}")
        _picture(page, plan, "teach")
        stretches = _code_blind(coder, page, plan)
    pace = statistics.median(coder.decisions)
    print(
        f"decided {decided}, median {pace:.2f} s of page time; reviewed {reviewed} videos; coded "
        f"{stretches} stretches blind"
    )
    _check_suggestions(study, truth, plan)
    run(["project", "show", str(study)])
    run(["project", "quality", str(study)])
    run(["budget", str(study), "--out", str(budget)])
    run(["project", "methods", str(study), "--out", str(out / "methods.md")])
    run(["project", "export", str(study), str(out / "coded.csv"), "--to", "csv"])
    exported = (out / "coded.csv").read_text(encoding="utf-8-sig")
    _require(plan.own in exported, f"{out / 'coded.csv'} lacks {plan.own}")


def _review_until_taught(study: Path, coder: Coder, plan: Plan) -> int:
    """Review whole videos until enough of the new behaviour is drawn; how many videos."""
    done = drawn = 0
    with Project.open(study) as project:
        blind = {one.video for one in project.blind.stretches()}
        for video, happens in coder.truth.items():
            new = sum(name == plan.own for _, _, name in happens)
            if drawn >= plan.drawn or not new or video in blind:
                continue
            names = {one.id: one.name for one in project.catalogue.behaviours()}
            coded = [
                (one.start_seconds, one.end_seconds, names[one.behaviour])
                for one in project.decisions.instances(video, ANNOTATOR)
                if one.state == "accepted"
            ]
            coder.review(video, coded)
            done, drawn = done + 1, drawn + new
    return done


def _code_blind(coder: Coder, page: Any, plan: Plan) -> int:
    if plan.screenshots is not None:
        page.click("#blind-open")
        coder.wait("!document.querySelector('#blind').hidden")
        _picture(page, plan, "review_blind")
        page.click("#blind-leave")
        coder.wait("document.querySelector('#blind').hidden")
    return coder.code_blind()


def _check_suggestions(study: Path, truth: Mapping[str, Sequence[Truth]], plan: Plan) -> None:
    """The taught model suggests the new behaviour where it happens, more than elsewhere."""
    right = found = 0
    with Project.open(study) as project:
        number = next(one.id for one in project.catalogue.behaviours() if one.name == plan.own)
        for video, happens in truth.items():
            for one in project.findings.detections(video):
                if one.behaviour != number:
                    continue
                found += 1
                right += any(
                    name == plan.own and start < one.end_seconds and end > one.start_seconds
                    for start, end, name in happens
                )
    print(f"{plan.own}: {found} suggestions, {right} of them where it happens")
    _require(right > 0, f"no suggestion of {plan.own} is right")


def _picture(page: Any, plan: Plan, name: str) -> None:
    """Screenshots of the page: desktop; and for the first, a phone in the dark."""
    if plan.screenshots is None:
        return
    plan.screenshots.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(_PICTURE_MS)
    page.screenshot(path=plan.screenshots / f"{name}.png")
    if name != "review":
        return
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(_PICTURE_MS)
    page.screenshot(path=plan.screenshots / f"{name}_phone.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(_DESKTOP)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(otherwise)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="folder of videos")
    parser.add_argument("--annotations", type=Path, required=True, help="what happens in them")
    parser.add_argument("--checkpoint", type=Path, required=True, help="run of a detector")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--decisions", type=int, default=Plan.decisions)
    parser.add_argument("--drawn", type=int, default=Plan.drawn)
    parser.add_argument("--new", default=Plan.new, help="behaviour that the model does not know")
    parser.add_argument("--own", default=Plan.own, help="its name in the project")
    parser.add_argument("--blind-share", type=float, default=Plan.blind_share)
    parser.add_argument("--min-score", type=float, default=Plan.min_score)
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of the page")
    options = parser.parse_args()
    play(
        options.videos,
        options.annotations,
        checkpoint=options.checkpoint,
        out=options.out,
        plan=Plan(
            options.decisions,
            options.drawn,
            options.new,
            options.own,
            options.blind_share,
            options.min_score,
            options.screenshots,
        ),
    )


if __name__ == "__main__":
    main()
