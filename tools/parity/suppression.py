"""Suppression and the schedule of the learning rate."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmad.config.training import TrainingSettings
from mmad.engine.schedule import learning_rate
from mmad.suppression import Candidates, suppress
from parity.common import Check, Checks, largest

_METHODS = {0: "soft_hard", 1: "soft_linear", 2: "soft_gaussian", 3: "soft_gaussian_by_length"}


def check_nms(path: Path) -> Checks:
    data = np.load(path)
    configs = json.loads(path.with_name("nms_configs.json").read_text(encoding="utf-8"))
    for key, stored in configs.items():
        case, keywords = key.split("/")[0], stored["kw"]
        original = key.split("/")[1].startswith("AF_")
        yield from compare_nms(key, data, case, keywords, original=original)


def compare_nms(
    key: str,
    data: Mapping[str, np.ndarray],
    case: str,
    keywords: Mapping[str, Any],
    *,
    original: bool,
) -> Checks:
    segments, scores, labels = (data[f"{case}/{part}"] for part in ("segs", "scores", "labels"))
    soft = keywords.get("use_soft_nms", True)
    method = _METHODS[keywords.get("method", 2)] if soft else "hard"
    per_class = keywords.get("multiclass", True)
    voting = keywords.get("voting_thresh", 0) or None
    if per_class:
        voting = None  # inert in both codes, see docs/parity.md
    found = suppress(
        Candidates(
            segments.astype(np.float64),
            scores.astype(np.float64),
            labels.astype(np.int64),
            np.zeros(len(labels), dtype=np.int64),
        ),
        method=method,  # type: ignore[arg-type]
        iou_threshold=keywords.get("iou_threshold", 0.1),
        sigma=keywords.get("sigma", 0.5),
        length_threshold=(keywords.get("t1", 0.0), keywords.get("t2", 0.0)),
        min_score=keywords.get("min_score", 0.0),
        keep_best=soft,
        max_per_video=keywords.get("max_seg_num", 100),
        per_class=per_class,
        voting_threshold=voting,
        voting_weight="score_iou" if original else "score",
    )
    ours = np.column_stack((found.segments, found.scores, found.labels))
    theirs = np.column_stack([data[f"{key}/{part}"] for part in ("segs", "scores", "labels")])
    yield from same_survivors(key, ours, theirs, scores)


def same_survivors(key: str, ours: np.ndarray, theirs: np.ndarray, scores_in: np.ndarray) -> Checks:
    """Rows (start, end, score, label) as sets: equal scores may come in any order.

    Which of two candidates with exactly one score is taken first is not defined, and may decide
    what is suppressed after it; where all rows that differ are such, the comparison is skipped.
    """
    if not len(ours) and not len(theirs):
        yield Check(f"{key}: nothing survives", 0.0, 0.0)
        return
    gap = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    # Voting divides zero by zero in the peers where a segment is empty.
    undefined = np.isnan(theirs).any(axis=1)
    gap[:, undefined] = np.inf
    worst = max(gap.min(axis=1).max(initial=0), gap.min(axis=0)[~undefined].max(initial=0))
    if worst > 1e-5 or len(ours) != len(theirs):
        values, counts = np.unique(scores_in, return_counts=True)
        if undefined.any() or (counts[values >= ours[:, 2].min(initial=np.inf)] > 1).any():
            reason = "equal scores or empty segments decide it"
            yield Check(key, float(worst), 1e-5, skipped=reason)
            return
    size = float("inf") if len(ours) != len(theirs) else float(worst)
    yield Check(f"{key}: {len(theirs)} survivors", size, 1e-5)


def check_schedule(path: Path) -> Checks:
    data = np.load(path)
    note = str(data["note"])
    words = note.replace(",", " ").split()
    warmup = int(words[words.index("warmup") + 1])
    most = int(words[words.index("max") + 1])
    per_epoch = int(next(w for w, after in itertools.pairwise(words) if after == "it/epoch"))
    bases = [float(x) for x in note.split("[")[1].split("]")[0].split(",")]
    settings = TrainingSettings(epochs=most, warmup_epochs=warmup, final_learning_rate=1e-8)
    rates = np.array(
        [
            [
                learning_rate(step, base=base, settings=settings, steps_per_epoch=per_epoch)
                for base in bases
            ]
            for step in range(len(data["lrs"]))
        ]
    )
    yield Check("learning rates", largest(rates, data["lrs"]), 1e-9)
