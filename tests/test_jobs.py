"""The benchmarks' pool of processes, and the rows that they record."""

from pathlib import Path

import pytest

from benchmarks import compare_adapters, provenance
from benchmarks.jobs import Job, summary, train_all

FINE, WRONG = ("json.tool", "--help"), ("json.tool", "nowhere.json")


def test_a_failed_job_stops_no_other(tmp_path: Path) -> None:
    jobs = [
        Job("wrong", (WRONG, FINE), tmp_path / "wrong"),
        Job("fine", (FINE, FINE), tmp_path / "fine"),
        Job("wrong later", (FINE, WRONG), tmp_path / "later"),
    ]
    with pytest.raises(SystemExit) as caught:
        train_all(jobs, at_once=2)
    lines = str(caught.value).splitlines()[1:]
    assert sorted(lines) == [
        "wrong later: python -m json.tool nowhere.json",
        "wrong: python -m json.tool nowhere.json",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["fine"]


def test_the_spread_is_that_of_a_sample() -> None:
    runs = [{"f1": 60.0}, {"f1": 62.0}]  # (1 + 1) / (2 - 1) is the variance
    assert summary(runs) == {"f1": f"61.00 ± {2**0.5:.2f}"}
    assert summary(runs[:1]) == {"f1": "60.00"}


def test_an_earlier_row_keeps_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "RESULTS", tmp_path)
    assert provenance.recorded_rows("none") == []
    rows = [
        {"commit": "12e4567", "method": "DSTA", "seed": 0, "action_map": 22.5, "std": ""},
        {"method": "frozen", "seed": 1, "action_map": 16.0, "std": 1.5},
    ]
    provenance.write_rows("runs", rows)
    first, second = provenance.recorded_rows("runs")
    assert first == {**rows[0], "hardware": provenance.hardware()}
    assert second == {**rows[1], "commit": provenance.commit(), "hardware": provenance.hardware()}


def _run(method: str, share: int, seed: int, score: float) -> dict[str, object]:
    return {
        **{"method": method, "labels": share, "seed": seed},
        **{"action_map": score, "body_map": score, "trained_in_backbone": 0},
    }


def test_shares_are_compared_on_the_seeds_they_all_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, object]] = []
    rows_of = compare_adapters.rows_of
    monkeypatch.setattr(
        compare_adapters, "rows_of", lambda runs: drawn.extend(rows_of(runs)) or list(drawn)
    )
    runs = [
        *(_run("frozen", 100, 0, 10), _run("DSTA", 100, 0, 16), _run("TIA", 100, 0, 15)),
        *(_run("frozen", 100, 1, 30), _run("DSTA", 100, 1, 40)),
        *(_run("DSTA", 5, 0, 4), _run("frozen", 5, 0, 3)),
    ]
    path = tmp_path / "shares.png"
    compare_adapters.draw_shares(path, compare_adapters.in_order(runs), epochs=16)
    assert path.is_file()
    assert [(row["labels"], row["method"], row["action_map"]) for row in drawn] == [
        *((100, "frozen", 10), (100, "DSTA", 16)),
        *((5, "frozen", 3), (5, "DSTA", 4)),
    ]
