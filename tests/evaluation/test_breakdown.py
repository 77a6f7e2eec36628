"""Recall at k, frequent and rare classes, and resampled videos against plain recomputation."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.annotations.mma52 import write_mma52_json
from mmad.cli.main import app
from mmad.evaluation.breakdown import (
    compare,
    draw_videos,
    interval,
    map_by_frequency,
    recall_at,
    resample,
)
from mmad.evaluation.detection import LevelReport, evaluate_detections, parse_tiou
from mmad.evaluation.predictions import write_predictions_csv
from mmad.labels import MA52
from mmad.structures import Detections, VideoRecord
from support.detections import FOUR, detect, random_data, record


def score(found: dict[str, Detections], truth: list[VideoRecord]) -> LevelReport:
    report = evaluate_detections(found, truth, labels=FOUR, tiou=parse_tiou("0.3,0.5"))
    return report.levels["action"]


def test_recall_at_k_is_that_of_the_best_alone() -> None:
    found, truth = random_data(0)
    for k, row in zip((1, 3, 5), recall_at(score(found, truth), ks=(1, 3, 5)), strict=True):
        best = {v: item.by_score()[np.arange(min(k, len(item)))] for v, item in found.items()}
        level = score(best, truth)
        hits = (level.matches.table.matched >= 0).sum(axis=0)
        np.testing.assert_allclose(row, hits / len(level.matches.annotations))


def test_classes_by_frequency() -> None:
    rows = [(i, i + 0.5, 0) for i in range(30)] + [(i + 0.6, i + 0.9, 1) for i in range(9)]
    truth = [record("v", *rows, duration=40)]
    found = {"v": detect(*[(*row, 0.5) for row in rows[:30]])}
    groups = map_by_frequency(score(found, truth))
    assert groups["medium"] == (1, pytest.approx(1.0))
    assert groups["rare"] == (1, 0.0)
    assert groups["many"][0] == groups["few"][0] == 0


def test_a_resample_is_the_figure_of_the_repeated_videos() -> None:
    found, truth = random_data(1)
    copies = draw_videos(len(truth), num_resamples=5, seed=3)
    resampled = resample(score(found, truth), copies)
    for row, counts in enumerate(copies.tolist()):
        again, records = {}, []
        for record_, count in zip(truth, counts, strict=True):
            for copy in range(count):
                name = f"{record_.video_id} {copy}"
                records.append(VideoRecord(name, 20.0, "val", annotations=record_.annotations))
                again[name] = found[record_.video_id]
        np.testing.assert_allclose(resampled.map[row], score(again, records).map, atol=1e-12)


def test_resamples_have_as_many_videos_and_a_seed() -> None:
    copies = draw_videos(7, num_resamples=50, seed=1)
    assert (copies.sum(axis=1) == 7).all()
    assert (copies == draw_videos(7, num_resamples=50, seed=1)).all()
    assert (copies != draw_videos(7, num_resamples=50, seed=2)).any()


def test_an_interval_holds_its_figure() -> None:
    low, high = interval(np.array([0.4, 0.5, 0.6, np.nan]), 0.3)
    assert low < 0.3 < high
    assert high - low == pytest.approx(0.95 * 0.2)
    assert np.isnan(interval(np.array([np.nan]), 0.3)).all()


def test_a_copy_is_no_better_and_a_better_one_is() -> None:
    found, truth = random_data(2)
    perfect = {
        item.video_id: Detections(
            item.annotations.segments_seconds,
            item.annotations.labels,
            np.full(len(item.annotations), 0.5),
        )
        for item in truth
    }
    reports = [
        evaluate_detections(item, truth, labels=FOUR, tiou=parse_tiou("0.5"))
        for item in (found, found, perfect)
    ]
    copies = draw_videos(len(truth), num_resamples=200)
    same = compare(reports[0], reports[1], copies=copies)["action"]
    assert same.difference == 0
    assert same.interval == (0.0, 0.0)
    better = compare(reports[0], reports[2], copies=copies)["action"]
    assert better.difference == pytest.approx(1 - reports[0].levels["action"].average)
    assert better.interval[0] > 0
    assert better.share_not_better == 0


@pytest.mark.parametrize("seed", range(6))
def test_what_must_hold_for_any_detections(seed: int) -> None:
    found, truth = random_data(seed)
    base = score(found, truth)
    worse = {
        video: Detections(
            np.concatenate((item.segments_seconds, [[18.0, 19.9]])),
            np.append(item.labels, 1),
            np.append(item.scores, 0.0),
        )
        for video, item in found.items()
    }
    counted = base.matches.num_annotations > 0
    assert (score(worse, truth).per_class <= base.per_class + 1e-12)[:, counted].all()
    perfect = {
        item.video_id: Detections(
            item.annotations.segments_seconds,
            item.annotations.labels,
            np.full(len(item.annotations), 0.5),
        )
        for item in truth
    }
    assert score(perfect, truth).average == pytest.approx(1.0)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str]:
    nod, leg = MA52.index("nodding"), MA52.index("shaking legs")
    truth = [record(f"val{n}", (0, 4, nod), (6, 9, leg)) for n in range(4)]
    write_mma52_json(tmp_path / "truth.json", truth)
    half = {f"val{n}": detect((0, 4, nod, 0.9)) for n in range(4)}
    whole = {f"val{n}": detect((0, 4, nod, 0.9), (6, 9, leg, 0.8)) for n in range(4)}
    write_predictions_csv(tmp_path / "a.csv", half)
    write_predictions_csv(tmp_path / "b.csv", whole)
    return tuple(str(tmp_path / name) for name in ("truth.json", "a.csv", "b.csv"))  # type: ignore[return-value]


def test_the_command_tells_details(files: tuple[str, str, str], tmp_path: Path) -> None:
    truth, first, _ = files
    out = tmp_path / "numbers.json"
    arguments = ["eval", first, "--annotations", truth, "--details", "--bootstrap", "50"]
    result = CliRunner().invoke(app, [*arguments, "--json", str(out)])
    assert result.exit_code == 0, result.output
    for text in ("mean of these (challenge)", "k = 5", "rare (1 to 9)", "B1 nodding", "95 %"):
        assert text in result.output
    numbers = json.loads(out.read_text())
    assert numbers["interval_action"] == pytest.approx([0.5, 0.5], abs=1e-3)


def test_the_command_compares_two(files: tuple[str, str, str], tmp_path: Path) -> None:
    truth, first, second = files
    out = tmp_path / "numbers.json"
    arguments = ["eval", "--compare", first, second, "--annotations", truth, "--json", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "better" in result.output
    found = json.loads(out.read_text())["compare_action"]
    assert found["difference"] == pytest.approx(0.5, abs=1e-3)
    leg = str(MA52.index("shaking legs"))
    assert found["per_class"][leg]["difference"] == pytest.approx(1.0, abs=1e-3)


def test_the_command_scores_a_recogniser(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("a.mp4 0\nb.mp4 9\n")
    header = "vid," + ",".join(f"action_pred_{n}" for n in range(1, 6))
    (tmp_path / "guesses.csv").write_text(f"{header}\na.mp4,0,1,2,3,4\nb.mp4,8,9,1,2,3\n")
    arguments = ["eval", str(tmp_path / "guesses.csv"), "--json", str(tmp_path / "n.json")]
    result = CliRunner().invoke(app, [*arguments, "--annotations", str(tmp_path / "val.txt")])
    assert result.exit_code == 0, result.output
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["action"]["top1"] == 1 / 2
    assert numbers["body"]["top1"] == 1.0
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert "--annotations LIST" in str(result.exception)
