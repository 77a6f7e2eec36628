"""What a person coded blind beside what a model found: quality, corrected budget, methods."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import pytest

from mmad.errors import ProjectError
from mmad.projects.actions import Actions, Target
from mmad.projects.agreement import agreement_of_people
from mmad.projects.budget import correct_study, study_coding
from mmad.projects.study import read_study
from support.coded import PERSON, Drawn, add_video, code_blind, drawn_study
from support.commands import run_mmad


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    return drawn_study(tmp_path / "study")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_was_coded_when_a_stretch_was_done_counts(drawn: Drawn) -> None:
    code_blind(drawn)
    project = drawn.project
    study = read_study(project)
    assert (study.annotator, len(study.blind), study.num_stretches) == (PERSON, 8, 32)
    before = study.tally(study.blind)
    assert before.coded.sum() == sum(
        any(
            one.video == video and one.start_seconds <= start < one.end_seconds
            for one in study.blind
        )
        for video, instances in drawn.truth.items()
        for _, start, _ in instances
    )
    # Later the person sees what the model found, and thinks again.
    (first, *_) = [one for one in study.blind if one.instances]
    for one in project.decisions.instances(first.video, PERSON):
        Actions(project, PERSON, first.video).delete(Target(instance=one.id))
    again = read_study(project)
    assert again.tally(again.blind).coded.tolist() == before.coded.tolist()


def test_coded_found_and_rest_are_all_of_the_time(drawn: Drawn) -> None:
    code_blind(drawn, number=5)
    project = drawn.project
    project.decisions.mark_reviewed(PERSON, "v1", 20.0, 200.0, blind=False)
    study = read_study(project)
    parts = (study.blind, study.shown, study.of_rest())
    seconds = sum(one.end_seconds - one.start_seconds for some in parts for one in some)
    assert seconds == pytest.approx(4 * 240)
    for video in study.videos:
        mine = sorted(
            (one.start_seconds, one.end_seconds)
            for some in parts
            for one in some
            if one.video == video.name
        )
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(mine))
    # What waits to be coded blind cannot have been reviewed.
    waiting = [one for one in project.blind.waiting(PERSON) if one.video == "v1"]
    assert all(
        one.end_seconds <= stretch.start_seconds or one.start_seconds >= stretch.end_seconds
        for one in study.shown
        for stretch in waiting
    )
    assert any("still to be coded blind" in told for told in study.notices)


def test_corrected_figures_of_groups(drawn: Drawn) -> None:
    code_blind(drawn)
    study = read_study(drawn.project)
    coding = study_coding(study)
    corrected = correct_study(study, coding)
    assert corrected is not None
    whole, groups = corrected.tables
    assert (whole.name, groups.name) == ("all", "group")
    assert sorted(one.values for one in groups.groups) == [("old",), ("young",)]
    for name in ("seconds", "blind_seconds", "num_blind"):
        parts = sum(getattr(one, name) for one in groups.groups)
        assert parts == pytest.approx(getattr(whole.groups[0], name))
    one = whole.groups[0]
    assert one.corrected is not None
    # 160 and 48 instances, of which the model finds some and invents others.
    for place, true in enumerate((160, 48)):
        assert one.corrected.count.low[place] <= true <= one.corrected.count.high[place]
    assert one.raw_count.tolist() != [160, 48, 0]
    names = {row[1] for row in corrected.rows}
    assert names == {"nodding", "waving"}


def test_all_is_coded(tmp_path: Path) -> None:
    drawn = drawn_study(tmp_path / "study", share=1.0, num_videos=2)
    code_blind(drawn)
    study = read_study(drawn.project)
    assert study.fraction == 1
    assert study.of_rest() == []
    corrected = correct_study(study, study_coding(study))
    assert corrected is not None
    found = corrected.tables[0].groups[0].corrected
    assert found is not None
    assert found.count.value.tolist() == found.count.low.tolist() == [80, 24, 0]
    assert found.count.high.tolist() == [80, 24, 0]


def test_who_and_what_must_be_known(drawn: Drawn) -> None:
    project = drawn.project
    with pytest.raises(ProjectError, match="nobody has coded a stretch"):
        read_study(project)
    assert read_study(project, needs_blind=False).annotator is None
    with pytest.raises(ProjectError, match="has no source 9; it has 1"):
        read_study(project, source=9)
    with pytest.raises(ProjectError, match="Zoe has decided nothing"):
        read_study(project, annotator="Zoe")
    code_blind(drawn, number=3)
    for stretch in project.blind.stretches()[:3]:
        project.blind.finish("Bob", stretch.id)
    with pytest.raises(ProjectError, match="Ann, Bob have coded; choose one"):
        read_study(project)
    assert len(read_study(project, annotator="Bob").blind) == 3
    (pair,) = agreement_of_people(project)
    assert (pair.annotators, pair.num_stretches) == ((PERSON, "Bob"), 3)
    assert pair.quality.found.sum() == 0
    add_video(project, "later", 60)
    told = read_study(project, annotator=PERSON).notices
    assert any("1 video that source 1 has not searched" in one for one in told)


def test_the_commands(drawn: Drawn, tmp_path: Path) -> None:
    folder, table, numbers = drawn.project.folder, tmp_path / "q.csv", tmp_path / "q.json"
    out = tmp_path / "budget"
    said = run_mmad(["budget", folder, "--out", out]).stdout
    assert "these are raw figures, with all errors of the model" in said
    assert not (out / "corrected.csv").exists()
    said = run_mmad(["project", "quality", folder], code=2).stderr
    assert "nobody has coded a stretch of the blind share" in said

    code_blind(drawn)
    drawn.project.decisions.mark_reviewed(PERSON, "v0", 0, 60, blind=False)
    words = ["project", "quality", folder, "--table", table, "--json", numbers]
    said = run_mmad(words).stdout
    assert "Ann coded 8 stretches blind" in said
    assert "pull of suggestions: F1" in said
    (first, *others) = read_csv(table)
    assert first["behaviour"] == "all behaviours"
    assert [row["behaviour"] for row in others] == ["nodding", "waving"]
    content = json.loads(numbers.read_text(encoding="utf-8"))
    assert content["rows"][0]["recall"] == float(first["recall"])
    assert (content["blind_stretches"], content["source"]) == (8, 1)

    said = run_mmad(["budget", folder, "--out", out]).stdout
    assert "Corrected by the blind share" in said
    rows = read_csv(out / "corrected.csv")
    assert {(row["table"], row["group"]) for row in rows} == {
        ("all", ""),
        ("group", "old"),
        ("group", "young"),
    }
    nodding = next(row for row in rows if row["behaviour"] == "nodding")
    assert float(nodding["count_low"]) <= 160 <= float(nodding["count_high"])
    assert (out / "budget.xlsx").is_file()
    for wrong in (["--tier", "x"], [folder], ["--source", 4]):
        assert run_mmad(["budget", folder, "--out", out, *wrong], code=2).stderr


def test_methods_say_what_is_true(drawn: Drawn, tmp_path: Path) -> None:
    folder, out = drawn.project.folder, tmp_path / "methods.md"
    words = ["project", "methods", folder, "--out", out]
    run_mmad(words)
    text = out.read_text(encoding="utf-8")
    assert "8 stretches of about 30 s, 4.0 min or 25.0 % of all time" in text
    assert "None of them has been coded." in text
    assert "Nobody has decided" in text
    assert "In the time budget" not in text
    assert run_mmad(words, code=2).stderr

    code_blind(drawn)
    actions = Actions(drawn.project, PERSON, "v0")
    free = [one.detection.id for one in drawn.project.queue.waiting(PERSON) if one.video == "v0"]
    actions.accept(Target(detection=free[0]))
    actions.move(Target(detection=free[1]), 1.0, 2.0)
    actions.reject(Target(detection=free[2]))
    for stretch in drawn.project.blind.stretches():
        drawn.project.blind.finish("Bob", stretch.id)
    run_mmad([*words, "--overwrite", "--annotator", PERSON])
    text = out.read_text(encoding="utf-8")
    assert "3 behaviours were coded in 4 videos of 4 persons (16.0 min in all)" in text
    assert "accepted 2 detections of the model (1 of them with other times" in text
    assert "rejected 1" in text
    assert "Ann coded all of them." in text
    assert "Ann and Bob coded the same 8 stretches" in text
    assert "In the time budget, counts, rates" in text
    assert "Särndal" in text.split("## References")[1]
    assert "pull" not in text
    assert str(tmp_path) not in text
