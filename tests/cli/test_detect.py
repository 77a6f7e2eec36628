import os
import shutil
from collections import namedtuple
from pathlib import Path

import openpyxl
import pytest

from mmad.cli import _detections
from mmad.engine.jobs import detection
from mmad.errors import OutputError
from mmad.evaluation.predictions import read_predictions
from mmad.evaluation.thresholds import choose_thresholds, write_thresholds
from mmad.labels import MA52
from mmad.structures import Annotations, Detections, VideoRecord
from mmad.video.guarded.limits import DecoderLimits
from mmad.video.guarded.process import DecoderProcess
from support.bad_decoders import BAD
from support.commands import run_mmad
from support.processes import run_process
from support.synthetic_data import files_of

pytestmark = pytest.mark.slow


def test_an_unreadable_video_does_not_lose_the_others(
    videos: Path, tmp_path: Path, detection_run: Path
) -> None:
    good = next((videos / "videos").glob("val*.mp4"))
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    # A name that is not UTF-8.
    odd = tmp_path / os.fsdecode(b"odd\xff.mp4")
    odd.write_bytes(good.read_bytes())
    out = tmp_path / "out"
    result = run_process(
        ["detect", good, bad, odd, "--checkpoint", detection_run, "--out", out], cwd=tmp_path
    )
    assert result.returncode == 2
    assert "bad.mp4" in result.stderr
    assert "Traceback" not in result.stderr
    assert f"{good.stem}.eaf" in {path.name for path in (tmp_path / "out").iterdir()}
    assert f"{good.name}: " in result.stdout
    assert r"odd\udcff.mp4: " in result.stdout
    found = read_predictions(tmp_path / "out" / "detections.csv", labels=MA52)
    assert set(found) == {good.stem, "odd%FF"}


@pytest.fixture
def study(videos: Path, tmp_path: Path) -> Path:
    """Two videos of the same name in folders of two people."""
    for number, (_, path) in enumerate(files_of(videos)[:2], start=1):
        folder = tmp_path / "study" / f"P0{number}"
        folder.mkdir(parents=True)
        shutil.copy(path, folder / "cam1.mp4")
    return tmp_path / "study"


def test_a_killed_batch_takes_up_where_it_was(
    study: Path, detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["detect", study, "--checkpoint", detection_run, "--min-score", "0", "--out"]
    out, whole = tmp_path / "out", tmp_path / "whole"
    run_mmad([*words, whole])
    work, done = detection.detect_video, []

    def killed(job: detection.DetectionJob, **options: object) -> object:
        done.append(str(job))
        if str(job) == "P02/cam1" and len(done) < 3:
            raise OutputError("the disk is full")
        return work(job, **options)

    monkeypatch.setattr(detection, "detect_video", killed)
    assert "the disk is full" in run_mmad([*words, out], code=2).stderr
    assert {path.name for path in out.iterdir()} == {
        *("P01%2Fcam1.eaf", "P01%2Fcam1.png", "detections.csv.parts")
    }
    said = run_mmad([*words, out])
    assert done == ["P01/cam1", "P02/cam1", "P02/cam1"]
    assert "1 of 2 are done already" in said.stderr
    for name in ("detections.csv", "detections.json", "detections_table.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}
    book = openpyxl.load_workbook(out / "detections_table.xlsx")
    about = [row[1] for row in book["About"].iter_rows(values_only=True)]
    assert any("drawn people alone" in str(text) for text in about)
    assert "drawn people alone" in said.stderr
    assert "drawn people alone" in (out / "P01%2Fcam1.eaf").read_text()


def test_other_settings_find_anew_and_other_pictures_draw_anew(
    study: Path, detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study / "P02" / "bad.mp4").write_bytes(b"no video")
    words = ["detect", study, "--checkpoint", detection_run, "--out", tmp_path / "out"]
    run_mmad([*words, "--no-pictures"], code=2)
    said = run_mmad([*words, "--pictures", "svg", "--no-codes"], code=2)
    assert "2 of 3 are done already" in said.stderr
    assert "bad.mp4" in said.stderr
    assert len(list((tmp_path / "out").glob("*.svg"))) == 2
    said = run_mmad([*words, "--no-pictures", "--max-missing", "0.5"], code=2)
    assert "2 of 3 were done with other settings or weights" in said.stderr
    (study / "P02" / "bad.mp4").unlink()
    run_mmad([*words, "--no-pictures", "--max-missing", "0.5"])
    assert not (tmp_path / "out" / "detections.csv.parts").exists()


def test_a_decoder_that_dies_costs_one_video(
    study: Path, detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(study / "P01" / "cam1.mp4", study / "P01" / "segfault.mp4")
    shutil.copy(study / "P01" / "cam1.mp4", study / "P01" / "greedy.mp4")
    decoder = DecoderProcess(DecoderLimits(memory_mib=300), BAD)
    monkeypatch.setattr(detection, "_decoder", lambda _: decoder)
    out = tmp_path / "out"
    words = ["detect", study, "--checkpoint", detection_run, "--no-pictures", "--out", out]
    with decoder:
        said = run_mmad(words, code=2)
    assert "segfault.mp4: its decoder died (SIGSEGV)" in said.stderr
    assert "greedy.mp4: decoding it needs more than 300 MiB" in said.stderr
    found = read_predictions(out / "detections.csv", labels=MA52)
    assert set(found) == {"P01/cam1", "P02/cam1"}
    assert len(list(out.glob("*.eaf"))) == 2
    run_mmad([*words[:-1], tmp_path / "same", "--decoder-limits", "off"])
    here = read_predictions(tmp_path / "same" / "detections.csv", labels=MA52)
    for name, detections in found.items():
        assert (here[name].segments_seconds == detections.segments_seconds).all()
        assert (here[name].scores == detections.scores).all()


def test_a_video_that_is_replaced_meanwhile_fails(
    study: Path, detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = iter([[1, 1], [2, 2]])
    record = VideoRecord("v", 1.0, "none", path=study)
    monkeypatch.setattr(detection, "_stamp", lambda _: next(stamps))
    monkeypatch.setattr(detection, "open_source", lambda *_: study)
    trained = namedtuple("Trained", "detect")
    found = detection.DetectedVideos({"v": Detections()}, [])
    monkeypatch.setattr(detection, "_detector", lambda *_: trained(lambda *_a, **_k: found))
    run = detection.UsedRun(detection_run, None)  # type: ignore[arg-type]
    done = detection.detect_video(detection.DetectionJob(run, "v", study, record))
    assert "was replaced while it was read" in done.found.failures[0].message


def test_thresholds_of_the_run_are_used_and_named(
    study: Path, detection_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(detection_run, run)
    words = ["detect", study, "--checkpoint", run, "--no-pictures", "--out", tmp_path / "out"]
    truth = [VideoRecord("v", 9.0, "val", annotations=Annotations([[0.0, 2.0]], [9]))]
    found = {"v": Detections([[0.0, 2.0]], [9], [0.01])}
    chosen = choose_thresholds(found, truth, labels=MA52, subset="val")
    assert chosen is not None
    write_thresholds(run / "thresholds.json", chosen)
    said = run_mmad(words)
    assert "detections with a score of at least 0.01" in said.stdout
    book = openpyxl.load_workbook(tmp_path / "out" / "detections_table.xlsx")
    about = dict(book["About"].iter_rows(values_only=True))
    assert "52 behaviours too rare or never found" in about["threshold"]
    said = run_mmad([*words, "--min-score", "1"])
    assert "0 detections with a score of at least 1" in said.stdout
    assert (
        "Invalid value for '--min-score'" in run_mmad([*words, "--min-score", "x"], code=2).stderr
    )


def test_what_is_checked_before_the_first_video(
    study: Path, detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["detect", study, "--checkpoint", detection_run, "--out"]
    monkeypatch.setattr(detection, "detect_video", None)
    (tmp_path / "file").touch()
    assert "cannot be written" in run_mmad([*words, tmp_path / "file"], code=2).stderr
    out = tmp_path / "out"
    out.mkdir()
    (out / "P01%2Fcam1.eaf").write_text("not ELAN")
    assert "P01%2Fcam1.eaf" in run_mmad([*words, out], code=2).stderr
    (out / "P01%2Fcam1.eaf").unlink()
    (out / "detections.csv").write_text(",video_id,t_start,t_end,class,score\n0,P01/cam1,0,1,9,1\n")
    given = [*words, out, "--annotations", out / "detections.csv"]
    assert (out / "detections.csv").read_text().startswith(",video_id")
    assert run_mmad(given, code=2).stderr
    usage = namedtuple("Usage", "free")
    monkeypatch.setattr(_detections.shutil, "disk_usage", lambda _: usage(2**20))
    assert "has 1.0 MiB free" in run_mmad([*words, out], code=2).stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no video file in" in run_mmad(["detect", empty, *words[2:], out], code=2).stderr
