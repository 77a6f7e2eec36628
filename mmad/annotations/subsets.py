"""Names of subsets in annotation files and in their names."""

import re
from pathlib import Path

_SUBSET_NAMES = {"training": "train", "validation": "val", "testing": "test"}
_SUBSET = r"(train|val|test|training|validation|testing)"
_IN_FILE_NAME = re.compile(rf"(?:^|[^a-z]){_SUBSET}(?:$|[^a-z])")
_IN_VIDEO_ID = re.compile(rf"^{_SUBSET}[_-]?\d")


def plain_subset(name: str) -> str:
    """The canonical name of a subset: train, val, test, or ``name`` itself.

    >>> plain_subset("Validation"), plain_subset("val"), plain_subset("fold 3")
    ('val', 'val', 'fold 3')
    """
    folded = name.strip().casefold()
    if folded in _SUBSET_NAMES.values():
        return folded
    return _SUBSET_NAMES.get(folded, name.strip())


def guess_subset(path: Path, *, video_id: str = "") -> str | None:
    """The subset according to the name of the file, else to the video id, else None.

    >>> guess_subset(Path("gt_val.csv")), guess_subset(Path("all.csv"), video_id="train0012")
    ('val', 'train')
    >>> guess_subset(Path("trainval.csv"), video_id="interview_3") is None
    True
    """
    match = _IN_FILE_NAME.search(path.stem.casefold()) or _IN_VIDEO_ID.match(video_id.casefold())
    return plain_subset(match.group(1)) if match else None
