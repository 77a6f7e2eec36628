import json
from pathlib import Path

import numpy as np
import pytest

from mmad.annotations.emotions.lists import read_emotions
from mmad.annotations.formats import read_annotations
from mmad.labels import EMOTIONS, MA52
from mmad.synthetic.dataset import Job, SynthesisSettings, plan_videos, synthesize
from mmad.synthetic.emotions import SHARES, expression_at, mood_of
from mmad.synthetic.motions import pose_at
from mmad.synthetic.render import Renderer
from mmad.synthetic.skeleton import Expression, Pose
from mmad.synthetic.subjects import make_subject
from mmad.video.faces.boxes import read_face_boxes
from support.commands import run_mmad

JOY, SADNESS, SURPRISE, FEAR, ANGER = range(len(EMOTIONS))


def planned(**more: object) -> list[Job]:
    settings = SynthesisSettings.model_validate({"train": 500, "val": 0, "test": 0, **more})
    return plan_videos(settings, out=Path())


def renderer(number: int = 11) -> Renderer:
    rng = np.random.default_rng(0)
    return Renderer(make_subject(number), width=160, height=160, rng=rng)


def test_videos_without_emotions_are_those_of_earlier_versions(tmp_path: Path) -> None:
    job = planned(train=1)[0]
    assert job.emotion is None
    assert (job.plan.fps, job.plan.num_frames) == (30, 231)
    found = [(one.label, one.start_seconds, one.amplitude) for one in job.plan.instances]
    np.testing.assert_allclose(
        found, [(50, 0.437886, 1.289459), (24, 3.183559, 1.048994)], rtol=0, atol=1e-6
    )
    assert pose_at(0.0, [], slouch=0.1, idle=0.0).expression is None
    synthesize(tmp_path / "a", SynthesisSettings(train=0, val=0, test=0))
    assert "emotions" not in json.loads((tmp_path / "a" / "synthesize.json").read_text())


def test_a_plain_face_does_not_use_expressions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Renderer, "_draw_expression")
    pose = Pose()
    assert renderer().frame(pose).shape == (160, 160, 3)
    pose.expression = Expression()
    with pytest.raises(AttributeError, match="_draw_expression"):
        renderer().frame(pose)


def test_an_emotion_changes_which_actions_happen_how_many_and_how_strongly() -> None:
    jobs = planned(emotions=True)
    by_emotion = {e: [job for job in jobs if job.emotion == e] for e in range(len(EMOTIONS))}
    shares = [len(found) / len(jobs) for found in by_emotion.values()]
    np.testing.assert_allclose(shares, SHARES, rtol=0, atol=0.05)
    nodding = MA52.index("nodding")

    def share_nodding(emotion: int) -> float:
        labels = [one.label for job in by_emotion[emotion] for one in job.plan.instances]
        return labels.count(nodding) / len(labels)

    assert share_nodding(JOY) > 1.4 * share_nodding(SADNESS)
    number, size = (
        {e: float(np.mean([value(job) for job in found])) for e, found in by_emotion.items()}
        for value in (
            lambda job: len(job.plan.instances),
            lambda job: np.mean([one.amplitude for one in job.plan.instances]),
        )
    )
    assert number[JOY] > number[SADNESS] + 0.5
    # Amplitudes are 0.75 to 1.3 on average, times the factor of the emotion.
    mean = (0.75 + 1.3) / 2
    for emotion in (SADNESS, ANGER):
        assert size[emotion] == pytest.approx(mean * mood_of(emotion).amplitude, rel=0.06)


def test_a_face_shows_the_emotion() -> None:
    faces = [expression_at(1.0, e, strength=1.0, phase=0.0) for e in range(len(EMOTIONS))]
    assert faces[JOY].smile > 0 > faces[SADNESS].smile
    assert faces[SURPRISE].mouth_open > faces[FEAR].mouth_open > 0
    assert faces[ANGER].brow_slant < 0 < faces[SADNESS].brow_slant
    assert expression_at(1.0, JOY, strength=0.0, phase=0.0) == Expression()
    images = []
    for face in faces:
        pose = Pose(expression=face)
        images.append(renderer().frame(pose).astype(int))
    left, top, width, height = (round(value) for value in renderer().face_box(Pose()) or ())
    for i, one in enumerate(images):
        for other in images[:i]:
            different = np.argwhere((one != other).any(axis=2))
            assert len(different) > 5
            # Only the face differs; brows are at its edge.
            low, high = different.min(axis=0), different.max(axis=0)
            assert (low >= [top - 2, left - 2]).all()
            assert (high <= [top + height + 2, left + width + 2]).all()


def test_a_face_that_is_turned_away_has_no_box() -> None:
    assert renderer().face_box(Pose(head_yaw=np.pi)) is None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("emotions") / "set"
    options = "--train 2 --val 1 --test 1 --width 64 --height 64 --fps 10 --emotions"
    lengths = "--min-seconds 1 --max-seconds 1.5 --workers 1"
    run_mmad(["synthesize", out, *options.split(), *lengths.split()])
    return out


def test_a_set_with_emotions(made: Path, tmp_path: Path) -> None:
    felt = read_emotions(made / "annotations/emotions.csv", labels=MA52)
    records = read_annotations(made / "annotations/mma52.json").records
    for one, record in zip(felt, records, strict=True):
        assert (one.video_id, one.subset) == (record.video_id, record.subset)
        assert one.actions == tuple(sorted(set(record.annotations.labels.tolist())))
        assert one.duration_seconds == pytest.approx(record.duration_seconds, abs=1e-3)
    boxes = read_face_boxes(made / "face_boxes")
    assert sorted(boxes) == sorted(one.video_id for one in felt)
    command = ["data", "faces", made / "videos", "--boxes", made / "face_boxes"]
    said = run_mmad([*command, "--out", tmp_path / "faces", "--size", 32]).stdout
    assert "4 videos written" in said
    command = ["data", "check", made / "annotations/emotions.csv", "--videos", made / "videos"]
    assert "0 errors" in run_mmad(command).stdout


def test_it_is_made_again_with_or_without(made: Path) -> None:
    options = "--train 2 --val 1 --test 1 --width 64 --height 64 --fps 10 --workers 1"
    lengths = ["--min-seconds", "1", "--max-seconds", "1.5"]
    said = run_mmad(["synthesize", made, *options.split(), *lengths], code=2).stderr
    assert "was made with other settings (emotions True -> None)" in said
