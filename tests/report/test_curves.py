from pathlib import Path

import pytest

from mmad.errors import MmadError
from mmad.report.curves import draw_training_curves

pytestmark = pytest.mark.slow


def test_curves_are_drawn(tmp_path: Path) -> None:
    steps = [
        {
            "kind": "step",
            "step": s,
            "loss": 2 / s,
            "loss_classification": 1 / s,
            "loss_regression": 1 / s,
            "learning_rate": 1e-4,
        }
        for s in (1, 2, 3)
    ]
    validation = {"kind": "validation", "step": 3, "action_map": 0.1, "body_map": 0.2}
    draw_training_curves(tmp_path / "c.png", [*steps, validation])
    draw_training_curves(tmp_path / "d.png", [])
    assert (tmp_path / "c.png").stat().st_size > 5000


def test_wrong_suffix_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MmadError, match=r"expected a figure ending in \.png, \.svg, \.pdf"):
        draw_training_curves(tmp_path / "c.jpeg", [])
    assert not list(tmp_path.iterdir())
