"""Validation of lists of clips and of the clip files."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from mmad.annotations.attach import read_subjects
from mmad.annotations.check import CheckReport, check_subjects
from mmad.annotations.check_videos import (
    MISSING_VIDEO,
    TRUNCATED_VIDEO,
    UNANNOTATED_VIDEO,
    UNREADABLE_VIDEO,
    check_each,
    probe,
)
from mmad.annotations.clips.lists import parse_clip_list
from mmad.annotations.problems import Finding, in_earlier_lists
from mmad.errors import VideoError
from mmad.labels import LabelMap
from mmad.structures import ClipRecord, VideoRecord
from mmad.video.find import SUFFIXES
from mmad.wording import count

UNLABELLED_LIST = "list without labels"
UNUSED_CLASS = "class without clips"


def check_clips(
    lists: Sequence[Path],
    *,
    labels: LabelMap,
    folder: str | Path | None = None,
    subjects: str | Path | None = None,
    num_workers: int = 2,
    progress: bool = False,
) -> CheckReport:
    """All problems of lists of clips, one subset each, and of the files of the clips.

    Args:
        lists: Lists in any format of `parse_clip_list`.
        labels: Label set of the lists.
        folder: Folder of the clips; without it only the lists are checked.
        subjects: CSV with the columns video_id and subject.
        num_workers: Number of clips opened at a time.
        progress: Whether to show the progress.

    Raises: AnnotationError if a list or the file of subjects cannot be read.
    """
    findings: list[Finding] = []
    place_of: dict[str, str] = {}
    clips: list[ClipRecord] = []
    for path in lists:
        parsed = parse_clip_list(path, labels=labels)
        found = parsed.clips
        findings += [Finding(one.kind, f"{path.name}: {one.message}") for one in parsed.problems]
        ids = [clip.clip_id for clip in found]
        findings += in_earlier_lists(ids, path.name, place_of, item="clip")
        if found and all(clip.label is None for clip in found):
            message = f"{path.name}: its {count(len(found), 'clip', 'has')} no label"
            findings.append(Finding(UNLABELLED_LIST, message, is_error=False))
        clips += found
    labelled = [clip.label for clip in clips if clip.label is not None]
    unused = [label for label in range(len(labels)) if labelled and label not in set(labelled)]
    if unused:
        message = f"{len(unused)} of {len(labels)}: {', '.join(map(labels.title, unused))}"
        findings.append(Finding(UNUSED_CLASS, message, is_error=False))
    if subjects is not None:
        table = read_subjects(subjects)
        known = {name: table.get(name, table.get(PurePath(name).stem, "")) for name in place_of}
        records = [VideoRecord(clip.clip_id, 0.0, clip.subset) for clip in clips]
        findings += check_subjects(records, {name: who for name, who in known.items() if who})
    num_opened = 0
    if folder is not None:
        found_files, num_opened = _check_files(
            clips, Path(folder), num_workers=num_workers, progress=progress
        )
        findings += found_files
    return CheckReport(
        findings=tuple(sorted(findings, key=lambda finding: not finding.is_error)),
        num_videos=len(clips),
        num_instances=len(labelled),
        num_opened=num_opened,
    )


def _check_files(
    clips: Sequence[ClipRecord], folder: Path, *, num_workers: int, progress: bool
) -> tuple[list[Finding], int]:
    """Problems of the files of ``clips``, and how many could be opened."""
    if not folder.is_dir():
        raise VideoError(f"{folder}: there is no such folder of clips")
    paths = {clip.clip_id: folder / clip.clip_id for clip in clips}
    findings = [
        Finding(MISSING_VIDEO, f"clip {name}: no file of this name in {folder}")
        for name, path in paths.items()
        if not path.is_file()
    ]

    def check(name: str) -> list[Finding]:
        try:
            facts = probe(paths[name])
        except VideoError as error:
            return [Finding(UNREADABLE_VIDEO, str(error))]
        if facts.is_end_decodable:
            return []
        message = f"{paths[name]}: the last frame cannot be decoded; the file is damaged or cut off"
        return [Finding(TRUNCATED_VIDEO, message)]

    present = [name for name, path in paths.items() if path.is_file()]
    found, num_opened = check_each(
        present, check, unit="clips", num_workers=num_workers, progress=progress
    )
    listed = {path.resolve() for path in paths.values()}
    findings += found
    findings += [
        Finding(UNANNOTATED_VIDEO, f"{path} is in no list", is_error=False)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and path.resolve() not in listed
    ]
    return findings, num_opened
