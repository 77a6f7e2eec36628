import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from typer.testing import CliRunner

from mmad.annotations.elan.writing import write_elan
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.formats import read_annotations
from mmad.cli.agreement import app
from mmad.errors import AnnotationError, MmadError, PredictionError
from mmad.labels import MA52
from mmad.structures import Detections

NODDING, SHAKING_HEAD, WAVING = MA52.index("B1"), MA52.index("B2"), MA52.index("C5")


def write(path: Path, actions: Sequence, *, subset: str = "val", video: str = "v") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({video: {"subset": subset, "duration": 10, "actions": actions}}))
    return path


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_command_with_annotations_predictions_and_outputs(tmp_path: Path) -> None:
    ada = write(tmp_path / "ada.json", [[NODDING, 0, 4], [WAVING, 5, 7]])
    model = tmp_path / "model.csv"
    model.write_text(
        "video_id,t_start,t_end,class,score\n"
        "v,0,4.2,nodding,0.9\nv,5,7,waving,0.2\nother,0,1,nodding,0.9\n"
    )
    agreed, numbers = tmp_path / "out/agreed.json", tmp_path / "numbers.json"
    outputs = ["--consensus", agreed, "--json", numbers]
    out = call(ada, model, *outputs, "--level", "action", "--labels", "ma52")
    assert "1 video is annotated by all" in out
    assert "1 other is left out: other (only model)" in out
    assert "1 instance reliable" in out
    assert "body level" not in out
    whole = json.loads(numbers.read_text())["rows"][0]
    assert whole["f1"][0]["value"] == 2 * 1 / (2 + 1)
    assert whole["end"]["mean"] == pytest.approx(4.2 - 4)
    (record,) = read_annotations(agreed).records
    np.testing.assert_allclose(record.annotations.segments_seconds, [(0, (4 + 4.2) / 2)])
    assert (record.subset, record.duration_seconds) == ("val", 10)
    with open(tmp_path / "out/agreed_disputed.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "video_id": "v",
        "start_seconds": "5.0",
        "end_seconds": "7.0",
        "label": "waving",
        "seen_by": "ada",
        "missed_by": "model",
    }
    low = call(ada, model, "--min-score", "0.1", "--json", numbers, "--labels", "ma52")
    assert "body level" in low
    assert json.loads(numbers.read_text())["rows"][0]["f1"][0]["value"] == 1


def test_files_with_one_name_and_subsets(tmp_path: Path) -> None:
    one = write(tmp_path / "ada/s.json", [[NODDING, 0, 4]])
    two = write(tmp_path / "ben/s.json", [[NODDING, 0, 4]])
    assert "ada/s and ben/s, action level" in call(one, two, "--subset", "validation")
    with pytest.raises(AnnotationError, match="--subset train: no video of it; found val"):
        call(one, two, "--subset", "train")


def test_one_table_as_csv_and_workbook_with_intervals(tmp_path: Path) -> None:
    ada, ben = tmp_path / "ada.json", tmp_path / "ben.json"
    for path, shift in ((ada, 0.0), (ben, 0.3)):
        videos = {
            f"val000{i}": {
                "subset": "val",
                "duration": 30,
                "actions": [[NODDING, 1 + i, 3 + i + shift], [WAVING, 20 - i, 20.4 + i]][: i + 1],
            }
            for i in range(4)
        }
        path.write_text(json.dumps(videos))
    tables = [tmp_path / "out/agreement.csv", tmp_path / "out/agreement.xlsx"]
    out = call(ada, ben, "--table", tables[0], "--table", tables[1], "--tiou", "0.5,0.7")
    assert "bootstrap over videos, 1000 resamples, seed 0" in out
    with tables[0].open(newline="") as file:
        rows = {(row["level"], row["behaviour"]): row for row in csv.DictReader(file)}
    whole = rows["action", "all behaviours"]
    assert (whole["annotators"], whole["instances"]) == ("ada; ben", "7; 7")
    assert float(whole["f1_0.5"]) == 1.0
    nodding = rows["action", "nodding"]
    assert float(nodding["end_mean"]) == pytest.approx(0.3)
    assert float(nodding["end_absolute_low"]) == pytest.approx(0.3)
    assert (
        0 < float(nodding["kappa_low"]) <= float(nodding["kappa"]) <= float(nodding["kappa_high"])
    )
    assert float(rows["action", "waving"]["icc_2_1_count"]) == 1.0
    sheet = openpyxl.load_workbook(tables[1])["Agreement"]
    assert [cell.value for cell in sheet[1]] == list(whole)
    assert sheet.max_row == 1 + len(rows)


def test_consensus_as_a_table_and_for_elan(tmp_path: Path) -> None:
    one = write(tmp_path / "ada.json", [[NODDING, 0, 4]])
    two = write(tmp_path / "ben.json", [[NODDING, 0, 4.2]])
    for name in ("agreed.csv", "agreed.eaf", "folder"):
        call(one, two, "--consensus", tmp_path / name, "--labels", "ma52")
        file = tmp_path / (name if "." in name else f"{name}/v.eaf")
        (event,) = read_events(file, tell=lambda text: None).events
        assert (event.video_id, event.label) == ("v", "nodding")
        assert (event.start_seconds, event.end_seconds) == (0, 4.1)
    with pytest.raises(AnnotationError, match="exists, and may hold work of a person"):
        call(one, two, "--consensus", tmp_path / "agreed.eaf", "--labels", "ma52")


def test_a_model_without_detections_is_an_error_that_says_why(tmp_path: Path) -> None:
    one = write(tmp_path / "ada.json", [[NODDING, 0, 4]])
    two = write(tmp_path / "ben.json", [])
    with pytest.raises(AnnotationError, match=r"ben has no annotation in the 1 video of all \(v\)"):
        call(one, two, "--labels", "ma52")


def test_detections_in_an_elan_file_are_those_of_the_model(tmp_path: Path) -> None:
    """Once, this compared the person with nothing, and said so nowhere."""
    one = write(tmp_path / "ada.json", [[NODDING, 0, 4]])
    model = tmp_path / "v.eaf"
    found = Detections(np.array([[0.0, 4.1]]), np.array([NODDING]), np.array([0.9]))
    (tmp_path / "v.mp4").write_bytes(b"")
    write_elan(model, video=tmp_path / "v.mp4", detections=found, labels=MA52, min_score=0.0)
    out = call(one, model, "--labels", "ma52")
    assert "only unedited detections; they are taken as the model's" in out
    assert "1 / 1" in out


def test_points_count_in_partial_agreement(tmp_path: Path) -> None:
    for name, times in (("ada", (1, 12)), ("ben", (2,))):
        lines = [f"v,{t},{t},blink,30" for t in times] + ["v,5,8,nod,30"]
        text = "video,start,end,label,video_seconds\n" + "\n".join(lines) + "\n"
        (tmp_path / f"{name}.csv").write_text(text)
    numbers = tmp_path / "numbers.json"
    call(tmp_path / "ada.csv", tmp_path / "ben.csv", "--json", numbers)
    rows = {row["label"]: row for row in json.loads(numbers.read_text())["rows"]}
    assert rows["blink"]["num_instances"] == [2, 1]
    assert rows["blink"]["partial"]["value"] == pytest.approx(2 / 3)
    assert rows["blink"]["f1"][0]["value"] is None


def own_labels(path: Path, *names: str) -> Path:
    annotations = [{"segment": [0, 1], "label": name} for name in names]
    content = {"database": {"v": {"subset": "val", "duration": 9, "annotations": annotations}}}
    path.write_text(json.dumps(content))
    return path


def test_label_sets_of_their_own(tmp_path: Path) -> None:
    a = own_labels(tmp_path / "a.json", "smile", "frown", "blink")
    b = own_labels(tmp_path / "b.json", "smile", "Frown", "jump")
    with pytest.raises(AnnotationError, match=r"(?s)only .*a.json: blink\n.*b.json: jump"):
        call(a, b)
    truth = write(tmp_path / "truth.json", [[NODDING, 0, 4]])
    with pytest.raises(AnnotationError, match=r"only .*a.json: blink, frown, smile$"):
        call(truth, a)
    own_labels(b, "Frown", "smile", "blink")
    agreed = tmp_path / "agreed.json"
    assert "3 instances reliable" in call(a, b, "--consensus", agreed)
    # What rich would take for markup is shown as it is.
    brackets = [own_labels(tmp_path / f"{name}.json", "[red] a") for name in "cd"]
    assert "[red] a" in call(*brackets)
    assert read_annotations(agreed).labels.names == ("blink", "frown", "smile")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["truth.json"], AnnotationError, "at least two files to compare, found 1"),
        (["truth.json", "none.json"], AnnotationError, "none.json: annotation file not found"),
        (["p.csv", "p.csv"], AnnotationError, "all files are predictions, which hold no durations"),
        (["truth.json", "bad.csv"], PredictionError, "bad.csv: line 2: video 'v': unknown label"),
        (["truth.json", "p.csv", "--tiou", "2"], PredictionError, "--tiou 2: expected"),
        (["truth.json", "a_disputed.csv", "--consensus", "a.csv"], MmadError, "is an input"),
        (["truth.json", "p.csv", "--consensus", "a.txt"], MmadError, r"ends in .json, .csv or"),
        (["truth.json", "p.csv", "--table", "a.txt"], MmadError, r"ends in .csv or .xlsx"),
        (["truth.json", "p.csv", "--min-score", "0.95"], AnnotationError, "highest is 0.900"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: type[MmadError],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "truth.json", [[NODDING, 0, 4]])
    header = "video_id,t_start,t_end,class,score\n"
    (tmp_path / "p.csv").write_text(header + "v,0,4,9,0.9\n")
    (tmp_path / "a_disputed.csv").write_text(header + "v,0,4,9,0.9\n")
    (tmp_path / "bad.csv").write_text(header + "v,0,4,99,0.9\n")
    with pytest.raises(error, match=message):
        call(*arguments)
