"""The 52 micro-actions of MA-52 as movements of the synthetic person.

A motion adds to a pose. It knows the time since its start, an envelope that ramps from 0 to 1 and
back, and the random amplitude, speed and side of its instance.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmad.synthetic.skeleton import SIDE_X, HandCommand, Pose

HEAD, TORSO, SHOULDERS, LEGS, HAND, BOTH_HANDS = (
    "head",
    "torso",
    "shoulders",
    "legs",
    "hand",
    "hands",
)


@dataclass(frozen=True)
class Instance:
    """One performed micro-action.

    Attributes:
        label: Index in MA-52.
        start_seconds, end_seconds: First and last moment of movement.
        amplitude: Factor of the movement, about 1.
        speed: Factor of frequencies, about 1.
        side: 0 right or 1 left, of the person.
        phase: Phase in radians.
    """

    label: int
    start_seconds: float
    end_seconds: float
    amplitude: float = 1.0
    speed: float = 1.0
    side: int = 0
    phase: float = 0.0

    def envelope(self, seconds: float) -> float:
        """0 outside the instance, 1 in its middle, with smooth ramps of at most 0.35 s."""
        length = self.end_seconds - self.start_seconds
        ramp = min(0.35, 0.38 * length)
        inside = min(seconds - self.start_seconds, self.end_seconds - seconds)
        share = min(max(inside / ramp, 0.0), 1.0)
        return share * share * (3 - 2 * share)


@dataclass(frozen=True)
class Moment:
    """Input of a motion: its instance, the envelope ``e``, and seconds ``u`` since the start."""

    instance: Instance
    e: float
    u: float

    @property
    def size(self) -> float:
        """Envelope times amplitude."""
        return self.e * self.instance.amplitude

    def wave(self, hertz: float) -> float:
        """Oscillation between -1 and 1, times the envelope."""
        angle = 2 * math.pi * hertz * self.instance.speed * self.u + self.instance.phase
        return self.e * math.sin(angle)

    def beat(self, hertz: float) -> float:
        """Repeated bumps between 0 and 1, starting at 0, times the envelope."""
        angle = 2 * math.pi * hertz * self.instance.speed * self.u
        return self.e * 0.5 * (1 - math.cos(angle))

    @property
    def sign(self) -> float:
        """-1 for the right side, 1 for the left."""
        return SIDE_X[self.instance.side]


Move = Callable[[Pose, Moment], None]


@dataclass(frozen=True)
class Motion:
    """A movement and the part of the body that it occupies."""

    move: Move
    part: str


def _reach(
    place: str,
    *,
    scratch: tuple[float, float, float] = (0.0, 0.0, 0.0),
    hertz: float = 3.0,
    shape: str = "open",
) -> Move:
    """A motion of one hand to a place, where it moves to and fro by ``scratch`` metres."""
    direction = np.array(scratch)

    def move(pose: Pose, m: Moment) -> None:
        offset = direction * m.wave(hertz) * m.instance.amplitude
        pose.hands[m.instance.side] = HandCommand(place, m.e, offset, shape)

    return move


def _both(
    place: str,
    *,
    swing: tuple[float, float, float] = (0.0, 0.0, 0.0),
    hertz: float = 2.0,
    opposite: bool = False,
    shape: str = "open",
    holds: bool = False,
    circle: float = 0.0,
) -> Move:
    """A motion of both hands to a place, where they move in parallel, opposition or circles."""
    direction = np.array(swing)

    def move(pose: Pose, m: Moment) -> None:
        for i in (0, 1):
            sign = SIDE_X[i] if opposite else 1.0
            offset = direction * sign * m.wave(hertz) * m.instance.amplitude
            if circle:
                angle = 2 * math.pi * hertz * m.instance.speed * m.u + i * 1.3 + m.instance.phase
                turn = np.array(
                    [SIDE_X[i] * math.cos(angle), math.sin(angle), 0.4 * math.sin(angle)]
                )
                offset = offset + circle * m.size * turn
            pose.hands[i] = HandCommand(place, m.e, offset, shape, holds and i == m.instance.side)
            pose.finger_phase[i] += m.wave(2.5)

    return move


def _shaking_body(pose: Pose, m: Moment) -> None:
    wave = m.wave(1.3) * m.instance.amplitude
    pose.torso_roll += 0.15 * wave
    pose.sway += 0.03 * wave


def _sitting_straightly(pose: Pose, m: Moment) -> None:
    pose.torso_pitch -= 0.22 * m.size
    pose.torso_stretch += 0.14 * m.size
    pose.head_pitch -= 0.08 * m.size


def _shrugging(pose: Pose, m: Moment) -> None:
    for i in (0, 1):
        pose.shoulder_lift[i] += 0.085 * m.instance.amplitude * (0.4 * m.e + 0.6 * m.beat(0.9))


def _turning_around(pose: Pose, m: Moment) -> None:
    pose.torso_yaw += m.sign * 0.95 * m.size
    pose.head_yaw += m.sign * 0.35 * m.size


def _rising_up(pose: Pose, m: Moment) -> None:
    pose.hip_lift += 0.26 * m.size
    pose.torso_pitch += 0.22 * m.e * (1 - 0.5 * m.e)


def _bowing_head(pose: Pose, m: Moment) -> None:
    pose.head_pitch += 0.75 * m.size


def _head_up(pose: Pose, m: Moment) -> None:
    pose.head_pitch -= 0.6 * m.size


def _tilting_head(pose: Pose, m: Moment) -> None:
    pose.head_roll += m.sign * 0.5 * m.size


def _turning_head(pose: Pose, m: Moment) -> None:
    pose.head_yaw += m.sign * 0.95 * m.size


def _nodding(pose: Pose, m: Moment) -> None:
    pose.head_pitch += 0.42 * m.instance.amplitude * m.beat(1.5)


def _shaking_head(pose: Pose, m: Moment) -> None:
    pose.head_yaw += 0.6 * m.instance.amplitude * m.wave(1.4)


def _clenching_fist(pose: Pose, m: Moment) -> None:
    closed = math.sin(2 * math.pi * 1.1 * m.instance.speed * m.u) > -0.2
    shape = "fist" if closed else "spread"
    pose.hands[m.instance.side] = HandCommand("fist", m.e, np.zeros(3), shape)


def _finger_movements(pose: Pose, m: Moment) -> None:
    pose.hands[m.instance.side] = HandCommand("fingers", m.e, np.zeros(3), "spread")
    pose.finger_phase[m.instance.side] += 1.6 * m.wave(2.6)


def _shaking_legs(pose: Pose, m: Moment) -> None:
    both = m.instance.phase > math.pi
    for i in (0, 1):
        if both or i == m.instance.side:
            pose.knee_lift[i] += 0.17 * m.instance.amplitude * m.beat(3.4)
            pose.heel_lift[i] += 0.6 * m.beat(3.4)


def _curling_legs(pose: Pose, m: Moment) -> None:
    i = m.instance.side
    pose.knee_lift[i] += 0.55 * m.size
    pose.shin_swing[i] -= 0.7 * m.size
    pose.knee_spread[i] += 0.12 * m.size


def _spread_legs(pose: Pose, m: Moment) -> None:
    for i in (0, 1):
        pose.knee_spread[i] += 0.5 * m.size


def _closing_legs(pose: Pose, m: Moment) -> None:
    for i in (0, 1):
        pose.knee_spread[i] -= 0.34 * m.size


def _crossing_legs(pose: Pose, m: Moment) -> None:
    pose.cross[m.instance.side] += m.e


def _stretching_feet(pose: Pose, m: Moment) -> None:
    for i in (0, 1):
        pose.shin_swing[i] += 0.75 * m.size * (1.0 if i == m.instance.side else 0.7)


def _retracting_feet(pose: Pose, m: Moment) -> None:
    for i in (0, 1):
        pose.shin_swing[i] -= 0.7 * m.size * (1.0 if i == m.instance.side else 0.8)


def _tiptoe(pose: Pose, m: Moment) -> None:
    for i in (0, 1):
        pose.heel_lift[i] += 1.3 * m.size


def _patting_legs(pose: Pose, m: Moment) -> None:
    lift = np.array([0.0, 0.13 * m.instance.amplitude * m.beat(2.0), 0.03 * m.beat(2.0)])
    pose.hands[m.instance.side] = HandCommand("thigh", m.e, lift, "spread")


def _scratching_feet(pose: Pose, m: Moment) -> None:
    pose.torso_pitch += 0.95 * m.e
    pose.head_pitch -= 0.15 * m.e
    offset = np.array([0.0, 0.05, 0.03]) * m.wave(2.8)
    pose.hands[m.instance.side] = HandCommand("foot", m.e, offset, "open")


def _pushing_glasses(pose: Pose, m: Moment) -> None:
    offset = np.array([0.0, 0.02, -0.02]) * m.beat(1.6)
    pose.hands[m.instance.side] = HandCommand("bridge", m.e, offset, "point")


def _stretching_arms(pose: Pose, m: Moment) -> None:
    _both("overhead", shape="spread")(pose, m)
    pose.torso_stretch += 0.04 * m.e


GLASSES_LABEL = 47

# In the order of the MA-52 index.
MOTIONS: tuple[Motion, ...] = (
    Motion(_shaking_body, TORSO),
    Motion(_sitting_straightly, TORSO),
    Motion(_shrugging, SHOULDERS),
    Motion(_turning_around, TORSO),
    Motion(_rising_up, TORSO),
    Motion(_bowing_head, HEAD),
    Motion(_head_up, HEAD),
    Motion(_tilting_head, HEAD),
    Motion(_turning_head, HEAD),
    Motion(_nodding, HEAD),
    Motion(_shaking_head, HEAD),
    Motion(_reach("other_arm", scratch=(0.0, 0.07, 0.0)), HAND),
    Motion(
        _both("object", swing=(0.03, 0.03, 0.0), hertz=1.6, opposite=True, holds=True), BOTH_HANDS
    ),
    Motion(_both("belly"), BOTH_HANDS),
    Motion(_both("belly", swing=(0.0, 0.06, 0.02), hertz=2.6, opposite=True), BOTH_HANDS),
    Motion(_reach("chest", scratch=(0.0, 0.02, 0.03), hertz=1.5, shape="point"), HAND),
    Motion(_clenching_fist, HAND),
    Motion(_stretching_arms, BOTH_HANDS),
    Motion(_both("pulled_back"), BOTH_HANDS),
    Motion(_reach("beside_head", scratch=(0.13, 0.0, 0.0), hertz=1.9, shape="spread"), HAND),
    Motion(_both("wide", shape="spread"), BOTH_HANDS),
    Motion(
        _both("belly", swing=(0.035, 0.0, 0.0), hertz=1.2, opposite=True, shape="spread"),
        BOTH_HANDS,
    ),
    Motion(_finger_movements, HAND),
    Motion(_both("front", hertz=0.9, circle=0.11), BOTH_HANDS),
    Motion(_shaking_legs, LEGS),
    Motion(_curling_legs, LEGS),
    Motion(_spread_legs, LEGS),
    Motion(_closing_legs, LEGS),
    Motion(_crossing_legs, LEGS),
    Motion(_stretching_feet, LEGS),
    Motion(_retracting_feet, LEGS),
    Motion(_tiptoe, LEGS),
    Motion(_reach("neck", scratch=(0.02, 0.04, 0.0)), HAND),
    Motion(_reach("chest", scratch=(0.06, 0.03, 0.0), hertz=2.4), HAND),
    Motion(_reach("back", scratch=(0.0, 0.06, 0.0)), HAND),
    Motion(_reach("other_shoulder", scratch=(0.04, 0.0, 0.03), hertz=2.4), HAND),
    Motion(_both("hip_side"), BOTH_HANDS),
    Motion(_both("other_elbow"), BOTH_HANDS),
    Motion(_reach("hair", scratch=(0.06, 0.02, 0.0), hertz=1.8, shape="spread"), HAND),
    Motion(_reach("hindbrain", scratch=(0.0, 0.05, 0.0)), HAND),
    Motion(_reach("forehead", scratch=(0.05, 0.0, 0.0)), HAND),
    Motion(_reach("face", scratch=(0.0, 0.04, 0.0), hertz=2.2), HAND),
    Motion(_reach("eye", scratch=(0.04, 0.01, 0.0), hertz=3.2, shape="fist"), HAND),
    Motion(_reach("nose", scratch=(0.015, 0.02, 0.0), hertz=2.2, shape="point"), HAND),
    Motion(_reach("ear", scratch=(0.0, 0.03, 0.02)), HAND),
    Motion(_both("whole_face", shape="spread"), BOTH_HANDS),
    Motion(_reach("mouth"), HAND),
    Motion(_pushing_glasses, HAND),
    Motion(_patting_legs, HAND),
    Motion(_reach("knee", scratch=(0.0, 0.0, 0.05), hertz=0.5), HAND),
    Motion(_reach("knee", scratch=(0.03, 0.07, 0.04), hertz=3.0), HAND),
    Motion(_scratching_feet, HAND),
)


def pose_at(seconds: float, instances: list[Instance], *, slouch: float, idle: float) -> Pose:
    """The pose of a person who performs ``instances``, at a time.

    Args:
        slouch: Forward lean at rest, in radians.
        idle: Phase of breathing, swaying and blinking, which never stop.
    """
    pose = Pose(torso_pitch=slouch)
    pose.torso_stretch = -0.03 + 0.008 * math.sin(2 * math.pi * 0.27 * seconds + idle)
    pose.sway = 0.004 * math.sin(2 * math.pi * 0.11 * seconds + 2 * idle)
    pose.head_yaw = 0.04 * math.sin(2 * math.pi * 0.17 * seconds + 3 * idle)
    pose.head_pitch = -slouch + 0.03 * math.sin(2 * math.pi * 0.13 * seconds + 5 * idle)
    pose.blink = 1.0 if math.fmod(seconds + idle, 3.4) < 0.13 else 0.0
    for instance in instances:
        e = instance.envelope(seconds)
        if e > 0.0:
            moment = Moment(instance, e, seconds - instance.start_seconds)
            MOTIONS[instance.label].move(pose, moment)
    return pose
