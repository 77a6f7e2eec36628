"""Numbers and nouns in messages."""

_IRREGULAR = {"is": "are", "has": "have", "was": "were"}


def count(number: int, noun: str, verb: str = "") -> str:
    """``number`` with the noun, and a verb that agrees with it.

    >>> count(1, "video"), count(2, "video", "is"), count(0, "category")
    ('1 video', '2 videos are', '0 categories')
    """
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"
        verb = _IRREGULAR.get(verb, verb)
    return f"{number} {noun} {verb}".rstrip()
