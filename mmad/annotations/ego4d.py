"""The annotations of Ego4D's moment queries, on clips of long videos."""

from pathlib import Path
from typing import Any

from mmad.annotations.mma52 import UNKNOWN_SUBSET
from mmad.annotations.problems import BAD_FILE, BAD_VALUE, Problem
from mmad.annotations.subsets import guess_subset, plain_subset
from mmad.annotations.validation import RawFile, RawInstance, RawVideo, as_number
from mmad.parsing import parse_json, read_text
from mmad.wording import count


def read_ego4d_json(path: Path, *, fps: float | None = None) -> RawFile:
    """The content of a file of Ego4D's moments; each clip is a video with its ``clip_uid`` as id.

    Instances of all annotators are kept. Labels that are not marked ``primary``, which the
    benchmark does not score, are left out with a notice.

    Raises: AnnotationError if it is not a JSON object.
    """
    raw = RawFile()
    num_secondary = 0
    for position, video in enumerate(_items(parse_json(path, read_text(path)), "videos")):
        subset = video.get("split") if isinstance(video, dict) else None
        subset = plain_subset(subset) if isinstance(subset, str) else guess_subset(path)
        for clip in _items(video, "clips"):
            start, end = (_number(clip, f"video_{edge}_sec") for edge in ("start", "end"))
            clip_id = clip.get("clip_uid") if isinstance(clip, dict) else None
            if not isinstance(clip_id, str) or start is None or end is None:
                message = f"video {position}: expected clip_uid, video_start_sec, video_end_sec"
                raw.problems.append(Problem(BAD_FILE, message))
                continue
            found = RawVideo(clip_id, end - start, subset or UNKNOWN_SUBSET, fps=fps)
            for annotator in _items(clip, "annotations"):
                for number, item in enumerate(_items(annotator, "labels")):
                    if isinstance(item, dict) and not item.get("primary", True):
                        num_secondary += 1
                        continue
                    times = [_number(item, f"video_{edge}_time") for edge in ("start", "end")]
                    label = item.get("label") if isinstance(item, dict) else None
                    if times[0] is None or times[1] is None or not isinstance(label, str):
                        message = f"clip {clip_id}, label {number}: expected label and times"
                        raw.problems.append(Problem(BAD_VALUE, message, clip_id))
                        continue
                    found.instances.append(
                        RawInstance(f"label {number}", times[0] - start, times[1] - start, label)
                    )
            raw.videos.append(found)
    if num_secondary:
        raw.notices.append(
            f"{path.name}: left out {count(num_secondary, 'label')} not marked as primary"
        )
    return raw


def _items(holder: Any, name: str) -> list[Any]:
    items = holder.get(name) if isinstance(holder, dict) else None
    return items if isinstance(items, list) else []


def _number(holder: Any, name: str) -> float | None:
    return as_number(holder.get(name)) if isinstance(holder, dict) else None
