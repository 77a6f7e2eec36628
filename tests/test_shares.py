import re

import pytest

from mmad.errors import ConfigError
from mmad.shares import Share, assign_shares


def test_shares_are_balanced_and_do_not_depend_on_the_order() -> None:
    costs = {f"v{number}": float(number % 7 + number % 3) for number in range(100)}
    shares = assign_shares(costs, count=8)
    assert sorted(name for share in shares for name in share) == sorted(costs)
    loads = [sum(costs[name] for name in share) for share in shares]
    assert max(loads) - min(loads) <= 1
    assert assign_shares(dict(reversed(costs.items())), count=8) == shares


def test_videos_of_unknown_length_are_spread() -> None:
    assert [len(share) for share in assign_shares(dict.fromkeys("abcdefgh", 0.0), count=3)] == [
        3,
        3,
        2,
    ]
    assert assign_shares({"a": 1.0}, count=3) == [["a"], [], []]


@pytest.mark.parametrize("text", ["0/8", "9/8", "1", "1/0", "a/b", "²/3", "-1/4", "1/2/3", "/"])
def test_a_share_that_is_none(text: str) -> None:
    message = rf"--share {re.escape(text)}: expected I/N with I from 1 to N.*--array=1-"
    with pytest.raises(ConfigError, match=message):
        Share.parse(text)
