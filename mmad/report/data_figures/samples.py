"""Samples of a data set: frames of videos above their annotations (Fig. 2 of the MMA-52 paper), or
of clips below their action.
"""

from collections.abc import Sequence

import numpy as np

from mmad.labels import LabelMap
from mmad.report.axes import COLUMN_INCHES, shortened
from mmad.report.blocks import Bar, Block, FilmStrip, draw_blocks
from mmad.report.colours import PART_COLOURS
from mmad.report.figures import Cell, Drawn
from mmad.structures import ClipRecord, VideoRecord


def draw_video_samples(
    records: Sequence[VideoRecord],
    strips: Sequence[FilmStrip],
    *,
    labels: LabelMap,
    width_inches: float,
) -> Drawn:
    """A block for each video, its annotations in the colour of their body part."""
    longest = 22 if width_inches <= COLUMN_INCHES else 36
    blocks, rows = [], list[tuple[Cell, ...]]()
    for record, strip in zip(records, strips, strict=True):
        segments = record.annotations.segments_seconds
        bars = []
        for row in np.lexsort((segments[:, 1], segments[:, 0])).tolist():
            (start, end), label = segments[row].tolist(), int(record.annotations.labels[row])
            part = labels.parents[label] if labels.has_parents else 0
            colour = PART_COLOURS[part % len(PART_COLOURS)]
            bars.append(Bar(shortened(labels.title(label), longest), start, end, colour))
            rows.append((record.video_id, labels.title(label), start, end))
        blocks.append(Block(record.video_id, record.duration_seconds, strip, bars))
    drawn = draw_blocks(blocks, width_inches=width_inches, below_inches=0.02)
    return Drawn(drawn.figure, ("video", "label", "start_seconds", "end_seconds"), rows)


def draw_clip_samples(
    clips: Sequence[ClipRecord],
    strips: Sequence[FilmStrip],
    *,
    labels: LabelMap,
    width_inches: float,
) -> Drawn:
    """A strip of frames for each clip below its action."""
    names = ["" if clip.label is None else labels.title(clip.label) for clip in clips]
    blocks = [
        Block(f"{name}  {clip.clip_id}", 0.0, strip, ())
        for clip, strip, name in zip(clips, strips, names, strict=True)
    ]
    drawn = draw_blocks(blocks, width_inches=width_inches, below_inches=0.0)
    rows = [(clip.clip_id, name) for clip, name in zip(clips, names, strict=True)]
    return Drawn(drawn.figure, ("clip", "label"), rows)
