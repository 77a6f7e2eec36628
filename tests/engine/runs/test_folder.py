from pathlib import Path

import pytest

from mmad.engine.runs.load import load_run
from mmad.errors import CheckpointError

pytestmark = pytest.mark.slow


def test_other_frozen_weights_are_refused(detection_run: Path, tmp_path: Path) -> None:
    from mmad.checkpoint import load_tensors, save_tensors

    for name in ("config.yaml", "labels.json", "best.safetensors", "frozen.safetensors"):
        (tmp_path / name).write_bytes((detection_run / name).read_bytes())
    frozen, _ = load_tensors(tmp_path / "frozen.safetensors")
    name = next(key for key in frozen if key.endswith("qkv.weight"))
    save_tensors(tmp_path / "frozen.safetensors", {**frozen, name: frozen[name] + 1})
    with pytest.raises(CheckpointError, match="not the frozen weights"):
        load_run(tmp_path)
