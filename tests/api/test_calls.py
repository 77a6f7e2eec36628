import warnings

import pytest

from mmad.api.calls import in_python, public, warn
from mmad.errors import MmadError, MmadWarning, PredictionError


def test_options_become_arguments_and_commands_stay() -> None:
    for said, expected in (
        ("pass --annotations FILE", "pass annotations=FILE"),
        ("--device gpu: expected auto", "device=gpu: expected auto"),
        ("choose another --out, or pass --resume", "choose another out, or pass resume=True"),
        ("left out (--only-predicted)", "left out (only_predicted=True)"),
        (
            "run mmad predict RUN --subset val --details; then pass --tiou",
            "run mmad predict RUN --subset val --details; then pass tiou",
        ),
    ):
        assert in_python(said) == expected


@public
def scores(path: str, *, min_score: float = 0.1) -> str:
    raise PredictionError(f"{path}: pass --min-score S ({min_score})")


def test_an_unknown_argument_names_the_nearest_one() -> None:
    with pytest.raises(MmadError, match=r"scores\(\) has no argument 'min_scor'; did you mean"):
        scores("a", min_scor=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="known: path, min_score"):
        scores("a", x=1)  # type: ignore[call-arg]
    with pytest.raises(PredictionError, match=r"^a: pass min_score=S \(0.1\)$"):
        scores("a")


def test_a_notice_is_a_warning_at_the_line_of_the_caller() -> None:
    with pytest.warns(MmadWarning, match="frames are repeated") as caught:
        warn(["frames are repeated"])
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn([])
