"""One rule for frame rates and broken files, whichever command meets them."""

import json
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from mmad.errors import FeatureError, VideoError
from mmad.video.index import index_video
from mmad.video.open import open_video
from support.synthetic_data import tiny_config

pytestmark = pytest.mark.slow

SECONDS = 2.0
# Times of the frames of each copy; the run is trained at 15 frames/s.
TIMES = {
    "r15": np.arange(30) / 15,
    "r25": np.arange(50) / 25,
    "r30": np.arange(60) / 30,
    "variable": np.concatenate((np.arange(20) / 20, 1 + np.arange(30) / 30)),
}


def write_copy(source: Path, target: Path, times: np.ndarray) -> None:
    """The frames of ``source`` that are nearest to ``times``, at those times."""
    with open_video(source) as video:
        frames = video.read(np.minimum(np.round(times * 15), video.index.num_frames - 1))
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.options = {"crf": "10"}
        stream.codec_context.time_base = Fraction(1, 600)
        for frame, time in zip(frames, times, strict=True):
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            image.pts, image.time_base = round(time * 600), Fraction(1, 600)
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rates") / "run"
    train_run(tiny_config(videos, training__epochs=1), out=out, quiet=True)
    return out


@pytest.fixture(scope="module")
def copies(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of one video at several rates, and annotations that list them."""
    folder = tmp_path_factory.mktemp("copies")
    content = {}
    for name, times in TIMES.items():
        path = folder / f"{name}.mp4"
        write_copy(videos / "videos" / "val0000.mp4", path, times)
        index = index_video(path)
        content[name] = {
            "subset": "test",
            "duration": index.duration_seconds,
            "fps": index.fps,
            "actions": [[0, 0.0, 1.0]],
        }
    (folder / "truth.json").write_text(json.dumps(content))
    return folder


def mmad(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rows_of(path: Path) -> list[list[str]]:
    return sorted(line.split(",")[1:] for line in path.read_text().splitlines()[1:])


def test_detect_predict_and_predict_on_features_agree(
    run: Path, copies: Path, tmp_path: Path
) -> None:
    clips = [copies / f"{name}.mp4" for name in TIMES]
    detected = mmad("detect", *clips, "--checkpoint", run, "--out", tmp_path, "--no-pictures")
    told = "3 of 4 videos resampled by time to 15 frames/s"
    assert detected.output.count(told) == 1
    places = [f"data.annotations={copies / 'truth.json'}", f"data.videos={copies}"]
    predicted = mmad("predict", run, *places, "--out", tmp_path / "p.csv")
    assert predicted.output.count(told) == 1
    extracted = mmad("extract-features", run, *clips, "--out", tmp_path / "f.h5")
    assert extracted.output.count(told) == 1
    data = f"data={{annotations: {copies / 'truth.json'}, features: {tmp_path / 'f.h5'}}}"
    mmad("predict", run, data, "--out", tmp_path / "f.csv")
    rows = rows_of(tmp_path / "detections.csv")
    assert {row[0] for row in rows} == set(TIMES)
    assert rows_of(tmp_path / "p.csv") == rows
    np.testing.assert_allclose(
        [[float(x) for x in row[1:]] for row in rows_of(tmp_path / "f.csv")],
        [[float(x) for x in row[1:]] for row in rows],
        atol=1e-4,
    )
    content = json.loads((tmp_path / "detections.json").read_text())
    assert content["videos"]["r25"]["resampled_fps"] == 15
    assert content["videos"]["r15"]["resampled_fps"] is None


def test_copies_at_other_rates_are_seen_as_the_original(
    run: Path, copies: Path, tmp_path: Path
) -> None:
    clips = [copies / f"{name}.mp4" for name in ("r15", "r30")]
    mmad("detect", *clips, "--checkpoint", run, "--out", tmp_path, "--no-pictures")
    rows = rows_of(tmp_path / "detections.csv")
    slow, fast = ([row[1:] for row in rows if row[0] == name] for name in ("r15", "r30"))
    assert len(slow) == len(fast)
    np.testing.assert_allclose(
        sorted(float(row[-1]) for row in slow), sorted(float(row[-1]) for row in fast), atol=0.02
    )


def test_features_of_another_rate_are_refused_by_name_of_the_flag(
    run: Path, copies: Path, tmp_path: Path
) -> None:
    clips = [copies / f"{name}.mp4" for name in TIMES]
    mmad("extract-features", run, *clips, "--out", tmp_path / "f.h5", "--fps", "own")
    data = f"data={{annotations: {copies / 'truth.json'}, features: {tmp_path / 'f.h5'}}}"
    with pytest.raises(FeatureError, match=r"1 video at 25 .*works at 15 frames/s.*--fps 15"):
        mmad("predict", run, data, "--out", tmp_path / "f.csv")


def test_validation_resamples_as_detect_does(
    run: Path, copies: Path, videos: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    content = json.loads((copies / "truth.json").read_text())
    truth = json.loads((videos / "annotations" / "mma52.json").read_text())
    for name in TIMES:
        (tmp_path / f"{name}.mp4").symlink_to(copies / f"{name}.mp4")
        truth[name] = {**content[name], "subset": "val"}
    for path in (videos / "videos").iterdir():
        (tmp_path / path.name).symlink_to(path)
    truth = {k: v for k, v in truth.items() if v["subset"] == "train" or k in TIMES}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    config = tiny_config(
        videos,
        training__epochs=1,
        data__annotations=str(tmp_path / "truth.json"),
        data__videos=str(tmp_path),
    )
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    assert "validation: 3 of 4 videos resampled by time to 15 frames/s" in caplog.text
    out = tmp_path / "out"
    clips = [copies / f"{name}.mp4" for name in TIMES]
    mmad("detect", *clips, "--checkpoint", folder.path, "--out", out, "--no-pictures")
    assert rows_of(folder.predictions("val", ".csv")) == rows_of(out / "detections.csv")


def truncated(source: Path, target: Path) -> Path:
    """A copy with its index in front that ends after the first frames."""
    with open_video(source) as video:
        frames = video.read(range(video.index.num_frames))
    with av.open(str(target), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.options = {"x264-params": "bframes=0:keyint=5"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    content = target.read_bytes()
    start = content.index(b"mdat")
    target.write_bytes(content[: start + (len(content) - start) // 4])
    return target


def test_a_truncated_video_is_told_and_fails_alone(
    run: Path, videos: Path, copies: Path, tmp_path: Path
) -> None:
    broken = truncated(videos / "videos" / "val0000.mp4", tmp_path / "broken.mp4")
    held = index_video(broken).num_frames
    missing = index_video(broken).num_missing_frames
    assert missing > held > 0
    # The last packet that it holds is cut, too.
    what = rf"broken\.mp4: \d+ of {held + missing} frames missing or damaged \({missing} missing"
    both = (broken, copies / "r15.mp4")
    with pytest.raises(VideoError, match=what + r".*more than 10%"):
        mmad("detect", *both, "--checkpoint", run, "--out", tmp_path, "--no-pictures")
    content = json.loads((tmp_path / "detections.json").read_text())
    assert set(content["results"]) == {"r15"}
    assert "more than 10%" in content["videos"]["broken"]["error"]
    with pytest.raises(VideoError, match=what):
        mmad("extract-features", run, *both, "--out", tmp_path / "f.h5")

    allowed = ("--max-missing", 1)
    result = mmad(
        "detect", *both, "--checkpoint", run, "--out", tmp_path, *allowed, "--no-pictures"
    )
    assert re.search(what, result.output)
    content = json.loads((tmp_path / "detections.json").read_text())
    assert content["videos"]["broken"]["missing_frames"] == missing
    assert content["videos"]["broken"]["first_missing_seconds"] == pytest.approx(held / 15, abs=0.1)
    assert "broken" in content["results"]
    result = mmad("extract-features", run, *both, "--out", tmp_path / "g.h5", *allowed)
    assert re.search(what, result.output)
    truth = {"broken": {"subset": "test", "duration": held / 15, "fps": 15, "actions": []}}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    places = [f"data.annotations={tmp_path / 'truth.json'}", f"data.videos={tmp_path}"]
    result = mmad("predict", run, *places, "data.max_missing=1", "--out", tmp_path / "p.csv")
    assert re.search(what, result.output)


def test_the_rate_of_a_run_is_written_once(run: Path) -> None:
    assert RunFolder(run).training_fps() == 15
