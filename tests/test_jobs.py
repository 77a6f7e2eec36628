"""The pool of processes of the benchmarks."""

from pathlib import Path

import pytest

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
