from pathlib import Path

import pytest

from mmad.annotations.format_table import detect_format
from mmad.errors import AnnotationError


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("video,start,end\nv,0,1\n", "csv: no column for label; found video, start, end"),
        ('{"behaviors_conf": {}}', "boris: without observations"),
    ],
)
def test_the_nearest_format_and_what_it_lacks_are_named(
    tmp_path: Path, text: str, nearest: str
) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=f"none of the known.*; nearest is {nearest}"):
        detect_format(path)
