"""Domains: other places and cameras than the plain room, for studies of domain shift.

Persons and what they do are the same in all of them: a video of another domain has the annotations
of the room's with the same seed. What differs is what a model could have learnt by mistake:
background and what moves in it, viewpoint and movement of the camera, colour, sharpness.

Images are uint8 (H, W, 3), RGB; positions are shares of the image's sides.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
DomainName = Literal["room", "street", "ward", "studio"]


@dataclass(frozen=True)
class Camera:
    """How a domain is filmed.

    Attributes:
        elevation: Added to the angle from which the person is seen, in radians.
        zoom: Factor of the size of the person.
        shake: Largest movement of a camera in the hand, as a share of the height.
        push_in: How much larger the image becomes in a minute, as a share.
        tint: Factors of red, green and blue.
        sharpness: Side of the image that the camera resolves, as a share; 1: all of it.
    """

    elevation: float = 0.0
    zoom: float = 1.0
    shake: float = 0.0
    push_in: float = 0.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    sharpness: float = 1.0


class Scene(ABC):
    """What is behind a person, frame by frame.

    Args:
        width, height: Size of the image in pixels.
        fps: Frames per second.
        rng: Generator of everything in it.
    """

    def __init__(self, *, width: int, height: int, fps: float, rng: np.random.Generator) -> None:
        self.width, self.height, self.fps, self.rng = width, height, fps, rng
        self._still = self.still()

    @abstractmethod
    def still(self) -> Image:
        """What does not move."""

    @abstractmethod
    def move(self, image: Image, seconds: float) -> None:
        """Draw what moves, at a time, into an image."""

    def __call__(self, frame: int) -> Image:
        """The image behind the person in a frame."""
        image = self._still.copy()
        self.move(image, frame / self.fps)
        return image

    def at(self, x: float, y: float) -> tuple[int, int]:
        """The pixel at shares of the sides."""
        return round(x * self.width), round(y * self.height)

    def colour(self, low: int, high: int) -> tuple[int, int, int]:
        """A random colour."""
        red, green, blue = (int(value) for value in self.rng.integers(low, high, 3))
        return red, green, blue


def _ramp(top: tuple[int, ...], bottom: tuple[int, ...], rows: int, columns: int) -> Image:
    """Rows of colours between two."""
    share = np.linspace(0, 1, max(rows, 1))[:, None, None]
    colours = (1 - share) * np.array(top) + share * np.array(bottom)
    return np.broadcast_to(colours, (max(rows, 1), columns, 3)).astype(np.uint8).copy()


class Street(Scene):
    """An interview on the pavement: facades, people who walk past, cars behind them."""

    _HORIZON = 0.62

    def still(self) -> Image:
        """As in `Scene`: sky, houses with windows, road and pavement."""
        image = _ramp((150, 185, 225), (210, 220, 230), self.height, self.width)
        left = -0.1
        while left < 1.0:
            wide, top = self.rng.uniform(0.18, 0.38), self.rng.uniform(0.02, 0.25)
            wall = self.colour(110, 220)
            cv2.rectangle(image, self.at(left, top), self.at(left + wide, self._HORIZON), wall, -1)
            pane = tuple(int(0.45 * value) for value in wall)
            for row in np.arange(top + 0.05, self._HORIZON - 0.1, 0.12):
                for column in np.arange(left + 0.03, left + wide - 0.05, 0.09):
                    corner = self.at(column + 0.05, row + 0.07)
                    cv2.rectangle(image, self.at(column, row), corner, pane, -1)
            left += wide
        cv2.rectangle(image, self.at(0, self._HORIZON), self.at(1, 0.74), (95, 95, 100), -1)
        cv2.rectangle(image, self.at(0, 0.74), self.at(1, 1), (165, 160, 155), -1)
        # Start, speed in widths a second, colour, and size or step of what passes.
        self._cars = [
            (*self.rng.uniform((0, 0.15), (2, 0.4)), self.colour(30, 220)) for _ in range(3)
        ]
        self._walkers = [
            (*self.rng.uniform((0, 0.06), (2, 0.16)), self.colour(20, 200)) for _ in range(5)
        ]
        self._ways = self.rng.choice([-1, 1], len(self._cars) + len(self._walkers))
        return image

    def move(self, image: Image, seconds: float) -> None:
        """As in `Scene`."""
        for (start, speed, colour), way in zip(self._cars, self._ways, strict=False):
            x = (start + way * speed * seconds) % 2.0 - 0.5
            cv2.rectangle(image, self.at(x, 0.6), self.at(x + 0.34, 0.69), colour, -1)
            cv2.rectangle(image, self.at(x + 0.07, 0.54), self.at(x + 0.26, 0.6), colour, -1)
            for wheel in (0.08, 0.27):
                radius = max(1, round(0.03 * self.height))
                cv2.circle(image, self.at(x + wheel, 0.7), radius, (25, 25, 25), -1)
        for (start, speed, colour), way in zip(
            self._walkers, self._ways[len(self._cars) :], strict=False
        ):
            self._walk(image, (start + way * speed * seconds) % 2.0 - 0.5, seconds, colour)

    def _walk(self, image: Image, x: float, seconds: float, colour: tuple[int, int, int]) -> None:
        thick = max(1, round(0.035 * self.height))
        stride = 0.05 * math.sin(2 * math.pi * 0.9 * seconds + 20 * x)
        for side in (-1, 1):
            cv2.line(image, self.at(x, 0.62), self.at(x + side * stride, 0.78), (45, 45, 60), thick)
        cv2.line(image, self.at(x, 0.45), self.at(x, 0.63), colour, round(1.6 * thick))
        cv2.circle(image, self.at(x, 0.4), max(1, thick), (200, 160, 130), -1)


class Ward(Scene):
    """A room of a hospital: bed, curtain that stirs, a monitor with a moving trace."""

    def still(self) -> Image:
        """As in `Scene`."""
        image = _ramp((214, 224, 222), (196, 208, 206), self.height, self.width)
        cv2.rectangle(image, self.at(0, 0.78), self.at(1, 1), (170, 178, 175), -1)
        side = 0.0 if self.rng.random() < 0.5 else 0.55
        cv2.rectangle(image, self.at(side, 0.52), self.at(side + 0.45, 0.7), (240, 242, 245), -1)
        for post in np.linspace(side, side + 0.45, 6):
            cv2.line(image, self.at(post, 0.46), self.at(post, 0.72), (150, 155, 160), 1)
        cv2.line(image, self.at(side, 0.46), self.at(side + 0.45, 0.46), (150, 155, 160), 1)
        self._curtain = (0.62 if side < 0.5 else 0.0, self.colour(110, 190))
        self._screen = (float(self.rng.uniform(0.05, 0.8)), float(self.rng.uniform(0.08, 0.2)))
        self._beat = float(self.rng.uniform(0.9, 1.5))
        return image

    def move(self, image: Image, seconds: float) -> None:
        """As in `Scene`."""
        left, colour = self._curtain
        for fold in range(12):
            x = left + 0.38 * fold / 12 + 0.006 * math.sin(0.9 * seconds + 0.8 * fold)
            shade = 0.85 + 0.15 * math.sin(1.7 * fold)
            tone = tuple(int(shade * value) for value in colour)
            cv2.rectangle(image, self.at(x, 0), self.at(x + 0.034, 0.76), tone, -1)
        x, y = self._screen
        cv2.rectangle(image, self.at(x, y), self.at(x + 0.16, y + 0.13), (15, 25, 30), -1)
        at = np.linspace(0, 1, 24)
        phase = (self._beat * (seconds - 1.5 * (1 - at))) % 1.0
        height = 0.02 * np.sin(2 * np.pi * phase) + 0.05 * np.exp(-(((phase - 0.3) / 0.05) ** 2))
        trace = [
            self.at(x + 0.01 + 0.14 * a, y + 0.08 - h) for a, h in zip(at, height, strict=True)
        ]
        cv2.polylines(image, [np.array(trace, np.int32)], isClosed=False, color=(60, 230, 90))
        if (self._beat * seconds) % 1.0 < 0.3:
            cv2.circle(image, self.at(x + 0.14, y + 0.02), 1, (240, 60, 60), -1)


class Studio(Scene):
    """A television studio: dark walls, panels of light that change, a moving banner."""

    def still(self) -> Image:
        """As in `Scene`."""
        image = _ramp((20, 22, 40), (48, 40, 66), self.height, self.width)
        cv2.rectangle(image, self.at(0, 0.8), self.at(1, 1), (28, 26, 36), -1)
        cv2.ellipse(image, self.at(0.5, 0.88), self.at(0.42, 0.1), 0, 0, 360, (70, 66, 84), -1)
        self._hue = float(self.rng.uniform(0, 180))
        self._letters = [
            (float(self.rng.uniform(0, 1.2)), float(self.rng.uniform(0.02, 0.06)))
            for _ in range(14)
        ]
        return image

    def move(self, image: Image, seconds: float) -> None:
        """As in `Scene`."""
        for number, x in enumerate((0.03, 0.2, 0.72, 0.89)):
            hue = (self._hue + 12 * seconds + 25 * number) % 180
            light = 150 + 70 * math.sin(1.3 * seconds + 1.7 * number)
            pixel = np.array([[[hue, 190, light]]]).astype(np.uint8)
            panel = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
            colour = tuple(int(value) for value in panel)
            cv2.rectangle(image, self.at(x, 0.06), self.at(x + 0.08, 0.72), colour, -1)
        cv2.rectangle(image, self.at(0, 0.92), self.at(1, 1), (150, 25, 35), -1)
        for start, wide in self._letters:
            x = (start - 0.12 * seconds) % 1.2 - 0.1
            cv2.rectangle(image, self.at(x, 0.945), self.at(x + wide, 0.975), (235, 235, 235), -1)


@dataclass(frozen=True)
class Domain:
    """A place and its camera.

    Attributes:
        scene: Makes what is behind the person; None: the person's own room.
        camera: How it is filmed.
    """

    scene: Callable[..., Scene] | None = None
    camera: Camera = Camera()


DOMAINS: Mapping[DomainName, Domain] = {
    "room": Domain(),
    "street": Domain(Street, Camera(zoom=1.12, shake=0.015, tint=(1.05, 1.0, 0.92))),
    "ward": Domain(Ward, Camera(elevation=0.3, zoom=0.85, tint=(0.93, 1.0, 1.04), sharpness=0.6)),
    "studio": Domain(Studio, Camera(zoom=1.05, push_in=0.4, tint=(1.0, 0.97, 1.08))),
}


class Filming:
    """What the camera of a domain does to the frames of one video, in order.

    Args:
        camera: The camera.
        fps: Frames per second.
        rng: Generator of the movements of the hand.
    """

    def __init__(self, camera: Camera, *, fps: float, rng: np.random.Generator) -> None:
        self._camera, self._fps = camera, fps
        # Slow swaying and faster trembling, in both directions.
        self._rates = rng.uniform((0.2, 0.2, 1.2, 1.2), (0.6, 0.6, 2.5, 2.5))
        self._phases = rng.uniform(0, 2 * np.pi, 4)
        self._frame = 0

    def __call__(self, image: Image) -> Image:
        """The frame as this camera sees it, same shape."""
        camera, seconds = self._camera, self._frame / self._fps
        self._frame += 1
        height, width = image.shape[:2]
        if camera.shake or camera.push_in:
            waves = np.sin(2 * np.pi * self._rates * seconds + self._phases) * (1, 1, 0.3, 0.3)
            shift = camera.shake * height * np.array([waves[0] + waves[2], waves[1] + waves[3]])
            scale = 1 + camera.push_in * seconds / 60 + 2.6 * camera.shake
            middle = np.array([width, height]) / 2
            view = np.array([[scale, 0, 0], [0, scale, 0]])
            view[:, 2] = middle - scale * middle + shift
            image = cv2.warpAffine(
                image, view, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )  # type: ignore[assignment]
        if camera.sharpness < 1:
            small = (
                max(2, round(camera.sharpness * width)),
                max(2, round(camera.sharpness * height)),
            )
            image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        if camera.tint != (1.0, 1.0, 1.0):
            image = np.clip(image * np.array(camera.tint), 0, 255).astype(np.uint8)
        return image
