"""Which transitions are told, and when."""

from __future__ import annotations

import tickwire as tw
from tickwire.daylight import Daylight
from zones import NS

HOUR = 3_600 * NS
SPRING, AUTUMN = 1_710_054_000 * NS, 1_730_613_600 * NS
LONDON_SPRING = 1_711_846_800 * NS


def told(daylight: Daylight, now_ns: int) -> list[tuple[str, int]]:
    return [(zone, transition.ts) for zone, transition in daylight.due(now_ns)]


def test_each_is_told_ahead_and_when_it_has_come() -> None:
    daylight = Daylight([tw.Zone("America/New_York"), tw.Zone("Europe/London")], 24 * HOUR)
    spring, london = ("America/New_York", SPRING), ("Europe/London", LONDON_SPRING)
    heard = {}
    for hour in range(-48, 24 * 30):
        if due := told(daylight, SPRING + hour * HOUR):
            heard[hour] = due
    between = (LONDON_SPRING - SPRING) // HOUR
    assert heard == {-24: [spring], 0: [spring], between - 24: [london], between: [london]}


def test_a_first_look_tells_what_is_near_and_nothing_of_the_past() -> None:
    daylight = Daylight([tw.Zone("America/New_York")], 24 * HOUR)
    assert told(daylight, SPRING - HOUR) == [("America/New_York", SPRING)]
    assert told(daylight, SPRING - HOUR + 1) == []
    assert told(Daylight([tw.Zone("America/New_York")], 24 * HOUR), SPRING) == []


def test_what_came_while_nobody_asked_is_told_once() -> None:
    daylight = Daylight([tw.Zone("America/New_York")], HOUR)
    assert told(daylight, SPRING - 2 * HOUR) == []
    assert told(daylight, AUTUMN - HOUR) == [("America/New_York", SPRING), ("America/New_York", AUTUMN)]
    # The clock of this machine was set back, and went on.
    assert told(daylight, AUTUMN - 2 * HOUR) == []
    assert told(daylight, AUTUMN) == [("America/New_York", AUTUMN)]
