from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest

from mmad.annotations.elan.recogniser.protocol import (
    Report,
    read_request,
    read_tier_file,
    tier_file,
)
from mmad.errors import AnnotationError, VideoError
from mmad.labels import MA52, flat_labels
from mmad.structures import Detections


def parameters(**values: str) -> bytes:
    """What ELAN writes."""
    lines = "".join(
        f'<param name="{name}">{escape(value)}</param>\n' for name, value in values.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<PARAM xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="file:avatech-call.xsd">\n'
        '<param name="InvocationContext">mmad 2026-01-01 10:00:00+0100</param>\n'
        f"{lines}</PARAM>\n"
    ).encode()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "Müller & co 50%.mp4"
    path.touch()
    return path


def test_parameters_are_read_as_elan_writes_them(video: Path) -> None:
    text = parameters(video=f"//{video}", tiers="/x/t.xml", min_score="0.25", scores="yes")
    request = read_request(text)
    assert (request.video, request.tiers) == (video, Path("/x/t.xml"))
    assert (request.min_score, request.with_scores, request.model) == (0.25, True, None)
    quoted = video.as_uri().removeprefix("file:")
    assert read_request(parameters(video=quoted, tiers="t")).video == video
    # Old versions write in the encoding of the system.
    old = parameters(video=str(video), tiers="t").decode().encode("latin-1")
    assert read_request(old).video.name == video.name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "parameter 'video' is empty"),
        ({"video": "VIDEO"}, "parameter 'tiers' is empty"),
        ({"video": "/nowhere/a.mp4", "tiers": "t"}, r"/nowhere/a\.mp4: there is no such video"),
        ({"video": "VIDEO", "tiers": "t", "min_score": "1.5"}, "a number from 0 to 1, found 1.5"),
        ({"video": "VIDEO", "tiers": "t", "min_score": "high"}, "from 0 to 1, found high"),
    ],
)
def test_wrong_parameters_are_named(video: Path, values: dict[str, str], message: str) -> None:
    given = {name: value.replace("VIDEO", str(video)) for name, value in values.items()}
    with pytest.raises((AnnotationError, VideoError), match=message):
        read_request(parameters(**given))


def test_nothing_on_standard_input() -> None:
    with pytest.raises(AnnotationError, match="no parameters on standard input"):
        read_request(b"")


def test_progress_is_told_once_for_each_hundredth_and_never_falls() -> None:
    lines: list[str] = []
    report = Report(lines.append)
    for done in (0.0, 0.001, 0.424, 0.42, 2.0):
        report.progress(done, "detecting")
    report.info("a\nb")
    report.failed("c\nd")
    report.done()
    assert lines == [
        "PROGRESS: 0.00 detecting",
        "PROGRESS: 0.42 detecting",
        "PROGRESS: 1.00 detecting",
        "INFO: a",
        "INFO: b",
        "ERROR: c",
        "ERROR: d",
        "RESULT: FAILED.",
        "RESULT: DONE.",
    ]


def test_elan_reads_the_milliseconds_that_are_meant() -> None:
    starts = np.arange(0, 3000, 0.997)
    found = Detections(
        np.stack([starts, starts + 0.5], axis=1), np.zeros(len(starts)), np.ones(len(starts))
    )
    text = tier_file(found, labels=flat_labels(["a <b>"]), with_scores=False)
    rows = read_tier_file(text)["mmad-action-1"]
    assert [row[0] for row in rows] == [round(1000 * start) for start in starts]
    # As ELAN does, with 32-bit numbers.
    for start, _, _ in rows:
        assert int(np.float32(1000) * np.float32(f"{start / 1000 + 0.0005:.4f}")) == start
    assert {row[2] for row in rows} == {"a <b>"}


def test_tiers_of_body_parts_with_scores() -> None:
    waving = MA52.index("C5")
    found = Detections([[1, 2], [1.5, 3], [0, 1]], [waving, waving, 0], [0.9, 0.8, 0.7])
    assert read_tier_file(tier_file(found, labels=MA52, with_scores=True)) == {
        "mmad-body-1": [(0, 1000, "A1 shaking body")],
        "mmad-body-1-score": [(0, 1000, "0.700")],
        "mmad-upper_limb-1": [(1000, 2000, "C5 waving")],
        "mmad-upper_limb-1-score": [(1000, 2000, "0.900")],
        "mmad-upper_limb-2": [(1500, 3000, "C5 waving")],
        "mmad-upper_limb-2-score": [(1500, 3000, "0.800")],
    }
    nothing = tier_file(Detections(), labels=MA52, with_scores=True)
    assert read_tier_file(nothing) == {"mmad-nothing": []}
