"""Validation of the video files of a data set against its annotations."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import av

from mmad.annotations.problems import OUTSIDE_VIDEO, Finding
from mmad.annotations.validation import TOLERATED_SECONDS, USUAL_FPS
from mmad.errors import VideoError, raise_problems
from mmad.progress import Progress, tracked
from mmad.structures import VideoRecord
from mmad.video.find import find_videos
from mmad.video.index import index_video, open_container, video_stream
from mmad.wording import count

MISSING_VIDEO = "missing video"
UNREADABLE_VIDEO = "unreadable video"
TRUNCATED_VIDEO = "truncated video"
FRAME_COUNT = "frame count disagrees"
ONE_FRAME = "frame count differs by one"
FRAME_RATE = "frame rate disagrees"
DURATION = "duration disagrees"
VARIABLE_RATE = "variable frame rate"
ROTATED_VIDEO = "rotated video"
UNCLEAR_VIDEO = "unclear video"
UNANNOTATED_VIDEO = "video without annotations"

# Encoders and tools disagree by one frame at the end of a video.
_TOLERATED_FRAMES = 1


@dataclass(frozen=True)
class VideoFacts:
    """Facts about a video, measured on its file.

    Attributes:
        num_frames: Number of frames with a packet in the file.
        fps: Mean frames per second.
        duration_seconds: Duration in seconds.
        is_variable_rate: Whether the frames are not evenly spaced.
        rotation_degrees: Rotation that makes frames upright.
        is_end_decodable: Whether the last frames can be decoded.
        notices: What was assumed where the file is unclear.
    """

    num_frames: int
    fps: float
    duration_seconds: float
    is_variable_rate: bool
    rotation_degrees: int
    is_end_decodable: bool
    notices: tuple[str, ...] = ()


def check_folder(
    records: Sequence[VideoRecord],
    folder: Path,
    *,
    assumed_lengths: Collection[str] = (),
    num_workers: int,
    progress: bool,
) -> tuple[list[Finding], int]:
    """Problems of the videos of ``records`` in ``folder``, and how many could be opened.

    The annotations do not state the duration of the videos in ``assumed_lengths``, so that of the
    file is used.

    Raises: VideoError if the folder cannot be searched.
    """
    files = find_videos(folder)
    present = {
        record.video_id: (record, files[record.video_id])
        for record in records
        if record.video_id in files
    }

    def check(video_id: str) -> list[Finding]:
        record, path = present[video_id]
        return _check_file(record, path, is_length_assumed=video_id in assumed_lengths)

    findings = [
        Finding(
            MISSING_VIDEO,
            f"video {record.video_id} ({record.subset}): no file of this name in {folder}",
        )
        for record in records
        if record.video_id not in files
    ]
    found, num_opened = check_each(
        list(present), check, unit="videos", num_workers=num_workers, progress=progress
    )
    findings += found
    known = {record.video_id for record in records}
    findings += [
        Finding(UNANNOTATED_VIDEO, f"{path} is not in the annotations", is_error=False)
        for video_id, path in files.items()
        if video_id not in known
    ]
    return findings, num_opened


def check_each(
    names: Sequence[str],
    check: Callable[[str], list[Finding]],
    *,
    unit: str,
    num_workers: int,
    progress: bool,
) -> tuple[list[Finding], int]:
    """What ``check`` finds for all ``names``, and how many files could be opened."""
    findings = []
    num_opened = len(names)
    with (
        ThreadPoolExecutor(max_workers=max(1, num_workers)) as pool,
        Progress("check", total=len(names), unit=unit, quiet=not progress) as shown,
    ):
        for found in pool.map(check, names):
            findings += found
            num_opened -= any(one.kind == UNREADABLE_VIDEO for one in found)
            shown.update()
    return findings, num_opened


def _check_file(record: VideoRecord, path: Path, *, is_length_assumed: bool) -> list[Finding]:
    try:
        facts = probe(path)
    except VideoError as error:
        return [Finding(UNREADABLE_VIDEO, str(error))]
    notices = []
    if is_length_assumed:
        length = facts.duration_seconds
        segments = record.annotations.segments_seconds.copy()
        late = (segments[:, 1] > length) & (segments[:, 1] - length <= TOLERATED_SECONDS)
        segments[late] = segments[late].clip(max=length)
        record = replace(
            record,
            duration_seconds=length,
            annotations=replace(record.annotations, segments_seconds=segments),
        )
        if late.any():
            message = (
                f"video {record.video_id} ({path}): {count(int(late.sum()), 'instance', 'ends')} "
                f"less than {TOLERATED_SECONDS:g} s after the last image, at {length:.4f} s"
            )
            notices.append(Finding(OUTSIDE_VIDEO, message, is_error=False))
    return notices + compare(record, facts, path=path)


def probe(path: Path) -> VideoFacts:
    """Facts about a video file, whose last frames are decoded.

    Raises: VideoError if it cannot be opened.
    """
    index = index_video(path)
    return VideoFacts(
        num_frames=index.num_frames,
        fps=index.fps,
        duration_seconds=index.duration_seconds,
        is_variable_rate=index.is_variable_rate,
        rotation_degrees=index.rotation_degrees,
        notices=index.notices,
        is_end_decodable=_is_end_decodable(path, fps=index.fps),
    )


def _is_end_decodable(path: Path, *, fps: float) -> bool:
    """Whether decoding from the last keyframe reaches the last packet of the video."""
    try:
        with open_container(path) as container:
            stream = video_stream(container)
            times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
            # A file truncated behind its index announces frames that it does not contain.
            if not times or len(times) < stream.frames:
                return False
            last = max(times)
            container.seek(last, stream=stream, backward=True)
            reached = max(
                (frame.pts for frame in container.decode(stream) if frame.pts is not None),
                default=None,
            )
            if reached is None or stream.time_base is None:
                return False
            return (last - reached) * float(stream.time_base) < 0.5 / fps
    except (av.FFmpegError, OSError):
        return False


def compare(record: VideoRecord, facts: VideoFacts, *, path: Path) -> list[Finding]:
    """What is unusual in a file, and where it disagrees with the annotations of ``record``."""
    place = f"video {record.video_id} ({path})"
    findings = []
    if facts.is_variable_rate:
        message = (
            f"{place}: the frame rate varies (mean {facts.fps:.3f}), so frame numbers are not "
            "times; convert it to a constant rate before annotating it"
        )
        findings.append(Finding(VARIABLE_RATE, message))
    if facts.rotation_degrees % 360:
        message = (
            f"{place}: stored rotated by {facts.rotation_degrees} degrees; mmad turns it upright, "
            "other programs may not"
        )
        findings.append(Finding(ROTATED_VIDEO, message, is_error=False))
    findings += [Finding(UNCLEAR_VIDEO, notice, is_error=False) for notice in facts.notices]
    findings += _compare_length(record, facts, place=place)
    if not facts.is_end_decodable and not any(one.kind == TRUNCATED_VIDEO for one in findings):
        message = f"{place}: the last frame cannot be decoded; the file is damaged or cut off"
        findings.append(Finding(TRUNCATED_VIDEO, message))
    tolerance = (_TOLERATED_FRAMES + 0.5) / (facts.fps or USUAL_FPS)
    for start, end in record.annotations.segments_seconds:
        if end - facts.duration_seconds >= tolerance:
            message = (
                f"{place}: instance {start:.4f} to {end:.4f} s reaches beyond the end of the file "
                f"at {facts.duration_seconds:.4f} s"
            )
            findings.append(Finding(OUTSIDE_VIDEO, message))
    return findings


def _compare_length(record: VideoRecord, facts: VideoFacts, *, place: str) -> list[Finding]:
    if record.fps is not None and record.num_frames is not None:
        findings = []
        # Rates such as 30 and 29.97 agree as long as no frame of the video is a frame off.
        drift_frames = record.num_frames * abs(facts.fps / record.fps - 1)
        if drift_frames > _TOLERATED_FRAMES:
            message = (
                f"{place}: {facts.fps:g} frames per second, but {record.fps:g} in the annotations"
            )
            findings.append(Finding(FRAME_RATE, message))
        missing = record.num_frames - facts.num_frames
        if missing:
            message = (
                f"{place}: {facts.num_frames} frames, but {record.num_frames} in the annotations"
            )
            if abs(missing) <= _TOLERATED_FRAMES:
                findings.append(Finding(ONE_FRAME, message, is_error=False))
            else:
                kind = TRUNCATED_VIDEO if missing > 0 else FRAME_COUNT
                findings.append(Finding(kind, message))
        return findings
    missing_seconds = record.duration_seconds - facts.duration_seconds
    if abs(missing_seconds) * facts.fps <= _TOLERATED_FRAMES + 0.5:
        return []
    message = (
        f"{place}: {facts.duration_seconds:.4f} s long, but {record.duration_seconds:.4f} s in the "
        "annotations"
    )
    return [Finding(TRUNCATED_VIDEO if missing_seconds > 0 else DURATION, message)]


def measure_videos(
    records: Sequence[VideoRecord], assumed_lengths: Collection[str], *, all_rates: bool = False
) -> tuple[VideoRecord, ...]:
    """``records`` with duration, frame rate and number of frames of the file where only assumed.

    With ``all_rates`` also with frame rate and number of frames where these are not known. Records
    without a path stay unchanged.

    Raises: VideoError with all videos that cannot be opened.
    """
    found, problems = [], []
    for record in tracked(records, "measure", total=len(records), unit="videos"):
        is_assumed = record.video_id in assumed_lengths
        is_unknown = all_rates and not (record.fps and record.num_frames)
        if record.path is None or not (is_assumed or is_unknown):
            found.append(record)
            continue
        try:
            index = index_video(record.path)
        except VideoError as error:
            problems.append(str(error))
            continue
        length = index.duration_seconds if is_assumed else record.duration_seconds
        found.append(
            replace(record, duration_seconds=length, fps=index.fps, num_frames=index.num_frames)
        )
    raise_problems(VideoError, source="videos", problems=problems)
    return tuple(found)
