"""Frames of a video and of its face: the same times, the same mirror, and no face."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.annotations.emotions.lists import read_emotion_lists
from mmad.config.emotion import EmotionConfig
from mmad.data.emotion_videos import (
    EmotionPacker,
    EmotionSample,
    EvaluationEmotions,
    TrainingEmotions,
)
from mmad.data.samples import FailedVideo
from mmad.engine.emotion import videos_of
from mmad.labels import MA52
from support.clips import numbers_of, write_clip
from support.emotions import FRAMES, felt_config, felt_set

# Wide enough for the numbers in the frames to be read.
WIDE = (32, 160)


def training(config: EmotionConfig) -> TrainingEmotions:
    videos = videos_of(config, read_emotion_lists(config.data.annotations, labels=MA52), ["train"])
    labels = config.learnt_actions(MA52)
    return TrainingEmotions(videos, config.data, backbone=config.backbone, labels=labels, seed=0)


def evaluation(config: EmotionConfig) -> EvaluationEmotions:
    videos = videos_of(config, read_emotion_lists(config.data.annotations, labels=MA52), ["val"])
    labels = config.learnt_actions(MA52)
    return EvaluationEmotions(
        videos, config.data, backbone=config.backbone, labels=labels, subset="val"
    )


def images(sample: EmotionSample | FailedVideo) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    assert isinstance(sample, EmotionSample)
    assert sample.bodies is not None
    assert sample.faces is not None
    return sample.bodies.frames, sample.faces.frames


def test_face_and_body_are_seen_at_the_same_times(felt: Path) -> None:
    plain = training(felt_config(felt, data__image_size=WIDE, data__augmentation=None))
    for epoch in range(3):
        bodies, faces = map(numbers_of, images(plain[epoch, 0]))
        assert bodies == faces
        parts = [number // (FRAMES // 4) for number in bodies]  # one frame of each of four parts
        assert parts == [0, 1, 2, 3]
    assert numbers_of(images(plain[0, 0])[0]) != numbers_of(images(plain[1, 0])[0])
    views = evaluation(felt_config(felt, data__image_size=WIDE, data__val_clips=2))
    bodies, faces = map(numbers_of, images(views[0]))
    assert bodies == faces
    assert len(bodies) == 2 * 4


def test_face_and_body_are_mirrored_together_and_cropped_apart(felt: Path) -> None:
    whole = {"crop_area": (1.0, 1.0), "crop_aspect": (1.0, 1.0)}
    flipping = training(felt_config(felt, data__image_size=WIDE, data__augmentation=whole))
    seen = set()
    for epoch in range(12):
        bodies, faces = images(flipping[epoch, 0])
        straight = numbers_of(bodies)
        is_mirrored = max(straight) >= FRAMES  # the highest bit is at the right
        assert (max(numbers_of(faces)) >= FRAMES) == is_mirrored
        seen.add(is_mirrored)
    assert seen == {True, False}
    cropping = training(felt_config(felt, data__image_size=WIDE, data__augmentation={"flip": 0.0}))
    one = cropping[0, 0]
    bodies, faces = images(one)
    assert (bodies != faces).any()
    assert isinstance(one, EmotionSample)
    assert (one.bodies.colour == one.faces.colour).all()  # type: ignore[union-attr]


def test_frames_without_a_face_are_known(felt: Path) -> None:
    config = felt_config(felt)
    samples = [training(config)[0, index] for index in range(4)]
    found = [one.has_face.any() for one in samples if isinstance(one, EmotionSample)]
    assert found == [True, False, True, True]
    away, whole = (evaluation(config)[index] for index in range(2))
    assert isinstance(away, EmotionSample)
    assert isinstance(whole, EmotionSample)
    assert away.has_face.tolist() == [[True, True, False, False]]
    assert whole.has_face.all()
    batch, _ = EmotionPacker(4)([away, whole, FailedVideo("g", "broken")])
    assert batch is not None
    assert batch.has_face_NF.shape == (2, 4)
    assert batch.emotions.tolist() == [0, 4]
    assert len(batch) == 2


def test_targets_are_those_of_the_actions_that_are_learnt(felt: Path) -> None:
    config = felt_config(felt, data__without_parts=["D", "G"])
    learnt = config.learnt_actions(MA52)
    assert len(learnt) == 52 - 8 - 4
    first, second = (training(config)[0, index] for index in (0, 1))
    assert isinstance(first, EmotionSample)
    assert isinstance(second, EmotionSample)
    # Of nodding and D3 the first stays, of A1 and G1, too.
    assert [learnt[i] for i in np.flatnonzero(first.actions)] == [MA52.index("nodding")]
    assert [learnt[i] for i in np.flatnonzero(second.actions)] == [MA52.index("A1")]


def test_one_branch_reads_its_own_files_only(felt: Path) -> None:
    faces = training(felt_config(felt, network__branches="faces", data__videos=None))[0, 0]
    assert isinstance(faces, EmotionSample)
    assert faces.bodies is None
    assert len(faces.actions) == 0
    bodies = training(felt_config(felt, network__branches="bodies", data__faces=None))[0, 0]
    assert isinstance(bodies, EmotionSample)
    assert bodies.faces is None
    assert bodies.has_face.all()


def test_faces_of_another_video_fail_with_its_name(felt: Path, tmp_path: Path) -> None:
    own = felt_set(tmp_path)
    write_clip(own / "faces" / "a.mp4", num_frames=2 * FRAMES, fps=10)
    failed = training(felt_config(own))[0, 0]
    assert isinstance(failed, FailedVideo)
    assert failed.video_id == "a"
    assert "is 4.00 s long (40 frames)" in failed.message
