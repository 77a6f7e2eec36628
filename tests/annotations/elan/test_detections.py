from pathlib import Path

import pytest

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.writing import write_elan
from mmad.annotations.formats import read_annotations
from mmad.errors import AnnotationError, PredictionError
from mmad.evaluation.agreement.panel import read_panel
from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52, flat_labels
from mmad.structures import Detections

NODDING, WAVING = MA52.index("B1"), MA52.index("C5")
FOUND = Detections([[1.0, 2.5], [2.0, 3.0]], [NODDING, WAVING], [0.834, 0.3])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model" / "v.eaf"
    write_elan(path, video=tmp_path / "v.mp4", detections=FOUND, labels=MA52, min_score=0.0)
    return path


@pytest.fixture
def person(model: Path) -> Path:
    path = model.parents[1] / "person.eaf"
    path.write_text(model.read_text().replace('"mmad:', '"ada:').replace('"2500"', '"2400"'))
    return path


def test_an_untouched_file_holds_predictions(model: Path) -> None:
    found = read_predictions(model, labels=MA52)
    assert list(found) == ["v"]
    assert found["v"].segments_seconds.tolist() == FOUND.segments_seconds.tolist()
    assert found["v"].scores.tolist() == [0.834, 0.3]
    with pytest.raises(PredictionError, match="video 'v' is not in the ground truth"):
        read_predictions(model, labels=MA52, videos=["w"])
    with pytest.raises(PredictionError, match="unknown label 'nodding'"):
        read_predictions(model, labels=flat_labels(["jumping"]))


def test_a_person_is_compared_with_the_model(model: Path, person: Path) -> None:
    panel = read_panel([person, model], min_score=0.5)
    theirs, found = (one["v"] for one in panel.annotators.values())
    assert theirs.segments_seconds.tolist() == [[1.0, 2.4], [2.0, 3.0]]
    assert found.segments_seconds.tolist() == [[1.0, 2.5]]
    chosen = read_panel([person, model], min_score=0.5, elan=ElanChoice(("mmad:*", "ada:*")))
    assert [len(one["v"]) for one in chosen.annotators.values()] == [2, 2]


def test_a_file_of_a_person_is_none_of_predictions(person: Path) -> None:
    with pytest.raises(PredictionError, match="has tiers of a person, so it is no file of predict"):
        read_predictions(person, labels=MA52)


def test_files_that_nobody_has_corrected_are_left_out_of_a_folder(
    model: Path, person: Path
) -> None:
    folder = person.parent / "both"
    folder.mkdir()
    (folder / "a.eaf").write_text(person.read_text())
    (folder / "b.eaf").write_text(model.read_text().replace("v.mp4", "w.mp4"))
    found = read_annotations(folder)
    assert [record.video_id for record in found.records] == ["v"]
    assert any(
        "1 file without annotations of a person left out (b.eaf)" in one for one in found.notices
    )
    accepted = read_annotations(folder, elan=ElanChoice(("mmad:*", "ada:*")))
    assert [record.video_id for record in accepted.records] == ["v", "w"]
    (folder / "a.eaf").unlink()
    with pytest.raises(AnnotationError, match="only unedited detections"):
        read_annotations(folder)
