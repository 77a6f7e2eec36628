"""The annotation CSV of Charades, with one row per video."""

import re
from pathlib import Path

from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.subsets import guess_subset
from mmad.annotations.validation import RawFile, RawInstance, RawVideo, as_number
from mmad.parsing import parse_csv, read_text

_COLUMNS = ("id", "actions", "length")
_ACTION = re.compile(r"(\S+)\s+(\S+)\s+(\S+)")


def read_charades_csv(path: Path, *, fps: float | None = None) -> RawFile:
    """The content of a Charades CSV: ``id``, ``length`` in seconds, and ``actions`` such as
    ``c092 11.90 21.20;c147 0.00 12.60``.

    Labels are the codes of the classes. The subset is guessed from the name of the file.

    Raises: AnnotationError if the file cannot be split into columns.
    """
    header, rows = parse_csv(path, read_text(path))
    raw = RawFile()
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        message = f"expected the columns {', '.join(_COLUMNS)}; missing {', '.join(missing)}"
        raw.problems.append(Problem(BAD_FILE, message))
        return raw
    subset = guess_subset(path) or UNKNOWN_SUBSET
    for line, cells in rows:
        row = {**dict.fromkeys(header, ""), **dict(zip(header, cells, strict=False))}
        video_id, length = row["id"], as_number(row.get("length"))
        place = f"line {line} (video {video_id})"
        if length is None or not video_id:
            message = f"{place}: expected an id and a length, found {row.get('length')!r}"
            raw.problems.append(Problem(BAD_VALUE, message, video_id))
            continue
        video = RawVideo(video_id, length, subset, fps=fps)
        for text in filter(None, row["actions"].split(";")):
            match = _ACTION.fullmatch(text.strip())
            start, end = (as_number(match[2]), as_number(match[3])) if match else (None, None)
            if match is None or start is None or end is None:
                message = f"{place}: expected an action 'c092 11.90 21.20', found {text!r}"
                raw.problems.append(Problem(BAD_VALUE, message, video_id))
                continue
            video.instances.append(
                RawInstance(f"line {line}, {text.strip()}", start, end, match[1])
            )
        raw.videos.append(video)
    return raw
