import json
from pathlib import Path

import pytest

from mmad.engine.runs.folder import RunFolder
from support.commands import run_mmad

pytestmark = pytest.mark.slow


def test_predict_and_eval_from_a_run(detection_run: Path) -> None:
    run_mmad(["predict", detection_run, "--subset", "val"])
    out = detection_run.parent / "numbers.json"
    result = run_mmad(["eval", "--runs", detection_run.parent, "--json", out])
    assert "predictions:" in result.stdout
    numbers = json.loads(out.read_text())
    best = max(
        r["action_map"] for r in RunFolder(detection_run).rows() if r["kind"] == "validation"
    )
    assert numbers["action"]["average"] == pytest.approx(best, abs=1e-6)
    out.unlink()
