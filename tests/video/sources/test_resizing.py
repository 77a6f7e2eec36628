"""Images in memory are resized as those of files."""

from pathlib import Path

import numpy as np

from mmad.video.open import open_video
from mmad.video.sources.memory import hold_frames


def test_images_are_those_of_the_file(videos: Path) -> None:
    file = min((videos / "videos").glob("val*.mp4"))
    with open_video(file) as video:
        held = hold_frames(video.read(np.arange(5)), fps=video.index.fps)
    for resizing, allowed in (("opencv", 0), ("decoder", 4)):
        images = []
        for source in (file, held):
            with open_video(source, size=(20, 24), resizing=resizing) as video:
                images.append(video.read(np.arange(5)).astype(int))
        assert images[0].shape == (5, 20, 24, 3)
        assert np.abs(images[0] - images[1]).mean() <= allowed
