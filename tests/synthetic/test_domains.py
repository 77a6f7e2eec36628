"""Domains: the same people and annotations, before other backgrounds and cameras."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mmad.synthetic.dataset import SynthesisSettings, synthesize
from mmad.synthetic.domains import DOMAINS, Camera, Filming, Scene
from mmad.video.open import open_video

NAMES = [name for name, domain in DOMAINS.items() if domain.scene is not None]


def scene(name: str, seed: int = 0) -> Scene:
    make = DOMAINS[name].scene
    assert make is not None
    return make(width=64, height=48, fps=15, rng=np.random.default_rng(seed))


def filmed(camera: Camera, count: int = 30) -> np.ndarray:
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    filming = Filming(camera, fps=15, rng=np.random.default_rng(2))
    return np.stack([filming(image) for _ in range(count)]).astype(float)


@pytest.mark.parametrize("name", NAMES)
def test_something_moves_behind_the_person(name: str) -> None:
    behind = scene(name)
    frames = np.stack([behind(frame) for frame in range(0, 90, 6)]).astype(float)
    assert frames.shape == (15, 48, 64, 3)
    moving = np.ptp(frames, axis=0).max(axis=-1) > 20
    assert 0.01 < moving.mean() < 0.9
    np.testing.assert_array_equal(scene(name)(12), behind(12))
    assert not np.array_equal(scene(name, seed=1)(12), behind(12))


def test_the_room_is_filmed_as_it_is() -> None:
    frames = filmed(DOMAINS["room"].camera)
    assert np.ptp(frames, axis=0).max() == 0
    assert DOMAINS["room"].scene is None


def test_a_hand_shakes_and_a_crane_comes_nearer() -> None:
    assert np.ptp(filmed(Camera(shake=0.02)), axis=0).mean() > 20
    pushed = filmed(Camera(push_in=6.0))
    first, last = (np.abs(np.diff(frame, axis=1)).mean() for frame in (pushed[0], pushed[-1]))
    assert last < first  # what is enlarged is smoother


def test_a_blurred_camera_keeps_the_brightness() -> None:
    sharp, soft = filmed(Camera(), 1), filmed(Camera(sharpness=0.5), 1)
    assert soft.std() < 0.8 * sharp.std()
    assert soft.mean() == pytest.approx(sharp.mean(), rel=0.02)


def test_annotations_are_those_of_the_room(tmp_path: Path) -> None:
    shared = {"train": 1, "val": 0, "test": 0, "max_seconds": 5.0, "width": 48, "height": 48}
    frames = {}
    for name in ("room", "street"):
        synthesize(tmp_path / name, SynthesisSettings(domain=name, fps=10, **shared))
        with open_video(tmp_path / name / "videos" / "train0000.mp4") as video:
            frames[name] = video.read([0, 20]).astype(float)
    places = [tmp_path / name / "annotations" / "mma52.json" for name in frames]
    assert places[0].read_bytes() == places[1].read_bytes()
    assert np.abs(frames["room"] - frames["street"]).mean() > 20


def test_boxes_of_faces_do_not_follow_other_cameras() -> None:
    with pytest.raises(ValidationError, match="boxes of faces do not follow its camera"):
        SynthesisSettings(domain="street", emotions=True)
