"""``mmad budget`` on files of annotations and detections."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmad.cli.budget import app
from mmad.errors import AnnotationError


def write(path: Path, **videos: Sequence[Sequence[object]]) -> Path:
    """A file with videos of ten seconds and their actions."""
    content = {
        name: {"subset": "val", "duration": 10, "actions": actions}
        for name, actions in videos.items()
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_of_conditions_bins_videos_and_relations(tmp_path: Path) -> None:
    own = write(
        tmp_path / "own.json",
        v=[["nod", 1, 3], ["nod", 6, 8], ["wave", 2, 4]],
        w=[["nod", 0, 1]],
        x=[],
    )
    table = tmp_path / "persons.csv"
    table.write_text("video,person,group\nv,ada,old\nw,ben,old\nx,cy,young\n", encoding="utf-8")
    out = tmp_path / "out"
    said = call(own, "--out", out, "--conditions", table, "--bin", 5, "--labels", "file")
    assert "4 events in 3 videos" in said
    assert "bootstrap over videos, 1000 resamples, seed 0" in said
    rows = {
        (row["table"], row["person"], row["group"], row["behaviour"]): row
        for row in rows_of(out / "budget.csv")
    }
    nod = rows["all", "", "", "nod"]
    assert (nod["count"], nod["rate_per_minute"]) == ("3", "6.0")
    assert float(nod["share_of_time"]) == pytest.approx(5 / 30)
    assert float(nod["rate_low"]) <= 6 <= float(nod["rate_high"])
    old = rows["group", "", "old", "nod"]
    assert (old["count"], old["observed_minutes"]) == ("3", str(round(20 / 60, 9)))
    young = rows["group", "", "young", "nod"]
    assert (young["count"], young["rate_per_minute"], young["mean_seconds"]) == ("0", "0.0", "")
    assert rows["person", "ada", "", "wave"]["latency_mean_seconds"] == "2.0"
    videos = rows_of(out / "budget_videos.csv")
    assert len(videos) == 3 * 2
    assert {row["group"] for row in videos if row["video"] == "x"} == {"young"}
    bins = [row for row in rows_of(out / "budget_bins.csv") if row["table"] == "all"]
    assert [
        (row["bin_start_seconds"], row["count"]) for row in bins if row["behaviour"] == "nod"
    ] == [("0.0", "2"), ("5.0", "1")]
    together = rows_of(out / "together.csv")[0]
    assert (together["behaviour"], together["other"]) == ("nod", "wave")
    assert (together["seconds"], together["jaccard"]) == ("1.0", str(round(1 / 6, 9)))
    lags = {(row["table"], row["behaviour"], row["then"]): row for row in rows_of(out / "lags.csv")}
    assert lags["all", "nod", "wave"]["followed"] == "1"
    assert ("all", "wave", "nod") not in lags  # four seconds later


def test_micro_actions_are_counted_by_body_part_too(tmp_path: Path) -> None:
    own = write(tmp_path / "own.json", val0001=[[9, 0, 2], [10, 1, 3]])
    call(own, "--out", tmp_path / "out", "--bootstrap", 0)
    body = [row for row in rows_of(tmp_path / "out/budget.csv") if row["level"] == "body"]
    head = next(row for row in body if row["behaviour"] == "head")
    assert (head["count"], head["total_seconds"], head["rate_low"]) == ("2", "3.0", "")


def test_detections_need_the_lengths_of_their_videos(tmp_path: Path) -> None:
    found = tmp_path / "model.csv"
    found.write_text(
        "video_id,t_start,t_end,class,score\nv,0,4,nodding,0.9\nv,5,7,waving,0.2\n", "utf-8"
    )
    with pytest.raises(AnnotationError, match="length of 1 video is unknown"):
        call(found, "--out", tmp_path / "out")
    table = tmp_path / "videos.csv"
    table.write_text("video,duration_seconds\nv,20\n", encoding="utf-8")
    call(found, "--out", tmp_path / "out", "--conditions", table)
    (nodding,) = [
        row for row in rows_of(tmp_path / "out/budget_videos.csv") if row["level"] == "action"
    ]
    assert (nodding["behaviour"], nodding["share_of_time"]) == ("nodding", "0.2")
    assert math.isclose(float(nodding["rate_per_minute"]), 3.0)


def test_a_video_in_two_files_is_an_error(tmp_path: Path) -> None:
    first = write(tmp_path / "ada.json", v=[["nod", 1, 3]])
    second = write(tmp_path / "ben.json", v=[["nod", 1, 3]])
    with pytest.raises(AnnotationError, match=r"both have the video v; .*mmad agreement"):
        call(first, second, "--out", tmp_path / "out", "--labels", "file")
    with pytest.raises(AnnotationError, match="is a file; pass a folder"):
        call(first, "--out", second)


def test_one_of_several_annotators(tmp_path: Path) -> None:
    coded = tmp_path / "coded.csv"
    coded.write_text(
        "video,start,end,label,annotator,video_seconds\n"
        "v,1,2,nod,ada,30\nv,1,3,nod,ben,30\nw,1,2,nod,ben,30\nv,4,4,blink,ada,30\n",
        encoding="utf-8",
    )
    with pytest.raises(AnnotationError, match=r"ada and ben have both coded v; pass --annotator"):
        call(coded, "--out", tmp_path / "out")
    with pytest.raises(AnnotationError, match="--annotator cy: found ada, ben"):
        call(coded, "--out", tmp_path / "out", "--annotator", "cy")
    call(coded, "--out", tmp_path / "out", "--annotator", "ada")
    rows = {row["behaviour"]: row for row in rows_of(tmp_path / "out/budget_videos.csv")}
    assert {row["video"] for row in rows.values()} == {"v"}
    # A point has a rate, and neither duration nor share.
    assert (rows["blink"]["rate_per_minute"], rows["blink"]["share_of_time"]) == ("2.0", "")


@pytest.mark.slow
def test_many_videos(tmp_path: Path) -> None:
    videos = {f"v{i}": [[i % 7, k / 5, k / 5 + 1] for k in range(0, 40, 4)] for i in range(300)}
    own = write(tmp_path / "own.json", **videos)
    call(own, "--out", tmp_path / "out")
    assert sum(1 for _ in (tmp_path / "out/budget_videos.csv").open()) > 2000
