from pathlib import Path

import pytest

from mmad.api.overrides import as_overrides
from mmad.errors import ConfigError


def test_values_are_written_as_on_the_command_line() -> None:
    given = {"data.videos": Path("a b"), "training.epochs": 3, "data.fps": None}
    assert as_overrides(given, {"inference__nms": "none"}) == [
        "data.videos=a b",
        "training.epochs=3",
        "data.fps=null",
        "inference.nms=none",
    ]


def test_what_is_no_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="overrides: expected settings by their keys"):
        as_overrides(["training.epochs=3"])
    with pytest.raises(ConfigError, match="seed: expected text, a number"):
        as_overrides({"seed": object()})
