from pathlib import Path

import pytest

from mmad.config.ensemble import read_ensemble
from mmad.config.reading import load_any_config
from mmad.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    (folder / "e.yaml").write_text(text)
    return folder / "e.yaml"


def test_members_are_files_or_runs(tmp_path: Path) -> None:
    predictions = tmp_path / "run" / "predictions"
    predictions.mkdir(parents=True)
    (predictions / "val.csv").touch()
    run, other = tmp_path / "run", tmp_path / "other.npz"
    path = written(
        tmp_path,
        f"subset: val\nmembers:\n- {{predictions: {run}, weight: 3}}\n- predictions: {other}\n",
    )
    found = read_ensemble(path)
    assert (found.weights, found.average) == ([3.0, 1.0], "probability")
    assert found.files(source=path) == [predictions / "val.csv", other]
    (predictions / "val.npz").touch()  # scores say more than the ranks beside them
    assert found.files(source=path)[0] == predictions / "val.npz"


def test_all_missing_predictions_are_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path = written(
        tmp_path, f"members:\n- predictions: {tmp_path}/run\n- predictions: {tmp_path}/nowhere\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_ensemble(path).files(source=path)
    for run in ("run", "nowhere"):
        assert f"run mmad predict {tmp_path / run} --subset test" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("members: [{predictions: a.npz}]\n", "at least 2 items"),
        ("weights: [1]\nmembers: [{predictions: a.npz}, {predictions: b.npz}]\n", "no such sett"),
        ("members: [{predictions: a}, {weight: 2}]\n", "members.1.predictions: this setting is"),
        (
            "members: [{predictions: a, weight: -1}, {predictions: b}]\n",
            "greater than or equal to 0",
        ),
        (
            "members: [{predictions: a, weight: 0}, {predictions: b, weight: 0}]\n",
            "all have the weight 0",
        ),
        ("average: mean\nmembers: [{predictions: a}, {predictions: b}]\n", "'score'"),
        ("- a.npz\n", "expected settings"),
    ],
)
def test_what_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_ensemble(written(tmp_path, text))


def test_it_is_not_the_config_of_a_run(tmp_path: Path) -> None:
    path = written(tmp_path, "task: ensemble\nmembers: [{predictions: a}, {predictions: b}]\n")
    with pytest.raises(ConfigError, match="mmad ensemble --config"):
        load_any_config(path)
