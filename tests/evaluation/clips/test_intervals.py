"""Bootstrap intervals of a recogniser's figures."""

import numpy as np
import pytest

from mmad.evaluation.clips.intervals import f1_intervals
from mmad.evaluation.clips.recognition import Recognitions, evaluate_recognition
from mmad.labels import LabelMap
from mmad.structures import ClipRecord

LABELS = LabelMap(("nod", "shake", "wave"), parents=(0, 0, 1), parent_names=("head", "arm"))


@pytest.mark.parametrize("rule", ["per_class", "harmonic"])
def test_an_interval_is_around_its_figure_and_as_wide_as_chance(rule: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    guesses = np.where(rng.random(400) < 0.7, labels, rng.integers(0, 3, 400))[:, None]
    names = [f"{number}.mp4" for number in range(400)]
    clips = [ClipRecord(name, int(label), "val") for name, label in zip(names, labels, strict=True)]
    found = Recognitions(names, guesses, LABELS.to_parents(guesses))
    report = evaluate_recognition(found, clips, labels=LABELS, f1=rule)
    limits = f1_intervals(found, clips, report, labels=LABELS, num_resamples=400)
    assert limits.keys() == {"mean", "action_macro", "action_micro", "body_macro", "body_micro"}
    top1 = report.levels["action"].top1
    low, high = limits["action_micro"]
    # That of a binomial share of as many clips.
    assert (low + high) / 2 == pytest.approx(top1, abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(top1 * (1 - top1) / 400), rel=0.15)
    low, high = limits["mean"]
    assert low < report.f1_mean < high
