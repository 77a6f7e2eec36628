"""Validation of lists of videos with emotions, and of the files of the videos."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmad.annotations.attach import attach_videos, read_subjects
from mmad.annotations.check import CheckReport, check_subjects
from mmad.annotations.check_videos import check_folder, measure_videos
from mmad.annotations.emotions.lists import parse_emotions
from mmad.annotations.problems import Finding, in_earlier_lists
from mmad.labels import EMOTIONS, LabelMap
from mmad.structures import EmotionRecord, VideoRecord
from mmad.wording import count

NO_ACTIONS = "video without actions"
UNLABELLED_VIDEO = "video without an emotion"
UNUSED_EMOTION = "emotion without videos"
UNUSED_ACTION = "action without videos"


def check_emotions(
    lists: Sequence[Path],
    *,
    labels: LabelMap,
    folder: str | Path | None = None,
    subjects: str | Path | None = None,
    num_workers: int = 2,
    progress: bool = False,
) -> CheckReport:
    """All problems of lists of videos with emotions, and of the files of the videos.

    Args:
        lists: Lists in any format of `parse_emotions`.
        labels: Label set of the actions.
        folder: Folder of the videos; without it only the lists are checked.
        subjects: CSV with the columns video_id and subject, instead of the subjects of the lists.
        num_workers: Number of videos opened at a time.
        progress: Whether to show the progress.

    Raises: AnnotationError if a list or the file of subjects cannot be read; VideoError if the
    folder cannot be searched.
    """
    findings: list[Finding] = []
    place_of: dict[str, str] = {}
    videos: list[EmotionRecord] = []
    for path in lists:
        parsed = parse_emotions(path, labels=labels)
        findings += [Finding(one.kind, f"{path.name}: {one.message}") for one in parsed.problems]
        findings += [
            Finding(one.kind, f"{path.name}: {one.message}", False) for one in parsed.notices
        ]
        ids = [video.video_id for video in parsed.videos]
        findings += in_earlier_lists(ids, path.name, place_of, item="video")
        videos += parsed.videos
    findings += _incomplete(
        videos, labels=labels, is_readable=not any(f.is_error for f in findings)
    )
    records = [
        VideoRecord(one.video_id, one.duration_seconds or 0.0, one.subset, subject=one.subject)
        for one in videos
    ]
    if subjects is not None:
        findings += check_subjects(records, read_subjects(subjects))
    else:
        findings += check_subjects([record for record in records if record.subject], {})
    num_opened = 0
    if folder is not None:
        found, num_opened = check_folder(
            records,
            Path(folder),
            assumed_lengths={one.video_id for one in videos if one.duration_seconds is None},
            num_workers=num_workers,
            progress=progress,
        )
        findings += found
    return CheckReport(
        findings=tuple(sorted(findings, key=lambda finding: not finding.is_error)),
        num_videos=len(videos),
        num_instances=sum(len(video.actions) for video in videos),
        num_opened=num_opened,
    )


def _incomplete(
    videos: Sequence[EmotionRecord], *, labels: LabelMap, is_readable: bool
) -> list[Finding]:
    """Notices of what a list lacks; nothing while its entries have errors that could explain it."""
    if not is_readable:
        return []
    findings = []
    unlabelled = [video.video_id for video in videos if video.emotion is None]
    if unlabelled:
        message = f"{count(len(unlabelled), 'video', 'has')} no emotion, first {unlabelled[0]}"
        findings.append(Finding(UNLABELLED_VIDEO, message, is_error=False))
    findings += [
        Finding(NO_ACTIONS, f"video {video.video_id} has no actions", is_error=False)
        for video in videos
        if video.emotion is not None and not video.actions
    ]
    if len(unlabelled) < len(videos):
        emotions = {video.emotion for video in videos}
        actions = {label for video in videos for label in video.actions}
        for kind, names, used in (
            (UNUSED_EMOTION, EMOTIONS, emotions),
            (UNUSED_ACTION, labels, actions),
        ):
            unused = [index for index in range(len(names)) if index not in used]
            if unused:
                listed = ", ".join(map(names.title, unused))
                message = f"{len(unused)} of {len(names)}: {listed}"
                findings.append(Finding(kind, message, is_error=False))
    return findings


def measured(videos: Sequence[EmotionRecord], folder: Path) -> tuple[EmotionRecord, ...]:
    """``videos`` with the paths of their files, and the durations that the list lacks.

    Raises: VideoError with all videos that are missing or cannot be opened.
    """
    records = attach_videos(
        [VideoRecord(one.video_id, one.duration_seconds or 0.0, one.subset) for one in videos],
        folder,
    )
    unknown = {one.video_id for one in videos if one.duration_seconds is None}
    return tuple(
        replace(one, path=record.path, duration_seconds=record.duration_seconds)
        for one, record in zip(videos, measure_videos(records, unknown), strict=True)
    )
