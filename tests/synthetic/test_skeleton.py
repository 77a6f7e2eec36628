import numpy as np
import pytest

from mmad.labels import MA52
from mmad.synthetic.motions import Instance, pose_at
from mmad.synthetic.skeleton import solve, two_bones
from mmad.synthetic.subjects import make_subject

pytestmark = pytest.mark.slow


def test_a_hand_reaches_the_nose() -> None:
    subject = make_subject(1)
    nose = MA52.index("touching nose")
    pose = pose_at(1.0, [Instance(nose, 0.0, 2.0)], slouch=0.1, idle=0.0)
    joints = solve(subject, pose)
    place = joints.head + joints.head_frame @ (np.array([0, -0.12, 1.22]) * (subject.head + 0.02))
    assert np.linalg.norm(joints.wrists[0] - place) < 0.15  # a hand's length away
    rest = solve(subject, pose_at(5.0, [], slouch=0.1, idle=0.0))
    assert np.linalg.norm(rest.wrists[0] - place) > 0.3


def test_two_bones_keep_their_lengths() -> None:
    root, target = np.zeros(3), np.array([0.3, 0.1, 0.2])
    middle, end = two_bones(root, target, first=0.3, second=0.25, hint=np.array([0.0, -1.0, 0.0]))
    assert np.linalg.norm(middle) == pytest.approx(0.3)
    assert np.linalg.norm(end - middle) == pytest.approx(0.25)
    np.testing.assert_allclose(end, target, atol=1e-9)
    _, far = two_bones(root, 10 * target, first=0.3, second=0.25, hint=np.array([0.0, -1.0, 0.0]))
    assert np.linalg.norm(far) == pytest.approx(0.55, abs=0.01)
