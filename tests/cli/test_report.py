"""What ``mmad report`` says of a run at the head of its page."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from mmad.cli.report import app
from mmad.config.reading import dump_config, load_any_config
from mmad.errors import PredictionError
from mmad.evaluation.clips.details import RecognitionDetails, write_details
from mmad.evaluation.clips.recognition import write_recognitions
from mmad.evaluation.clips.scores import to_recognitions, write_scores
from mmad.report.recogniser_figures import files
from support.scores import SMALL, one_hot, scores_of

pytestmark = pytest.mark.slow

CSV = ",video_id,t_start,t_end,class,score\n0,val0000,0,10,9,0.5\n"
CONFIG = {
    "task": "detection",
    "seed": 3,
    "backbone": {"size": "small", "adapter": {"name": "dsta"}},
    "training": {"epochs": 7},
}


def head_of(path: Path) -> tuple[str, str]:
    text = path.read_text(encoding="utf-8")
    title = re.search(r"<h1>(.*?)</h1>", text)
    content = re.search(r'id="content">(.*?)</script>', text, flags=re.DOTALL)
    assert title is not None
    assert content is not None
    return title[1], "; ".join(" ".join(fact) for fact in json.loads(content[1])["facts"])


def make_run(folder: Path, *, config: dict) -> Path:
    truth = folder / "truth.json"
    video = {"subset": "val", "duration": 30.0, "actions": [[9, 0.0, 10.0], [24, 5.0, 20.0]]}
    truth.write_text(json.dumps({"val0000": video}))
    run = folder / "dsta_b"
    (run / "predictions").mkdir(parents=True)
    (run / "predictions" / "val.csv").write_text(CSV)
    config = {**config, "data": {"annotations": str(truth), "videos": "videos"}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    return run


def report(path: Path) -> None:
    result = CliRunner().invoke(app, [str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_the_title_names_task_run_and_subset(tmp_path: Path) -> None:
    run = make_run(tmp_path, config=CONFIG)
    report(run)
    title, facts = head_of(run / "report_val.html")
    assert title == "Micro-action detection: dsta_b, validation"
    assert "1 video, 2 annotations, 1 detection" in facts
    assert re.search(r"predictions val\.csv of \d{4}-\d\d-\d\d", facts)
    assert "model actionformer, VideoMAE small, adapter dsta" in facts
    assert "training 7 epochs, seed 3" in facts


def test_a_config_of_another_version_does_not_hinder_the_report(tmp_path: Path) -> None:
    run = make_run(tmp_path, config={"task": "detection", "of_another_version": 1})
    report(run)
    title, facts = head_of(run / "report_val.html")
    assert title == "Micro-action detection: dsta_b, validation"
    assert "model" not in facts


def make_recogniser(folder: Path, *, ids: tuple[str, ...], details: bool = True) -> Path:
    """A run of three labels with predictions of clips, every one recognised as label 0."""
    run = folder
    (run / "predictions").mkdir(parents=True)
    truth = folder.parent / "val.txt"
    truth.write_text("".join(f"{name} {n % 3}\n" for n, name in enumerate(IDS)))
    config = {"task": "recognition", "data": {"val": [str(truth)], "val_subset": "val"}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "labels.json").write_text(json.dumps(asdict(SMALL)))
    scores = scores_of(one_hot([0] * len(ids), right=0.5), ids=ids)
    predictions = run / "predictions" / "val.csv"
    write_recognitions(predictions, to_recognitions(scores))
    write_scores(predictions.with_suffix(".npz"), scores, labels=SMALL)
    if details:
        features = np.arange(2.0 * len(ids)).reshape(-1, 2)
        found = RecognitionDetails(ids, features, np.zeros((len(ids), 0, 0)))
        write_details(predictions.with_name("val_details.npz"), found)
    return run


IDS = ("a.mp4", "b.mp4", "c.mp4")


def run_report(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    if result.exception is not None:
        raise result.exception
    return result.output


def test_figures_of_two_recognisers_are_named_after_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}

    def keep(folder: Path, recognisers: list, clips: list, **options: object) -> None:
        drawn.update(folder=folder, names=[one.name for one in recognisers], **options)

    monkeypatch.setattr(files, "write_recogniser_figures", keep)
    one, other = (make_recogniser(tmp_path / name, ids=IDS) for name in ("manet", "tsm"))
    figures = tmp_path / "figures"
    out = run_report(
        one, "--figures", figures, "--compare", other, "--clip", "b", "--clip", "a.mp4"
    )
    assert f"figures: {figures}" in out
    assert drawn == {
        "folder": figures, "names": ["manet", "tsm"], "labels": SMALL, "examples": [1, 0]
    }  # fmt: skip
    assert (one / "report_val.html").is_file()
    again = make_recogniser(tmp_path / "elsewhere" / "manet", ids=IDS)
    run_report(one, "--figures", figures, "--compare", again)
    paths = [str(run / "predictions" / "val.csv") for run in (one, again)]
    assert drawn["names"] == paths


def test_the_page_of_a_trial_says_so(tmp_path: Path) -> None:
    run = make_recogniser(tmp_path / "letters", ids=IDS)
    places = [f"data.val=[{tmp_path / 'val.txt'}]", "heads.word_vectors=null"]
    config = load_any_config(
        "configs/recognition/manet_r50.yaml", overrides=[*places, "heads.embedding=letters"]
    )
    (run / "config.yaml").write_text(f"paths_relative_to: .\n{dump_config(config)}")
    run_report(run)
    _, facts = head_of(run / "report_val.html")
    assert "trial heads.embedding=letters: the vectors of the labels have no meaning" in facts


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    one = make_recogniser(tmp_path / "one", ids=IDS)
    figures = ("--figures", tmp_path / "figures")
    bare = make_recogniser(tmp_path / "bare", ids=IDS, details=False)
    with pytest.raises(PredictionError, match=f"run mmad predict {bare} --subset val --details"):
        run_report(bare, *figures)
    other = make_recogniser(tmp_path / "other", ids=(*IDS[:2], "x.mp4"))
    with pytest.raises(PredictionError, match=r"other: .* other clips than one .*lacks 1: c.mp4"):
        run_report(one, *figures, "--compare", other)
    labels = make_recogniser(tmp_path / "labels", ids=IDS)
    (labels / "labels.json").write_text(json.dumps({"names": ["a", "b", "d"]}))
    with pytest.raises(PredictionError, match=r"labels.*has other classes \(3\) than"):
        run_report(one, *figures, "--compare", labels)
    with pytest.raises(PredictionError, match="--clip z: is none of the 3 annotated clips"):
        run_report(one, *figures, "--clip", "z")
    with pytest.raises(PredictionError, match="pass --figures FOLDER"):
        run_report(one, "--compare", one)
    assert not (tmp_path / "figures").exists()


def test_figures_of_a_detector_are_those_of_its_error_analysis(tmp_path: Path) -> None:
    run = make_run(tmp_path, config=CONFIG)
    with pytest.raises(PredictionError, match=r"mmad error-analysis .*val\.csv --out f"):
        run_report(run, "--figures", "f")
