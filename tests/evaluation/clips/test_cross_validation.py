import math

import numpy as np
import pytest
from rich.console import Console

from mmad.evaluation.clips.cross_validation import folds_json, summarise_folds
from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    Recognitions,
    evaluate_recognition,
)
from mmad.labels import LabelMap, flat_labels
from mmad.report.recognition_tables import folds_table
from mmad.structures import ClipRecord
from support.scores import SMALL

FLAT = flat_labels(["a", "b", "c"])


def report_of(truth: list[int], guessed: list[int], labels: LabelMap = FLAT) -> RecognitionReport:
    clips = [ClipRecord(f"{i}.mp4", label, "val") for i, label in enumerate(truth)]
    first = np.array(guessed)[:, None]
    parts = labels.to_parents(first) if labels.has_parents else np.zeros((len(first), 0))
    names = tuple(clip.clip_id for clip in clips)
    return evaluate_recognition(Recognitions(names, first, parts), clips, labels=labels)


# Four clips: a, a, b and c; right are one of two a, b, and not c.
FIRST = report_of([0, 0, 1, 2], [0, 1, 1, 1])
# Two clips of a, both right; b and c have none.
SECOND = report_of([0, 0], [0, 0])


def test_mean_class_accuracy() -> None:
    assert FIRST.levels["action"].top1 == 2 / 4
    assert FIRST.levels["action"].mean_class_accuracy == pytest.approx((1 / 2 + 1 + 0) / 3)
    # Classes without clips are no part of the mean.
    assert SECOND.levels["action"].mean_class_accuracy == 1.0


def test_every_fold_counts_the_same() -> None:
    summary = summarise_folds({"one": FIRST, "two": SECOND})
    top1 = summary.levels["action"]["top1"]
    assert top1.mean == (2 / 4 + 1) / 2
    assert top1.deviation == pytest.approx(abs(1 - 2 / 4) / math.sqrt(2))
    of_classes = summary.levels["action"]["mean_class_accuracy"]
    assert of_classes.mean == pytest.approx((0.5 + 1) / 2)
    assert summary.f1_mean.mean == pytest.approx((FIRST.f1_mean + SECOND.f1_mean) / 2)
    # With a guess for each clip there is no top-5.
    assert "top5" not in summary.levels["action"]


def test_folds_as_json_and_as_a_table() -> None:
    summary = summarise_folds({"one": FIRST, "[two]": SECOND})
    content = folds_json(summary, FLAT)
    assert list(content["folds"]) == ["one", "[two]"]
    assert content["folds"]["one"]["action"]["top1"] == 0.5
    assert content["mean"]["action"]["top1"] == 0.75
    assert content["standard_deviation"]["action"]["top1"] == pytest.approx(0.5 / math.sqrt(2))
    assert content["mean"]["f1_mean"] == summary.f1_mean.mean
    console = Console(width=120)
    with console.capture() as shown:
        console.print(folds_table(summary, level="action"))
    text = shown.get()
    for expected in ("[two]", "75.00", "35.36", "standard deviation", "Folds, action (%)"):
        assert expected in text


def test_both_levels_have_a_spread() -> None:
    reports = {
        name: report_of([0, 1, 2], guesses, SMALL)
        for name, guesses in (
            ("one", [0, 0, 2]),
            ("two", [0, 1, 0]),
        )
    }
    summary = summarise_folds(reports)
    # Bodies are x, x, y: all right in the first fold, two of three in the second.
    assert summary.levels["body"]["top1"].mean == pytest.approx((1 + 2 / 3) / 2)
