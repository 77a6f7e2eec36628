"""Unvalidated content of annotation files, and its validation for all formats.

A reader of a format only extracts the values; `build_records` validates them by the same rules for
every format.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmad.annotations.problems import (
    BAD_VALUE,
    DUPLICATE_VIDEO,
    EMPTY_SEGMENT,
    OUTSIDE_VIDEO,
    REVERSED_SEGMENT,
    UNKNOWN_LABEL,
    Problem,
)
from mmad.labels import LabelMap
from mmad.names import problem_of_id
from mmad.structures import Annotations, VideoRecord
from mmad.wording import count

OutOfVideo = Literal["error", "clip", "drop"]

# If the frame rate is not known, half a frame is taken at this rate, the usual one of MMA-52.
USUAL_FPS = 30.0

# If a file does not know the length of its video, how far after the last image an annotation may
# end: the timeline of ELAN is as long as the longest medium, which is often the sound.
TOLERATED_SECONDS = 0.5


@dataclass(frozen=True)
class RawInstance:
    """An annotated instance as in the file.

    Attributes:
        where: Row or position in the file, for messages.
        start_seconds: Start, finite.
        end_seconds: End, finite.
        label: Index, code or name, not yet looked up.
    """

    where: str
    start_seconds: float
    end_seconds: float
    label: Any


@dataclass
class RawVideo:
    """A video as in the file; the attributes mean the same as in `VideoRecord`.

    ``is_length_assumed``: the file does not state the duration; its last time was used.
    """

    video_id: str
    duration_seconds: float
    subset: str
    fps: float | None = None
    num_frames: int | None = None
    instances: list[RawInstance] = field(default_factory=list)
    is_length_assumed: bool = False


@dataclass
class RawFile:
    """The unvalidated content of a file.

    Attributes:
        videos: Videos in the order of the file.
        problems: Values that could not be parsed.
        notices: What was assumed.
        classes: Names of the label set if the file lists them, else None.
        tiers: Names of all tiers of an ELAN file.
        has_chosen_tiers: Whether any of the chosen tiers exists.
        unchanged: Files left out because they hold unedited detections only.
    """

    videos: list[RawVideo] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    classes: tuple[str, ...] | None = None
    tiers: tuple[str, ...] = ()
    has_chosen_tiers: bool = False
    unchanged: list[Path] = field(default_factory=list)


def as_number(value: Any) -> float | None:
    """``value`` as a float up to 1e15, or None if it is not a number (nor are true and false).

    >>> as_number("2.5"), as_number(3), as_number("nan"), as_number(True), as_number("")
    (2.5, 3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    # NaN is not below anything; products of larger numbers would overflow.
    return number if abs(number) < 1e15 else None


def find_label(labels: LabelMap, value: Any) -> int:
    """Index of a label written as number, code or name; numbers begin at ``labels.first_number``.

    Raises: KeyError, with the nearest known name, if there is no such label.

    >>> from mmad.labels import MA52
    >>> find_label(MA52, "B1"), find_label(MA52, "9.0"), find_label(MA52, 9.0)
    (9, 9, 9)
    >>> find_label(MA52, 9.5)
    Traceback (most recent call last):
        ...
    KeyError: "unknown label '9.5'"
    """
    if isinstance(value, str) and as_number(value) is None:
        return labels.index(value)
    number = as_number(value)
    if number is None:
        raise KeyError(f"unknown label {value!r}")
    if str(value).strip() in labels.names:
        return labels.index(str(value))
    if not number.is_integer():
        raise KeyError(f"unknown label '{value}'")
    first = labels.first_number
    if not first <= number < first + len(labels):
        raise KeyError(
            f"unknown label {int(number)}; expected {first} to {first + len(labels) - 1}"
        )
    return int(number) - first


def judge_instance(video: RawVideo, instance: RawInstance) -> Problem | None:
    """The problem of the segment of ``instance``, or None.

    An end less than half a frame after the end of the video is due to rounding, not a problem.

    >>> video = RawVideo("v", duration_seconds=5.0, subset="val", fps=25.0)
    >>> judge_instance(video, RawInstance("row 1", 4.0, 5.01, 0)) is None
    True
    >>> judge_instance(video, RawInstance("row 1", 4.0, 5.03, 0)).kind
    'instance outside its video'
    """
    start, end = instance.start_seconds, instance.end_seconds
    place = f"{instance.where} (video {video.video_id})"
    if end < start:
        return Problem(
            REVERSED_SEGMENT,
            f"{place}: reversed segment, starts at {start:.4f} s but ends at {end:.4f} s; "
            "exchange the two or delete it",
        )
    if end == start:
        return Problem(
            EMPTY_SEGMENT, f"{place}: empty segment, starts and ends at {start:.4f} s; delete it"
        )
    if start < 0:
        return Problem(
            OUTSIDE_VIDEO, f"{place}: starts at {start:.4f} s, before the video; expected 0 or more"
        )
    half_frame_seconds = 0.5 / (video.fps or USUAL_FPS)
    if end - video.duration_seconds >= half_frame_seconds:
        return Problem(
            OUTSIDE_VIDEO,
            f"{place}: segment {start:.4f} to {end:.4f} s reaches beyond the end of the video at "
            f"{video.duration_seconds:.4f} s",
        )
    return None


def judge_video(video: RawVideo) -> list[Problem]:
    """Problems of the duration and frame rate of ``video``; empty if there are none."""
    found = [
        ("duration", "s", video.duration_seconds, 1e9),
        ("frame rate", "fps", video.fps, 1e5),
        ("number of frames", "frames", video.num_frames, 1e12),
    ]
    problem = problem_of_id(video.video_id)
    wrong_id = [Problem(BAD_VALUE, f"video {video.video_id!r:.60}: its id {problem}")]
    return (wrong_id if problem else []) + [
        Problem(
            BAD_VALUE,
            f"video {video.video_id}: {name} must be "
            f"{f'at most {largest:g}' if value > 0 else 'above 0'}, found {value:g} {unit}",
        )
        for name, unit, value, largest in found
        if value is not None and not 0 < value <= largest
    ]


def build_records(
    raw: RawFile, *, labels: LabelMap, out_of_video: OutOfVideo = "error"
) -> tuple[tuple[VideoRecord, ...], tuple[Problem, ...], tuple[str, ...]]:
    """The records of ``raw``, all problems, including those of the reader, and notices.

    Instances with a problem are left out, and so are videos with an invalid duration.

    Args:
        raw: Content of the files.
        labels: Label set.
        out_of_video: Treatment of an instance that is not fully inside its video, or is empty: it
            is a problem ("error"), cut at the ends of the video and left out if nothing remains
            ("clip"), or left out ("drop"). A notice counts the last two.
    """
    problems = list(raw.problems)
    records: dict[str, VideoRecord] = {}
    mended = _Mended()
    for video in raw.videos:
        if video.video_id in records:
            earlier = records[video.video_id].subset
            problems.append(
                Problem(
                    DUPLICATE_VIDEO,
                    f"video {video.video_id} is listed twice (subsets {earlier} and "
                    f"{video.subset}); a video belongs to one file and one subset",
                )
            )
            continue
        bad_video = judge_video(video)
        problems += bad_video
        if bad_video:
            continue
        if out_of_video != "error":
            video = mended.mend(video, clip=out_of_video == "clip")
        annotations, bad_instances = _build_annotations(video, labels=labels)
        problems += bad_instances
        records[video.video_id] = VideoRecord(
            video_id=video.video_id,
            duration_seconds=video.duration_seconds,
            subset=video.subset,
            fps=video.fps,
            num_frames=video.num_frames,
            annotations=annotations,
        )
    return tuple(records.values()), tuple(problems), mended.notices()


class _Mended:
    """Instances that were cut or left out because of their segments."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def mend(self, video: RawVideo, *, clip: bool) -> RawVideo:
        """``video`` with instances that are inside it and not empty."""
        kept = []
        for instance in video.instances:
            problem = judge_instance(video, instance)
            if problem is None:
                kept.append(instance)
                continue
            start = max(instance.start_seconds, 0.0)
            end = min(instance.end_seconds, video.duration_seconds)
            is_cut = clip and problem.kind == OUTSIDE_VIDEO and start < end
            if is_cut:
                kept.append(replace(instance, start_seconds=start, end_seconds=end))
            done = "cut to the length of the video" if is_cut else f"left out ({problem.kind})"
            self._counts[done] += 1
            self._first.setdefault(done, problem.message)
        return replace(video, instances=kept)

    def notices(self) -> tuple[str, ...]:
        """For each kind, the number of instances and the first one."""
        return tuple(
            f"{count(number, 'instance', 'was')} {done}, first {self._first[done]}"
            for done, number in self._counts.items()
        )


def _build_annotations(video: RawVideo, *, labels: LabelMap) -> tuple[Annotations, list[Problem]]:
    problems: list[Problem] = []
    segments: list[tuple[float, float]] = []
    indices: list[int] = []
    for instance in video.instances:
        problem = judge_instance(video, instance)
        if problem:
            problems.append(replace(problem, video_id=video.video_id))
        try:
            index = find_label(labels, instance.label)
        except KeyError as error:
            place = f"{instance.where} (video {video.video_id})"
            problems.append(Problem(UNKNOWN_LABEL, f"{place}: {error.args[0]}", video.video_id))
            continue
        if problem is None:
            segments.append((instance.start_seconds, instance.end_seconds))
            indices.append(index)
    return Annotations(np.array(segments), np.array(indices, dtype=np.int64)), problems


def merge_raw(files: Mapping[Path, RawFile]) -> RawFile:
    """All videos, problems and notices of several files as one; classes by first mention.

    If there is more than one file, places in messages begin with the name of the file.
    """
    merged = RawFile()
    for path, raw in files.items():
        if len(files) > 1:
            raw = _name_places(raw, prefix=f"{path.name} ")
        merged.videos += raw.videos
        merged.problems += raw.problems
        merged.notices += raw.notices
        merged.tiers = tuple(dict.fromkeys((*merged.tiers, *raw.tiers)))
        merged.has_chosen_tiers |= raw.has_chosen_tiers
        merged.unchanged += raw.unchanged
        if raw.classes is not None:
            known = merged.classes or ()
            merged.classes = known + tuple(name for name in raw.classes if name not in known)
    return merged


def _name_places(raw: RawFile, *, prefix: str) -> RawFile:
    videos = [
        replace(
            video,
            instances=[
                replace(instance, where=prefix + instance.where) for instance in video.instances
            ],
        )
        for video in raw.videos
    ]
    problems = [replace(problem, message=prefix + problem.message) for problem in raw.problems]
    return replace(raw, videos=videos, problems=problems)
