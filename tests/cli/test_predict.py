import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmad.engine.runs.folder import RunFolder

pytestmark = pytest.mark.slow


def test_predict_and_eval_from_a_run(detection_run: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "mmad", "predict", str(detection_run), "--subset", "val"],
        check=True,
        capture_output=True,
    )
    out = detection_run.parent / "numbers.json"
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "mmad",
            "eval",
            "--runs",
            str(detection_run.parent),
            "--json",
            str(out),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "predictions:" in result.stdout
    numbers = json.loads(out.read_text())
    best = max(
        r["action_map"] for r in RunFolder(detection_run).rows() if r["kind"] == "validation"
    )
    assert numbers["action"]["average"] == pytest.approx(best, abs=1e-6)
    out.unlink()
