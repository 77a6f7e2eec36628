"""``mmad push``: the figures and facts of the model card of a detector and of a recogniser."""

import shutil
from pathlib import Path

import pytest
import yaml

from mmad.annotations.formats import read_annotations
from mmad.cli._card import CardOptions, card_facts
from mmad.config.reading import load_any_config
from mmad.engine.runs.folder import RunFolder
from mmad.evaluation.predictions import write_predictions_csv
from mmad.structures import Detections
from support.commands import run_mmad

FILES = Path(__file__).parents[1] / "golden/files"


@pytest.fixture
def detector(tmp_path: Path) -> RunFolder:
    """A run that an older version wrote, with detections that are the annotations."""
    shutil.copytree(FILES / "data", tmp_path / "data")
    shutil.copytree(FILES / "run_videos", tmp_path / "run_videos")
    run = RunFolder(tmp_path / "run_videos")
    annotated = read_annotations(load_any_config(run.config).data.annotations)
    found = {
        record.video_id: Detections(
            record.annotations.segments_seconds,
            record.annotations.labels,
            [0.9] * len(record.annotations),
        )
        for record in annotated.records
        if record.subset == "val"
    }
    write_predictions_csv(run.predictions("val", ".csv"), found)
    return run


def test_a_card_has_the_figures_of_the_run(detector: RunFolder) -> None:
    facts, missing = card_facts(detector, "lab/tiny", CardOptions(licence="mit"))
    assert missing == []
    assert facts.evaluation is not None
    action = facts.evaluation.figures[0]
    assert (action.name, action.value) == ("average mAP, action", 1.0)
    assert action.limits == (1.0, 1.0)
    assert {one.value for one in facts.evaluation.classes} == {1.0}
    assert facts.data["training"]["videos"] == "6"
    assert facts.unseen[0].startswith("Real people")
    assert any("classes without an instance in training" in line for line in facts.unseen)
    assert facts.dataset == "drawn people (mmad synthesize)"


def test_what_the_log_says_of_the_weights_is_in_the_card(detector: RunFolder) -> None:
    content = yaml.safe_load(detector.config.read_text())
    content["backbone"]["pretrained"] = "MCG-NJU/videomae-base"
    detector.config.write_text(yaml.safe_dump(content))
    hub = {"repository": "MCG-NJU/videomae-base", "commit": "0" * 40, "licence": "cc-by-nc-4.0"}
    detector.append({"kind": "weights", "step": 0, "report": [], "sha256": "0" * 64, "hub": hub})
    facts, _ = card_facts(detector, "lab/tiny", CardOptions())
    assert (facts.base, facts.base_is_on_hub) == ("MCG-NJU/videomae-base", True)
    assert facts.licence == facts.base_licence == "cc-by-nc-4.0"
    said = run_mmad(
        ["push", detector.path, "lab/tiny", "--dry-run", "--licence", "mit"],
        folder=detector.path.parent,
    ).stdout
    assert "the pre-trained weights, which are part of these, have the licence cc-by-nc-4.0" in said
    card = (detector.path.parent / "hub/tiny/README.md").read_text()
    assert "base_model: MCG-NJU/videomae-base" in card
    assert "| average mAP, action | 100.00 | 100.00 to 100.00 |" in card


def test_what_is_missing_is_a_warning(tmp_path: Path) -> None:
    shutil.copytree(FILES / "run_tsn", tmp_path / "run_tsn")
    arguments = ["push", tmp_path / "run_tsn", "lab/tsn", "--dry-run"]
    said = run_mmad(arguments, folder=tmp_path).stdout
    assert "warning: in the model card, there are no figures" in said
    assert "warning: in the model card, no licence is stated; pass --licence" in said
    assert "the data are not described" in said
    assert "Not measured" in (tmp_path / "hub/tsn/README.md").read_text()
