"""Validation of a data set: annotations, videos and split, with all problems at once.

A reader refuses a file that contradicts itself. This goes further: it opens every video and looks
for what would spoil a training run or its evaluation. An error should be repaired; a notice is
good to know.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.annotations.attach import read_subjects
from mmad.annotations.check_videos import check_folder
from mmad.annotations.formats import AnnotationSet
from mmad.annotations.placeholders import find_placeholders
from mmad.annotations.problems import Finding
from mmad.labels import LabelMap
from mmad.structures import VideoRecord

DUPLICATE_INSTANCE = "exact duplicate instance"
SHARED_SUBJECT = "subject in two subsets"
UNKNOWN_SUBJECT = "video without a subject"
UNLABELLED_VIDEO = "video without instances"
ASSUMPTION = "assumption"


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
        findings: Errors first, otherwise in the order of the check.
        num_videos: Number of annotated videos.
        num_instances: Number of their valid instances.
        num_opened: Number of video files that could be opened.
    """

    findings: tuple[Finding, ...]
    num_videos: int
    num_instances: int
    num_opened: int

    @property
    def num_errors(self) -> int:
        """Number of findings that are errors."""
        return sum(finding.is_error for finding in self.findings)

    def by_kind(self) -> dict[str, list[Finding]]:
        """The findings of each kind; kinds in the order of their first finding."""
        groups: dict[str, list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault(finding.kind, []).append(finding)
        return groups


def check_data(
    annotations: AnnotationSet,
    *,
    videos: str | Path | None = None,
    subjects: str | Path | None = None,
    num_workers: int = 2,
    progress: bool = False,
) -> CheckReport:
    """All problems of ``annotations``, read with ``strict=False``, and of their videos.

    Args:
        annotations: Content of the annotation files.
        videos: Folder of the video files; without it only the annotations are checked.
        subjects: CSV with the columns video_id and subject.
        num_workers: Number of videos opened at a time.
        progress: Whether to show a progress bar on standard error.

    Raises: VideoError if the folder cannot be searched, AnnotationError if the file of subjects is
        invalid.
    """
    records = annotations.records
    findings = [Finding(problem.kind, problem.message) for problem in annotations.problems]
    findings += [Finding(ASSUMPTION, notice, is_error=False) for notice in annotations.notices]
    troubled = {problem.video_id for problem in annotations.problems}
    if annotations.format != "elan":  # its tiers are parallel: two people may act alike
        findings += find_duplicates(records, labels=annotations.labels)
    findings += find_placeholders(records)
    findings += [
        Finding(UNLABELLED_VIDEO, f"video {record.video_id} has no instances", is_error=False)
        for record in records
        if not len(record.annotations) and record.video_id not in troubled
    ]
    if subjects is not None:
        findings += check_subjects(records, read_subjects(subjects))
    num_opened = 0
    if videos is not None:
        found, num_opened = check_folder(
            records,
            Path(videos),
            assumed_lengths=annotations.assumed_lengths,
            num_workers=num_workers,
            progress=progress,
        )
        findings += found
    return CheckReport(
        findings=tuple(sorted(findings, key=lambda finding: not finding.is_error)),
        num_videos=len(records),
        num_instances=sum(len(record.annotations) for record in records),
        num_opened=num_opened,
    )


def find_duplicates(records: Iterable[VideoRecord], *, labels: LabelMap) -> list[Finding]:
    """An error for each instance that is annotated twice, with the same segment and label."""
    findings = []
    for record in records:
        instances = record.annotations
        counts = Counter(
            (float(start), float(end), int(label))
            for (start, end), label in zip(
                instances.segments_seconds, instances.labels, strict=True
            )
        )
        for (start, end, label), count in counts.items():
            if count > 1:
                message = (
                    f"video {record.video_id}: {labels.title(label)} from {start:.4f} to "
                    f"{end:.4f} s is listed {count} times; keep one"
                )
                findings.append(Finding(DUPLICATE_INSTANCE, message))
    return findings


def check_subjects(records: Sequence[VideoRecord], subjects: dict[str, str]) -> list[Finding]:
    """An error for each subject in more than one subset; a notice for videos without a subject."""
    videos: dict[str, dict[str, list[str]]] = {}
    unnamed = []
    for record in records:
        subject = subjects.get(record.video_id, record.subject)
        if subject is None:
            unnamed.append(record.video_id)
        else:
            videos.setdefault(subject, {}).setdefault(record.subset, []).append(record.video_id)
    findings = [
        Finding(UNKNOWN_SUBJECT, f"video {video_id} is not in the file of subjects", is_error=False)
        for video_id in unnamed
    ]
    for subject, by_subset in sorted(videos.items()):
        if len(by_subset) > 1:
            places = ", ".join(
                f"{subset} ({len(ids)} videos, first {ids[0]})" for subset, ids in by_subset.items()
            )
            message = (
                f"subject {subject} is seen in {places}; results on unseen people need every "
                "subject in one subset only"
            )
            findings.append(Finding(SHARED_SUBJECT, message))
    return findings
