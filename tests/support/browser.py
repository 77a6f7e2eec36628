"""What tests of pages in a browser share."""

import time


def wait_until(page, condition: str, *, seconds: float = 20.0) -> None:  # type: ignore[no-untyped-def]
    """Wait for a condition of a page, or fail.

    Playwright's own `wait_for_function` asks again with `eval`, which the page's content security
    policy forbids: it works only where the condition holds at the first look.

    Args:
        page: Page of Playwright.
        condition: Expression of JavaScript.
        seconds: How long to wait.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"after {seconds:g} s still not: {condition}"
        page.wait_for_timeout(20)
