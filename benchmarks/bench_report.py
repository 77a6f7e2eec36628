"""Size of the report of a large run, and how long a browser needs to open it.

    python -m benchmarks.bench_report [--videos 1475] [--detections 193]

Needs playwright and a chromium on PATH. Writes benchmarks/results/report.csv.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.bench_evaluation import make_data
from benchmarks.provenance import write_rows
from mmad.evaluation.detection import evaluate_detections, parse_tiou
from mmad.evaluation.error_analysis import analyse_errors
from mmad.labels import MA52
from mmad.report.web_page import write_web_page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=1475)
    parser.add_argument("--detections", type=int, default=193, help="detections of each video")
    arguments = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("there is no chromium on PATH")
    found, records = make_data(arguments.videos, num_detections=arguments.detections)
    started = time.perf_counter()
    scores = evaluate_detections(found, records, labels=MA52, tiou=parse_tiou("0.1:0.9"))
    errors = analyse_errors(found, records, labels=MA52)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        write_web_page(
            path, title="large", records=records, labels=MA52, scores=scores, errors=errors
        )
        seconds_to_write = time.perf_counter() - started
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page = browser.new_page()
            started = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector("#timeline svg rect")
            seconds_to_open = time.perf_counter() - started
            started = time.perf_counter()
            page.keyboard.press("n")
            page.wait_for_selector("#timeline svg rect")
            seconds_to_next = time.perf_counter() - started
            browser.close()
        row = {
            "videos": arguments.videos,
            "detections": sum(len(item) for item in found.values()),
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "seconds_to_compute_and_write": round(seconds_to_write, 2),
            "seconds_to_open": round(seconds_to_open, 2),
            "seconds_to_next_video": round(seconds_to_next, 3),
        }
    print(row)
    write_rows("report", [row])


if __name__ == "__main__":
    main()
