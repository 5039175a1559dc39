"""Signals of a connection that does well, and of one that does well but for one thing."""

from __future__ import annotations

import dataclasses
from typing import Any

from tickwire.health import Health, HealthModel, Signals

FINE = Signals(
    connected=True,
    connected_s=3_600.0,
    round_trip_s=0.05,
    ping_age_s=0.0,
    frame_age_s=0.2,
    delay_p50_s=1e-4,
    delay_p99_s=2e-3,
    event_delay_s=0.1,
    clock_offset_s=-0.01,
    rate=100.0,
    rate_normal=90.0,
    malformed_share=0.0,
    callback_error_share=0.0,
    buffer_fill=0.1,
    queue_fill=0.0,
    shed_share=0.0,
)


def signals(**changes: Any) -> Signals:
    return dataclasses.replace(FINE, **changes)


def having(signal: str, value: float, **changes: Any) -> Signals:
    """Fine, but for one signal of the table."""
    if signal == "rate_ratio":
        return signals(rate=value * 10.0, rate_normal=10.0, **changes)
    if signal == "clock_error_s":
        return signals(clock_offset_s=-value, **changes)
    return signals(**{signal: value} | changes)


def once(measured: Signals) -> Health:
    return HealthModel().assess(measured, 0.0)
