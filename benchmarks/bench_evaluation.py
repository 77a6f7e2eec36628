"""mAP at nine thresholds against a plain loop over videos, classes and detections.

    python -m benchmarks.bench_evaluation [--videos 100 1475] [--detections 193]

The plain loop works as the official evaluators do, one class and one detection after another;
both must give the same numbers. Writes benchmarks/results/evaluation.csv.
"""

import argparse
import time

import numpy as np

from benchmarks.provenance import write_rows
from mmad.evaluation.detection import average_precision, evaluate_detections, parse_tiou
from mmad.labels import MA52
from mmad.structures import Annotations, Detections, VideoRecord


def plain_map(detections: dict, records: list, *, tiou: np.ndarray) -> np.ndarray:
    """mAP per threshold, (Q,), by the definition."""
    truth: dict[tuple[str, int], list[np.ndarray]] = {}
    for record in records:
        for segment, label in zip(
            record.annotations.segments_seconds, record.annotations.labels, strict=True
        ):
            truth.setdefault((record.video_id, int(label)), []).append(segment)
    values = []
    for label in range(52):
        num_truth = sum(len(v) for (_, k), v in truth.items() if k == label)
        if not num_truth:
            continue
        rows = [
            (score, video, segment)
            for video, d in detections.items()
            for segment, k, score in zip(d.segments_seconds, d.labels, d.scores, strict=True)
            if k == label
        ]
        rows.sort(key=lambda row: -row[0])
        taken = {key: np.zeros((len(tiou), len(v)), bool) for key, v in truth.items()}
        hits = np.zeros((len(rows), len(tiou)), dtype=bool)
        for number, (_, video, segment) in enumerate(rows):
            key = (video, label)
            if key not in truth:
                continue
            there = np.array(truth[key])
            inner = np.minimum(segment[1], there[:, 1]) - np.maximum(segment[0], there[:, 0])
            inner = np.maximum(inner, 0)
            union = segment[1] - segment[0] + there[:, 1] - there[:, 0] - inner + 1e-4
            overlap = inner / union
            for column, threshold in enumerate(tiou):
                for k in np.argsort(-overlap, kind="stable"):
                    if overlap[k] < threshold:
                        break
                    if not taken[key][column, k]:
                        taken[key][column, k] = hits[number, column] = True
                        break
        values.append(average_precision(hits, num_annotations=num_truth))
    return np.mean(values, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", nargs="+", type=int, default=[100, 1475])
    parser.add_argument("--detections", type=int, default=193, help="of each video")
    arguments = parser.parse_args()
    tiou, rows = parse_tiou("0.1:0.9"), []
    for num_videos in arguments.videos:
        rng = np.random.default_rng(0)
        records, detections = [], {}
        for number in range(num_videos):
            start = rng.uniform(0, 8, 3)
            segments = np.stack([start, start + rng.exponential(3, 3) + 0.3], 1)
            truth = Annotations(segments, rng.integers(0, 52, 3))
            records.append(VideoRecord(f"v{number}", 15.0, "val", annotations=truth))
            pick = rng.integers(0, 3, arguments.detections)
            near = np.sort(segments[pick] + rng.normal(0, 0.5, (len(pick), 2)), axis=1)
            labels = np.where(
                rng.random(len(pick)) < 0.4, truth.labels[pick], rng.integers(0, 52, len(pick))
            )
            detections[f"v{number}"] = Detections(near, labels, rng.random(len(pick)))
        began = time.perf_counter()
        report = evaluate_detections(
            detections, records, labels=MA52, tiou=tiou, levels=("action",)
        )
        ours = time.perf_counter() - began
        began = time.perf_counter()
        expected = plain_map(detections, records, tiou=tiou)
        theirs = time.perf_counter() - began
        np.testing.assert_allclose(report.levels["action"].map, expected, rtol=1e-9)
        rows.append(
            {
                "videos": num_videos,
                "detections": num_videos * arguments.detections,
                "seconds": round(ours, 4),
                "plain_seconds": round(theirs, 3),
                "ratio": round(theirs / ours, 1),
            }
        )
        print(rows[-1], flush=True)
    print(write_rows("evaluation", rows))


if __name__ == "__main__":
    main()
