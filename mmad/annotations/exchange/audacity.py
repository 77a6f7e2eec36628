"""Label tracks of Audacity: a line ``start<tab>end<tab>label`` for each label, in seconds.

A second line that begins with a backslash has the frequencies of a spectral selection.

Source: https://manual.audacityteam.org/man/importing_and_exporting_labels.html.
"""

import re
from pathlib import Path

from mmad.annotations.exchange.coding import Coding, stem_id
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source
from mmad.annotations.exchange.values import text_of
from mmad.files import write_text

NAME = "audacity"
_LABEL = re.compile(r"\s*(-?\d+[.,]?\d*)\t(-?\d+[.,]?\d*)(?:\t(.*))?")
_FREQUENCIES = re.compile(r"\s*\\\t.*")


def is_audacity(source: Source) -> bool:
    """Whether the first lines are labels of Audacity."""
    lines = source.text[: 2**16].splitlines()[:6]
    filled = [line for line in lines if line.strip() and not _FREQUENCIES.fullmatch(line)]
    fit = [_LABEL.fullmatch(line) is not None for line in filled]
    return bool(fit) and fit[0] and 2 * sum(fit) >= len(fit)


def read_audacity(source: Source, *, fps: float | None = None) -> EventFile:
    """The labels of a track, as the events of the video with the name of the file.

    A label of no length is a point. Frequencies are left out.
    """
    coding = Coding(source, NAME)
    video_id = stem_id(source.path)
    coding.video(CodedVideo(video_id, fps=fps))
    unnamed, spectral = [], []
    for line, text in enumerate(source.text.splitlines(), start=1):
        where = f"line {line}"
        if not text.strip():
            continue
        if _FREQUENCIES.fullmatch(text):
            spectral.append(where)
            continue
        match = _LABEL.fullmatch(text)
        if match is None:
            coding.problem(f"{where}: expected start, end and label with tabs, found {text!r:.60}")
            continue
        times = [
            coding.seconds(match[place], where=where, what=what)
            for place, what in ((1, "start"), (2, "end"))
        ]
        label = (match[3] or "").strip()
        if not label:
            unnamed.append(where)
        elif times[0] is not None and times[1] is not None:
            coding.add(Event(video_id, label, times[0], times[1]), where)
    coding.left_out(unnamed, "label", "it has no text")
    coding.left_out(spectral, "line", "frequencies are of no use for behaviour")
    return coding.file()


def write_audacity(path: str | Path, file: EventFile, *, fps: float | None = None) -> None:
    """Write the events of one video as a label track; blanks for tabs and line ends in labels."""
    lines = [
        f"{text_of(event.start_seconds)}\t{text_of(event.end_seconds)}\t{_one_line(event.label)}\n"
        for event in sorted(file.events, key=lambda event: (event.start_seconds, event.end_seconds))
    ]
    write_text(path, "".join(lines))


def _one_line(text: str) -> str:
    return " ".join(text.split())
