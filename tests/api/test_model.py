import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import mmad
from mmad.data.features.files import FeatureFile
from mmad.engine.training import train_run
from mmad.evaluation.clips.scores import read_scores
from mmad.evaluation.emotions.predictions import read_emotion_predictions
from mmad.labels import MA52
from mmad.structures import VideoRecord
from support.commands import run_mmad
from support.emotions import felt_config
from support.synthetic_data import tiny_clip_config

pytestmark = [
    pytest.mark.slow,
    # Predictions of untrained networks have detections of zero length.
    pytest.mark.filterwarnings("ignore::mmad.errors.MmadWarning"),
]


@pytest.fixture(scope="module")
def model(detection_run: Path) -> mmad.Model:
    return mmad.load(detection_run, device="cpu")


@pytest.fixture(scope="module")
def files(videos: Path) -> list[Path]:
    return sorted((videos / "videos").glob("val*.mp4"))


@pytest.fixture(scope="module")
def clip_run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "run"
    train_run(tiny_clip_config(videos, training__epochs=1), out=out, quiet=True)
    return out


def test_a_detector_detects_as_the_command_does(
    model: mmad.Model, files: list[Path], tmp_path: Path
) -> None:
    assert repr(model) == "<mmad.Model 'run': detection, 52 labels, on cpu>"
    told: list[float] = []
    found = model.detect(files, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    words = ["--checkpoint", model.path, "--out", tmp_path, "--no-pictures"]
    run_mmad(["detect", *files, *words])
    mmad.write_predictions(tmp_path / "mine.csv", found)
    assert (tmp_path / "mine.csv").read_bytes() == (tmp_path / "detections.csv").read_bytes()
    one = model.detect(str(files[0]))
    assert isinstance(one, mmad.Detections)
    # Windows of two videos shared a batch before.
    np.testing.assert_allclose(one.segments_seconds, found[0].segments_seconds, atol=1e-5)
    assert one.video.path == files[0]
    assert one.to_elan(tmp_path / "mine.eaf", min_score=0.02).is_file()
    record = VideoRecord("mine", one.video.duration_seconds, "none", path=files[0])
    assert model.detect([record])[0].video_id == "mine"


def test_a_subset_is_predicted_as_the_command_does(model: mmad.Model, tmp_path: Path) -> None:
    found = model.predict(subset="val", out=tmp_path / "mine.csv")
    run_mmad(["predict", model.path, "--subset", "val", "--out", tmp_path / "theirs.csv"])
    for suffix in (".csv", ".json"):
        mine, theirs = (tmp_path / f"{name}{suffix}" for name in ("mine", "theirs"))
        assert mine.read_bytes() == theirs.read_bytes()
    assert [one.video_id for one in found] == ["val0000", "val0001"]
    changed = model.predict(subset="val", overrides={"inference.max_detections": 3})
    assert all(len(one) <= 3 for one in changed)


def test_features_of_a_video_and_a_file_of_them(
    model: mmad.Model, files: list[Path], tmp_path: Path
) -> None:
    one = model.extract(files[0])
    assert one.grid.num_steps <= len(one.values)
    path = model.extract(files, tmp_path / "mine.h5")
    assert path == tmp_path / "mine.h5"
    run_mmad(["extract-features", model.path, *files, "--out", tmp_path / "theirs.h5"])
    stored = FeatureFile(tmp_path / "theirs.h5")
    np.testing.assert_array_equal(FeatureFile(path).raw("val0000"), stored.raw("val0000"))
    np.testing.assert_array_equal(one.values, stored.raw("val0000"))
    with pytest.raises(mmad.MmadError, match="windows need both window and stride"):
        model.extract(files[0], window=16)


def test_a_recogniser_names_the_action_as_the_command_does(
    clip_run: Path, videos: Path, tmp_path: Path
) -> None:
    model = mmad.load(clip_run)
    clips = sorted((videos / "clips").glob("val*.mp4"))[:2]
    found = model.recognize(clips)
    run_mmad(["recognize", *clips, "--checkpoint", clip_run, "--out", tmp_path / "theirs.csv"])
    theirs = read_scores(tmp_path / "theirs.npz", labels=MA52)
    np.testing.assert_array_equal([one.scores for one in found], theirs.action_scores)
    one = model.recognize(clips[0])
    assert one.label == one.top(1)[0][0] == MA52.names[int(theirs.action_scores[0].argmax())]
    assert one.body_part in MA52.parent_names
    model.predict(subset="val", out=tmp_path / "mine.csv", details=True)
    run_mmad(["predict", clip_run, "--subset", "val", "--out", tmp_path / "predicted.csv"])
    assert (tmp_path / "mine.csv").read_bytes() == (tmp_path / "predicted.csv").read_bytes()
    with pytest.raises(mmad.MmadError, match=r"a run of recognition, which cannot detect; use mod"):
        model.detect(clips[0])


def test_emotions_of_videos(felt: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_run(felt_config(felt, training__epochs=1), out=run, quiet=True)
    model = mmad.load(run)
    video = felt / "videos" / "e.mp4"
    one = model.recognize(video, faces=felt / "faces")
    words = ["--checkpoint", run, "--faces", felt / "faces", "--out", tmp_path / "theirs.csv"]
    run_mmad(["recognize", video, *words])
    theirs = read_emotion_predictions(tmp_path / "theirs.csv", labels=MA52)
    np.testing.assert_allclose(one.emotion_scores, theirs.emotion_scores[0], atol=1e-9)
    assert one.emotion == one.emotions()[0][0]
    assert [found.video_id for found in model.predict(subset="val")] == ["e", "f"]
    with pytest.raises(mmad.MmadError, match="pass face_model=FILE"):
        model.recognize(video)


def test_a_run_on_features(
    features: Path, detection_run: Path, videos: Path, tmp_path: Path
) -> None:
    config = mmad.load(detection_run).config
    settings = {
        "data.annotations": str(videos / "annotations" / "mma52.json"),
        "data.features": features,
        "training.epochs": 1,
        "training.batch_videos": 2,
        "training.threads": 1,
    }
    small = {f"detector.{key}": getattr(config.detector, key) for key in ("channels", "num_heads")}
    small |= {"detector.num_embedding": 1, "detector.num_branch": 2}
    small["detector.regression_ranges"] = [[0, 4], [4, 8], [8, 10000]]
    told: list[float] = []
    run = mmad.train(
        "configs/features/actionformer.yaml",
        settings | small,
        out=tmp_path / "run",
        progress=told.append,
    )
    assert told[-1] == 1
    model = run.load()
    found = model.predict(subset="val", features=features)
    assert {one.video_id for one in found} == {"val0000", "val0001"}


def test_one_bad_video_does_not_lose_the_others(
    model: mmad.Model, files: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    with pytest.raises(mmad.MmadError, match=r"bad\.mp4") as caught:
        model.detect([files[0], bad])
    assert [one.video_id for one in caught.value.found] == ["val0000"]
    with pytest.raises(mmad.MmadError, match="is a folder; pass the video files"):
        model.detect(tmp_path)


def test_a_callback_stops_the_work_and_nothing_is_written(
    model: mmad.Model, files: list[Path], tmp_path: Path
) -> None:
    def stop(done: float) -> None:
        raise mmad.Cancelled

    with pytest.raises(mmad.Cancelled):
        model.detect(files, progress=stop)
    with pytest.raises(mmad.Cancelled):
        model.predict(subset="val", out=tmp_path / "p.csv", progress=stop)
    assert not list(tmp_path.iterdir())
    assert len(model.detect(files[0]))


def test_a_run_of_a_newer_version_is_named(detection_run: Path, tmp_path: Path) -> None:
    newer = shutil.copytree(detection_run, tmp_path / "newer")
    environment = newer / "environment.json"
    environment.write_text(environment.read_text().replace(mmad.__version__, "99.1.0"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mmad.load(newer).task == "detection"  # as long as it can be read
    (newer / "config.yaml").write_text((newer / "config.yaml").read_text() + "brand_new: 1\n")
    with pytest.raises(mmad.MmadError, match=r"was made by mmad 99\.1\.0; this is .*brand_new"):
        mmad.load(newer)
    with pytest.raises(mmad.MmadError, match="is not a run folder"):
        mmad.load(tmp_path)
    with pytest.raises(mmad.MmadError, match="device=gpu: expected auto, cpu or a GPU"):
        mmad.load(detection_run, device="gpu")
