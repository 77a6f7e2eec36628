import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmad.config.detectors.union import settings_of_detector
from mmad.config.inference import InferenceSettings
from mmad.errors import ExportError
from mmad.export import packages
from mmad.export.candidates import CandidateStage
from mmad.export.description import Description
from mmad.export.networks import ExportedNetwork, SequenceDetector
from mmad.export.writing import write_network
from mmad.labels import LabelMap
from mmad.models.detectors.contract import RankingDecoder
from mmad.models.detectors.families import build_decoder, build_network, outputs_of
from mmad.models.detectors.whole import FeatureDetector
from support.detector_batches import shaken

ABOUT = Description(reads="features", config={}, labels=LabelMap(("nod", "shrug")))


def on_features(name: str, **changes: Any) -> SequenceDetector:
    settings = settings_of_detector({"name": name})(**changes).tiny()
    torch.manual_seed(0)
    network = shaken(build_network(settings, in_channels=8, num_classes=2), std=0.05)
    decoder = build_decoder(settings, InferenceSettings(max_candidates=50))
    stage = None
    if isinstance(decoder, RankingDecoder):
        stage = CandidateStage(decoder, outputs_of(settings), unit=2.0)
    return SequenceDetector(FeatureDetector(network), stage=stage, channels=8)


@pytest.mark.parametrize("name", ["temporalmaxer", "pointtad", "tadtr"])
def test_a_detector_is_equal_to_its_onnx_file_at_any_length(name: str, tmp_path: Path) -> None:
    found = write_network(on_features(name), ABOUT, tmp_path / "net.onnx", format="onnx")
    assert found.largest < 1e-4
    assert len({length for _, length in found.sizes}) == 3


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", ["actionformer", "tridet", "mstct", "videomamba", "dyfadet"])
def test_so_are_the_others(name: str, tmp_path: Path) -> None:
    found = write_network(on_features(name), ABOUT, tmp_path / "net.onnx", format="onnx")
    assert found.largest < 1e-4


def test_torchscript(tmp_path: Path) -> None:
    found = write_network(
        on_features("temporalmaxer"), ABOUT, tmp_path / "net.ts", format="torchscript"
    )
    assert found.largest < 1e-4
    more = {"mmad.json": ""}
    torch.jit.load(str(tmp_path / "net.ts"), _extra_files=more)
    assert Description.model_validate_json(more["mmad.json"]).labels == ABOUT.labels


def test_a_file_that_is_not_equal_is_not_kept(tmp_path: Path) -> None:
    network = on_features("temporalmaxer")
    right: Callable = network.reference

    def wrong(*inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: value.float() + 0.01 for name, value in right(*inputs).items()}

    network.reference = wrong  # type: ignore[method-assign]
    with pytest.raises(ExportError, match=r"not equal.*logits_BPK differs by 0\.0"):
        write_network(network, ABOUT, tmp_path / "net.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(packages.importlib, "import_module", missing)
    with pytest.raises(ExportError, match=r"package onnx.*pip install 'mmad\[export\]'"):
        packages.package("onnx")
    assert importlib.import_module is missing


def test_weights_that_no_onnx_file_can_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network: ExportedNetwork = on_features("temporalmaxer")
    monkeypatch.setattr("mmad.export.writing._LARGEST_ONNX", 1000)
    with pytest.raises(ExportError, match="--format pt2"):
        write_network(network, ABOUT, tmp_path / "net.onnx", format="onnx")
