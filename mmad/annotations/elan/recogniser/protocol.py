"""How ELAN talks to a recogniser that is a program of its own (AVATecH).

ELAN writes the parameters as XML to the standard input and closes it, and reads lines of the
output: ``PROGRESS: 0.42 text``, and at last ``RESULT: DONE.`` or ``RESULT: FAILED.``; other lines
are shown in a report. The tiers are a file at a path that is one of the parameters.

Source: LocalRecognizer and XmlTierIO in the source code of ELAN 4.9 and 5.
"""

import locale
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import unescape

from mmad.annotations.elan.document import plain, quoted
from mmad.annotations.elan.lanes import group_names, lanes_of, whole_milliseconds
from mmad.annotations.elan.media import paths_of
from mmad.errors import AnnotationError, VideoError
from mmad.labels import LabelMap
from mmad.limits import MAX_SETTINGS_BYTES
from mmad.structures import Detections

# Not "mmad:", because mmad replaces tiers of that name and ELAN cannot note whether these changed.
COLUMN_PREFIX = "mmad-"
_PARAMETER = re.compile(rb"<param\s+name=\"([^\"]*)\"[^>]*>(.*?)</param>", re.DOTALL)
_ENTITIES = {"&quot;": '"', "&apos;": "'"}


@dataclass(frozen=True)
class Request:
    """What a person asks for in ELAN.

    Attributes:
        video: The video.
        tiers: File of tiers to write.
        model: Run folder or hub id; None: the one that was installed.
        min_score: Lowest score; None: the one that was installed.
        device: Device to compute on; None: the one that was installed.
        with_scores: Whether to write tiers of scores, too.
    """

    video: Path
    tiers: Path
    model: str | None = None
    min_score: float | None = None
    device: str | None = None
    with_scores: bool = False


def read_request(text: bytes) -> Request:
    """The parameters that ELAN has written.

    Old versions write in the encoding of the system, though they announce UTF-8.

    Raises: AnnotationError if there are none, one is missing, or a number is none; VideoError if
        the video does not exist.
    """
    found = {
        _decoded(name): unescape(_decoded(value).strip(), _ENTITIES)
        for name, value in _PARAMETER.findall(text[:MAX_SETTINGS_BYTES])
    }
    if not found:
        raise AnnotationError(
            "no parameters on standard input; ELAN starts this command, see `mmad elan install`"
        )
    for name in ("video", "tiers"):
        if not found.get(name):
            raise AnnotationError(f"parameter '{name}' is empty; choose a file in ELAN")
    return Request(
        video=_video(found["video"]),
        tiers=Path(found["tiers"]),
        model=found.get("model") or None,
        min_score=_score(found),
        device=found.get("device") or None,
        with_scores=found.get("scores", "no").casefold() == "yes",
    )


def _decoded(text: bytes) -> str:
    for encoding in ("utf-8", locale.getpreferredencoding(False)):
        try:
            return text.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return text.decode("latin-1")


def _video(text: str) -> Path:
    places = [Path(one) for one in paths_of(text)]
    for place in places:
        if place.is_file():
            return place
    raise VideoError(f"{text}: there is no such video; link it in ELAN, Edit, Linked Files")


def _score(found: Mapping[str, str]) -> float | None:
    text = found.get("min_score", "")
    if not text:
        return None
    try:
        score = float(text.replace(",", "."))
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise AnnotationError(f"parameter 'min_score': expected a number from 0 to 1, found {text}")
    return score


@dataclass
class Report:
    """Lines to ELAN, each sent at once.

    Attributes:
        send: Writes a line.
    """

    send: Callable[[str], object]
    _told: int = -1

    def progress(self, done: float, text: str) -> None:
        """Tell the share that is done; ELAN is told of whole hundredths alone."""
        hundredths = int(max(0.0, min(1.0, done)) * 100)
        if hundredths > self._told:
            self._told = hundredths
            self.send(f"PROGRESS: {hundredths / 100:.2f} {text}")

    def info(self, text: str) -> None:
        """Add lines to the report of ELAN."""
        for line in text.splitlines():
            self.send(f"INFO: {line}")

    def done(self) -> None:
        """Say that the file of tiers is complete."""
        self.send("RESULT: DONE.")

    def failed(self, reason: str) -> None:
        """Say that there is none, and why."""
        for line in reason.splitlines():
            self.send(f"ERROR: {line}")
        self.send("RESULT: FAILED.")


def tier_file(detections: Detections, *, labels: LabelMap, with_scores: bool) -> str:
    """The detections as a file of tiers, which ELAN turns into tiers of these names.

    Names have no blanks, because ELAN divides the names of columns there. A time with a point is in
    seconds; ELAN cuts it to milliseconds as a 32-bit number, so half a millisecond is added, which
    keeps the millisecond that is meant.
    """
    milliseconds = whole_milliseconds(detections.segments_seconds.tolist())
    lanes = lanes_of(group_names(labels, detections.labels.tolist()), milliseconds)
    order = {name: place for place, name in enumerate(labels.parent_names)}
    blocks = [
        _tier(
            f"{COLUMN_PREFIX}{re.sub('[^0-9A-Za-z]+', '_', group)}-{lane}",
            [
                (
                    milliseconds[index],
                    labels.title(int(detections.labels[index])),
                    f"{detections.scores[index]:.3f}",
                )
                for index in indices
            ],
            with_scores=with_scores,
        )
        for (group, lane), indices in sorted(
            lanes.items(), key=lambda item: (order.get(item[0][0], 0), item[0])
        )
    ]
    # ELAN reports a file without tiers as broken.
    blocks = blocks or [_tier(f"{COLUMN_PREFIX}nothing", [], with_scores=False)]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<TIERS xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="file:avatech-tiers.xsd">\n' + "".join(blocks) + "</TIERS>\n"
    )


def _tier(name: str, rows: Sequence[tuple[tuple[int, int], str, str]], *, with_scores: bool) -> str:
    columns = f"{name} {name}-score" if with_scores else name
    spans = []
    for (start, end), label, score in rows:
        values = [label, score] if with_scores else [label]
        times = f'start="{start / 1000 + 0.0005:.4f}" end="{end / 1000 + 0.0005:.4f}"'
        content = "".join(f"<v>{plain(value)}</v>" for value in values)
        spans.append(f"    <span {times}>{content}</span>\n")
    return f"  <TIER columns={quoted(columns)}>\n{''.join(spans)}  </TIER>\n"


def read_tier_file(text: str) -> dict[str, list[tuple[int, int, str]]]:
    """Start and end in milliseconds and value of each annotation, by tier, as ELAN reads them."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for tier in ElementTree.fromstring(text.encode()).iter("TIER"):
        names = tier.get("columns", "").split()
        found |= {name: [] for name in names}
        for span in tier.iter("span"):
            start, end = (int(1000 * float(span.get(key, "-1"))) for key in ("start", "end"))
            for name, value in zip(names, span.iter("v"), strict=True):
                found[name].append((start, end, (value.text or "").strip()))
    return found
