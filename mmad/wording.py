"""Numbers and nouns in messages, tables and figures."""

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

_IRREGULAR = {"is": "are", "has": "have", "was": "were"}


def count(number: int, noun: str, verb: str = "") -> str:
    """``number`` with the noun, and a verb that agrees with it.

    >>> count(1, "video"), count(2, "video", "is"), count(0, "category"), count(3, "stretch")
    ('1 video', '2 videos are', '0 categories', '3 stretches')
    >>> count(9, "epoch")  # spoken with a k
    '9 epochs'
    """
    if number != 1:
        if noun.endswith("y") and noun[-2] not in "aeiou":
            noun = noun[:-1] + "ies"
        else:
            is_sibilant = noun.endswith(("s", "ch")) and noun != "epoch"
            noun += "es" if is_sibilant else "s"
        verb = _IRREGULAR.get(verb, verb)
    return f"{number} {noun} {verb}".rstrip()


def listed(places: str | Sequence[str]) -> str:
    """A path, or several with commas.

    >>> listed(["a.json", "b.json"])
    'a.json, b.json'
    """
    return places if isinstance(places, str) else ", ".join(places)


def rounded(value: float | None, digits: int = 2) -> str:
    """``value`` with ``digits`` decimals, halves away from zero as in browsers; "-" if unknown.

    >>> rounded(6.25, 1), rounded(-6.25, 1), rounded(0.666), rounded(None), rounded(float("nan"))
    ('6.3', '-6.3', '0.67', '-', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    context = Context(prec=400, rounding=ROUND_HALF_UP)  # for any float
    return str(Decimal(float(value)).quantize(Decimal(1).scaleb(-digits), context=context))
