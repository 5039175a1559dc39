"""Timestamps of decoded records, for checking results after the clock has stopped."""

from __future__ import annotations

import datetime as dt


def microseconds(text: str) -> float:
    """µs since the epoch, UTC; whole, and exact in a double."""
    moment = dt.datetime.fromisoformat(text)
    return (moment - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(microseconds=1)
