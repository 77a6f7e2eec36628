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
_TIMEOUT_SECONDS = 60.0
_TEACH_SECONDS = 600.0


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

    def wait(self, condition: str, *, seconds: float = _TIMEOUT_SECONDS) -> None:
        """Wait for a condition of the page; raises SystemExit when it takes too long."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            if time.monotonic() > end:
                raise SystemExit(f"the page: after {seconds:g} s still not: {condition}")
            self.page.wait_for_timeout(10)

    def enter(self, name: str) -> None:
        """Give a name, and wait for the first video."""
        self.wait("document.querySelector('#who-dialog').open")
        self.page.fill("#who-name", name)
        self.page.click("#who-start")
        self.wait("document.documentElement.dataset.ready === 'true'")

    def selected(self) -> Selected:
        """What the card shows."""
        name, start, end = self.page.evaluate(
            """() => [document.querySelector("#card-name").textContent,
              document.querySelector("#start-text").textContent,
              document.querySelector("#end-text").textContent]"""
        )
        return Selected(self.video(), name, _seconds(start), _seconds(end))

    def video(self) -> str:
        """The name of the video that is open."""
        picked = "document.querySelector('#video-pick').selectedOptions[0].textContent"
        return re.sub(r" \([^()]*\)$", "", self.page.evaluate(picked))

    def decide(self, number: int) -> int:
        """Decide about so many detections of the queue; how many there were."""
        done = 0
        self.page.keyboard.press("n")
        self.wait(f"{_IS_OPEN} || {_IS_DONE}")
        while done < number and self.page.evaluate(_IS_OPEN):
            began = time.perf_counter()
            self._decide_one()
            self.decisions.append(time.perf_counter() - began)
            done += 1
        return done

    def draw(self, truth: Truth) -> None:
        """Draw something in the video that is open."""
        start, end, name = truth
        number = self._changes()
        self._drag(start, end, pixels_from_below=_ROW_NEW)
        self.choose(name)
        self.wait(f"{_CHANGES} > {number}")

    def mark_reviewed(self, start: float, end: float) -> None:
        """Say that a stretch of the video that is open was looked at from start to end."""
        before = self.page.text_content("#done-text")
        self._drag(start, end, pixels_from_below=_ROW_REVIEWED)
        self.wait(f"document.querySelector('#done-text').textContent !== {before!r}")

    def review(self, video: str, coded: Sequence[Truth]) -> int:
        """Draw what happens in a video and is not coded yet, and say that all of it was looked at;
        how much was drawn.
        """
        self.open_video(video)
        missed = [*self.missed(video, coded)]
        for one in missed:
            self.draw(one)
        duration = "import('/static/store.js').then(({ store }) => store.video.duration)"
        self.mark_reviewed(0.0, float(self.page.evaluate(duration)))
        return len(missed)

    def teach(self) -> str:
        """Press Teach, and wait for what it says at the end."""
        self.page.click("#teach-open")
        self.page.click("#teach-start")
        self.wait("!document.querySelector('#teach-progress').hidden")
        self.wait(
            "document.querySelector('#teach-start').textContent === 'Again'"
            " && !document.querySelector('#teach-start').hidden",
            seconds=_TEACH_SECONDS,
        )
        return str(self.page.text_content("#teach"))

    def code_blind(self) -> int:
        """Code all of the blind share; how many stretches there were."""
        self.page.click("#blind-open")
        self.wait("!document.querySelector('#blind').hidden")
        done = 0
        while self.page.is_visible("#blind"):
            title = self.page.text_content("#blind-title")
            start, end = map(_seconds, _STRETCH.findall(self.page.text_content("#blind-hint"))[-2:])
            for truth in self.truth[self.video()]:
                if truth[0] < end and truth[1] > start:
                    self.draw(truth)
            self.page.click("#blind-play")
            self.page.evaluate(f"document.querySelector('#video').playbackRate = {_FAST}")
            self._end_stretch(title, seconds=end - start)
            done += 1
        return done

    def _codes(self, title: str) -> bool:
        return self.page.is_visible("#blind") and self.page.text_content("#blind-title") == title

    def _end_stretch(self, title: str, *, seconds: float) -> None:
        """Press Done, which plays the stretch again unless it was seen to its end."""
        end = time.monotonic() + _TIMEOUT_SECONDS
        while self._codes(title):
            if time.monotonic() > end:
                raise SystemExit(f"the page: {title} does not end")
            self.page.wait_for_timeout(1000 * (seconds + _CONTEXT_SECONDS) / _FAST)
            if self._codes(title):
                self.page.click("#blind-done")
                self.page.wait_for_timeout(_SAVED_MS)

    def _drag(self, start: float, end: float, *, pixels_from_below: float) -> None:
        """Drag in a row above the lanes."""
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
        y = box["y"] + box["height"] - pixels_from_below
        self.page.mouse.move(x[0], y)
        self.page.mouse.down()
        self.page.mouse.move(sum(x) / 2, y)
        self.page.mouse.move(x[1], y)
        self.page.mouse.up()

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
        self.wait(f"({_IS_OPEN} && {_KEY} !== {before!r}) || {_IS_DONE}")

    def _changes(self) -> int:
        return int(self.page.evaluate(_CHANGES))

    def _key(self) -> str:
        return str(self.page.evaluate(_KEY))


_STRETCH = re.compile(r"\d+:\d\d\.\d+")
_FAST = 2
_SAVED_MS = 500
# What is played around a stretch, and some more for a slow machine.
_CONTEXT_SECONDS = 5.0
_ROW_NEW, _ROW_REVIEWED = 8.0, 30.0
_CHANGES = "Number(document.querySelector('#undo').dataset.number ?? 0)"
_KEY = (
    "[document.querySelector('#video-pick').value, "
    "document.querySelector('#list').getAttribute('aria-activedescendant')].join(' ')"
)
_IS_OPEN = "document.querySelector('#card-state').dataset.state === 'open'"
_IS_DONE = "!document.querySelector('#toast').hidden"


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
