"""The articulated, seated person: joints of a pose, by forward kinematics and, for arms that
reach, inverse kinematics.

Metres; x to the right of the image, y up, z towards the camera; the floor is y = 0 and the hips
are above the origin. Index 0 is the person's right side (left in the image), index 1 the left
side.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mmad.synthetic.subjects import Subject

Vector = NDArray[np.float64]

SIDE_X = (-1.0, 1.0)

# Places on the head, in its own frame and units of its half axes.
HEAD_PLACES = {
    "nose": (0.0, -0.12, 1.22),
    "bridge": (0.0, 0.14, 1.12),
    "eye": (0.38, 0.14, 1.02),
    "mouth": (0.0, -0.5, 1.08),
    "forehead": (0.12, 0.62, 1.0),
    "face": (0.72, -0.3, 0.95),
    "ear": (1.12, 0.0, 0.1),
    "hair": (0.55, 1.02, 0.35),
    "hindbrain": (0.75, 0.35, -0.85),
    "whole_face": (0.32, 0.0, 1.25),
}


@dataclass
class HandCommand:
    """What a hand does besides resting.

    Attributes:
        place: Name of the target.
        weight: 0 rests, 1 is at the target.
        offset: Offset from the target in metres.
        shape: "open", "fist", "point" or "spread".
        holds: Whether an object is drawn in it.
    """

    place: str
    weight: float
    offset: Vector = field(default_factory=lambda: np.zeros(3))
    shape: str = "open"
    holds: bool = False


@dataclass(frozen=True)
class Expression:
    """What a face shows besides blinking.

    Attributes:
        smile: Corners of the mouth up (to 1) or down (to -1).
        mouth_open: 0 closed to 1 wide open.
        brow_lift: Brows up (to 1) or down (to -1).
        brow_slant: Inner ends of the brows up (to 1) or down (to -1).
    """

    smile: float = 0.0
    mouth_open: float = 0.0
    brow_lift: float = 0.0
    brow_slant: float = 0.0

    def scaled(self, strength: float) -> "Expression":
        """The expression from neutral (0) to full (1)."""
        return Expression(
            self.smile * strength,
            self.mouth_open * strength,
            self.brow_lift * strength,
            self.brow_slant * strength,
        )


@dataclass
class Pose:
    """All degrees of freedom, in radians and metres; motions add to them.

    Without an expression the face has a plain mouth and brows.
    """

    torso_pitch: float = 0.0
    torso_yaw: float = 0.0
    torso_roll: float = 0.0
    torso_stretch: float = 0.0
    sway: float = 0.0
    hip_lift: float = 0.0
    head_pitch: float = 0.0
    head_yaw: float = 0.0
    head_roll: float = 0.0
    shoulder_lift: list[float] = field(default_factory=lambda: [0.0, 0.0])
    hands: list[HandCommand | None] = field(default_factory=lambda: [None, None])
    knee_spread: list[float] = field(default_factory=lambda: [0.0, 0.0])
    knee_lift: list[float] = field(default_factory=lambda: [0.0, 0.0])
    shin_swing: list[float] = field(default_factory=lambda: [0.0, 0.0])
    heel_lift: list[float] = field(default_factory=lambda: [0.0, 0.0])
    cross: list[float] = field(default_factory=lambda: [0.0, 0.0])
    finger_phase: list[float] = field(default_factory=lambda: [0.0, 0.0])
    blink: float = 0.0
    expression: Expression | None = None


@dataclass(frozen=True)
class Joints:
    """Positions in metres, shape (3,) each; pairs are (right, left)."""

    pelvis: Vector
    neck: Vector
    head: Vector
    head_frame: NDArray[np.float64]
    torso_frame: NDArray[np.float64]
    shoulders: tuple[Vector, Vector]
    elbows: tuple[Vector, Vector]
    wrists: tuple[Vector, Vector]
    hips: tuple[Vector, Vector]
    knees: tuple[Vector, Vector]
    ankles: tuple[Vector, Vector]
    toes: tuple[Vector, Vector]


def rotation(pitch: float, yaw: float, roll: float) -> NDArray[np.float64]:
    """Rotation by roll (about z), then pitch (forward about x), then yaw (about y)."""
    cp, sp, cy, sy, cr, sr = (
        *(math.cos(pitch), math.sin(pitch)),
        *(math.cos(yaw), math.sin(yaw)),
        *(math.cos(roll), math.sin(roll)),
    )
    # about_y @ about_x @ about_z, multiplied out, because this runs twice per frame.
    return np.array(
        [
            [cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp],
            [cp * sr, cp * cr, -sp],
            [-sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp],
        ]
    )


def two_bones(
    root: Vector, target: Vector, *, first: float, second: float, hint: Vector
) -> tuple[Vector, Vector]:
    """Middle and end of a chain of two bones that reaches from ``root`` towards ``target``.

    A target out of reach is approached as far as the bones go; ``hint`` is the side to which the
    middle bends.
    """
    line = target - root
    distance = math.hypot(*line) or 1e-6
    direction = line / distance
    reach = min(distance, 0.998 * (first + second))
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    height = math.sqrt(max(first**2 - along**2, 0.0))
    bend = hint - (hint @ direction) * direction
    bend = bend / (math.hypot(*bend) or 1.0)
    return root + along * direction + height * bend, root + reach * direction


SEAT_HEIGHT = 0.46
# From the wrist to the parts of the fingers that touch.
HAND_LENGTH = 0.12


def solve(subject: Subject, pose: Pose) -> Joints:
    """Joints of the person in this pose."""
    pelvis = np.array([pose.sway, SEAT_HEIGHT + pose.hip_lift, 0.02 + 0.35 * pose.hip_lift])
    torso_frame = rotation(pose.torso_pitch, pose.torso_yaw, pose.torso_roll)
    torso = subject.torso * (1 + pose.torso_stretch)
    neck = pelvis + torso_frame @ np.array([0.0, torso, 0.0])
    head_frame = torso_frame @ rotation(pose.head_pitch, pose.head_yaw, pose.head_roll)
    neck_top = neck + torso_frame @ np.array([0.0, 0.07, 0.01])
    head = neck_top + head_frame @ np.array([0.0, 0.85 * subject.head[1], 0.015])
    shoulders = tuple(
        neck
        + torso_frame
        @ np.array([SIDE_X[i] * subject.shoulder_half, -0.02 + pose.shoulder_lift[i], 0.0])
        for i in (0, 1)
    )
    legs = [_leg(subject, pose, pelvis, i) for i in (0, 1)]
    hips, knees, ankles, toes = (tuple(leg[k] for leg in legs) for k in range(4))
    elbows, wrists = [], []
    partial = (pelvis, neck, head, head_frame, torso_frame, shoulders, knees, ankles)
    for i in (0, 1):
        hint = torso_frame @ np.array([SIDE_X[i] * 0.9, -0.8, -0.35])
        target = rest = _rest(subject, partial, i)
        command = pose.hands[i]
        if command is not None:
            goal = _place(subject, partial, command.place, i) + torso_frame @ command.offset
            goal = _wrist_for(subject, shoulders[i], goal, hint)
            target = rest + command.weight * (goal - rest)
            # Around the body rather than through it: the path bows forward halfway.
            target = target + np.array([0, 0, 0.22 * math.sin(math.pi * min(command.weight, 1.0))])
        elbow, wrist = _arm(subject, shoulders[i], target, hint)
        elbows.append(elbow)
        wrists.append(wrist)
    return Joints(
        pelvis,
        neck,
        head,
        head_frame,
        torso_frame,
        shoulders,
        tuple(elbows),  # type: ignore[arg-type]
        tuple(wrists),  # type: ignore[arg-type]
        hips,  # type: ignore[arg-type]
        knees,  # type: ignore[arg-type]
        ankles,  # type: ignore[arg-type]
        toes,  # type: ignore[arg-type]
    )


def _arm(subject: Subject, shoulder: Vector, wrist: Vector, hint: Vector) -> tuple[Vector, Vector]:
    """Positions of elbow and wrist."""
    first, second = subject.upper_arm, subject.forearm
    return two_bones(shoulder, wrist, first=first, second=second, hint=hint)


def _wrist_for(subject: Subject, shoulder: Vector, touched: Vector, hint: Vector) -> Vector:
    """Position of the wrist for the fingers, which extend the forearm, to touch a point."""
    wrist = touched
    for _ in range(6):
        elbow, reached = _arm(subject, shoulder, wrist, hint)
        forearm = (reached - elbow) / subject.forearm
        wrist = touched - HAND_LENGTH * forearm
    return wrist


def _leg(
    subject: Subject, pose: Pose, pelvis: Vector, i: int
) -> tuple[Vector, Vector, Vector, Vector]:
    side = SIDE_X[i]
    hip = pelvis + np.array([side * 0.09, -0.02, 0.06])
    spread = 0.16 + pose.knee_spread[i] - 0.62 * pose.cross[i]
    # Standing up turns the thighs down; a raised heel raises the knee a little.
    lift = pose.knee_lift[i] + 0.16 * pose.heel_lift[i] + 0.3 * pose.cross[i] - 1.6 * pose.hip_lift
    thigh = np.array([side * math.sin(spread), math.sin(lift), math.cos(spread) * math.cos(lift)])
    knee = hip + subject.thigh * thigh / math.hypot(*thigh)
    swing = pose.shin_swing[i] + 0.35 * pose.cross[i]
    shin = np.array([-side * 0.35 * pose.cross[i], -math.cos(swing), math.sin(swing)])
    ankle = knee + subject.shin * shin / math.hypot(*shin)
    drop = 0.05 + 0.09 * pose.heel_lift[i]
    toe = ankle + np.array([side * 0.03, -drop, 0.15])
    return hip, knee, ankle, toe


def _rest(subject: Subject, partial: tuple, i: int) -> Vector:
    pelvis, *_, knees, _ = partial
    side = SIDE_X[i]
    if subject.rest_style == 0:  # on the thighs
        return 0.6 * pelvis + 0.4 * knees[i] + np.array([0.0, 0.1, 0.05])
    if subject.rest_style == 1:  # beside the hips
        return pelvis + np.array([side * 0.26, 0.02, 0.08])
    return pelvis + np.array([side * 0.1, 0.12, 0.16])  # in the lap


def _place(subject: Subject, partial: tuple, place: str, i: int) -> Vector:
    """Position of the target of hand ``i``."""
    pelvis, neck, head, head_frame, torso_frame, shoulders, knees, ankles = partial
    side = SIDE_X[i]
    if place in HEAD_PLACES:
        x, y, z = HEAD_PLACES[place]
        return head + head_frame @ (np.array([side * x, y, z]) * (subject.head + 0.02))
    on_torso = {
        "neck": (side * 0.07, 0.05, 0.07),
        "chest": (side * -0.02, -0.16, 0.17),
        "back": (side * 0.14, -0.22, -0.16),
        "belly": (side * 0.03, -0.34, 0.24),
        "front": (side * 0.16, -0.22, 0.34),
        "wide": (side * 0.46, -0.26, 0.18),
        "beside_head": (side * 0.36, 0.16, 0.2),
        "overhead": (side * 0.34, 0.4, 0.08),
        "pulled_back": (side * 0.3, -0.34, -0.12),
        "hip_side": (side * 0.2, -0.44, 0.04),
        "object": (side * 0.05, -0.26, 0.3),
        "fist": (side * 0.2, -0.3, 0.32),
        "fingers": (side * 0.18, -0.36, 0.3),
    }
    if place in on_torso:
        return neck + torso_frame @ np.array(on_torso[place])
    other = 1 - i
    if place == "other_shoulder":
        return shoulders[other] + torso_frame @ np.array([0.0, 0.03, 0.1])
    if place == "other_elbow":
        return neck + torso_frame @ np.array([-side * 0.2, -0.26, 0.16])
    if place == "other_arm":
        return neck + torso_frame @ np.array([-side * 0.24, -0.2, 0.12])
    if place == "thigh":
        return 0.45 * pelvis + 0.55 * knees[i] + np.array([0.0, 0.11, 0.04])
    if place == "knee":
        return knees[i] + np.array([0.0, 0.08, 0.05])
    if place == "foot":
        return ankles[i] + np.array([side * 0.02, 0.16, 0.08])
    raise KeyError(place)
