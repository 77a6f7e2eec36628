"""Weights as views of their files: equal numbers, memory that is given back, damage."""

import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mmad.checkpoint import fill_memory, load_exactly
from mmad.config.backbones.internvideo2 import InternVideo2Settings
from mmad.config.backbones.vit import ViTSettings
from mmad.errors import CheckpointError
from mmad.models.backbones.adapters import Adapter
from mmad.models.backbones.families import build_backbone
from mmad.weights.files import read_weights
from mmad.weights.load import load_backbone
from mmad.weights.mapped import LEAST_MAPPED

SIZE = {"width": 64, "depth": 2, "num_heads": 4}


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({"model": tensors}, path)
    return path


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
def test_numbers_are_those_of_the_file_and_stay_so_when_memory_is_given_back(
    name: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    stored = {
        "large": (100 * torch.randn(LEAST_MAPPED // 2, 2)).to(dtype),
        "small": torch.tensor(3.5).to(dtype),
        "empty": torch.empty(0, 3, dtype=dtype),
    }
    path = write(tmp_path / name, stored)
    file = read_weights(path)
    for key, value in stored.items():
        assert torch.equal(file.tensors[key], value)
        file.release(file.tensors[key])
        assert torch.equal(file.tensors[key], value)
    before = path.read_bytes()
    file.tensors["large"].zero_()
    assert path.read_bytes() == before


def resident_mib(kind: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{kind}:")[1].split()[0]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_a_file_is_not_in_memory_beside_the_network(name: str, tmp_path: Path) -> None:
    layers = {f"{layer}.weight": torch.randn(1024, 4096).half() for layer in range(8)}
    path = write(tmp_path / name, layers)
    model = torch.nn.ModuleList(torch.nn.Linear(4096, 1024, bias=False) for _ in range(8))
    of_file, own = resident_mib("RssFile"), resident_mib("RssAnon")
    file = read_weights(path)
    load_exactly(model, file.tensors, source="", release=file.release)
    assert resident_mib("RssFile") - of_file < 8 * 8 / 4  # of 8 tensors of 8 MiB
    assert resident_mib("RssAnon") - own < 16
    assert torch.equal(model[7].weight, layers["7.weight"].float())


@pytest.mark.parametrize("freeze", [True, False])
def test_a_large_network_has_no_memory_until_its_weights_come(
    freeze: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ViTSettings, "is_large", True)
    settings = InternVideo2Settings(
        size=SIZE, adapter={"name": "tia"}, pretrained="a file", freeze=freeze
    )
    torch.manual_seed(0)
    whole = build_backbone(settings)  # nothing follows
    assert not any(value.is_meta for value in whole.state_dict().values())
    body = {key: value.half() for key, value in whole.state_dict().items() if "adapter" not in key}
    backbone = build_backbone(settings, weights_follow=True)
    assert {key for key, value in backbone.state_dict().items() if value.is_meta} == body.keys()
    load_backbone(backbone, str(write(tmp_path / "weights.pth", body)))
    for key, value in body.items():
        found = backbone.state_dict()[key]
        assert found.dtype == torch.float32
        assert torch.equal(found, value.float()), key
    trained = {key for key, value in backbone.named_parameters() if value.requires_grad}
    expected = (
        set(backbone.state_dict()) if not freeze else set(backbone.state_dict()) - body.keys()
    )
    assert trained == expected
    assert all(isinstance(one, Adapter) for one in backbone.adapters())
    out = backbone(torch.randn(1, 3, 8, 32, 32), torch.zeros(1, dtype=torch.long))
    assert out.tokens_NTSC.isfinite().all()


def test_what_may_be_missing_in_a_file_starts_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ViTSettings, "is_large", True)
    settings = InternVideo2Settings(size=SIZE, pretrained="a", pretrained_allow=["pool.*"])
    backbone = build_backbone(settings, weights_follow=True)
    assert not any(value.is_meta for value in backbone.state_dict().values())


def test_memory_for_weights_that_are_restored_later() -> None:
    with torch.device("meta"):
        model = torch.nn.BatchNorm1d(3)
    model.weight.requires_grad_(False)
    fill_memory(model)
    assert torch.equal(model.weight, torch.zeros(3))
    assert not model.weight.requires_grad
    assert not model.running_mean.is_meta


def test_a_damaged_number_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "weights.pth", {"large": torch.zeros(LEAST_MAPPED)})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = next(one for one in archive.infolist() if one.file_size >= LEAST_MAPPED)
    content[entry.header_offset + LEAST_MAPPED] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cut off"):
        read_weights(path)
