"""Emotions from training to predictions: run folder, commands, branches, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.checkpoint import load_tensors
from mmad.config.emotion import EmotionConfig
from mmad.config.reading import dump_config, parse_any_config
from mmad.engine.distributed import Processes
from mmad.engine.emotion import EmotionTask, prepare_emotion, with_files
from mmad.engine.runs.folder import RunFolder, read_state
from mmad.engine.runs.load import load_emotion
from mmad.engine.runs.pretrained import load_pretrained
from mmad.engine.task import Validation
from mmad.engine.training import train_run
from mmad.errors import AnnotationError, CheckpointError, ConfigError, VideoError
from mmad.evaluation.emotions.predictions import EmotionPredictions, read_emotion_predictions
from mmad.labels import MA52
from mmad.structures import EmotionRecord
from support.commands import run_mmad
from support.emotions import felt_config, felt_content

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def run(felt: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("emotion") / "run"
    return train_run(felt_config(felt), out=out, quiet=True)


def read(path: Path) -> EmotionPredictions:
    return read_emotion_predictions(path, labels=MA52)


def test_a_run_has_logs_weights_and_predictions(run: RunFolder) -> None:
    rows = run.rows()
    steps = [row for row in rows if row["kind"] == "step"]
    assert [row["step"] for row in steps] == [1, 2, 3, 4]  # two epochs of 4 videos // 2
    for row in steps:
        total = row["loss_actions"] + 0.03 * row["loss_emotion"]
        assert row["loss"] == pytest.approx(total, rel=1e-5)
    assert steps[0]["loss_emotion"] == pytest.approx(np.log(5), abs=0.05)
    assert steps[0]["loss_actions"] == pytest.approx(np.log(2), abs=0.05)
    last = [row for row in rows if row["kind"] == "validation"][-1]
    assert {"accuracy", "f1_weighted", "f1_macro", "recall_macro", "map_classes"} < set(last)
    (facts,) = (row for row in rows if row["kind"] == "data")
    assert (facts["num_videos"], facts["num_without_face"]) == (4, 1)
    assert run.curves.is_file()
    found = read(run.predictions("val", ".csv"))
    assert found.video_ids == ("e", "f")
    assert len(found.action_labels) == 52


@pytest.mark.slow
def test_predictions_are_those_of_the_validation(run: RunFolder, tmp_path: Path) -> None:
    """The best weights, read again, say the same in every format."""
    expected = read(run.predictions("val", ".csv"))
    for suffix in ("json", "npz"):
        out = tmp_path / f"val.{suffix}"
        said = run_mmad(["predict", run.path, "--subset", "val", "--out", out])
        assert "2 videos" in said.stdout
        found = read(out)
        np.testing.assert_allclose(found.emotion_scores, expected.emotion_scores, atol=1e-6)
        np.testing.assert_allclose(found.action_scores, expected.action_scores, atol=1e-6)
    scored = run_mmad(["eval", run.path]).stdout
    assert "2 videos, mAP of 3 of 52 actions" in scored
    refused = run_mmad(["predict", run.path, "--out", tmp_path / "val.txt"], code=2)
    assert "val.txt: expected a name that ends in .csv, .json or .npz" in refused.stderr


@pytest.mark.slow
def test_a_resumed_training_ends_with_the_same_weights(
    felt: Path, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = EmotionTask.validate, []

    def stopping(self: EmotionTask, model: torch.nn.Module, *, quiet: bool) -> Validation:
        calls.append(1)
        if len(calls) == 2:  # after the first epoch was saved
            raise KeyboardInterrupt
        return whole(self, model, quiet=quiet)

    monkeypatch.setattr(EmotionTask, "validate", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_run(felt_config(felt), out=tmp_path / "run", quiet=True)
    resumed = train_run(felt_config(felt), out=tmp_path / "run", quiet=True, resume=True)
    assert [row["step"] for row in resumed.rows() if row["kind"] == "step"] == [1, 2, 3, 4]
    one, other = (read_state(folder).trained for folder in (run, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.slow
def test_one_branch_and_fewer_actions(felt: Path, tmp_path: Path) -> None:
    short = {"training__epochs": 1}
    changes: dict[str, dict] = {
        "faces": {"network__branches": "faces", "data__videos": None},
        "without": {"data__without_parts": ["D", "leg-hand"]},
    }
    found = {}
    for name, change_of in changes.items():
        config = felt_config(felt, **short, **change_of)
        folder = train_run(config, out=tmp_path / name, quiet=True)
        found[name] = read(folder.predictions("val", ".csv"))
        assert len(found[name]) == 2
    assert len(found["faces"].action_labels) == 0
    left = {MA52.title(label)[0] for label in found["without"].action_labels}
    assert left == set("ABCEF")
    said = run_mmad(["eval", tmp_path / "without"]).stdout
    assert "no scores of lower limb, leg-hand" in " ".join(said.split())
    weights, _ = load_tensors(RunFolder(tmp_path / "faces").best)
    assert not any(name.startswith(("bodies", "actions")) for name in weights)


def test_videos_without_a_face_are_named_and_told_from_the_body(
    felt: Path, run: RunFolder, tmp_path: Path
) -> None:
    listed = tmp_path / "listed.csv"
    listed.write_text("video_id,emotion,actions\na,joy,nodding\nb,sadness,A1\n")
    said = run_mmad(["predict", run.path, "--annotations", listed, "--out", tmp_path / "found.csv"])
    told = " ".join(said.stderr.split() + said.stdout.split())
    assert "1 of 2 videos has no face in the frames that are read (b)" in told
    assert "the body alone" in told
    network, _, _ = load_emotion(run.path)
    with torch.no_grad():
        images = torch.rand(1, 3, 4, 32, 32)
        unseen = network(images, torch.zeros(1, 4, dtype=torch.bool), images)
        dark = network(torch.rand(1, 3, 4, 32, 32), torch.zeros(1, 4, dtype=torch.bool), images)
    assert torch.equal(unseen.emotions_NE, dark.emotions_NE)


@pytest.mark.slow
def test_recognize_takes_copies_or_boxes(felt: Path, run: RunFolder, tmp_path: Path) -> None:
    words = ["recognize", felt / "videos" / "e.mp4", "--checkpoint", run.path]
    out = tmp_path / "e.json"
    said = run_mmad([*words, "--faces", felt / "faces", "--top", 3, "--out", out])
    assert re.search(r"joy +│ +\d+\.\d %", said.stdout)
    assert len(re.findall(r"[A-G]\d+ \w+", said.stdout)) >= 3
    expected = read(run.predictions("val", ".csv"))
    assert list(json.loads(out.read_text())) == ["e"]
    np.testing.assert_allclose(read(out).emotion_scores[0], expected.emotion_scores[0], atol=1e-6)
    said = run_mmad([*words, "--face-boxes", felt / "faces" / "e.csv"])
    assert "the face is away in 10 of 20 frames" in " ".join(said.stderr.split())
    for further, message in (
        ([], "reads faces, too; pass --face-model FILE"),
        (["--faces", felt / "faces", "--face-boxes", felt / "faces"], "pass one of --faces DIR"),
        (["--faces", tmp_path], "there is no face copy of e"),
        (["--faces", felt / "faces", "--saliency", tmp_path / "s"], "this run is of emotion"),
    ):
        refused = run_mmad([*words, *further], code=2)
        assert message in " ".join(refused.stderr.split())


def test_a_video_that_has_a_path_is_not_sought_in_the_folder_of_the_run(
    felt: Path, tmp_path: Path
) -> None:
    """`mmad recognize` takes any video, of whatever name, from any folder."""
    config = felt_config(felt)
    outside = EmotionRecord("e", None, (), "test", path=tmp_path / "e.mp4")
    listed = EmotionRecord("f", None, (), "test")
    own, found = with_files(config, [outside, listed])
    assert own.record.path == outside.path
    assert found.record.path == felt / "videos" / "f.mp4"


def test_each_branch_may_have_its_own_start(felt: Path, run: RunFolder, tmp_path: Path) -> None:
    config = felt_config(
        felt, backbone__pretrained=str(run.path), network__faces_pretrained="elsewhere.pth"
    )
    experiment = prepare_emotion(config, processes=ALONE, folder=RunFolder(tmp_path / "none"))
    starts = {one.backbone: one.settings.pretrained for one in experiment.backbones}
    of_branch = experiment.model.backbones  # type: ignore[operator, union-attr]
    assert starts[of_branch["bodies"]] == str(run.path)  # type: ignore[index]
    assert starts[of_branch["faces"]] == "elsewhere.pth"  # type: ignore[index]
    # Of a run on emotions both take the branch of bodies.
    old, _ = load_tensors(run.best)
    for backbone in of_branch.values():  # type: ignore[operator, union-attr]
        report = load_pretrained(backbone, config.backbone)
        assert report.source == str(run.path)
        for name, value in backbone.state_dict().items():
            assert torch.equal(value, old.get(f"bodies.backbone.{name}", value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__faces": None}, r"branches both reads faces; set data\.faces"),
        ({"data__videos": None}, r"branches both reads whole images; set data\.videos"),
        ({"data__image_size": 40}, r"data\.image_size 40 is not a multiple of 32"),
        ({"data__face_size": 40}, r"data\.face_size 40 is not a multiple of 32"),
        ({"backbone__flow_stack": 5}, r"flow_stack is for recognition"),
        ({"losses__emotion": 0, "losses__actions": 0}, r"leave nothing to learn"),
        (
            {"network__branches": "bodies", "network__faces_pretrained": "x"},
            r"faces_pretrained is not read by network\.branches bodies",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(felt: Path, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        felt_config(felt, **changes)


def prepared(config: EmotionConfig, folder: Path) -> None:
    prepare_emotion(config, processes=ALONE, folder=RunFolder(folder))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data__faces": "none"}, VideoError, r"data\.faces: none: there is no such folder"),
        ({"data__without_parts": ["H"]}, ConfigError, r"without_parts: unknown label 'H'"),
        ({"data__without_parts": list("ABCDEFG")}, ConfigError, r"leaves no actions"),
        ({"data__train_subsets": ["test"]}, AnnotationError, r"no videos of subset test"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    felt: Path, changes: dict, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        prepared(felt_config(felt, **changes), tmp_path)


def test_lists_that_do_not_fit_are_refused(felt: Path, tmp_path: Path) -> None:
    listed = tmp_path / "listed.csv"
    listed.write_text("video_id,subset,emotion,actions\na,train,joy,B1\nb,train,,\n")
    with pytest.raises(AnnotationError, match=r"1 video has no emotion, first b"):
        prepared(felt_config(felt, data__annotations=str(listed)), tmp_path)
    with pytest.raises(AnnotationError, match=r"2 videos are in more than one of the lists"):
        prepared(felt_config(felt, data__annotations=[str(listed)] * 2), tmp_path)
    flat = tmp_path / "flat.txt"
    flat.write_text("x\ny\n")
    with pytest.raises(ConfigError, match=r"the actions of .*flat\.txt have no body parts"):
        prepared(felt_config(felt, data__labels=str(flat), data__without_parts=["D"]), tmp_path)


def test_the_model_of_a_run_stays_as_it_is(felt: Path, run: RunFolder) -> None:
    for setting, what in (
        ("network.branches=bodies", "other settings of network"),
        ("data.without_parts=[D]", "data.without_parts changes the model"),
    ):
        refused = run_mmad(["predict", run.path, setting, "--subset", "val"], code=2)
        assert what in " ".join(refused.stderr.split())
    with pytest.raises(CheckpointError, match="started with other settings"):
        train_run(felt_config(felt, seed=1), out=run.path, quiet=True, resume=True)


def test_a_config_is_read_back_as_it_was(felt: Path) -> None:
    config = felt_config(felt)
    assert parse_any_config(felt_content(felt), source="test") == config
    assert "face_size: null" in dump_config(config)
