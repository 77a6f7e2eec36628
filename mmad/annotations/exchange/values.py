"""Times as programs write them: seconds with a point or a comma, milliseconds, clock times."""

import re

_NUMBER = re.compile(r"[+-]?(\d{1,15}([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,2})?")
_CLOCK = re.compile(r"(-?)(?:(\d{1,5}):)?([0-5]?\d):([0-5]?\d(?:[.,]\d+)?)")
_UNITS = {
    "s": ("s", "sec", "secs", "second", "seconds", "ss.msec"),
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "frames": ("frame", "frames", "frame number", "frame index"),
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in names}


def as_seconds(text: str) -> float | None:
    """Seconds written as a number, with a point or a comma, or as a clock time; None if neither.

    >>> as_seconds("12.5"), as_seconds("12,5"), as_seconds("00:01:02.250"), as_seconds("1:02,5")
    (12.5, 12.5, 62.25, 62.5)
    >>> as_seconds("nan"), as_seconds("1_0"), as_seconds("1e99"), as_seconds("1,000.5")
    (None, None, None, None)
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text.replace(",", "."))
        return number if abs(number) < 1e15 else None
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes, seconds = match.groups()
    total = 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
    return -total if sign else total


def unit_of(column: str) -> tuple[str, str | None]:
    """The name of a column without its unit, and the unit: "s", "ms", "frames", or None.

    >>> unit_of("Start (s)"), unit_of("onset_ms"), unit_of("frame_start"), unit_of("Begin Time")
    (('start', 's'), ('onset', 'ms'), ('start', 'frames'), ('begin time', None))
    """
    name = plain_name(column)
    if name in _UNIT_OF:
        return name, None
    for words, unit in _UNIT_OF.items():
        if name.endswith(f" {words}"):
            return name.removesuffix(f" {words}"), unit
        if unit == "frames" and name.startswith(f"{words} "):
            return name.removeprefix(f"{words} "), unit
    return name, None


def plain_name(column: str) -> str:
    """The name of a column in lower case, with blanks for underscores, brackets and the like.

    >>> plain_name(" Start_time [s]"), plain_name("t-start")
    ('start time s', 't start')
    """
    return " ".join(re.sub(r"[\s_()\[\]:/-]+", " ", column.casefold()).split())


def text_of(number: float, *, decimals: int = 6) -> str:
    """A number of seconds as text, with at most so many decimals.

    >>> text_of(1.25), text_of(3.0), text_of(1 / 3), text_of(0.0)
    ('1.25', '3', '0.333333', '0')
    """
    return f"{number:.{decimals}f}".rstrip("0").rstrip(".") if decimals else str(round(number))
