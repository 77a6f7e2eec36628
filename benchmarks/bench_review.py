"""How fluent the page of ``mmad review`` is with a long video and many detections.

    python -m benchmarks.bench_review [--minutes 60] [--detections 5000] [--decisions 60]

A browser scrolls the lanes, zooms, pans, drags an edge, moves along the film strip and plays;
between animation frames there should be at most 16.7 ms. Then it decides, one detection after the
other, and waits each time until the next one plays. Needs playwright and a chromium on PATH. Writes
benchmarks/results/review.csv and review_decisions.csv.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.long_project import make_long_project
from benchmarks.provenance import write_rows

SECONDS = 4.0
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
# Times between animation frames, what painting the timeline takes, and tasks of 50 ms and more.
_RECORD = """async () => {
  const { timeline } = await import("/static/app.js");
  const record = (window.record = { frames: [], paints: [], tasks: [], isOn: false });
  const paint = timeline.paint.bind(timeline);
  timeline.paint = () => {
    const before = performance.now();
    paint();
    if (record.isOn) record.paints.push(performance.now() - before);
  };
  new PerformanceObserver((list) => {
    if (record.isOn) record.tasks.push(...list.getEntries().map((one) => one.duration));
  }).observe({ type: "longtask" });
  let last = null;
  const frame = (now) => {
    if (record.isOn && last !== null) record.frames.push(now - last);
    last = record.isOn ? now : null;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
_START = "() => Object.assign(window.record, { frames: [], paints: [], tasks: [], isOn: true })"
_STOP = "() => { window.record.isOn = false; return window.record; }"
# From the key of a decision to the first frame of the next detection that is shown while it plays.
_DECIDE = """async (key) => {
  const { selectedItem, store } = await import("/static/store.js");
  const video = document.querySelector("#video");
  const before = store.selected;
  const started = performance.now();
  dispatchEvent(new KeyboardEvent("keydown", { key }));
  return await new Promise((resolve, reject) => {
    setTimeout(() => {
      const { paused, currentTime, seeking } = video;
      const toast = document.querySelector("#toast").textContent;
      const now = store.selected;
      reject(new Error(JSON.stringify({ key, before, now, paused, currentTime, seeking, toast })));
    }, 20000);
    const shown = (_, { mediaTime }) => {
      const item = selectedItem();
      const isNext = item && store.selected !== before && item.state === "open" && !video.paused;
      if (isNext && mediaTime >= item.start - 0.6 && mediaTime <= item.end + 0.6) {
        resolve(performance.now() - started);
      } else video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  });
}"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a running ``mmad review``."""
    words = [sys.executable, "-m", "mmad", "review", str(folder), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("mmad review printed no address")
        try:
            yield found.group()
        finally:
            process.kill()


def open_page(page: Page, address: str) -> float:
    """Open the page as Ann; seconds until it is ready."""
    page.goto(address)
    page.fill("#who-name", "Ann")
    started = time.perf_counter()
    page.click("#who-start")
    while page.evaluate("document.documentElement.dataset.ready") != "true":
        page.wait_for_timeout(10)
    return time.perf_counter() - started


def scroll(page: Page, box: dict[str, float], turn: int) -> None:
    page.mouse.wheel(0, 60 if turn // 40 % 2 == 0 else -60)


def zoom(page: Page, box: dict[str, float], turn: int) -> None:
    page.keyboard.down("Control")
    page.mouse.wheel(0, -40 if turn // 50 % 2 == 0 else 40)
    page.keyboard.up("Control")


def drag(page: Page, box: dict[str, float], turn: int) -> None:
    if turn == 0:
        page.mouse.down()
    page.mouse.move(box["x"] + 700 + 300 * np.sin(turn / 15), box["y"])


def play(page: Page, box: dict[str, float], turn: int) -> None:
    if turn == 0:
        page.keyboard.press(" ")
    page.wait_for_timeout(30)


def rest(page: Page, box: dict[str, float], turn: int) -> None:
    page.wait_for_timeout(30)


def measure(page: Page, name: str, act: Callable[..., None], **box: float) -> dict[str, Any]:
    """Times of frames while something is done for some seconds."""
    page.mouse.move(box["x"] + 700, box["y"])
    page.wait_for_timeout(700)
    page.evaluate(_START)
    end = time.perf_counter() + SECONDS
    turn = 0
    while time.perf_counter() < end:
        act(page, box, turn)
        turn += 1
    record = page.evaluate(_STOP)
    page.mouse.up()
    frames, paints = (np.array(record[key] or [0.0]) for key in ("frames", "paints"))
    row = {
        "what": name,
        "frames_per_second": round(float(1000 / frames.mean()), 1),
        "within_17_ms": round(float((frames < 17.5).mean()), 3),
        "frame_ms_median": round(float(np.median(frames)), 1),
        "frame_ms_95": round(float(np.quantile(frames, 0.95)), 1),
        "frame_ms_99": round(float(np.quantile(frames, 0.99)), 1),
        "paint_ms_median": round(float(np.median(paints)), 2),
        "paint_ms_95": round(float(np.quantile(paints, 0.95)), 2),
        "long_tasks": len(record["tasks"]),
        "longest_task_ms": round(max(record["tasks"], default=0.0)),
        "events": turn,
    }
    print(row, flush=True)
    return row


def measure_fluency(page: Page) -> list[dict[str, Any]]:
    """Rows for each thing that a person does on the timeline."""
    page.evaluate(_RECORD)
    head, body = (page.locator(name).bounding_box() for name in ("#head", "#body"))
    assert head is not None
    assert body is not None
    lanes = {"x": body["x"], "y": body["y"] + 40}
    rows = [measure(page, "rest", rest, **lanes)]
    rows.append(measure(page, "scroll, whole video", scroll, **lanes))
    page.keyboard.press("0")
    rows.append(measure(page, "zoom", zoom, **lanes))
    page.keyboard.press("0")
    for _ in range(4):
        page.keyboard.press("+")
    rows.append(measure(page, "pan, 8 minutes in view", drag, **lanes))
    rows.append(measure(page, "along the film strip", drag, x=head["x"], y=head["y"] + 10))
    page.keyboard.press("n")
    page.wait_for_timeout(1500)
    page.keyboard.press(" ")
    page.keyboard.press("f")
    page.wait_for_timeout(300)
    edge = page.evaluate(
        """async () => {
          const { selectedItem } = await import("/static/store.js");
          const { timeline } = await import("/static/app.js");
          const item = selectedItem();
          const lane = (timeline.places.get(item.behaviour) + 0.5) * timeline.laneHeight;
          return [timeline.x(item.end), lane - timeline.box.scrollTop];
        }"""
    )
    spot = {"x": body["x"] + edge[0] - 700, "y": body["y"] + edge[1]}
    rows.append(measure(page, "drag an edge", drag, **spot))
    page.keyboard.press("Control+z")
    page.keyboard.press("0")
    rows.append(measure(page, "play, whole video", play, **lanes))
    return rows


def measure_decisions(page: Page, decisions: int) -> dict[str, Any]:
    """How long the page needs from the key of a decision until the next detection plays."""
    page.keyboard.press("n")
    page.wait_for_timeout(1500)
    times = np.array([page.evaluate(_DECIDE, "ax"[turn % 2]) for turn in range(decisions)])
    row = {
        "decisions": decisions,
        "ms_median": round(float(np.median(times))),
        "ms_95": round(float(np.quantile(times, 0.95))),
        "ms_longest": round(float(times.max())),
        "decisions_per_hour_of_page_time": round(3.6e6 / times.mean()),
    }
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--detections", type=int, default=5000)
    parser.add_argument("--decisions", type=int, default=60)
    parser.add_argument("--dry", action="store_true", help="write no results")
    arguments = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("there is no chromium on PATH")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "long"
        size = {"seconds": 60 * arguments.minutes, "detections": arguments.detections}
        make_long_project(folder, **size).close()
        with served(folder / "study") as address, sync_playwright() as playing:
            browser = playing.chromium.launch(executable_path=program, args=list(_FLAGS))
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            size = {"minutes": arguments.minutes, "detections": arguments.detections}
            seconds = round(open_page(page, address), 2)
            print(f"ready after {seconds} s", flush=True)
            rows = measure_fluency(page)
            decided = measure_decisions(page, arguments.decisions)
            browser.close()
    if not arguments.dry:
        write_rows("review", [size | row for row in rows])
        write_rows("review_decisions", [size | {"seconds_to_open": seconds} | decided])


if __name__ == "__main__":
    main()
