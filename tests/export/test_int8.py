import re
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import ExportError
from mmad.export.description import Description
from mmad.export.int8 import Judged, quantise
from mmad.export.reading import describe_exported
from mmad.labels import LabelMap
from support.commands import run_mmad
from support.onnx_files import content, node, tensor, value, write_model

ABOUT = Description(reads="features", config={}, labels=LabelMap(("nod", "shrug")))


def model(path: Path, operator: str) -> Path:
    weight = content(5, tensor("w", np.eye(3, dtype=np.float32)))
    ends = value(12, "output", [3, 3])
    given = node(operator, ["input", "w"], "output")
    return write_model(path, given, weight, image=[3, 3], ends=ends)


def test_a_file_says_that_it_is_int8(tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    assert quantise(model(tmp_path / "net.onnx", "MatMul"), out, ABOUT).int8
    assert describe_exported(out).int8


def test_a_network_without_linear_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no linear layers"):
        quantise(model(tmp_path / "net.onnx", "Add"), tmp_path / "int8.onnx", ABOUT)


def test_the_loss_in_words() -> None:
    judged = Judged(whole=0.3206, int8=0.322, videos=70)
    assert judged.loss < 0
    assert str(judged) == "mAP 32.20 % with int8, 32.06 % without, on 70 validation videos"


@pytest.mark.slow
@pytest.mark.long
def test_int8_is_measured(
    detection_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "int8.onnx"
    said = run_mmad(["export", detection_run, "--out", out, "--int8"])
    assert re.search(r"mAP [\d.]+ % with int8, [\d.]+ % without, on 2 validation", said.stdout)
    assert describe_exported(out).int8
    judged = Judged(whole=0.5, int8=0.49, videos=2)
    monkeypatch.setattr("mmad.export.int8.judge", lambda *words, **options: judged)
    words = ["export", detection_run, "--out", tmp_path / "worse.onnx", "--int8"]
    assert "int8 loses 1.00 points (at most 0.5 allowed)" in run_mmad(words, code=2).stderr
    assert not (tmp_path / "worse.onnx").exists()


@pytest.mark.slow
@pytest.mark.long
def test_int8_without_the_validation_videos(detection_run: Path, tmp_path: Path) -> None:
    words = ["export", detection_run, "--out", tmp_path / "int8.onnx", "--int8"]
    said = run_mmad([*words, "--videos", tmp_path / "none"]).stderr
    assert "what int8 loses was not measured" in said
