import numpy as np
import pytest

from mmad.labels import MA52
from mmad.synthetic.motions import MOTIONS, Instance, pose_at
from mmad.synthetic.render import Renderer
from mmad.synthetic.subjects import make_subject

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("label", range(52), ids=lambda label: MA52.title(label))
def test_every_motion_is_seen(label: int) -> None:
    """Somewhere in its instance the image differs clearly from the resting one."""
    subject = make_subject(3)
    renderer = Renderer(subject, width=96, height=96, rng=np.random.default_rng(0), glasses=True)
    renderer._noise[:] = 0

    def image(instances: list[Instance], seconds: float) -> np.ndarray:
        pose = pose_at(seconds, instances, slouch=subject.slouch, idle=0.3)
        return renderer.frame(pose).astype(int)

    performed = [Instance(label, 0.0, 4.0, phase=4.0)]
    changes = [
        (np.abs(image(performed, t) - image([], t)).max(axis=2) > 24).sum()
        for t in np.linspace(0.4, 3.6, 15)
    ]
    assert max(changes) >= 12, f"at most {max(changes)} of {96 * 96} pixels change"
    assert (image(performed, 5.0) == image([], 5.0)).all()


def test_there_is_a_motion_for_each_label() -> None:
    assert len(MOTIONS) == len(MA52)
