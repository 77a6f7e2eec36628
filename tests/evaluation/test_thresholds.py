from pathlib import Path

import numpy as np
import pytest

from mmad.errors import CheckpointError
from mmad.evaluation.thresholds import (
    FILE_NAME,
    Thresholds,
    best_f1,
    choose_thresholds,
    read_thresholds,
    write_thresholds,
)
from mmad.labels import LabelMap
from mmad.structures import Annotations, Detections, VideoRecord

LABELS = LabelMap(("nod", "wave", "rare"))


def f1_at(least: float, scores: np.ndarray, hits: np.ndarray, num_annotations: int) -> float:
    kept = scores >= least
    return 2 * hits[kept].sum() / (kept.sum() + num_annotations)


def test_no_other_score_has_a_higher_f1() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = int(rng.integers(1, 30))
        scores = rng.integers(0, 8, size) / 10  # many ties
        hits = rng.random(size) < 0.4
        annotations = int(hits.sum() + rng.integers(0, 5))
        found = best_f1(scores, hits, num_annotations=annotations)
        if not hits.any():
            assert found is None
            continue
        assert found is not None
        least, f1 = found
        assert f1 == pytest.approx(f1_at(least, scores, hits, annotations))
        assert f1 >= max(f1_at(one, scores, hits, annotations) for one in scores) - 1e-12


def corpus() -> tuple[dict[str, Detections], list[VideoRecord]]:
    """Six nods that are found with 0.8, waves that are found with 0.3, both with false ones."""
    detections, records = {}, []
    for number in range(6):
        found = Detections(
            [[0, 1], [5, 6], [2, 3], [7, 8], [9, 10]],
            [0, 0, 1, 1, 2],
            [0.8, 0.5, 0.3, 0.1, 0.9],
        )
        detections[f"v{number}"] = found
        truth = Annotations([[0, 1], [2, 3]], [0, 1])
        records.append(VideoRecord(f"v{number}", 10.0, "val", annotations=truth))
    return detections, records


def test_each_class_has_its_own_and_rare_ones_that_of_all(tmp_path: Path) -> None:
    chosen = choose_thresholds(*corpus(), labels=LABELS, subset="val")
    assert chosen is not None
    assert [one.threshold for one in chosen.classes[:2]] == [0.8, 0.3]
    assert [one.f1 for one in chosen.classes] == [1.0, 1.0, None]
    assert chosen.classes[2].threshold == chosen.overall.threshold
    write_thresholds(tmp_path / FILE_NAME, chosen)
    read = read_thresholds(tmp_path, LABELS)
    assert read is not None
    assert read.values == (0.8, 0.3, chosen.overall.threshold)
    assert "1 behaviour too rare or never found there" in read.text
    kept = read.sure(corpus()[0]["v0"])
    assert kept.scores.tolist() == [0.8, 0.3, 0.9]
    assert not read.are_same
    assert Thresholds.same(0.4, LABELS).are_same


def test_nothing_found_chooses_nothing() -> None:
    _, records = corpus()
    assert choose_thresholds({}, records, labels=LABELS, subset="val") is None


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    assert read_thresholds(tmp_path, LABELS) is None
    chosen = choose_thresholds(*corpus(), labels=LABELS, subset="val")
    assert chosen is not None
    write_thresholds(tmp_path / FILE_NAME, chosen)
    with pytest.raises(CheckpointError, match="has other classes than the run"):
        read_thresholds(tmp_path, LabelMap(("a", "b", "c")))
    (tmp_path / FILE_NAME).write_text('{"subset": "val"}')
    with pytest.raises(CheckpointError, match=r"thresholds\.json"):
        read_thresholds(tmp_path, LABELS)
