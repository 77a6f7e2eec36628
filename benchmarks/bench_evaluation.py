"""mAP at nine thresholds against a plain loop of the kind the official evaluators have.

    python -m benchmarks.bench_evaluation [--videos 100 1475] [--detections 193]

The plain loop goes class by class and detection by detection; it looks up the annotations of the
video in a pandas group, computes their tIoU and tries them from the best one down at every
threshold. Both must give the same numbers. Writes benchmarks/results/evaluation.csv.
"""

import argparse
import time
import tracemalloc

import numpy as np
import pandas as pd

from benchmarks.provenance import write_rows
from mmad.evaluation.detection import evaluate_detections, parse_tiou
from mmad.evaluation.matching import average_precision
from mmad.labels import MA52, LabelMap
from mmad.structures import Annotations, Detections, VideoRecord


def to_frame(items: dict[str, Detections | Annotations]) -> pd.DataFrame:
    """One row for each annotation or detection."""
    columns = {
        "video": np.repeat(list(items), [len(item) for item in items.values()]),
        "start": np.concatenate([item.segments_seconds[:, 0] for item in items.values()]),
        "end": np.concatenate([item.segments_seconds[:, 1] for item in items.values()]),
        "label": np.concatenate([item.labels for item in items.values()]),
    }
    if all(isinstance(item, Detections) for item in items.values()):
        columns["score"] = np.concatenate([item.scores for item in items.values()])  # type: ignore[union-attr]
    return pd.DataFrame(columns)


def plain_class_ap(found: pd.DataFrame, truth: pd.DataFrame, tiou: np.ndarray) -> np.ndarray:
    """Average precision of one class at each threshold, (Q,)."""
    found = found.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    groups = truth.reset_index(drop=True).groupby("video")
    taken = np.zeros((len(tiou), len(truth)), dtype=bool)
    hits = np.zeros((len(found), len(tiou)), dtype=bool)
    for number, row in found.iterrows():
        try:
            there = groups.get_group(row["video"])
        except KeyError:
            continue
        starts, ends = there["start"].to_numpy(), there["end"].to_numpy()
        inner = np.minimum(row["end"], ends) - np.maximum(row["start"], starts)
        inner = np.maximum(inner, 0)
        overlap = inner / (row["end"] - row["start"] + ends - starts - inner + 1e-4)
        rows = there.index.to_numpy()
        for column, threshold in enumerate(tiou):
            for k in np.argsort(-overlap, kind="stable"):
                if overlap[k] < threshold:
                    break
                if not taken[column, rows[k]]:
                    taken[column, rows[k]] = hits[number, column] = True
                    break
    return average_precision(hits, num_annotations=len(truth))


def plain_map(found: pd.DataFrame, truth: pd.DataFrame, tiou: np.ndarray) -> np.ndarray:
    """mAP at each threshold, (Q,)."""
    values = [
        plain_class_ap(found[found["label"] == label], truth[truth["label"] == label], tiou)
        for label in sorted(truth["label"].unique())
    ]
    return np.mean(values, axis=0)


def make_data(
    num_videos: int, *, num_detections: int
) -> tuple[dict[str, Detections], list[VideoRecord]]:
    """Videos with three annotations each, and detections around them."""
    rng = np.random.default_rng(0)
    records, detections = [], {}
    for number in range(num_videos):
        start = rng.uniform(0, 8, 3)
        segments = np.stack([start, start + rng.exponential(3, 3) + 0.3], 1)
        truth = Annotations(segments, rng.integers(0, 52, 3))
        records.append(VideoRecord(f"v{number}", 15.0, "val", annotations=truth))
        pick = rng.integers(0, 3, num_detections)
        near = np.sort(segments[pick] + rng.normal(0, 0.5, (len(pick), 2)), axis=1)
        is_same = rng.random(len(pick)) < 0.4
        labels = np.where(is_same, truth.labels[pick], rng.integers(0, 52, len(pick)))
        detections[f"v{number}"] = Detections(near, labels, rng.random(len(pick)))
    return detections, records


def measure(
    detections: dict[str, Detections], records: list[VideoRecord], *, level: str
) -> dict[str, object]:
    """Both times, their ratio and our memory, at one level."""
    tiou = parse_tiou("0.1:0.9")

    def ours() -> np.ndarray:
        report = evaluate_detections(detections, records, labels=MA52, tiou=tiou, levels=(level,))
        return report.levels[level].map

    times = []
    for _ in range(3):
        began = time.perf_counter()
        value = ours()
        times.append(time.perf_counter() - began)
    tracemalloc.start()
    ours()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    began = time.perf_counter()
    found = to_frame(dict(detections))
    truth = to_frame({record.video_id: record.annotations for record in records})
    if level == "body":
        found, truth = (_to_parents(frame, MA52) for frame in (found, truth))
    expected = plain_map(found, truth, tiou)
    plain = time.perf_counter() - began
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    return {
        "level": level,
        "videos": len(records),
        "detections": sum(len(item) for item in detections.values()),
        "seconds": round(float(np.median(times)), 4),
        "plain_seconds": round(plain, 2),
        "ratio": round(plain / float(np.median(times)), 1),
        "peak_mib": round(peak / 2**20, 1),
    }


def _to_parents(frame: pd.DataFrame, labels: LabelMap) -> pd.DataFrame:
    return frame.assign(label=labels.to_parents(frame["label"].to_numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", nargs="+", type=int, default=[100, 1475])
    parser.add_argument("--detections", type=int, default=193, help="detections of each video")
    arguments = parser.parse_args()
    rows = []
    for num_videos in arguments.videos:
        detections, records = make_data(num_videos, num_detections=arguments.detections)
        for level in ("action", "body"):
            rows.append(measure(detections, records, level=level))
            print(rows[-1], flush=True)
    print(write_rows("evaluation", rows))


if __name__ == "__main__":
    main()
