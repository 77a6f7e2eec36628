"""Bootstrap intervals of the F1 and accuracy of a recogniser, over its clips."""

from collections.abc import Sequence

import numpy as np

from mmad.evaluation.breakdown import interval
from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    Recognitions,
    evaluate_level,
    rows_of_clips,
)
from mmad.labels import LabelMap
from mmad.structures import ClipRecord


def f1_intervals(
    recognitions: Recognitions,
    clips: Sequence[ClipRecord],
    report: RecognitionReport,
    *,
    labels: LabelMap,
    num_resamples: int,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """95 % intervals of ``mean`` (F1_mean) and, of each level, ``LEVEL_macro`` and ``LEVEL_micro``.

    Clips are drawn with replacement, the same ones for all levels.

    Args:
        recognitions: Predictions.
        clips: Annotated clips, all with labels.
        report: Their report, by either rule of macro F1.
        labels: Labels that the indices refer to.
        num_resamples: Number of resamples.
        seed: Seed of the draws.
    """
    rows = rows_of_clips(recognitions, clips, allow_missing=True)
    actions = np.array([clip.label for clip in clips], dtype=np.int64)
    given = {"action": (recognitions.action_top, actions, len(labels))}
    if "body" in report.levels:
        parts = labels.to_parents(actions)
        given["body"] = (recognitions.body_top, parts, len(labels.parent_names))
    rng = np.random.default_rng(seed)
    values: dict[str, list[float]] = {}
    for _ in range(num_resamples):
        drawn = rng.integers(0, len(clips), len(clips))
        for name, (guesses, annotated, size) in given.items():
            level = evaluate_level(
                guesses, annotated[drawn], rows[drawn], num_labels=size, f1=report.f1
            )
            values.setdefault(f"{name}_macro", []).append(level.f1_macro)
            values.setdefault(f"{name}_micro", []).append(level.f1_micro)
    estimates = {
        f"{name}_{figure}": value
        for name, level in report.levels.items()
        for figure, value in (("macro", level.f1_macro), ("micro", level.f1_micro))
    }
    found = {
        name: interval(np.array(values[name]), estimate) for name, estimate in estimates.items()
    }
    means = np.mean([values[name] for name in estimates], axis=0)
    return {"mean": interval(means, report.f1_mean), **found}
