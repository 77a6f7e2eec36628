"""What ``mmad report`` says of a run at the head of its page."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mmad.cli.report import app
from mmad.config.reading import dump_config, load_any_config
from mmad.errors import PredictionError
from support.commands import invoke
from support.recognisers import IDS, make_recogniser

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


def run_report(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    if result.exception is not None:
        raise result.exception
    return result.output


def test_the_page_of_a_trial_says_so(tmp_path: Path) -> None:
    run = make_recogniser(tmp_path / "letters")
    places = [f"data.val=[{tmp_path / 'val.txt'}]", "heads.word_vectors=null"]
    config = load_any_config(
        "configs/recognition/manet_r50.yaml", overrides=[*places, "heads.embedding=letters"]
    )
    (run / "config.yaml").write_text(f"paths_relative_to: .\n{dump_config(config)}")
    run_report(run)
    _, facts = head_of(run / "report_val.html")
    assert "trial heads.embedding=letters: the vectors of the labels have no meaning" in facts


def test_emotions_without_a_prediction_may_be_left_out(tmp_path: Path) -> None:
    truth, found, out = (tmp_path / name for name in ("pro.csv", "found.csv", "page.html"))
    truth.write_text("video_id,subset,emotion,actions\na,val,joy,A1\nb,val,fear,A1\n")
    found.write_text("video_id,emotion\na,joy\n")
    words = (found, "--annotations", truth, "--out", out)
    with pytest.raises(PredictionError, match=r"found\.csv: .*no prediction: b; add them, or pass"):
        invoke(app, *words)
    told = invoke(app, *words, "--only-predicted")
    assert "1 of 2 annotated videos have no prediction and are left out" in told
    assert out.is_file()


def test_clips_without_a_prediction_may_be_left_out(tmp_path: Path) -> None:
    run = make_recogniser(tmp_path / "few", ids=IDS[1:])
    with pytest.raises(PredictionError, match="no prediction"):
        invoke(app, run)
    told = invoke(app, run, "--only-predicted")
    assert f"1 of {len(IDS)} annotated clips have no prediction and are left out" in told
    assert (run / "report_val.html").is_file()
