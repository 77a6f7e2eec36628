"""mmad as a recogniser, started as ELAN starts it."""

import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from mmad.annotations.elan.recogniser.protocol import read_tier_file
from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52
from support.commands import run_mmad

pytestmark = pytest.mark.long

CMD = "{http://www.clarin.eu/cmd/}"
SYSTEM = {"win32": "runWin", "darwin": "runMac"}.get(sys.platform, "runLinux")


class Elan:
    """What ELAN does with a recogniser: reads its description, starts it, reads its lines."""

    def __init__(self, extensions: Path) -> None:
        self.folder = extensions / "mmad"
        (description,) = self.folder.glob("*.cmdi")
        self.root = ElementTree.parse(description).getroot()
        program = self.root.find(f".//{CMD}recognizer")
        assert program is not None
        self.command = program.attrib[SYSTEM].split()
        self.defaults = {
            one.text or "": one.get("default", "")
            for tag in ("numparam", "textparam", "input", "output")
            for one in self.root.iter(CMD + tag)
        }

    def run(
        self,
        *,
        on_line: Callable[[subprocess.Popen[str], str], object] = lambda *_: None,
        **values: str,
    ) -> tuple[list[str], int]:
        """The lines that the recogniser writes, and its exit code."""
        process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={"PATH": "/usr/bin:/bin"} if sys.platform != "win32" else None,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write('<?xml version="1.0" encoding="UTF-8"?>\n<PARAM>\n')
        for name, value in {**self.defaults, **values}.items():
            process.stdin.write(f'<param name="{name}">{escape(value)}</param>\n')
        process.stdin.write("</PARAM>\n")
        process.stdin.close()
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\r\n"))
            on_line(process, lines[-1])
        return lines, process.wait(timeout=60)


@pytest.fixture(scope="module")
def elan(detection_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Elan:
    extensions = tmp_path_factory.mktemp("my programs") / "extensions"
    extensions.mkdir()
    words = ["--checkpoint", detection_run, "--to", extensions, "--min-score", 0]
    output = run_mmad(["elan", "install", *words])
    assert f"written to {extensions / 'mmad'}" in output.stdout
    return Elan(extensions)


def test_elan_is_told_the_progress_and_reads_the_same_detections(
    elan: Elan, videos: Path, detection_run: Path, tmp_path: Path
) -> None:
    video = min((videos / "videos").glob("val*.mp4"))
    tiers = tmp_path / "tiers of val.xml"
    lines, code = elan.run(video=f"//{video}", tiers=str(tiers), min_score="0.02")
    assert code == 0, lines
    assert lines[-1] == "RESULT: DONE."
    told = [float(line.split()[1]) for line in lines if line.startswith("PROGRESS: ")]
    assert told == sorted(told)
    assert told[-1] > 0.9
    assert not any(len(line) == 1 for line in lines)  # ELAN takes such a line for an exit code
    found = sorted(row for rows in read_tier_file(tiers.read_text()).values() for row in rows)
    run_mmad(["detect", video, "--checkpoint", detection_run, "--out", tmp_path, "--no-pictures"])
    detections = read_predictions(tmp_path / "detections.csv", labels=MA52)[video.stem]
    sure = detections[detections.scores >= 0.02]
    assert len(found) == len(sure) > 0
    starts = sorted(round(1000 * start) for start in sure.segments_seconds[:, 0].tolist())
    assert [row[0] for row in found] == starts


def test_a_failure_is_told(elan: Elan, tmp_path: Path) -> None:
    lines, code = elan.run(video=str(tmp_path / "none.mp4"), tiers=str(tmp_path / "t.xml"))
    assert code == 2
    assert lines[-1] == "RESULT: FAILED."
    assert any("there is no such video" in line for line in lines)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    lines, code = elan.run(video=str(broken), tiers=str(tmp_path / "t.xml"))
    assert (code, lines[-1]) == (2, "RESULT: FAILED.")
    assert not (tmp_path / "t.xml").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_cancelling_ends_it_and_leaves_nothing(elan: Elan, videos: Path, tmp_path: Path) -> None:
    video = min((videos / "videos").glob("val*.mp4"))

    def cancel(process: subprocess.Popen[str], line: str) -> None:
        if line.startswith("PROGRESS: "):
            process.send_signal(signal.SIGTERM)  # as Process.destroy of Java does

    lines, code = elan.run(on_line=cancel, video=str(video), tiers=str(tmp_path / "t.xml"))
    assert "RESULT: DONE." not in lines
    assert code in (143, -signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_detects_nothing_is_refused(tmp_path: Path) -> None:
    output = run_mmad(["elan", "install", "--checkpoint", tmp_path, "--to", tmp_path], code=2)
    assert str(tmp_path) in output.stderr
