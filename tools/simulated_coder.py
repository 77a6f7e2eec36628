"""A simulated coder: knows what happens in the videos, and decides on the page of mmad review.

It sees and does what a person does: reads the card of the selected detection, presses the keys, and
drags in the row "new" of the timeline.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Truth = tuple[float, float, str]
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Selected:
    """What the card shows."""

    video: str
    name: str
    start_seconds: float
    end_seconds: float


@dataclass
class Coder:
    """A person in front of the page.

    Attributes:
        page: Page of Playwright, open and ready.
        truth: Start, end in seconds and behaviour of all that happens in each video.
        least_overlap: tIoU from which a detection is taken as what happens there.
        decisions: Seconds of page time of each decision, from the key to the next detection.
    """

    page: Any
    truth: Mapping[str, Sequence[Truth]]
    least_overlap: float = 0.3
    decisions: list[float] = field(default_factory=list)

    def wait(self, condition: str) -> None:
        """Wait for a condition of the page; raises SystemExit when it takes too long."""
        end = time.monotonic() + _TIMEOUT_SECONDS
        while not self.page.evaluate(condition):
            if time.monotonic() > end:
                raise SystemExit(f"the page: after {_TIMEOUT_SECONDS:g} s still not: {condition}")
            self.page.wait_for_timeout(10)

    def enter(self, name: str) -> None:
        """Give a name, and wait for the first video."""
        self.wait("document.querySelector('#who-dialog').open")
        self.page.fill("#who-name", name)
        self.page.click("#who-start")
        self.wait("document.documentElement.dataset.ready === 'true'")

    def selected(self) -> Selected:
        """What the card shows."""
        video, name, start, end = self.page.evaluate(
            """() => [document.querySelector("#video-pick").selectedOptions[0].textContent,
              document.querySelector("#card-name").textContent,
              document.querySelector("#start-text").textContent,
              document.querySelector("#end-text").textContent]"""
        )
        return Selected(re.sub(r" \([^()]*\)$", "", video), name, _seconds(start), _seconds(end))

    def decide(self, number: int) -> int:
        """Decide about so many detections of the queue; how many there were."""
        done = 0
        self.page.keyboard.press("n")
        while done < number and self._is_open():
            began = time.perf_counter()
            self._decide_one()
            self.decisions.append(time.perf_counter() - began)
            done += 1
        return done

    def draw(self, video: str, truth: Truth) -> None:
        """Draw what the model has missed, in a video that is open."""
        start, end, name = truth
        number = self._changes()
        x = self.page.evaluate(
            """async ([start, end]) => {
              const { timeline } = await import("/static/app.js");
              timeline.look(Math.max(0, start - 1), end + 1);
              const left = document.querySelector("#head").getBoundingClientRect().left;
              return [left + timeline.x(start), left + timeline.x(end)];
            }""",
            [start, end],
        )
        box = self.page.locator("#head").bounding_box()
        y = box["y"] + box["height"] - 8
        self.page.mouse.move(x[0], y)
        self.page.mouse.down()
        self.page.mouse.move(sum(x) / 2, y)
        self.page.mouse.move(x[1], y)
        self.page.mouse.up()
        self.choose(name)
        self.wait(f"{_CHANGES} > {number}")

    def choose(self, name: str) -> None:
        """Choose a behaviour in the dialog, or add it."""
        self.wait("document.querySelector('#label-dialog').open")
        self.page.fill("#label-search", name)
        if self.page.is_visible("#label-new"):
            self.page.click("#label-new")
        else:
            self.page.keyboard.press("Enter")

    def open_video(self, name: str) -> None:
        """Open a video by its name."""
        number = self.page.evaluate(
            """(name) => [...document.querySelector("#video-pick").options]
              .find((one) => one.textContent.replace(/ \\([^()]*\\)$/, "") === name)?.value""",
            name,
        )
        if number is None:
            raise SystemExit(f"the page: has no video '{name}'")
        self.page.select_option("#video-pick", number)
        self.wait(
            "import('/static/store.js').then(({ store }) => "
            f"store.video.id === {int(number)} && store.annotator !== '')"
        )

    def missed(self, video: str, coded: Sequence[Truth]) -> Iterator[Truth]:
        """What happens in a video and is not among what was coded."""
        for one in self.truth[video]:
            if not any(_overlap(one, other) >= self.least_overlap for other in coded):
                yield one

    def _decide_one(self) -> None:
        one = self.selected()
        there = [
            (_overlap((one.start_seconds, one.end_seconds, one.name), each), each[2])
            for each in self.truth[one.video]
        ]
        there = [each for each in there if each[0] >= self.least_overlap]
        number, before = self._changes(), self._key()
        if any(_same(one.name, name) for _, name in there):
            self.page.keyboard.press("a")
        elif there:
            self.page.keyboard.press("r")
            self.choose(max(there)[1])
        else:
            self.page.keyboard.press("x")
        self.wait(f"{_CHANGES} > {number}")
        self.wait(f"{_KEY} !== {before!r} || !{_IS_OPEN}")

    def _changes(self) -> int:
        return int(self.page.evaluate(_CHANGES))

    def _key(self) -> str:
        return str(self.page.evaluate(_KEY))

    def _is_open(self) -> bool:
        self.page.wait_for_timeout(20)
        return bool(self.page.evaluate(_IS_OPEN))


_CHANGES = "Number(document.querySelector('#undo').dataset.number ?? 0)"
_KEY = (
    "[document.querySelector('#video-pick').value, "
    "document.querySelector('#list').getAttribute('aria-activedescendant')].join(' ')"
)
_IS_OPEN = "document.querySelector('#card-state').dataset.state === 'open'"


def _seconds(text: str) -> float:
    """Seconds of a time such as 1:02.340.

    >>> _seconds("1:02.340")
    62.34
    """
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def _overlap(one: Truth, other: Truth) -> float:
    """tIoU of two stretches."""
    inside = min(one[1], other[1]) - max(one[0], other[0])
    return max(0.0, inside) / (max(one[1], other[1]) - min(one[0], other[0]))


def _same(shown: str, name: str) -> bool:
    """Whether the card shows a behaviour, with or without its code."""
    return shown == name or shown.endswith(f" {name}")
