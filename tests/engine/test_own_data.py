"""Training on annotations of one's own: the split, and the settings that follow from the data."""

import json
import shlex
from pathlib import Path

import pytest

from mmad.annotations.formats import read_annotations
from mmad.annotations.groups import likely_groups
from mmad.config.reading import load_config
from mmad.config.run import VideoRun
from mmad.engine.own_data import OwnData, prepare_own_data
from mmad.errors import AnnotationError, ConfigError, VideoError
from mmad.evaluation.file_labels import label_choice
from mmad.structures import VideoRecord
from mmad.synthetic.dataset import SynthesisSettings, synthesize
from support.commands import run_mmad

CONFIG = Path("configs/demo.yaml")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with videos, and annotations of them with labels of one's own, in no subsets."""
    folder = tmp_path_factory.mktemp("own") / "data"
    sizes = {"width": 32, "height": 32, "fps": 15, "min_seconds": 2.0, "max_seconds": 4.0}
    synthesize(folder, SynthesisSettings(train=6, val=0, test=0, seed=1, **sizes))  # type: ignore[arg-type]
    annotated = read_annotations(folder / "annotations" / "mma52.json")
    rows = ["video,start,end,label"]
    for record in annotated.records:
        found = record.annotations
        for (start, end), label in zip(found.segments_seconds, found.labels, strict=True):
            name = "my nodding" if label % 2 else "my waving"
            rows.append(f"{record.video_id},{start:.3f},{end:.3f},{name}")
    (folder / "mine.csv").write_text("\n".join(rows) + "\n")
    return folder


def prepared(own: Path, out: Path, *overrides: str) -> OwnData:
    return prepare_own_data(
        CONFIG,
        annotations=[own / "mine.csv"],
        videos=own / "videos",
        labels="auto",
        subjects=None,
        out=out,
        overrides=overrides,
    )


def test_the_data_are_split_and_the_settings_follow(own: Path, tmp_path: Path) -> None:
    found = prepared(own, tmp_path)
    split = read_annotations(tmp_path / "annotations.json")
    assert split.labels.names == ("my nodding", "my waving")
    assert {one.subset for one in split.records} == {"train", "val"}
    assert {one.video_id for one in split.records} == {one.video_id for one in found.videos}
    config = load_config(CONFIG, overrides=found.overrides)
    assert isinstance(config, VideoRun)
    assert (config.data.labels, config.data.annotations) == (
        "file",
        [str(tmp_path / "annotations.json")],
    )
    rate = found.videos[0].fps / config.data.frame_stride  # type: ignore[operator]
    longest = max(one.duration_seconds for one in found.videos)
    assert config.data.window_frames % config.backbone.clip_frames == 0
    clip_seconds = config.backbone.clip_frames / rate
    assert longest <= config.data.window_frames / rate <= longest + clip_seconds
    steps = -(-sum(one.subset == "train" for one in found.videos) // config.training.batch_videos)
    assert config.training.epochs * steps >= 300
    again = prepared(own, tmp_path / "again")
    assert (tmp_path / "again/annotations.json").read_text() == (
        tmp_path / "annotations.json"
    ).read_text()
    assert again.told[0] == found.told[0]


def test_labels_of_a_table_are_written(own: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("from,to\nmy nodding,nod\nmy waving,wave\n")
    found = prepare_own_data(
        CONFIG,
        annotations=[own / "mine.csv"],
        videos=own / "videos",
        labels=label_choice(str(table)) or "auto",
        subjects=None,
        out=tmp_path,
        overrides=(),
    )
    assert read_annotations(tmp_path / "annotations.json").labels.names == ("nod", "wave")
    assert "(nod, wave)" in found.told[0]


def test_given_settings_stay(own: Path, tmp_path: Path) -> None:
    given = ("training.epochs=2", "data.window_frames=64", "data.frame_stride=1")
    config = load_config(CONFIG, overrides=prepared(own, tmp_path, *given).overrides)
    assert isinstance(config, VideoRun)
    assert (config.training.epochs, config.data.window_frames) == (2, 64)


def test_what_cannot_be_trained_on_is_named(own: Path, tmp_path: Path) -> None:
    def prepare(annotations: Path, config: str = "configs/demo.yaml", *overrides: str) -> OwnData:
        return prepare_own_data(
            Path(config),
            annotations=[annotations],
            videos=own / "videos",
            labels="auto",
            subjects=None,
            out=tmp_path,
            overrides=overrides,
        )

    one = tmp_path / "one.csv"
    one.write_text("".join((own / "mine.csv").read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(AnnotationError, match="1 video has annotations; expected at least two"):
        prepare(one)
    with pytest.raises(ConfigError, match="not a config of detection"):
        prepare(own / "mine.csv", "configs/recognition/demo.yaml")
    with pytest.raises(ConfigError, match=r"run mmad extract-features on .* add data\.features"):
        prepare(own / "mine.csv", "configs/features/actionformer.yaml")
    other = tmp_path / "other.csv"
    other.write_text("video,start,end,label\nx,0,1,a\ny,0,1,a\n")
    with pytest.raises(VideoError, match="2 of 2 annotated videos are missing"):
        prepare(other)


def test_videos_of_a_person_stay_together() -> None:
    def groups(*names: str) -> tuple[str, int]:
        found = likely_groups(
            [VideoRecord(name, duration_seconds=1.0, subset="train") for name in names]
        )
        return found.source, len(set(found.of_video.values()))

    assert groups("P1_a", "P1_b", "P2_a", "P3_a") == ("beginnings of names", 3)
    assert groups("P1/a", "P1/b", "P2/a", "P3/a") == ("folders", 3)
    assert groups("interview_1", "interview_2", "interview_3") == ("videos", 3)
    assert groups("a", "b_1") == ("videos", 2)


@pytest.mark.slow
def test_one_command_trains_and_names_the_next(own: Path, tmp_path: Path) -> None:
    words = ["train", "configs/demo.yaml", "--annotations", str(own / "mine.csv")]
    words += ["--videos", str(own / "videos"), "--out", str(tmp_path / "run"), "training.epochs=1"]
    told = run_mmad(words).stdout
    assert "6 videos of" in told
    following = shlex.split(told.strip().splitlines()[-1].removeprefix("next: mmad "))
    assert following[0] == "detect"
    run_mmad([*following, "--out", str(tmp_path / "found"), "--no-pictures"])
    assert (tmp_path / "found" / "detections.csv").is_file()
    labels = json.loads((tmp_path / "run" / "labels.json").read_text())
    assert "my nodding" in json.dumps(labels)
