"""What reaches the log: events by concern and level, repetitions counted, nothing per tick."""

from __future__ import annotations

import logging

import pytest

from clocks import HandClock
from tickwire import events
from tickwire.logs import EventLog


def reconnecting(fault: str, failures: int = 1) -> events.Reconnecting:
    return events.Reconnecting(ts=1, client="c", failures=failures, delay_s=0.5, reason="x", fault=fault)


def test_records_carry_the_event_and_go_to_the_logger_of_their_concern(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "tickwire")
    log = EventLog(HandClock())
    connected = events.Connected(ts=1, client="c", connection=1, subscriptions=2, took_s=0.1)
    for event in (
        connected,
        reconnecting("silent"),
        events.Message(ts=1, client="c", target="T", arguments=()),
    ):
        log.write(event)
    assert [(r.name, r.levelno, getattr(r, "event", None)) for r in caplog.records] == [
        ("tickwire.link", logging.INFO, connected),
        ("tickwire.link", logging.WARNING, reconnecting("silent")),
    ]
    assert "fault='silent'" in caplog.text


def test_repetitions_within_a_minute_are_counted_and_told_with_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = HandClock()
    log = EventLog(clock)
    for failures in range(1, 6):
        log.write(reconnecting("silent", failures))
    log.write(reconnecting("unreachable"))
    assert len(caplog.records) == 2
    clock.advance(61.0)
    log.write(reconnecting("silent", 6))
    assert len(caplog.records) == 3
    assert "(and 4 more like it before)" in caplog.records[-1].getMessage()
