"""A recognition run: it trains, resumes, predicts, and shares its backbone with detection."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.config.reading import dump_config, parse_any_config
from mmad.data.clips import TrainingClips
from mmad.data.samples import Sample
from mmad.engine.clip_inference import _averaged
from mmad.engine.recognition import read_clips
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_recogniser, load_run
from mmad.engine.training import train_run
from mmad.errors import AnnotationError, CheckpointError, ConfigError, MmadError, VideoError
from mmad.evaluation.clips.details import details_path, read_details
from mmad.evaluation.clips.scores import read_scores
from mmad.labels import MA52
from mmad.models.build import build_recogniser
from mmad.video.find import find_videos
from mmad.video.flow import flow_videos
from support.commands import run_mmad
from support.processes import run_ranks
from support.synthetic_data import tiny_clip_config, tiny_config

pytestmark = pytest.mark.slow


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
        {"heads__norm": True},
        {"compat": "released_timesformer"},
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


@pytest.mark.parametrize("primary", ["tsn", "timesformer"])
def test_a_run_from_before_frame_heads_had_arcface_is_read(
    primary: str, videos: Path, tmp_path: Path
) -> None:
    is_normed = primary == "timesformer"
    settings = {"heads__norm": is_normed, "heads__frame_classifier": "linear"}
    if primary == "timesformer":
        settings["heads__classifier"] = "linear"
    config = tiny_clip_config(videos, training__epochs=1, **settings)
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    content = config.model_dump(mode="json")
    for name in ("norm", "frame_classifier", "name"):
        del content["heads"][name]
    content["heads"]["primary"] = primary
    del content["losses"]["f1_frames"]
    content["heads"]["classifier"] = "arcface"
    if primary == "tsn":
        content["heads"]["classifier"] = config.heads.classifier
    folder.config.write_text(yaml.safe_dump(content))
    _, found, _ = load_recogniser(folder.path)
    assert (found.heads.frame_classifier, found.losses.f1_frames) == ("linear", "together")
    assert found.losses.f1 == (primary == "tsn")


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
    model = load_recogniser(folder.path)[0]
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

    whole_step = Loop.step

    def stop(self: Loop, batches: object) -> dict:
        if self.position.step == 3:
            raise KeyboardInterrupt
        return whole_step(self, batches)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            train_run(config, out=tmp_path / "run", quiet=True)
    resumed = train_run(config, out=tmp_path / "run", resume=True, quiet=True)
    assert losses(resumed) == losses(RunFolder(run))


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(videos: Path, tmp_path: Path) -> None:
    """Also those of soft F1, which is a figure of the whole batch."""
    config = tiny_clip_config(videos, heads__dropout=0.0, backbone__drop_path=0.0)
    (tmp_path / "c.yaml").write_text(dump_config(config))
    arguments = ["train", str(tmp_path / "c.yaml"), "--out"]
    single, double = tmp_path / "single", tmp_path / "double"
    run_mmad([*arguments, single])
    for rank in run_ranks(2, [*arguments, double]):
        assert rank.returncode == 0, rank.stderr
    found, expected = losses(RunFolder(double)), losses(RunFolder(single))
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_micro_batches_give_the_losses_of_one(videos: Path, tmp_path: Path) -> None:
    """Without soft F1, dropout and batch norms, which see several clips or draw numbers."""
    found = []
    for parts in (1, 2):
        config = tiny_clip_config(
            videos,
            heads__dropout=0.0,
            backbone__drop_path=0.0,
            losses__f1=False,
            training__epochs=1,
            training__accumulate=parts,
        )
        folder = train_run(config, out=tmp_path / f"{parts}", quiet=True)
        rows = [row for row in folder.rows() if row["kind"] == "step"]
        found.append([(row["loss"], row["gradient_norm"], row["normalizer"]) for row in rows])
    assert found[0][0][2] == 8
    np.testing.assert_allclose(found[1], found[0], rtol=2e-5)


def test_on_both_lists_the_last_weights_count(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lists = [str(videos / "annotations" / f"ma52_{subset}.txt") for subset in ("train", "val")]
    config = tiny_clip_config(videos, data__train=lists, data__max_clips=6, training__epochs=1)
    (tmp_path / "c.yaml").write_text(dump_config(config))

    def train(name: str, *changes: str) -> str:
        out = str(tmp_path / name)
        result = CliRunner().invoke(
            app, ["train", str(tmp_path / "c.yaml"), *changes, "--out", out]
        )
        assert result.exit_code == 0, result.output
        return result.output

    said = train("all", "data.val=[]", f"data.test=[{lists[1]}]")
    assert "no validation has chosen a checkpoint, so the last weights are used, averaged" in said
    assert "predict" in said
    assert "--subset test" in said
    assert "in data.train, too" not in caplog.text
    assert not (tmp_path / "all" / "best.safetensors").exists()
    result = CliRunner().invoke(app, ["predict", str(tmp_path / "all"), "--subset", "test"])
    assert result.exit_code == 0, result.output
    assert "no validation" not in train("seen", f"data.val=[{lists[1]}]")
    assert "data.val: 6 of its 6 clips are in data.train, too, first val_" in caplog.text


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


def test_predict_and_recognize_draw_the_same_views(run: Path, videos: Path, tmp_path: Path) -> None:
    """Segments, two stretches with three crops each: of the same clips the same scores."""
    names = [line.split()[0] for line in (videos / "annotations/ma52_val.txt").open()]
    changes = ["data.sampling=segments", "data.test_crops=three", "data.test_clips=2"]
    changes += ["data.resize=crop", "data.short_side=48", "inference.average=score"]
    out = tmp_path / "predicted.csv"
    call = ["predict", str(run), *changes, "--subset", "val", "--out", str(out), "--details"]
    assert CliRunner().invoke(app, call).exit_code == 0
    other = tmp_path / "run"
    shutil.copytree(run, other)
    content = yaml.safe_load((run / "config.yaml").read_text())
    for change in changes:
        key, value = change.split("=")
        group, name = key.split(".")
        content[group][name] = yaml.safe_load(value)
    (other / "config.yaml").write_text(yaml.safe_dump(content))
    recognized = tmp_path / "recognized.csv"
    clips = [str(videos / "clips" / name) for name in names]
    call = ["recognize", *clips, "--checkpoint", str(other), "--out", str(recognized)]
    assert CliRunner().invoke(app, call).exit_code == 0
    predicted, found = (read_scores(p.with_suffix(".npz"), labels=MA52) for p in (out, recognized))
    assert predicted.clip_ids == found.clip_ids == tuple(names)
    np.testing.assert_allclose(found.action_scores, predicted.action_scores, atol=1e-6)
    plain = read_scores(run / "predictions" / "val.npz", labels=MA52)
    assert np.abs(plain.action_scores - predicted.action_scores).max() > 1e-5


def test_curves_are_those_of_the_view_in_the_middle(run: Path, tmp_path: Path) -> None:
    """Two stretches in one crop or three: the second stretch, the centre of these square images."""
    found = []
    for crops in ("centre", "three"):
        out = tmp_path / f"{crops}.csv"
        changes = [f"data.test_crops={crops}", "data.test_clips=2", "data.least_aspect=1.0"]
        changes += ["data.resize=crop", "data.short_side=48"]
        call = ["predict", str(run), *changes, "--subset", "val", "--out", str(out), "--details"]
        assert CliRunner().invoke(app, call).exit_code == 0
        found.append(read_details(details_path(out)))
    one, three = found
    np.testing.assert_allclose(three.curves, one.curves, atol=1e-5)
    assert np.abs(three.features - one.features).max() > 1e-5  # the mean of all views


def test_scores_or_probabilities_are_averaged() -> None:
    logits = torch.tensor([[0.0, 2.0], [4.0, 0.0], [1.0, 1.0], [1.0, 3.0]])  # two clips, two views
    first = 1 / (1 + np.exp(-np.array([-2.0, 4.0])))  # of class 0 in each view of the first clip
    second = 1 / (1 + np.exp(-np.array([0.0, -2.0])))
    found = _averaged(logits, 2, average="probability")
    np.testing.assert_allclose(found[:, 0], [first.mean(), second.mean()])
    found = _averaged(logits, 2, average="score")
    np.testing.assert_allclose(found[:, 0], 1 / (1 + np.exp(-np.array([2.0 - 1, 1.0 - 2]))))


def test_short_clips_repeat_frames_and_this_is_said_once(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_clip_config(
        videos,
        data__sampling="dense",
        data__frame_interval=1000,
        data__val=[],
        training={
            "optimizer": "sgd",
            "epochs": 3,
            "batch_videos": 12,
            "schedule": "steps",
            "milestones": [1, 2],
            "warmup_epochs": 0,
            "learning_rate": 0.01,
            "threads": 1,
        },
    )
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    span = 15 * 1000 + 1
    told = [row.message for row in caplog.records if "frames are repeated" in row.message]
    assert told == [
        f"training: 24 of 24 clips have fewer than the {span} frames that a view spans; frames are "
        "repeated"
    ]
    rates = [row["learning_rate"] for row in folder.rows() if row["kind"] == "step"]
    # Two steps in each epoch.
    assert rates == pytest.approx([0.01] * 2 + [0.001] * 2 + [0.0001] * 2)


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
    start = load_recogniser(run)[0].features.backbone.state_dict()
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


def test_without_validation_the_last_weights_are_used(videos: Path, tmp_path: Path) -> None:
    folder = train_run(tiny_clip_config(videos, data__val=[]), out=tmp_path / "run", quiet=True)
    assert not folder.best.is_file()
    last = torch.load(folder.last, weights_only=True)["average"]
    model = load_recogniser(folder.path)[0]
    assert model.heads.fine.weight.equal(last["heads.fine.weight"])


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("frame_coarse", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_every_trained_tensor_gets_a_gradient(
    frame: bool, frame_coarse: bool, shared: bool, videos: Path
) -> None:
    """Training on several processes waits for all of them."""
    config = tiny_clip_config(
        videos, heads__frame=frame, heads__frame_coarse=frame_coarse, heads__shared_gate=shared
    )
    model = build_recogniser(config, labels=MA52)
    clips = torch.zeros(2, 16, 32, 32, 3, dtype=torch.uint8)
    outputs = model(clips, torch.eye(3, 4).expand(2, 3, 4), [1, 1])
    parts = (outputs.fine, outputs.coarse, outputs.fine_frame, outputs.coarse_frame)
    torch.stack([part.sum() for part in parts if part is not None]).sum().backward()
    heads = {name: p.grad is not None for name, p in model.heads.named_parameters()}
    assert all(heads.values()), heads


def test_other_models_are_refused_by_predict(run: Path, videos: Path, tmp_path: Path) -> None:
    flow = tmp_path / "flow"
    flow_videos(list(find_videos(videos / "clips").values()), flow)
    for change, expected in (
        ("heads.norm=true", "other settings of heads"),
        (f"data.flow={flow}", "data.flow changes the model"),
    ):
        result = CliRunner().invoke(app, ["predict", str(run), change, "--subset", "val"])
        assert isinstance(result.exception, CheckpointError)
        assert expected in str(result.exception)
    with pytest.raises(ConfigError, match="is not a multiple of 16 pixels"):
        tiny_clip_config(videos, data__image_size=40)
    with pytest.raises(ConfigError, match="task: expected detection, recognition, emotion or"):
        parse_any_config({"task": ["recognition"]}, source="test")
    with pytest.raises(ConfigError, match=r"^test: compat: .*found 'opentad'$"):
        tiny_clip_config(videos, compat="opentad")


def test_clips_in_two_lists_and_stale_details(run: Path, videos: Path, tmp_path: Path) -> None:
    lists = videos / "annotations" / "ma52_val.txt"
    config = tiny_clip_config(videos, data__val=[str(lists), str(lists)])
    with pytest.raises(AnnotationError, match="in more than one of the lists"):
        train_run(config, out=tmp_path / "run", quiet=True)
    call = ["predict", str(run), "--subset", "val"]
    details = run / "predictions" / "val_details.npz"
    assert CliRunner().invoke(app, [*call, "--details"]).exit_code == 0
    assert details.is_file()
    assert CliRunner().invoke(app, call).exit_code == 0
    assert not details.is_file()


def test_a_mirrored_clip_keeps_its_flow(videos: Path, tmp_path: Path) -> None:
    flow = tmp_path / "flow"
    flow_videos(list(find_videos(videos / "clips").values()), flow)
    config = tiny_clip_config(
        videos, data__flow=str(flow), data__augmentation={"flip": 1.0, "crop_area": [1.0, 1.0]}
    )
    data = TrainingClips(
        read_clips(config, "train", labels=MA52), config.data, backbone=config.backbone, seed=0
    )
    pair = data[(0, 0)]
    assert isinstance(pair, tuple)
    plain = tiny_clip_config(videos, data__augmentation={"flip": 0.0, "crop_area": [1.0, 1.0]})
    same = TrainingClips(
        read_clips(plain, "train", labels=MA52), plain.data, backbone=plain.backbone, seed=0
    )
    alone = same[(0, 0)]
    assert isinstance(alone, Sample)
    assert (pair[0].frames == alone.frames).all()
