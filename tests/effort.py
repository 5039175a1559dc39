"""How hard the tests try: `TICKWIRE_LONG=1` (`make long`) makes the long suites run at length."""

from __future__ import annotations

import os

LONG = os.environ.get("TICKWIRE_LONG", "") not in ("", "0")


def examples(count: int) -> int:
    """How many examples a property is tried on, where `count` is right for every change."""
    return count * 20 if LONG else count
