"""Settings of a training that make no sense together."""

import pytest
from pydantic import ValidationError

from mmad.config.training import TrainingSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"momentum": 0.9}, r"those of SGD; leave them out, or set training\.opt"),
        ({"nesterov": True}, r"those of SGD; leave them out, or set training\.opt"),
        ({"optimizer": "sgd", "nesterov": True, "momentum": 0.0}, "nesterov needs a momentum"),
        ({"milestones": [3]}, r"\[3\] are those of steps; set training\.schedule=steps"),
        ({"schedule": "steps"}, r"needs milestones; set training\.milestones=\[20,40\]"),
        (
            {"schedule": "steps", "milestones": [4, 2]},
            r"expected ascending epochs, found \[4, 2\]",
        ),
        ({"schedule": "steps", "milestones": [2, 2]}, "expected ascending epochs"),
        (
            {"schedule": "steps", "milestones": [2, 9]},
            r"expected epochs before the last one, 9; found \[2, 9\]; set training\.milestones",
        ),
        (
            {"schedule": "steps", "milestones": [2], "schedule_epochs": 9},
            "schedule_epochs is that of a cosine",
        ),
        (
            {"schedule": "steps", "milestones": [2], "cosine_from": "start"},
            "cosine_from is that of a cosine",
        ),
    ],
)
def test_nonsense_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingSettings(epochs=9, **changes)
