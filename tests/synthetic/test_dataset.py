import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.formats import read_annotations
from mmad.errors import ConfigError, OutputError
from mmad.files import partial_path
from mmad.synthetic.dataset import SynthesisSettings, plan_videos, record_of, synthesize
from mmad.synthetic.motions import Instance, pose_at
from mmad.synthetic.plan import MA52_COUNTS, MMA52_COUNTS
from mmad.synthetic.render import Renderer
from mmad.synthetic.subjects import make_subject
from mmad.video.writer import VideoWriter

pytestmark = pytest.mark.slow

TINY = SynthesisSettings(
    train=3, val=1, test=1, clips=4, width=32, height=32, min_seconds=1.0, max_seconds=2.0
)


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_other_seed_other_videos(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    synthesize(tmp_path / "b", TINY.model_copy(update={"seed": 1}))
    assert hashes(tmp_path / "a").keys() == hashes(tmp_path / "b").keys()
    assert not set(hashes(tmp_path / "a/videos").values()) & set(
        hashes(tmp_path / "b/videos").values()
    )


def test_the_encoder_gives_the_same_bytes(tmp_path: Path) -> None:
    """At 112 pixels, where the encoder's defaults make one file in ten another one."""
    subject = make_subject(5)
    renderer = Renderer(subject, width=112, height=112, rng=np.random.default_rng(0))
    action = [Instance(9, 0.2, 3.0)]
    frames = [
        renderer.frame(pose_at(k / 15, action, slouch=subject.slouch, idle=0)) for k in range(45)
    ]
    found = set()
    for _ in range(40):
        with VideoWriter(tmp_path / "v.mp4", fps=15, width=112, height=112, crf=20) as writer:
            for frame in frames:
                writer.write(frame)
        found.add(hashlib.sha256((tmp_path / "v.mp4").read_bytes()).hexdigest())
    assert len(found) == 1


def test_restart_makes_only_what_is_missing(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    synthesize(tmp_path / "b", TINY, num_workers=2)
    before = hashes(tmp_path / "a")
    assert before == hashes(tmp_path / "b")
    remade = "videos/train0001.mp4"
    (tmp_path / "a" / remade).unlink()
    summary = synthesize(tmp_path / "a", TINY)
    assert summary.num_written == 1
    assert hashes(tmp_path / "a") == before


def test_other_settings_are_refused(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    with pytest.raises(ConfigError, match=r"other settings \(seed 0 -> 1\)"):
        synthesize(tmp_path / "a", TINY.model_copy(update={"seed": 1}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ConfigError, match="was not made by mmad synthesize"):
        synthesize(tmp_path / "mine", TINY)


def test_overwriting_leaves_the_files_of_others(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    (tmp_path / "a" / "run").mkdir()
    (tmp_path / "a" / "run" / "best.safetensors").write_text("hours of training")
    one = TINY.model_copy(update={"train": 1, "clips": 0})
    summary = synthesize(tmp_path / "a", one, overwrite=True)
    assert summary.num_written == 3
    assert (tmp_path / "a" / "run" / "best.safetensors").read_text() == "hours of training"
    assert not (tmp_path / "a" / "clips").exists()
    assert len(list((tmp_path / "a" / "videos").iterdir())) == 3


def test_a_killed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    before = set(hashes(tmp_path / "a"))
    video = tmp_path / "a" / "videos" / "val0000.mp4"
    leftover = partial_path(video)
    video.rename(leftover.with_name(leftover.name.replace(str(os.getpid()), "4711")))
    assert synthesize(tmp_path / "a", TINY).num_written == 1
    assert set(hashes(tmp_path / "a")) == before


def test_the_versions_are_noted_but_not_compared(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    marker = tmp_path / "a" / "synthesize.json"
    content = json.loads(marker.read_text())
    assert content["packages"]["numpy"] == np.__version__
    marker.write_text(json.dumps({**content, "packages": {"numpy": "1.0"}}))
    assert synthesize(tmp_path / "a", TINY).num_written == 0


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_settings_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "synthesize.json").write_text(content)
    with pytest.raises(ConfigError, match=r"synthesize\.json: .*--overwrite"):
        synthesize(tmp_path, TINY)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(
        OutputError, match=r"a: cannot be written \(File exists\); choose another path"
    ):
        synthesize(tmp_path / "a", TINY)


def test_files_agree_with_each_other(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", TINY)
    folder = tmp_path / "a" / "annotations"
    from_json = read_annotations(folder / "mma52.json")
    from_csv = read_annotations([folder / f"{s}.csv" for s in ("train", "val", "test")])
    for a, b in zip(from_json.records, from_csv.records, strict=True):
        assert a.video_id == b.video_id
        np.testing.assert_allclose(
            a.annotations.segments_seconds, b.annotations.segments_seconds, atol=1e-4
        )
    assert len((folder / "ma52_train.txt").read_text().splitlines()) == 4


def test_statistics_follow_mma52() -> None:
    records = [record_of(job) for job in plan_videos(SynthesisSettings(train=1200), out=Path())]
    records = [record for record in records if record.subset == "train"]
    segments = [record.annotations.segments_seconds for record in records]
    lengths = np.concatenate([s[:, 1] - s[:, 0] for s in segments])
    assert np.mean([len(s) for s in segments]) == pytest.approx(3.02, abs=0.15)
    assert np.median(lengths) == pytest.approx(2.6, abs=0.25)
    assert np.mean(lengths < 1) == pytest.approx(0.13, abs=0.03)
    overlapping = [
        any(min(b, y) > max(a, x) for k, (x, y) in enumerate(s) if k != i)
        for s in segments
        for i, (a, b) in enumerate(s)
    ]
    assert np.mean(overlapping) == pytest.approx(0.87, abs=0.04)
    assert np.mean(np.concatenate([s[:, 0] == 0 for s in segments])) == pytest.approx(
        0.30, abs=0.05
    )
    assert np.mean([r.fps == 29 for r in records]) == pytest.approx(0.18, abs=0.04)
    assert min(r.duration_seconds for r in records) >= 5 - 0.02
    assert max(r.duration_seconds for r in records) <= 15 + 0.02
    counts = np.bincount(np.concatenate([r.annotations.labels for r in records]), minlength=52)
    assert np.corrcoef(counts, MMA52_COUNTS)[0, 1] > 0.95
    assert (len(MMA52_COUNTS), sum(MMA52_COUNTS), sum(MA52_COUNTS)) == (52, 13_698, 11_250)


def test_nobody_is_in_two_subsets() -> None:
    jobs = plan_videos(SynthesisSettings(), out=Path())
    subjects = {s: {j.subject for j in jobs if j.subset == s} for s in ("train", "val", "test")}
    assert not subjects["train"] & subjects["val"]
    assert not subjects["val"] & subjects["test"]
    moved = plan_videos(SynthesisSettings(first_subject=5000), out=Path())
    assert not {j.subject for j in moved} & {j.subject for j in jobs}


def test_only_the_chosen_classes() -> None:
    settings = SynthesisSettings(classes=(9, 19, 24), class_weights="uniform")
    jobs = plan_videos(settings, out=Path())
    assert {i.label for job in jobs for i in job.plan.instances} == {9, 19, 24}
