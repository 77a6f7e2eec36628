"""The rows of the winner of 2024: a config for each, the ensemble of all, and the page on them."""

import argparse
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.winner_rows import TABLES, Row
from benchmarks.winner_tables import Runs, configs_of
from mmad.config.ensemble import read_ensemble
from mmad.config.reading import SHIPPED_CONFIGS, differing_settings, load_any_config
from mmad.evaluation.clips.scores import write_scores
from support.commands import run_mmad
from support.scores import ma52_scores

FOLDER = SHIPPED_CONFIGS / "winner"
CONFIGS = sorted(path for path in FOLDER.glob("*.yaml") if path.stem != "ensemble")
# Section 4.1.
WEIGHTS = [0.7, 0.9, 0.7, 0.4, 0.4, 0.2, 0.3, 0.6, 0.4, 0.9, 0.6, 0.7, 0.8, 0.7]


def differing(first: str, second: str) -> set[str]:
    configs = [load_any_config(FOLDER / f"{name}.yaml") for name in (first, second)]
    return {line.partition(":")[0] for line in differing_settings(*configs)}


def best_column(row: Row) -> str:
    return "Test*" if "Test*" in row.printed else "Test"


def test_every_row_has_a_config_and_every_config_a_row() -> None:
    used = {name for table in TABLES for name, _ in table.runs()}
    rows = {row.config for table in TABLES for row in table.rows}
    bases = {"base_videomae", "base_video_swin"}
    assert {path.stem for path in CONFIGS} == used | rows | bases
    assert [len(table.rows) for table in TABLES] == [14, 5, 4, 3, 5, 3]
    page = (SHIPPED_CONFIGS.parent / "docs" / "winner.md").read_text(encoding="utf-8")
    assert not [path.stem for path in CONFIGS if path.stem.removesuffix("_trainval") not in page]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_says_what_is_whose(path: Path) -> None:
    head = path.read_text(encoding="utf-8").partition("extends:")[0].partition("task:")[0]
    for source in (r"Stated in the paper:", r"From (the published code|mmaction2)", r"[Oo]urs"):
        assert re.search(source, head), source


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS if path.stem.endswith("_trainval")])
def test_training_on_both_lists_changes_nothing_else(name: str) -> None:
    row = name.removesuffix("_trainval")
    assert differing(row, name) == {"data.train", "data.val"}
    both = load_any_config(FOLDER / f"{name}.yaml").data
    alone = load_any_config(FOLDER / f"{row}.yaml").data
    assert (both.train, both.val) == ([*alone.train, *alone.val], [])


CROP = {"data.clips", "data.augmentation.crop_area"}
FRAME, TIMESFORMER = "table2_row04_videomae_b_frame", "table2_row09_videomae_b_timesformer"
BASELINE = "table4_row01_random"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("table2_row01_video_swin_b", "table2_row02_video_swin_b_frame", CROP | {"heads.frame"}),
        (
            "table2_row02_video_swin_b_frame",
            "table2_row03_video_swin_l_frame",
            {"backbone.size", "backbone.window", "backbone.pretrained"},
        ),
        ("table2_row06_videomae_b", FRAME, {"heads.frame"}),
        (FRAME, "table2_row05_videomae_b_all", {"heads.coarse", "heads.frame_coarse"}),
        (TIMESFORMER, "table2_row08_videomae_b_ssv2", {"backbone.pretrained"}),
        (BASELINE, "table4_row02_uniform", {"data.sampling"}),
        ("table4_row02_uniform", "table4_row03_k710", {"backbone.pretrained"}),
        ("table4_row03_k710", TIMESFORMER, CROP),
        (BASELINE, "section42_f1", {"losses.f1"}),
        (BASELINE, "section42_arcface", {"heads.classifier"}),
        (
            "table5_row02_timesformer_frame",
            FRAME,
            {"heads.norm", "backbone.final_norm"},
        ),
        (
            "table3_row04_video_swin_b_k600",
            "table3_row05_video_swin_b_ssv2",
            {"backbone.pretrained", "backbone.window"},
        ),
    ],
)
def test_rows_differ_in_what_the_tables_vary(first: str, second: str, expected: set[str]) -> None:
    assert differing(first, second) == expected


def test_the_code_of_the_paper_is_a_preset() -> None:
    config = load_any_config(FOLDER / f"{FRAME}.yaml", overrides=["compat=released"])
    assert (config.heads.frame_classifier, config.heads.gate) == ("linear", "replace")


def test_the_ensemble_is_that_of_the_paper(tmp_path: Path) -> None:
    shipped = read_ensemble(FOLDER / "ensemble.yaml")
    rows = TABLES[0].rows
    assert shipped.weights == WEIGHTS
    assert [member.predictions for member in shipped.members] == [
        f"runs/winner_{row.config_of(best_column(row))}" for row in rows
    ]
    labels = np.arange(60) % 52
    files = [f"{member.predictions}/predictions/test.npz" for member in shipped.members]
    for seed, file in enumerate(files):
        (tmp_path / file).parent.mkdir(parents=True)
        write_scores(tmp_path / file, ma52_scores(labels, strength=1.0, seed=seed))
    config = FOLDER / "ensemble.yaml"
    run_mmad(["ensemble", "--config", config, "--out", "described.npz"], folder=tmp_path)
    weights = ",".join(map(str, WEIGHTS))
    run_mmad(["ensemble", *files, "--weights", weights, "--out", "hand.npz"], folder=tmp_path)
    for suffix in ("npz", "csv"):
        described = (tmp_path / f"described.{suffix}").read_bytes()
        assert described == (tmp_path / f"hand.{suffix}").read_bytes()


@pytest.mark.slow
def test_finished_rows_are_kept_and_killed_ones_resumed(tmp_path: Path) -> None:
    data = tmp_path / "elsewhere"
    arguments = argparse.Namespace(data=data, work=tmp_path, processes=4)
    runs = Runs(configs_of(arguments), tmp_path)
    config = runs.configs["table2_row04_videomae_b_frame"]
    assert config.data.train == [f"{data}/annotations/train_list_videos.txt"]
    # 24 clips on each of 8 GPUs are two times 24 on each of 4.
    assert (config.training.batch_videos, config.training.accumulate) == (8 * 24, 8 // 4)
    jobs = runs.jobs(processes=4)
    assert {job.title for job in jobs} == runs.configs.keys()
    finished, killed = jobs[:2]
    assert finished.finished is not None
    finished.finished.touch()
    last = runs.folder(killed.title).last
    last.parent.mkdir(parents=True)
    last.touch()
    left = runs.jobs(processes=4)
    assert [job.title for job in left] == [job.title for job in jobs[1:]]
    assert [job.title for job in left if "--resume" in job.steps[0]] == [killed.title]


@pytest.mark.slow
def test_rows_that_differ_in_their_start_alone_have_one_stand_in(tmp_path: Path) -> None:
    arguments = argparse.Namespace(data=None, work=tmp_path, epochs=1)
    runs = Runs(configs_of(arguments), tmp_path)
    shared = {"table4_row03_k710": "table4_row02_uniform"}
    shared["table3_row02_video_swin_t_k400"] = "table3_row01_video_swin_t_imagenet"
    for name, other in shared.items():
        assert runs.folder(name) == runs.folder(other)
    assert runs.folder("section42_f1") != runs.folder("section42_arcface")
