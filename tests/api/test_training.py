from pathlib import Path

import pytest
import yaml

import mmad
from support.synthetic_data import tiny_content

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_content(videos)))
    return path


def test_a_training_stops_and_resumes(config: Path, tmp_path: Path) -> None:
    def stop_late(done: float) -> None:
        if done > 0.6:
            raise mmad.Cancelled

    out = tmp_path / "run"
    changes = {"training__epochs": 2, "data__max_videos": 2}
    with pytest.raises(mmad.Cancelled):
        mmad.train(config, out=out, progress=stop_late, **changes)
    assert not [path for path in out.rglob("*") if ".part" in path.name]
    told: list[float] = []
    run = mmad.train(config, out=out, resume=True, progress=told.append, **changes)
    assert told == [1.0]
    assert run.path == out
    assert run.curves.is_file()
    assert run.predictions("val").is_file()
    assert [row["step"] for row in run.log if row["kind"] == "step"] == [1, 2]
    assert run.to_frame()["action_map"].iloc[-1] == run.log[-1]["action_map"]
    assert run.best["kind"] == "validation"
    assert run.config.training.epochs == 2
    assert run.load(device="cpu").task == "detection"


def test_wrong_settings_name_the_nearest(config: Path, tmp_path: Path) -> None:
    for changes, message in (
        ({"training__epoch": 3}, "training.epoch: there is no such setting; did you mean 'epochs'"),
        ({"training__epochs": "many"}, "training.epochs: "),
        ({"seed": object()}, "seed: expected text, a number"),
    ):
        with pytest.raises(mmad.MmadError, match=message):
            mmad.train(config, out=tmp_path / "run", **changes)
    with pytest.raises(mmad.MmadError, match="overrides: expected settings by their keys"):
        mmad.train(config, ["training.epochs=3"])
    with pytest.raises(mmad.MmadError, match="there is no such config; did you mean"):
        mmad.train("configs/dsta_videomae_x.yaml")
    with pytest.raises(mmad.MmadError, match="is not a run folder"):
        mmad.Run(tmp_path)
