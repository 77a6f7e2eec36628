"""Soft-NMS of many videos at once against one class of one video at a time.

    python -m benchmarks.bench_nms [--videos 1 16] [--candidates 2000] [--repeats 5]

The baseline is the loop that the reference implementations compile: pick the best, decay the rest,
repeat. Both run in NumPy and give the same scores. Writes benchmarks/results/nms.csv.
"""

import argparse
import statistics
import time

import numpy as np

from benchmarks.provenance import write_rows
from mmad.suppression import LENGTH_EPS, Candidates, suppress


def plain(candidates: Candidates, *, sigma: float, min_score: float) -> np.ndarray:
    """Final scores, one group at a time."""
    kept = []
    for video in np.unique(candidates.videos):
        for label in np.unique(candidates.labels):
            mine = np.flatnonzero((candidates.videos == video) & (candidates.labels == label))
            segments, scores = candidates.segments[mine], candidates.scores[mine].copy()
            scores[scores < min_score] = -1.0
            while len(scores):
                best = int(scores.argmax())
                if scores[best] < 0:
                    break
                kept.append(scores[best])
                a, b = segments[best]
                inner = np.maximum(np.minimum(segments[:, 1], b) - np.maximum(segments[:, 0], a), 0)
                union = segments[:, 1] - segments[:, 0] + b - a + 2 * LENGTH_EPS - inner
                scores = scores * np.exp(-((inner / union) ** 2) / sigma)
                rest = np.ones(len(scores), dtype=bool)
                rest[best] = False
                rest &= scores >= min_score
                segments, scores = segments[rest], scores[rest]
    return np.sort(kept)[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--candidates", type=int, default=2000, help="candidates of each video")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = []
    for num_videos in arguments.videos:
        count = num_videos * arguments.candidates
        start = rng.uniform(0, 10, count)
        candidates = Candidates(
            np.stack([start, start + rng.exponential(2.5, count)], 1),
            rng.random(count) ** 3,
            rng.integers(0, 52, count),
            np.repeat(np.arange(num_videos), arguments.candidates),
        )
        times: dict[str, list[float]] = {"batched": [], "plain": []}
        for _ in range(arguments.repeats):
            began = time.perf_counter()
            ours = suppress(candidates, sigma=0.5, min_score=0.001, max_per_video=count)
            times["batched"].append(time.perf_counter() - began)
            began = time.perf_counter()
            theirs = plain(candidates, sigma=0.5, min_score=0.001)
            times["plain"].append(time.perf_counter() - began)
            np.testing.assert_allclose(np.sort(ours.scores)[::-1], theirs, rtol=1e-9)
        median = {name: statistics.median(values) for name, values in times.items()}
        for name, seconds in median.items():
            rows.append(
                {
                    "videos": num_videos,
                    "candidates_per_video": arguments.candidates,
                    "way": name,
                    "milliseconds": round(1000 * seconds, 2),
                    "ratio_to_batched": round(seconds / median["batched"], 2),
                }
            )
            print(rows[-1])
    print(write_rows("nms", rows))


if __name__ == "__main__":
    main()
