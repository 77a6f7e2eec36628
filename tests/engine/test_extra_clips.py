from pathlib import Path

import pytest

from mmad.config.run import FeatureRun, VideoRun
from mmad.engine.detection import read_data
from mmad.engine.extra_clips import clips_of_features, clips_of_files
from mmad.engine.inference import feature_reader
from mmad.errors import FeatureError, VideoError
from mmad.video.index import index_video
from support.synthetic_data import tiny_config, tiny_content


def test_clips_are_training_videos_of_their_own_length(videos: Path) -> None:
    lists = [str(videos / "annotations" / "ma52_train.txt")]
    clips = str(videos / "clips")
    config = tiny_config(videos, data__extra_clips=lists, data__extra_videos=clips)
    assert isinstance(config, VideoRun)
    found = clips_of_files(config, [])
    assert len(found) == 24
    path = found[0].path
    assert path is not None
    assert found[0].duration_seconds == index_video(path).duration_seconds
    assert found[0].annotations.segments_seconds.tolist() == [[0.0, found[0].duration_seconds]]
    with pytest.raises(VideoError, match="there is no clip train_00000"):
        clips_of_files(tiny_config(videos, data__extra_clips=lists), [])  # type: ignore[arg-type]


def test_clips_of_stored_features(videos: Path, features: Path, tmp_path: Path) -> None:
    content = tiny_content(videos)
    content["data"] = {
        "annotations": content["data"]["annotations"],
        "features": str(features),
        "extra_clips": [str(tmp_path / "clips.txt")],
    }
    config = FeatureRun(**{**content, "backbone": None})
    annotations, _ = read_data(config)
    record = annotations.records[0]
    (tmp_path / "clips.txt").write_text(f"{record.video_id}.mp4 3\n")
    others = annotations.records[1:]
    found = clips_of_features(config, others, reader=feature_reader(config))
    assert found[0].duration_seconds == pytest.approx(record.duration_seconds, abs=1e-3)
    (tmp_path / "clips.txt").write_text("nowhere.mp4 3\n")
    with pytest.raises(FeatureError, match="has no features of clip nowhere"):
        clips_of_features(config, others, reader=feature_reader(config))


def test_body_parts_instead_of_actions(videos: Path) -> None:
    actions, labels = read_data(tiny_config(videos))
    parts, names = read_data(tiny_config(videos, data__level="body"))
    assert names.names == labels.parent_names
    for one, other in zip(actions.records, parts.records, strict=True):
        expected = [labels.parents[label] for label in one.annotations.labels]
        assert other.annotations.labels.tolist() == expected


def test_settings_of_clips_that_make_no_sense(videos: Path) -> None:
    with pytest.raises(ValueError, match=r"name the lists of its clips in data\.extra_clips"):
        tiny_config(videos, data__extra_videos="clips")
    with pytest.raises(ValueError, match="their lists have the labels of ma52; set labels=ma52"):
        tiny_config(videos, data__extra_clips=["a.txt"], data__labels="file")
