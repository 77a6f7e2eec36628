"""A recognition run: it trains, resumes, predicts, and shares its backbone with detection."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_data import tiny_clip_config, tiny_config
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.config.run import dump_config
from mmad.engine.run_folder import RunFolder, load_recognizer, load_run
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError, MmadError, VideoError
from mmad.evaluation.recognition_scores import read_scores
from mmad.labels import MA52
from mmad.video.find import find_videos
from mmad.video.flow import flow_videos


def losses(folder: RunFolder) -> list[float]:
    return [row["loss"] for row in folder.rows() if row["kind"] == "step"]


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recognition") / "run"
    return train_run(tiny_clip_config(videos), out=out, quiet=True).path


def test_the_log_has_every_loss(run: Path) -> None:
    rows = RunFolder(run).rows()
    step = next(row for row in rows if row["kind"] == "step")
    weights = {"fine": 1.0, "coarse": 0.5, "fine_frame": 0.5, "coarse_frame": 0.25}
    total = sum(weight * step[f"loss_{name}"] for name, weight in weights.items())
    assert step["loss"] == pytest.approx(total, rel=1e-5)
    validation = next(row for row in rows if row["kind"] == "validation")
    assert 0 <= validation["f1_mean"] <= 1
    assert (run / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"compat": "released"},
        {"heads__primary": "timesformer"},
        {"losses__mixup": 0.4, "losses__label_smoothing": 0.1},
        {"losses__within_body_exponent": 0.5, "data__balance_exponent": 0.5},
        {"inference__hierarchy": "soft"},
        {"data__augment_on": "device"},
        {"backbone__adapter": {"name": "none"}, "backbone__freeze": False},
        {"backbone__adapter": {"name": "none"}, "heads__frame": False, "heads__coarse": False},
    ],
    ids=str,
)
def test_every_mode_is_a_setting(changes: dict, videos: Path, tmp_path: Path) -> None:
    config = tiny_clip_config(videos, training__epochs=1, **changes)
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    assert len(losses(folder)) == 3
    assert np.isfinite(losses(folder)).all()
    again = train_run(config, out=tmp_path / "again", quiet=True)
    assert losses(folder) == losses(again)


@pytest.mark.parametrize("weights", ["shared", "separate"])
@pytest.mark.parametrize("fusion", ["add", "concat"])
def test_two_streams(weights: str, fusion: str, run: Path, videos: Path, tmp_path: Path) -> None:
    flow = tmp_path / "flow"
    flow_videos(list(find_videos(videos / "clips").values()), flow)
    config = tiny_clip_config(
        videos,
        data__flow=str(flow),
        heads__flow_weights=weights,
        heads__flow_fusion=fusion,
        backbone__pretrained=str(run),
        losses__mixup=0.3,
        training__epochs=1,
    )
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    assert np.isfinite(losses(folder)).all()
    model = load_recognizer(folder.path)[0]
    assert (model.features.flow_backbone is None) == (weights == "shared")
    assert model.heads.fine.weight.shape[1] == (32 if fusion == "concat" else 16)
    result = CliRunner().invoke(app, ["predict", str(folder.path), "--subset", "val"])
    assert result.exit_code == 0, result.output


def test_flow_that_is_missing_or_of_another_clip_is_told(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "flow").mkdir()
    config = tiny_clip_config(videos, data__flow=str(tmp_path / "flow"))
    with pytest.raises(VideoError, match="no flow of train_00000"):
        train_run(config, out=tmp_path / "run", quiet=True)
    names = sorted(path.name for path in (videos / "clips").iterdir())
    for name in names:
        (tmp_path / "flow" / name).symlink_to(videos / "videos" / "train0000.mp4")
    with pytest.raises(VideoError, match="compute its flow again"):
        train_run(config, out=tmp_path / "run2", quiet=True)


def test_a_run_that_stopped_goes_on_to_the_same_losses(
    run: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_clip_config(videos)
    from mmad.engine.loop import Loop

    whole_step = Loop._step

    def stop(self: Loop, batches: object) -> dict:
        if self.progress.step == 3:
            raise KeyboardInterrupt
        return whole_step(self, batches)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            train_run(config, out=tmp_path / "run", quiet=True)
    resumed = train_run(config, out=tmp_path / "run", resume=True, quiet=True)
    assert losses(resumed) == losses(RunFolder(run))


def test_two_processes_give_the_losses_of_one(videos: Path, tmp_path: Path) -> None:
    """Also those of soft F1, which is a figure of the whole batch."""
    config = tiny_clip_config(videos, heads__dropout=0.0, backbone__drop_path=0.0)
    (tmp_path / "c.yaml").write_text(dump_config(config))
    arguments = ["-m", "mmad", "train", str(tmp_path / "c.yaml"), "--out"]
    single, double = tmp_path / "single", tmp_path / "double"
    subprocess.run([sys.executable, *arguments, str(single)], check=True, capture_output=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    subprocess.run(
        [*torchrun, "--master-port", "29618", *arguments, str(double)],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found, expected = losses(RunFolder(double)), losses(RunFolder(single))
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_predict_eval_and_recognize(run: Path, videos: Path, tmp_path: Path) -> None:
    def call(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.output

    call("predict", str(run), "--subset", "val")
    path = run / "predictions" / "val.csv"
    scores = read_scores(path.with_suffix(".npz"), labels=MA52)
    np.testing.assert_allclose(scores.action_scores.sum(axis=1), 1.0, rtol=1e-6)
    lists = videos / "annotations" / "ma52_val.txt"
    call("eval", str(path), "--annotations", str(lists), "--json", str(tmp_path / "n.json"))
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["num_clips"] == 6
    clip = videos / "clips" / lists.read_text().split()[0]
    said = call(
        "recognize", str(clip), "--checkpoint", str(run), "--out", str(tmp_path / "one.csv")
    )
    call("predict", str(run), "--subset", "val", "--details")
    assert "report_val.html" in call("report", str(run))
    assert clip.name in (run / "report_val.html").read_text()
    best = int(scores.action_scores[scores.clip_ids.index(clip.name)].argmax())
    assert MA52.title(best) in said
    assert (tmp_path / "one.npz").is_file()


def test_bad_input_is_told(run: Path, videos: Path, tmp_path: Path) -> None:
    def message(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert isinstance(result.exception, MmadError)
        return str(result.exception)

    assert "names no list" in message("predict", str(run), "--subset", "test")
    assert "no such video" in message("recognize", "none.mp4", "--checkpoint", str(run))
    (tmp_path / "text.mp4").write_text("no video")
    assert "text.mp4" in message("recognize", str(tmp_path / "text.mp4"), "--checkpoint", str(run))
    with pytest.raises(ConfigError, match="is a config of recognition"):
        load_run(run)
    with pytest.raises(ConfigError, match="coarse head"):
        tiny_clip_config(videos, inference__hierarchy="soft", heads__coarse=False)
    with pytest.raises(ConfigError, match="did you mean 'margin'"):
        tiny_clip_config(videos, heads__margni=0.5)


def test_a_detector_starts_from_a_recogniser_and_back(
    run: Path, videos: Path, tmp_path: Path
) -> None:
    detection = tiny_config(videos, backbone__pretrained=str(run), training__epochs=1)
    detector = train_run(detection, out=tmp_path / "detector", quiet=True)
    start = load_recognizer(run)[0].features.backbone.state_dict()
    row = next(row for row in detector.rows() if row["kind"] == "weights")
    assert f"{len(start)} tensors matched" in row["report"][0]
    last = torch.load(detector.last, weights_only=True)
    adapters = {name: value for name, value in last["trained"].items() if ".adapter." in name}
    assert adapters
    for name, value in adapters.items():  # after three small steps they are near where they began
        theirs = start[name.removeprefix("features.backbone.")]
        torch.testing.assert_close(value, theirs, atol=5e-3, rtol=0)
    frozen = load_run(detector.path)[0].features.backbone.state_dict()
    for name, value in start.items():
        if ".adapter." not in name:
            assert value.equal(frozen[name])
    back = tiny_clip_config(videos, backbone__pretrained=str(detector.path), training__epochs=1)
    recogniser = train_run(back, out=tmp_path / "recogniser", quiet=True)
    report = next(row for row in recogniser.rows() if row["kind"] == "weights")["report"]
    assert "0 missing, 0 unexpected" in report[0]


def test_a_start_of_another_task_says_what_to_do(run: Path, videos: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"backbone\.pretrained"):
        train_run(tiny_config(videos, training__start=str(run)), out=tmp_path / "run", quiet=True)
    config = tiny_clip_config(videos)
    assert "task: recognition" in dump_config(config)
