import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from mmad.errors import ExportError
from mmad.export.reading import describe_exported, is_exported
from support.onnx_files import content, node, tensor, value, write_model


def small_model(path: Path) -> Path:
    weight = content(5, tensor("w", np.ones(3, dtype=np.float32)))
    ends = value(12, "output", [3])
    return write_model(path, node("Add", ["input", "w"], "output"), weight, image=[3], ends=ends)


def with_metadata(path: Path, text: str, *, opset: int = 13) -> Path:
    model = onnx.load(str(small_model(path)))
    onnx.helper.set_model_props(model, {"mmad": text})
    model.opset_import[0].version = opset
    onnx.save(model, str(path))
    return path


def test_a_file_that_is_not_onnx(tmp_path: Path) -> None:
    path = tmp_path / "run.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ExportError, match=r"run\.onnx: onnxruntime [\d.]+ cannot load it"):
        describe_exported(path)
    with pytest.raises(ExportError, match="there is no such file"):
        describe_exported(tmp_path / "other.onnx")


def test_a_file_of_another_program(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="mmad export has not written it"):
        describe_exported(small_model(tmp_path / "net.onnx"))


def test_a_file_of_a_newer_opset(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="newer opset, update onnxruntime"):
        describe_exported(with_metadata(tmp_path / "net.onnx", "{}", opset=900))


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "net.onnx", json.dumps({"format": 99, "mmad": "7.0"}))
    with pytest.raises(ExportError, match=r"exported by mmad 7\.0, which is newer"):
        describe_exported(path)


def test_damaged_metadata(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="not valid JSON"):
        describe_exported(with_metadata(tmp_path / "net.onnx", "{"))
    with pytest.raises(ExportError, match="reads: field required"):
        describe_exported(with_metadata(tmp_path / "net.onnx", "{}"))


def test_files_of_other_formats(tmp_path: Path) -> None:
    assert is_exported("run.onnx")
    assert is_exported("run.pt2")
    assert not is_exported(tmp_path)
    with pytest.raises(ExportError, match="mmad runs ONNX files"):
        describe_exported(tmp_path / "run.pt2")
