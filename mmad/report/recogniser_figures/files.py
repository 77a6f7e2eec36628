"""The figures of recognisers as files, as in figures 4 to 6 of Guo et al. (TCSVT 2024)."""

from collections.abc import Sequence
from pathlib import Path

from mmad.evaluation.clips.judged import JudgedRecogniser
from mmad.labels import LabelMap
from mmad.names import safe_name
from mmad.report.figures import SUFFIXES, save_figure
from mmad.report.recogniser_figures.confusion import draw_confusion
from mmad.report.recogniser_figures.features import draw_features
from mmad.report.recogniser_figures.probabilities import draw_probabilities
from mmad.structures import ClipRecord

_DPI = 300


def write_recogniser_figures(
    folder: Path,
    recognisers: Sequence[JudgedRecogniser],
    clips: Sequence[ClipRecord],
    *,
    labels: LabelMap,
    examples: Sequence[int],
    seed: int = 0,
) -> None:
    """Write every figure as PNG, SVG and PDF.

    Args:
        folder: Folder of the figures.
        recognisers: One or two, with rows in the order of the clips.
        clips: Annotated clips.
        labels: Labels of the clips.
        examples: Rows of the clips whose probabilities are shown.
        seed: Random seed of the places of the features.
    """
    figures = {
        "probabilities": draw_probabilities(recognisers, clips, labels=labels, rows=examples),
        "features": draw_features(recognisers, clips, labels=labels, seed=seed),
    }
    for one in recognisers:
        for level in one.report.levels:
            name = f"confusion_{level}_{safe_name(one.name)}"
            figures[name] = draw_confusion(one, labels=labels, level=level)
    for name, figure in figures.items():
        for suffix in SUFFIXES:
            save_figure(figure, folder / f"{name}{suffix}", dpi=_DPI)
