"""Probabilities of the emotions of videos, with their annotated and predicted actions (Figs. 8 and
9 of the MA-52 paper).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.evaluation.emotions.metrics import PredictedVideo
from mmad.labels import EMOTIONS, LabelMap
from mmad.report.axes import (
    COLUMN_INCHES,
    LARGE,
    SMALL,
    draw_legend,
    fitted,
    legend_inches,
    shortened,
    text_inches,
)
from mmad.report.blocks import FilmStrip, draw_strip, strip_inches
from mmad.report.colours import MODEL_COLOURS
from mmad.report.figures import Cell, Drawn
from mmad.wording import rounded

_SHADE, _GREY = "#dddddd", "#777777"
_LEFT_INCHES, _RIGHT_INCHES, _BETWEEN_INCHES = 0.38, 0.06, 0.15
_BARS_INCHES, _NAMES_INCHES, _TITLE_INCHES = 0.75, 0.14, 0.19
_LINE_INCHES, _GAP_INCHES = 0.115, 0.07
_EDGE_INCHES = 0.04
_LONGEST_NAME = 40


@dataclass(frozen=True)
class _Word:
    """A piece of text that is not broken."""

    text: str
    colour: str = "black"
    style: str = "normal"
    weight: str = "normal"


_Paragraph = list[_Word]
_Line = list[tuple[float, _Word]]


def draw_emotions(
    models: dict[str, list[PredictedVideo]],
    strips: Sequence[FilmStrip],
    *,
    labels: LabelMap,
    width_inches: float,
) -> Drawn:
    """A block for each video: frames, a bar of each emotion and model, and the actions.

    Args:
        models: What each model predicts for the same videos, as many as `MODEL_COLOURS` at most.
        strips: Frames of each video with their times, or none.
        labels: Names of the actions.
        width_inches: Width of the figure.
    """
    layout = _Layout.of(width_inches)
    blocks = []
    for place, strip in enumerate(strips):
        predicted = {name: videos[place] for name, videos in models.items()}
        paragraphs = _paragraphs(predicted, labels)
        lines = [line for one in paragraphs for line in _lines(one, layout.text_inches)]
        blocks.append((predicted, strip, lines))
    heights = [layout.height(strip, len(lines)) for _, strip, lines in blocks]
    colours = dict(zip(models, MODEL_COLOURS, strict=False)) | {"annotated": _SHADE}
    legend = legend_inches(list(colours), inches=width_inches - _EDGE_INCHES)
    top = sum(heights)
    figure = Figure(figsize=(width_inches, legend + top))
    draw_legend(figure, colours, left_inches=_EDGE_INCHES)
    for place, ((predicted, strip, lines), height) in enumerate(zip(blocks, heights, strict=True)):
        _draw_block(figure, place, predicted, strip, lines, layout=layout, top=top)
        top -= height
    rows = [
        cells
        for place in range(len(strips))
        for name, videos in models.items()
        for cells in _table(name, videos[place], labels)
    ]
    header = ("video", "model", "level", "label", "annotated", "predicted", "score")
    return Drawn(figure, header, rows)


@dataclass(frozen=True)
class _Layout:
    """Where bars and text of a block are, in inches from the left."""

    width: float
    bars_inches: float
    text_left: float
    is_narrow: bool

    @classmethod
    def of(cls, width: float) -> "_Layout":
        free = width - _LEFT_INCHES - _RIGHT_INCHES
        if width <= COLUMN_INCHES:  # the text is below the bars
            return cls(width, free, _LEFT_INCHES, is_narrow=True)
        bars = 0.36 * free
        return cls(width, bars, _LEFT_INCHES + bars + _BETWEEN_INCHES, is_narrow=False)

    @property
    def text_inches(self) -> float:
        return self.width - self.text_left - _RIGHT_INCHES

    @property
    def strip_width(self) -> float:
        return self.width - _LEFT_INCHES - _RIGHT_INCHES

    def height(self, strip: FilmStrip, num_lines: int) -> float:
        bars, text = _BARS_INCHES + _NAMES_INCHES, num_lines * _LINE_INCHES
        beside = bars + text if self.is_narrow else max(bars, text)
        frames = strip_inches(strip, width_inches=self.strip_width)
        return _TITLE_INCHES + frames + (_GAP_INCHES if frames else 0) + beside + _GAP_INCHES


def _paragraphs(predicted: dict[str, PredictedVideo], labels: LabelMap) -> list[_Paragraph]:
    """Annotated actions, and emotion and actions of each model."""
    first = next(iter(predicted.values()))
    annotated = set(first.video.actions)
    actions = _listed(sorted(annotated), labels, right=annotated) or [_Word("none")]
    found = [[_Word("annotated:", weight="bold"), *actions]]
    for one, colour in zip(predicted.values(), MODEL_COLOURS, strict=False):
        sign = "✓" if one.emotion == one.video.emotion else "✗"
        score = rounded(float(one.emotion_scores[one.emotion]))
        end = ":" if one.action_scores else ""
        words = [_Word("■", colour), _Word(f"{sign} {EMOTIONS.names[one.emotion]} {score}{end}")]
        if one.action_scores:
            words += _listed(one.actions, labels, right=annotated) or [_Word("no actions")]
        found.append(words)
    return found


def _listed(actions: Sequence[int], labels: LabelMap, *, right: set[int]) -> _Paragraph:
    """Titles with commas; those that are not annotated in grey italics."""
    words = []
    for place, label in enumerate(actions):
        text = shortened(labels.title(label), _LONGEST_NAME)
        text += "," if place < len(actions) - 1 else ""
        words.append(_Word(text) if label in right else _Word(text, _GREY, "italic"))
    return words


def _lines(words: _Paragraph, inches: float) -> list[_Line]:
    """The words with their places, as many on each line as fit."""
    lines: list[_Line] = [[]]
    space, x = text_inches("a a", points=SMALL) - 2 * text_inches("a", points=SMALL), 0.0
    for word in words:
        width = text_inches(word.text, points=SMALL, bold=word.weight == "bold")
        if lines[-1] and x + width > inches:
            lines.append([])
            x = text_inches("■", points=SMALL) + space  # lines after the first are indented
        lines[-1].append((x, word))
        x += width + space
    return lines


def _draw_block(
    figure: Figure,
    place: int,
    predicted: dict[str, PredictedVideo],
    strip: FilmStrip,
    lines: Sequence[_Line],
    *,
    layout: _Layout,
    top: float,
) -> None:
    width, height = figure.get_size_inches().tolist()
    video = next(iter(predicted.values())).video
    emotion = EMOTIONS.names[video.emotion or 0]
    title = f"({chr(ord('a') + place % 26)})  {emotion}"
    left = _EDGE_INCHES
    top -= _TITLE_INCHES - 0.05
    for text, weight, ink in ((title, "bold", "black"), (video.video_id, "normal", _GREY)):
        shown = fitted(text, inches=width - left - 0.05, points=LARGE, bold=weight == "bold")
        figure.text(left / width, top / height, shown, fontsize=LARGE, fontweight=weight,
                    color=ink, parse_math=False)  # fmt: skip
        left += text_inches(text, points=LARGE, bold=weight == "bold") + 0.12
    top -= 0.05
    if frames := strip_inches(strip, width_inches=layout.strip_width):
        box = (_LEFT_INCHES, top - frames, layout.strip_width, frames)
        draw_strip(_axes(figure, box), strip)
        top -= frames + _GAP_INCHES
    axis = _axes(figure, (_LEFT_INCHES, top - _BARS_INCHES, layout.bars_inches, _BARS_INCHES))
    _draw_bars(axis, list(predicted.values()))
    if layout.is_narrow:
        top -= _BARS_INCHES + _NAMES_INCHES
    for number, line in enumerate(lines, start=1):
        y = (top - number * _LINE_INCHES + 0.03) / height
        for x, word in line:
            figure.text((layout.text_left + x) / width, y, word.text, fontsize=SMALL,
                        color=word.colour, fontstyle=word.style, fontweight=word.weight,
                        parse_math=False)  # fmt: skip


def _axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes at left, bottom, width and height in inches."""
    width, height = figure.get_size_inches().tolist()
    left, bottom, wide, high = box
    return figure.add_axes((left / width, bottom / height, wide / width, high / height))


def _draw_bars(axis: Axes, predicted: Sequence[PredictedVideo]) -> None:
    truth = predicted[0].video.emotion or 0
    axis.axvspan(truth - 0.5, truth + 0.5, color=_SHADE, lw=0, zorder=0)
    places, width = np.arange(len(EMOTIONS)), 0.84 / len(predicted)
    for number, (one, colour) in enumerate(zip(predicted, MODEL_COLOURS, strict=False)):
        offset = (number - (len(predicted) - 1) / 2) * width
        axis.bar(places + offset, one.emotion_scores, width, color=colour, lw=0)
    axis.set(xlim=(-0.6, len(EMOTIONS) - 0.4), ylim=(0, 1), yticks=(0, 0.5, 1))
    axis.set_xticks(places, EMOTIONS.names, fontsize=SMALL)
    axis.get_xticklabels()[truth].set_fontweight("bold")
    axis.set_ylabel("probability", fontsize=SMALL, labelpad=2)
    axis.tick_params(axis="y", labelsize=SMALL, length=2, width=0.5, pad=1)
    axis.tick_params(axis="x", length=0, pad=1)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[:].set_linewidth(0.5)


def _table(name: str, one: PredictedVideo, labels: LabelMap) -> list[tuple[Cell, ...]]:
    """All emotions, and the actions that are annotated or predicted."""
    video = one.video
    rows: list[tuple[Cell, ...]] = [
        (
            video.video_id,
            name,
            "emotion",
            emotion,
            _yes(label == video.emotion),
            _yes(label == one.emotion),
            float(one.emotion_scores[label]),
        )
        for label, emotion in enumerate(EMOTIONS.names)
    ]
    return rows + [
        (
            video.video_id,
            name,
            "action",
            labels.title(label),
            _yes(label in video.actions),
            _yes(label in one.actions),
            one.action_scores.get(label, ""),
        )
        for label in sorted({*video.actions, *one.actions})
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
