"""Rendering of person, chair and room. Images are uint8 (H, W, 3), RGB.

All sizes are relative to the height of the image.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mmad.synthetic.domains import Scene
from mmad.synthetic.face import FACE_DIRECTIONS, FACE_SPOTS, LIPS, brow, mouth
from mmad.synthetic.skeleton import (
    SEAT_HEIGHT,
    SIDE_X,
    Expression,
    HandCommand,
    Joints,
    Pose,
    solve,
)
from mmad.synthetic.subjects import Colour, Subject

Image = NDArray[np.uint8]

# OpenCV takes coordinates in 1/16 pixel.
_SHIFT = 4
_ONE = 1 << _SHIFT
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6)
_NOISE_PICTURES = 4


@lru_cache(maxsize=4096)
def _tone(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(min(max(value * factor, 0), 255)) for value in colour)
    return red, green, blue


class Renderer:
    """Draws one subject at one image size.

    Args:
        subject: The subject.
        width, height: Size of the image in pixels.
        rng: Generator for what differs between videos of a subject: small changes of camera and
            light, sensor noise.
        glasses: Whether the subject wears some; None: as usual.
        scene: What is behind the subject; None: their own room.
        elevation, zoom: As in `mmad.synthetic.domains.Camera`.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        width: int,
        height: int,
        rng: np.random.Generator,
        glasses: bool | None = None,
        scene: Scene | None = None,
        elevation: float = 0.0,
        zoom: float = 1.0,
    ) -> None:
        self.subject = subject
        self._scene = scene
        self._frame = 0
        self.glasses = subject.glasses if glasses is None else glasses
        self.width, self.height = width, height
        azimuth = subject.azimuth + rng.normal(0, 0.03)
        elevation = subject.elevation + elevation + rng.normal(0, 0.01)
        ca, sa, ce, se = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
        turn = np.array([[ca, 0, -sa], [0, 1, 0], [sa, 0, ca]])
        tip = np.array([[1, 0, 0], [0, ce, -se], [0, se, ce]])
        self._view = tip @ turn
        self._centre = np.array([0.0, 0.68, 0.15])
        self._distance = 4.0
        self._pixels = height / 1.55 * subject.zoom * zoom
        self._middle = np.array([width / 2, height / 2]) + np.array(subject.shift) * height
        self._light = subject.light * rng.uniform(0.93, 1.07)
        self._noise_rng = rng
        self._background = self._draw_background()
        # Every frame uses a random slice of a tall field: as good as fresh noise, and much cheaper.
        tall = (_NOISE_PICTURES * height, width, 3)
        self._noise = rng.normal(0, subject.noise, tall).round().astype(np.int16)

    def frame(self, pose: Pose) -> Image:
        """The image of a pose, with fresh sensor noise."""
        joints = solve(self.subject, pose)
        image = self._behind()
        self._draw_person(image, pose, joints)
        start = int(self._noise_rng.integers(len(self._noise) - self.height))
        noise = self._noise[start : start + self.height]
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8)

    def _behind(self) -> Image:
        """What is behind the person in the next frame."""
        if self._scene is None:
            return self._background.copy()
        image = self._scene(self._frame)
        self._frame += 1
        self._draw_chair(image)
        return image

    def project(self, points: NDArray[np.float64]) -> tuple[NDArray, NDArray, NDArray]:
        """Pixels (N, 2), nearness (N,) and pixels per metre (N,) of points (N, 3)."""
        seen = (points.reshape(-1, 3) - self._centre) @ self._view.T
        near = seen[:, 2]
        scale = self._pixels * self._distance / (self._distance - near)
        pixels = seen[:, :2] * scale[:, None]
        pixels[:, 1] *= -1
        pixels += self._middle
        return pixels, near, scale

    # ---- room ----

    def _draw_background(self) -> Image:
        subject, rng = self.subject, np.random.default_rng(self.subject.clutter_seed)
        height, width = self.height, self.width
        ramp = np.linspace(1.08, 0.86, height)[:, None] * np.linspace(
            1 + 0.12 * subject.light_side, 1 - 0.12 * subject.light_side, width
        )
        wall = ramp[..., None] * np.array(subject.wall)
        coarse = rng.normal(0, 6, (max(2, height // 16), max(2, width // 16), 1)).astype(np.float32)
        texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
        image = np.clip((wall + texture) * self._light, 0, 255).astype(np.uint8)
        image = np.ascontiguousarray(image)
        horizon = int(height * rng.uniform(0.68, 0.8))
        floor = np.linspace(0.75, 1.1, height - horizon)[:, None, None] * np.array(subject.floor)
        image[horizon:] = np.clip(floor * self._light, 0, 255).astype(np.uint8)
        for _ in range(int(rng.integers(1, 5))):
            self._draw_furniture(image, rng, horizon)
        self._draw_chair(image)
        return image

    def _draw_furniture(self, image: Image, rng: np.random.Generator, horizon: int) -> None:
        height, width = image.shape[:2]
        colour = tuple(int(value) for value in rng.integers(30, 230, 3))
        box_h, box_w = (int(height * rng.uniform(0.12, 0.35)) for _ in range(2))
        x = int(rng.uniform(-0.1, 0.95) * width)
        kind = rng.integers(3)
        if kind == 0:  # a picture or window on the wall
            y = int(rng.uniform(0.02, 0.35) * height)
            cv2.rectangle(image, (x, y), (x + box_w, y + box_h), _tone(colour, 0.5), -1)
            edge = max(1, height // 60)
            inner = ((x + edge, y + edge), (x + box_w - edge, y + box_h - edge))
            cv2.rectangle(image, *inner, colour, -1)
        elif kind == 1:  # a cupboard on the floor
            y = horizon - box_h
            cv2.rectangle(image, (x, y), (x + box_w, horizon + box_h // 6), colour, -1)
            cv2.line(image, (x + box_w // 2, y), (x + box_w // 2, horizon), _tone(colour, 0.7), 1)
        else:  # a plant
            for _ in range(9):
                tip = (
                    x + int(rng.normal(0, 0.08) * height),
                    horizon - int(abs(rng.normal(0.22, 0.08)) * height),
                )
                green = (int(rng.integers(30, 90)), int(rng.integers(90, 170)), 50)
                cv2.line(image, (x, horizon), tip, green, max(1, height // 70), cv2.LINE_AA)

    def _draw_chair(self, image: Image) -> None:
        subject = self.subject
        colour = _tone(subject.chair, self._light)
        back = SEAT_HEIGHT + subject.chair_back
        panel = [
            (-0.24, SEAT_HEIGHT, -0.2),
            (0.24, SEAT_HEIGHT, -0.2),
            (0.22, back, -0.26),
            (-0.22, back, -0.26),
        ]
        self._polygon(image, np.array(panel), _tone(colour, 0.8))
        for x, z in ((-0.23, -0.18), (0.23, -0.18), (-0.23, 0.24), (0.23, 0.24)):
            foot = np.array([[x - 0.018, 0, z], [x + 0.018, 0, z]])
            leg = np.concatenate((foot, foot[::-1] + [0, SEAT_HEIGHT - 0.04, 0]))
            self._polygon(image, leg, _tone(colour, 0.55))
        seat = [(-0.26, SEAT_HEIGHT - 0.05, -0.22), (0.26, SEAT_HEIGHT - 0.05, -0.22)]
        seat += [(0.26, SEAT_HEIGHT - 0.05, 0.28), (-0.26, SEAT_HEIGHT - 0.05, 0.28)]
        self._polygon(image, np.array(seat), colour)
        front = [(-0.26, SEAT_HEIGHT - 0.05, 0.28), (0.26, SEAT_HEIGHT - 0.05, 0.28)]
        front += [(0.26, SEAT_HEIGHT - 0.1, 0.28), (-0.26, SEAT_HEIGHT - 0.1, 0.28)]
        self._polygon(image, np.array(front), _tone(colour, 0.7))
        if subject.armrests:
            for side in SIDE_X:
                rest = np.array([[side * 0.27, 0.66, -0.2], [side * 0.33, 0.66, -0.2]])
                rest = np.concatenate((rest, rest[::-1] + [0, 0, 0.4]))
                self._polygon(image, rest, _tone(colour, 0.9))

    def _polygon(self, image: Image, points: NDArray, colour: Colour) -> None:
        pixels, _, _ = self.project(points)
        corners = np.round(pixels * _ONE).astype(np.int32)
        cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA, _SHIFT)

    # ---- person ----

    def _draw_person(self, image: Image, pose: Pose, joints: Joints) -> None:
        subject = self.subject
        g = subject.girth
        skin, shirt, trousers = (
            _tone(colour, self._light) for colour in (subject.skin, subject.shirt, subject.trousers)
        )
        lower_sleeve = shirt if subject.sleeves_long else skin
        limbs: list[tuple[NDArray, NDArray, float, float, Colour, float]] = []
        for i in (0, 1):
            limbs += [
                (joints.hips[i], joints.knees[i], 0.085 * g, 0.062 * g, trousers, 0.0),
                (joints.knees[i], joints.ankles[i], 0.06 * g, 0.042 * g, _tone(trousers, 0.9), 0.0),
                (joints.ankles[i], joints.toes[i], 0.045, 0.034, subject.shoes, 0.02),
                (
                    joints.shoulders[i],
                    joints.elbows[i],
                    0.055 * g,
                    0.043 * g,
                    _tone(shirt, 0.93),
                    0.02,
                ),
                (
                    joints.elbows[i],
                    joints.wrists[i],
                    0.041 * g,
                    0.03 * g,
                    _tone(lower_sleeve, 1.05),
                    0.04,
                ),
            ]
        ends = np.array([limb[0] for limb in limbs] + [limb[1] for limb in limbs])
        pixels, near, scale = self.project(ends)
        n = len(limbs)
        radii = np.array([limb[2] for limb in limbs] + [limb[3] for limb in limbs]) * scale
        shapes = _capsules(pixels[:n], pixels[n:], radii[:n], radii[n:])
        light = np.array([subject.light_side, -0.5]) * 0.3
        bright = _capsules(
            pixels[:n] + light * radii[:n, None],
            pixels[n:] + light * radii[n:, None],
            0.55 * radii[:n],
            0.55 * radii[n:],
        )
        tasks = []
        for k, limb in enumerate(limbs):
            depth = 0.5 * (near[k] + near[n + k]) + limb[5]
            tasks.append((depth, "limb", k))
        middle = 0.5 * (joints.pelvis + joints.neck)
        depths = self.project(np.array([middle, joints.head, *joints.wrists]))[1].tolist()
        tasks += [(depths[0], "torso", 0), (depths[1], "head", 0)]
        tasks += [(depths[2 + i] + 0.06, "hand", i) for i in (0, 1)]
        for _, kind, k in sorted(tasks):
            if kind == "limb":
                colour = limbs[k][4]
                cv2.fillConvexPoly(image, shapes[k], _tone(colour, 0.72), cv2.LINE_AA, _SHIFT)
                cv2.fillConvexPoly(image, bright[k], _tone(colour, 1.08), cv2.LINE_AA, _SHIFT)
            elif kind == "torso":
                self._draw_torso(image, joints, shirt, trousers)
            elif kind == "head":
                self._draw_head(image, pose, joints, skin)
            else:
                self._draw_hand(image, pose, joints, k, skin)

    def _draw_torso(self, image: Image, joints: Joints, shirt: Colour, trousers: Colour) -> None:
        subject = self.subject
        hip, chest = 0.15 * subject.girth, 0.17 * subject.girth
        frame = joints.torso_frame
        right, left = joints.shoulders
        across = frame @ np.array([1.0, 0, 0])
        middle = 0.45 * joints.pelvis + 0.55 * joints.neck
        outline = np.array(
            [
                joints.neck - 0.06 * across + [0, 0.02, 0],
                right + [0, 0.03, 0],
                right - 0.04 * across + [0, -0.05, 0],
                middle - chest * across,
                joints.pelvis - hip * across,
                joints.pelvis + hip * across,
                middle + chest * across,
                left + 0.04 * across + [0, -0.05, 0],
                left + [0, 0.03, 0],
                joints.neck + 0.06 * across + [0, 0.02, 0],
            ]
        )
        pixels, _, scale = self.project(outline)
        corners = np.round(pixels * _ONE).astype(np.int32)
        cv2.fillPoly(image, [corners], _tone(shirt, 0.74), cv2.LINE_AA, _SHIFT)
        centre = pixels.mean(axis=0)
        shrunk = centre + (pixels - centre) * 0.72 + [subject.light_side * 0.02 * scale[0], 0]
        corners = np.round(shrunk * _ONE).astype(np.int32)
        cv2.fillPoly(image, [corners], shirt, cv2.LINE_AA, _SHIFT)
        neck = np.array([joints.neck + [0, -0.02, 0.02], joints.head + [0, -0.06, 0]])
        ends, _, scale = self.project(neck)
        radius = 0.045 * scale
        shape = _capsules(ends[:1], ends[1:], radius[:1], radius[1:])[0]
        cv2.fillConvexPoly(
            image, shape, _tone(subject.skin, 0.8 * self._light), cv2.LINE_AA, _SHIFT
        )

    def _ellipse(
        self, image: Image, centre: NDArray, axes: NDArray, angle: float, colour: Colour
    ) -> None:
        point = (round(float(centre[0]) * _ONE), round(float(centre[1]) * _ONE))
        size = (int(max(axes[0], 0.5) * _ONE), int(max(axes[1], 0.5) * _ONE))
        cv2.ellipse(image, point, size, angle, 0, 360, colour, -1, cv2.LINE_AA, _SHIFT)

    def _draw_head(self, image: Image, pose: Pose, joints: Joints, skin: Colour) -> None:
        subject, frame = self.subject, joints.head_frame
        rx, ry, rz = subject.head
        hair = _tone(subject.hair, self._light)
        anchors = np.array(
            [
                joints.head + frame @ [0, 0.12 * ry, -0.25 * rz],
                joints.head + frame @ [0, -0.1 * ry, 0.28 * rz],
                joints.head + frame @ [0, -0.35 * ry * subject.hair_length, -0.45 * rz],
                joints.head,
                joints.head + frame @ [0, ry, 0],
                joints.head + frame @ [subject.light_side * 0.25 * rx, 0.0, 0.5 * rz],
            ]
        )
        pixels, _, scale = self.project(anchors)
        s = scale[0]
        up = pixels[4] - pixels[3]
        angle = float(np.degrees(np.arctan2(up[0], -up[1])))
        nod = max(0.75, abs(float((self._view @ frame)[1, 1])))
        if subject.hair_length > 0.5:
            self._ellipse(image, pixels[2], np.array([rx * 1.3, ry]) * s, angle, _tone(hair, 0.8))
        self._ellipse(image, pixels[0], np.array([rx * 1.14, ry * 1.08]) * s, angle, hair)
        face = np.array([rx * 0.96, ry * 0.93 * nod]) * s
        self._ellipse(image, pixels[1], face, angle, _tone(skin, 0.84))
        self._ellipse(image, pixels[5], face * 0.78, angle, skin)
        self._draw_face(image, pose, joints, skin, s)

    def _draw_face(
        self, image: Image, pose: Pose, joints: Joints, skin: Colour, scale: float
    ) -> None:
        subject, frame = self.subject, joints.head_frame
        points = joints.head + (FACE_SPOTS * subject.head) @ frame.T
        pixels, _, _ = self.project(points)
        facing = (FACE_DIRECTIONS @ (self._view @ frame)[2]).tolist()
        unit = subject.head[0] * scale
        thin = max(1, round(0.12 * unit))
        fixed = [tuple(point) for point in np.round(pixels * _ONE).astype(int).tolist()]

        def line(a: int, b: int, colour: Colour, thickness: int) -> None:
            cv2.line(image, fixed[a], fixed[b], colour, thickness, cv2.LINE_AA, _SHIFT)

        for i in (0, 1):
            if facing[8 + i] > 0.1:
                self._ellipse(
                    image, pixels[8 + i], np.array([0.16, 0.28]) * unit, 0, _tone(skin, 0.8)
                )
            if facing[i] < 0.2:
                continue
            if pose.blink:
                self._ellipse(image, pixels[i], np.array([0.2, 0.05]) * unit, 0, _tone(skin, 0.5))
            else:
                self._ellipse(image, pixels[i], np.array([0.22, 0.15]) * unit, 0, (240, 240, 240))
                self._ellipse(image, pixels[i], np.array([0.11, 0.13]) * unit, 0, (30, 25, 20))
            if pose.expression is None:
                self._ellipse(image, pixels[2 + i], np.array([0.26, 0.06]) * unit, 0, subject.hair)
            if self.glasses:
                size = (int(0.33 * unit * _ONE), int(0.27 * unit * _ONE))
                cv2.ellipse(
                    image, fixed[i], size, 0, 0, 360, (20, 20, 20), thin, cv2.LINE_AA, _SHIFT
                )
        if facing[5] > 0.0:
            line(4, 5, _tone(skin, 0.62), max(1, round(0.16 * unit)))
        if pose.expression is not None:
            self._draw_expression(image, pose.expression, joints, scale)
        elif facing[6] > 0.1 and facing[7] > 0.1:
            line(6, 7, LIPS, max(1, round(0.14 * unit)))
        if self.glasses and facing[0] > 0.2 and facing[1] > 0.2:
            line(0, 1, (20, 20, 20), thin)

    def _draw_expression(
        self, image: Image, expression: Expression, joints: Joints, scale: float
    ) -> None:
        """Draw brows and mouth as the expression moves them."""
        subject = self.subject
        unit = subject.head[0] * scale
        for side in SIDE_X:
            self._stroke(image, brow(expression, side), joints, subject.hair, 0.14 * unit)
        lips = mouth(expression)
        if expression.mouth_open > 0.15:
            pixels, is_seen = self._on_face(lips, joints)
            if is_seen:
                corners = np.round(pixels * _ONE).astype(np.int32)
                cv2.fillPoly(image, [corners], (60, 20, 25), cv2.LINE_AA, _SHIFT)
        half = len(lips) // 2
        for lip in (lips[:half], lips[half:]):
            self._stroke(image, lip, joints, LIPS, 0.12 * unit)

    def _on_face(self, spots: NDArray[np.float64], joints: Joints) -> tuple[NDArray, bool]:
        """Pixels of points in half axes of the head, and whether all of them face the camera."""
        frame = joints.head_frame
        pixels, _, _ = self.project(joints.head + (spots * self.subject.head) @ frame.T)
        directions = spots / np.linalg.norm(spots, axis=1, keepdims=True)
        return pixels, bool((directions @ (self._view @ frame)[2] > 0.1).all())

    def _stroke(
        self,
        image: Image,
        spots: NDArray[np.float64],
        joints: Joints,
        colour: Colour,
        width: float,
    ) -> None:
        pixels, is_seen = self._on_face(spots, joints)
        if is_seen:
            path = np.round(pixels * _ONE).astype(np.int32)
            thickness = max(1, round(width))
            cv2.polylines(image, [path], False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def face_box(self, pose: Pose) -> tuple[float, float, float, float] | None:
        """Left, top, width and height in pixels of the face, hidden by hands or not; None if it is
        turned away or outside of the image.
        """
        joints = solve(self.subject, pose)
        rx, ry, rz = self.subject.head
        frame = joints.head_frame
        nose = FACE_DIRECTIONS[4] @ (self._view @ frame)[2]
        pixels, _, scale = self.project(joints.head + frame @ [0, -0.1 * ry, 0.28 * rz])
        (x, y), width, height = pixels[0].tolist(), 1.92 * rx * scale[0], 1.86 * ry * scale[0]
        left, top = x - width / 2, y - height / 2
        is_inside = (
            left < self.width and top < self.height and left + width > 0 and top + height > 0
        )
        return (left, top, width, height) if nose > 0.1 and is_inside else None

    def _draw_hand(self, image: Image, pose: Pose, joints: Joints, i: int, skin: Colour) -> None:
        command = pose.hands[i] or HandCommand("thigh", 0.0)
        shape = command.shape if command.weight > 0.3 else "open"
        wrist, elbow = joints.wrists[i], joints.elbows[i]
        arm = (wrist - elbow) / (math.dist(wrist, elbow) or 1.0)
        palm = wrist + 0.045 * arm
        # Across the arm, in the image plane.
        norm = math.hypot(arm[0], arm[1])
        sideways = np.array([arm[1], -arm[0], 0.0]) / norm if norm > 1e-3 else np.array([1.0, 0, 0])
        spread = {"open": 0.25, "spread": 0.62, "fist": 0.0, "point": 0.0}[shape]
        spread *= 1 + 0.5 * np.sin(3 * pose.finger_phase[i])
        fingers = np.array({"fist": (), "point": (0.0,)}.get(shape, (-1.5, -0.5, 0.5, 1.5)))
        tips = palm + (0.1 if shape != "point" else 0.12) * (
            arm + spread * fingers[:, None] * sideways
        )
        angle = 2.0 * pose.finger_phase[i]
        bar = np.array([np.cos(angle), np.sin(angle), 0.0]) * 0.09
        pixels, _, (scale, *_) = self.project(
            np.concatenate(([palm, palm + bar, palm - bar], tips))
        )
        centre, radius = pixels[0], 0.042 * scale
        points = [tuple(point) for point in np.round(pixels * _ONE).astype(int).tolist()]
        if command.holds and command.weight > 0.3:
            thickness = max(1, round(0.03 * scale))
            cv2.line(image, points[1], points[2], (220, 40, 40), thickness, cv2.LINE_AA, _SHIFT)
        self._ellipse(image, centre, np.array([radius, radius]), 0, _tone(skin, 0.8))
        thickness = max(1, round(0.02 * scale))
        for end in points[3:]:
            cv2.line(image, points[0], end, _tone(skin, 0.92), thickness, cv2.LINE_AA, _SHIFT)
        highlight = centre + np.array([self.subject.light_side, -0.6]) * 0.2 * radius
        self._ellipse(image, highlight, np.array([0.62, 0.62]) * radius, 0, _tone(skin, 1.04))


def _capsules(a: NDArray, b: NDArray, radius_a: NDArray, radius_b: NDArray) -> NDArray[np.int32]:
    """Outlines of tapered limbs in 1/16 pixel, shape (N, 12, 2).

    Ends (N, 2), radii (N,) in pixels.
    """
    line = b - a
    angle = np.arctan2(line[:, 1], line[:, 0])[:, None]
    far = angle + _ARC
    back = far + np.pi
    tip = b[:, None] + radius_b[:, None, None] * np.stack((np.cos(far), np.sin(far)), axis=-1)
    tail = a[:, None] + radius_a[:, None, None] * np.stack((np.cos(back), np.sin(back)), axis=-1)
    return np.round(np.concatenate((tip, tail), axis=1) * _ONE).astype(np.int32)
