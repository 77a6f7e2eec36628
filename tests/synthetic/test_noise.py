"""Noise of a camera: how strong it is, and that the same seed gives the same bytes."""

import numpy as np
import pytest

from mmad.synthetic.dataset import SynthesisSettings, synthesize
from mmad.synthetic.noise import NOISE, CameraNoise, NoisyCamera
from mmad.video.open import open_video


def camera(noise: CameraNoise | None, *, fps: float = 30) -> NoisyCamera:
    return NoisyCamera(noise, fps=fps, rng=np.random.default_rng(0))


def grey(level: int) -> np.ndarray:
    return np.full((64, 64, 3), level, dtype=np.uint8)


def test_noise_grows_with_the_square_root_of_the_light() -> None:
    dark, middle, bright = (
        camera(CameraNoise(sensor=4.0, flicker=0.0))(grey(level)).std() for level in (20, 128, 200)
    )
    assert middle == pytest.approx(4.0, rel=0.05)
    assert dark == pytest.approx(4.0 * (36 / 144) ** 0.5, rel=0.05)
    assert bright == pytest.approx(4.0 * (216 / 144) ** 0.5, rel=0.05)


@pytest.mark.parametrize(("fps", "period"), [(30, 3), (25, 1), (50, 1), (40, 2)])
def test_lamps_beat_at_the_difference_to_the_nearest_multiple(fps: int, period: int) -> None:
    """100 Hz at 30 frames per second: 10 Hz, every third frame alike; at 25, never seen."""
    seen = camera(CameraNoise(sensor=0.0, flicker=0.1), fps=fps)
    means = [seen(grey(100)).mean() for _ in range(12)]
    assert means[period:] == pytest.approx(means[:-period])
    assert (np.ptp(means) > 1) == (period > 1)


def test_without_noise_frames_stay_as_they_are() -> None:
    assert camera(NOISE["none"])(grey(7)) is not None
    np.testing.assert_array_equal(camera(None)(grey(7)), grey(7))


def test_a_noisy_set_has_the_annotations_of_a_clean_one(tmp_path) -> None:  # type: ignore[no-untyped-def]
    shared = {"train": 1, "val": 0, "test": 0, "max_seconds": 5.0, "width": 64, "height": 64}
    frames = {}
    for noise in ("none", "high"):
        settings = SynthesisSettings(noise=noise, crf=10, **shared)
        synthesize(tmp_path / noise, settings, num_workers=1)
        with open_video(tmp_path / noise / "videos" / "train0000.mp4") as video:
            frames[noise] = video.read([0, 1]).astype(float)
    names = [tmp_path / noise / "annotations" / "mma52.json" for noise in frames]
    assert names[0].read_text() == names[1].read_text()
    still = {noise: np.abs(pair[1] - pair[0]).mean() for noise, pair in frames.items()}
    assert still["high"] > 3 * still["none"]
