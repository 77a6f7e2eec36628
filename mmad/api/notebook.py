"""How results look in a notebook: HTML without scripts or style sheets.

Colours are translucent and text inherits that of the page, so both fit light and dark themes; all
widths are relative.
"""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from mmad.labels import LabelMap
from mmad.report.colours import PART_COLOURS
from mmad.segments import assign_lanes
from mmad.structures import Detections
from mmad.wording import count

_MOST_BARS = 60
_FEW = 10
_LISTED = 5
_LANE_PIXELS = 20
_TICKS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)

_BOX = "max-width:58rem;padding:.2rem 0;line-height:1.4;color:inherit"
_GRID = (
    "display:grid;grid-template-columns:minmax(3rem,max-content) minmax(0,1fr);gap:2px .6rem;"
    "margin:.4rem 0;font-size:.8em"
)
_LANES = "position:relative;border-radius:3px;background:rgba(128,128,128,.12)"
_BAR = (
    "position:absolute;box-sizing:border-box;min-width:3px;border-radius:2px;padding:0 3px;"
    "overflow:hidden;white-space:nowrap;text-overflow:ellipsis;font-size:11px;"
    f"height:{_LANE_PIXELS - 4}px;line-height:{_LANE_PIXELS - 4}px"
)
_CELL = "text-align:left;padding:.1rem .8rem .1rem 0;border:0;background:none"
_SOFT = "opacity:.75"


def timeline_html(
    detections: Detections, labels: LabelMap, *, video_id: str, seconds: float, least: float
) -> str:
    """The detections of a video over time by body part, and a list of the best.

    Args:
        detections: Detections.
        labels: Names and body parts.
        video_id: Id of the video, for the title.
        seconds: Duration of the video.
        least: Lowest score that is shown; if none reaches it, the best few are.
    """
    ranked = detections.by_score()
    sure = int((ranked.scores >= least).sum())
    shown = ranked[: min(sure, _MOST_BARS) or _FEW]
    if not len(ranked):
        told = "no detections"
    elif sure:
        told = f"{sure} of {count(len(ranked), 'detection')} with a score of at least {least:g}"
        told += f", the best {_MOST_BARS} shown" if sure > _MOST_BARS else ""
    else:
        told = (
            f"none of {count(len(ranked), 'detection')} with a score of at least {least:g}; "
            f"the best {len(shown)} shown"
        )
    head = f'<b>{escape(video_id)}</b> <span style="{_SOFT}">{_time(seconds)} · {told}</span>'
    rows = "".join(_rows(shown, labels, max(seconds, 1e-3))) if len(shown) else ""
    return f'<div style="{_BOX}">{head}{rows}{_list(shown, labels)}</div>'


def _rows(shown: Detections, labels: LabelMap, seconds: float) -> list[str]:
    """A row for each body part that occurs, and the axis."""
    parts = labels.to_parents(shown.labels) if labels.has_parents else np.zeros(len(shown), int)
    rows = [f'<div style="{_GRID}">']
    for part in np.unique(parts).tolist():
        mine = shown[parts == part]
        lanes = assign_lanes(mine.segments_seconds)
        name = labels.parent_names[part] if labels.has_parents else "actions"
        height = _LANE_PIXELS * (max(lanes) + 1)
        rows.append(f'<div style="align-self:center;{_SOFT}">{escape(name)}</div>')
        rows.append(f'<div style="{_LANES};height:{height}px">')
        colour = PART_COLOURS[part % len(PART_COLOURS)]
        rows += [_bar(mine[i], lane, labels, colour, seconds) for i, lane in enumerate(lanes)]
        rows.append("</div>")
    return [*rows, "<div></div>", _axis(seconds), "</div>"]


def _bar(one: Detections, lane: int, labels: LabelMap, colour: str, seconds: float) -> str:
    (start, end), score = one.segments_seconds[0].tolist(), float(one.scores[0])
    title = labels.title(int(one.labels[0]))
    left = 100 * min(max(start / seconds, 0.0), 1.0)
    width = 100 * (min(end, seconds) - start) / seconds
    opacity = 0.22 + 0.4 * min(score, 1.0)
    place = f"left:{left:.2f}%;width:{max(width, 0):.2f}%;top:{lane * _LANE_PIXELS + 2}px"
    paint = f"border-left:3px solid {colour};background:{_translucent(colour, opacity)}"
    hint = escape(f"{title}, {start:.2f} to {end:.2f} s, score {score:.2f}", quote=True)
    return f'<div style="{_BAR};{place};{paint}" title="{hint}">{escape(title)}</div>'


def _translucent(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:.2f})"


def _axis(seconds: float) -> str:
    step = next((one for one in _TICKS if seconds / one <= 6), seconds / 6)
    ticks = []
    for number in range(int(seconds / step) + 1):
        at = number * step
        edge = "transform:translateX(-100%)" if at > 0.97 * seconds else ""
        shift = edge or ("" if not number else "transform:translateX(-50%)")
        text = _time(at) if step >= 1 else f"{at:g}"
        ticks.append(
            f'<span style="position:absolute;left:{100 * at / seconds:.2f}%;{shift}">{text}</span>'
        )
    return f'<div style="position:relative;height:1.3em;{_SOFT}">{"".join(ticks)}</div>'


def _time(seconds: float) -> str:
    """Minutes and seconds, with hours for an hour and more.

    >>> _time(75.4), _time(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _list(shown: Detections, labels: LabelMap) -> str:
    rows = [
        (f"{start:.2f}", f"{end:.2f}", labels.title(label), f"{score:.2f}")
        for (start, end), label, score in zip(
            shown.segments_seconds.tolist(),
            shown.labels.tolist(),
            shown.scores.tolist(),
            strict=True,
        )
    ]
    if not rows:
        return ""
    header = ("start (s)", "end (s)", "label", "score")
    more = rows[_LISTED:]
    table = _table(header, rows[:_LISTED])
    if more:
        table += f"<details><summary>{len(more)} more</summary>{_table(header, more)}</details>"
    return table


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    named = "".join(f'<th style="{_CELL};{_SOFT}">{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    style = "border-collapse:collapse;border:0;font-size:.85em;margin:.2rem 0"
    style += ";font-variant-numeric:tabular-nums;color:inherit"
    return f'<table style="{style}"><thead><tr>{named}</tr></thead><tbody>{body}</tbody></table>'


def scores_html(title: str, groups: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    """Probabilities of labels as bars, in groups such as "action"."""
    rows = []
    for place, (kind, scores) in enumerate(groups.items()):
        colour = PART_COLOURS[place]
        rows.append(f'<div style="margin-top:.3rem;font-size:.8em;{_SOFT}">{escape(kind)}</div>')
        for name, score in scores:
            paint = f"width:{100 * min(score, 1.0):.1f}%;background:{_translucent(colour, 0.5)}"
            bar = f'<div style="{_LANES};height:1em"><div style="{paint};height:1em"></div></div>'
            cells = f"<div>{escape(name)}</div>{bar}<div>{100 * score:.1f} %</div>"
            columns = "grid-template-columns:minmax(6rem,11rem) minmax(3rem,1fr) 4rem"
            rows.append(
                f'<div style="display:grid;{columns};gap:.5rem;align-items:center;'
                f'font-size:.85em">{cells}</div>'
            )
    return f'<div style="{_BOX};max-width:34rem"><b>{escape(title)}</b>{"".join(rows)}</div>'
