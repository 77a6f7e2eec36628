"""Recognition with labels of one's own, from the list to the page; folds are in test_folds.py."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.config.reading import dump_config, load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.engine.recognition import settle_labels
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_recogniser
from mmad.engine.training import train_run
from mmad.errors import AnnotationError, ConfigError, PredictionError
from mmad.evaluation.clips.recognition import read_recognitions
from mmad.evaluation.clips.scores import labels_in, read_scores
from mmad.labels import LabelMap
from support.synthetic_data import own_labels, tiny_clip_config

THREE = LabelMap(("calm", "tense", "glad"), first_number=1)


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def own_config(videos: Path, folder: Path, **changes: object) -> RecognitionConfig:
    """Labels without body parts; trained and validated on the same clips."""
    labels, clips = own_labels(videos, folder)
    lines = [line.split(",") for line in clips.read_text().splitlines()[1:]]
    listed = folder / "all.txt"
    listed.write_text("".join(f"{name} {label}\n" for name, label, *_ in lines))
    places = {"data__labels": str(labels), "data__train": [str(listed)], "data__val": [str(listed)]}
    return tiny_clip_config(videos, **{**places, "training__epochs": 1, **changes})


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own_labels")
    return train_run(own_config(videos, folder), out=folder / "run", quiet=True).path


def test_what_needs_body_parts_is_off_and_said(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = own_config(videos, tmp_path, losses__mixup=0.4)
    with caplog.at_level(logging.WARNING):
        settled = settle_labels(config)
    assert not settled.heads.coarse
    assert not settled.heads.frame_coarse
    assert settled.losses.mixup_within_body == 0
    assert settled.heads.frame
    counted, off = (record.getMessage() for record in caplog.records)
    assert counted.endswith(
        "classInd.txt: its classes are numbered from 1, and so are the labels in lists of clips"
    )
    assert off.endswith(
        "its classes have no body parts, so these are off: heads.coarse, heads.frame_coarse, "
        "losses.mixup_within_body"
    )
    # A run that is resumed with the settings that it keeps has nothing to settle.
    (tmp_path / "c.yaml").write_text(dump_config(settled))
    again = load_any_config(tmp_path / "c.yaml")
    assert settle_labels(again) == settled


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"heads__coarse": True}, r"heads\.coarse=true needs body parts; set heads\.coarse=false"),
        ({"inference__hierarchy": "soft"}, r"inference\.hierarchy=soft needs body parts; set infe"),
        ({"inference__hierarchy": "summed"}, "set inference.hierarchy=mapping"),
        ({"losses__within_body_exponent": 0.5}, r"set losses\.within_body_exponent=0\.0"),
        (
            {"losses__mixup": 0.4, "losses__mixup_within_body": 0.5},
            r"losses\.mixup_within_body=0\.5 needs body parts",
        ),
    ],
)
def test_what_is_set_although_there_are_no_body_parts_is_refused(
    changes: dict, expected: str, videos: Path, tmp_path: Path
) -> None:
    config = own_config(videos, tmp_path, **changes)
    with pytest.raises(ConfigError, match=rf"(?s)classInd\.txt: no body parts: .*{expected}"):
        train_run(config, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_keeps_its_labels(run: Path) -> None:
    model, config, labels = load_recogniser(run)
    assert labels == THREE
    assert config.data.labels.endswith("classInd.txt")
    assert model.heads.fine.weight.shape == (3, 16)
    assert model.heads.coarse is None
    step = next(row for row in RunFolder(run).rows() if row["kind"] == "step")
    assert {name for name in step if name.startswith("loss")} == {
        *("loss", "loss_fine", "loss_fine_frame")
    }
    assert yaml.safe_load((run / "config.yaml").read_text())["heads"]["coarse"] is False


@pytest.mark.slow
def test_every_command_takes_the_labels_of_the_run(run: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere.csv"
    call("predict", run, "--subset", "val", "--out", out, "--details")
    scores = read_scores(out.with_suffix(".npz"), labels=THREE)
    np.testing.assert_allclose(scores.action_scores.sum(axis=1), 1.0, rtol=1e-6)
    assert scores.body_scores.shape == (len(scores), 0)
    assert labels_in(out.with_suffix(".npz")) == THREE
    guesses = read_recognitions(out, labels=THREE)
    assert guesses.action_top.shape == (len(scores), 3 + 2)
    assert (guesses.action_top[:, 3:] == -1).all()

    listed = tmp_path / "list.csv"
    rows = [
        f"{name},{1 + int(top)}"
        for name, top in zip(scores.clip_ids, guesses.action_top[:, 0], strict=True)
    ]
    listed.write_text("\n".join(["clip,label", *rows]) + "\n")
    # Outside of the run the scores beside the guesses say what the classes are.
    said = call("eval", out, "--annotations", listed, "--json", tmp_path / "n.json")
    assert "body" not in said
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["action"]["labels"] == ["calm", "tense", "glad"]
    assert numbers["action"]["mean_class_accuracy"] == numbers["f1_mean"] == 1.0
    out.with_suffix(".npz").rename(tmp_path / "scores.npz")
    labels = tmp_path / "classes.txt"
    labels.write_text("1 calm\n2 tense\n3 glad\n")
    call("eval", out, "--annotations", listed, "--labels", labels)
    (tmp_path / "scores.npz").rename(out.with_suffix(".npz"))

    assert "elsewhere_report.html" in call("report", out, "--annotations", listed)
    page = (tmp_path / "elsewhere_report.html").read_text()
    assert "Action recognition" in page
    assert '"tense"' in page
    copy = tmp_path / "copy.npz"
    copy.write_bytes(out.with_suffix(".npz").read_bytes())
    call("ensemble", copy, out.with_suffix(".npz"), "--out", tmp_path / "both.npz")
    assert labels_in(tmp_path / "both.npz") == THREE
    clip = videos / "clips" / scores.clip_ids[0]
    said = call("recognize", clip, "--checkpoint", run, "--out", tmp_path / "one.csv")
    assert "tense" in said
    assert "body part" not in said
    assert labels_in(tmp_path / "one.npz") == THREE
    with pytest.raises(
        PredictionError, match="has 3 classes of its own; the challenge takes the 52"
    ):
        call("submit", out, "--out", tmp_path / "s.zip")


@pytest.mark.slow
def test_labels_with_body_parts_train_every_head(videos: Path, tmp_path: Path) -> None:
    config = own_config(videos, tmp_path, losses__within_body_exponent=1.0)
    labels = tmp_path / "labels.csv"
    # As many body parts as classes: weights of classes are not those of body parts.
    labels.write_text("number,name,body_part\n1,calm,face\n2,tense,neck\n3,glad,hand\n")
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"labels": str(labels)})}
    )
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    model, config, found = load_recogniser(folder.path)
    assert found.parent_names == ("face", "neck", "hand")
    assert model.heads.coarse.weight.shape == (3, 16)
    said = call("eval", folder.predictions("val", ".csv"))
    assert "body" in said


@pytest.mark.slow
def test_lists_with_labels_outside_the_set_are_refused(videos: Path, tmp_path: Path) -> None:
    config = own_config(videos, tmp_path)
    (tmp_path / "classInd.txt").write_text("1 calm\n2 tense\n")
    with pytest.raises(AnnotationError, match="unknown label 3; expected 1 to 2"):
        train_run(config, out=tmp_path / "run", quiet=True)
    (tmp_path / "classInd.txt").write_text("1 calm\n2 tense\n2 glad\n")
    with pytest.raises(AnnotationError, match="number 2 appears 2 times"):
        train_run(config, out=tmp_path / "run", quiet=True)
