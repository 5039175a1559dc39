"""Local time: transitions against the time-zone files themselves, offsets and local times against zoneinfo."""

from __future__ import annotations

import datetime as dt
import struct
import zoneinfo
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import tickwire as tw
from effort import LONG
from zones import EPOCH, NS, UTC, ZONES, local, ns

HOUR = 3_600 * NS
# 10 March 2024, 07:00 UTC, and 3 November 2024, 06:00 UTC.
SPRING, AUTUMN = 1_710_054_000 * NS, 1_730_613_600 * NS
NEW_YORK = tw.Zone("America/New_York")


def listed(name: str) -> list[tuple[int, int, int]]:
    """What the zone's file lists from 1970 on: seconds, and the offsets before and after. RFC 9636."""
    found = [Path(folder) / name for folder in zoneinfo.TZPATH if (Path(folder) / name).is_file()]
    data = found[0].read_bytes() if found else (resources.files("tzdata") / "zoneinfo" / name).read_bytes()

    def header(at: int) -> tuple[int, ...]:
        return struct.unpack(">6l", data[at + 20 : at + 44])

    isut, isstd, leap, times, types, chars = header(0)
    second = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    _, _, _, times, types, _ = header(second)
    at = second + 44
    moments = struct.unpack(f">{times}q", data[at : at + 8 * times])
    indices = data[at + 8 * times : at + 9 * times]
    offset_of = [struct.unpack(">l", data[at + 9 * times + 6 * n :][:4])[0] for n in range(types)]
    rows, before = [], offset_of[0]
    for moment, index in zip(moments, indices, strict=True):
        if moment > 0 and offset_of[index] != before:
            rows.append((moment, before, offset_of[index]))
        before = offset_of[index]
    return rows


@pytest.mark.parametrize("name", sorted(zoneinfo.available_timezones()) if LONG else ZONES)
def test_transitions_are_those_of_the_zone_s_file(name: str) -> None:
    expected = listed(name)
    end = expected[-1][0] + 1 if expected else 0
    found = tw.Zone(name).transitions(1, max(end, 1) * NS)
    assert [(at // NS, before // NS, after // NS) for at, before, after in found] == expected


@pytest.mark.parametrize("name", ZONES)
def test_offsets_go_on_by_the_zone_s_rule(name: str) -> None:
    zone = tw.Zone(name)
    column = np.random.default_rng(1).integers(0, 7_258_118_400, 400) * NS
    expected = []
    for ts in column.tolist():
        offset = local(ts, name).utcoffset()
        assert offset is not None
        expected.append(offset // dt.timedelta(microseconds=1) * 1_000)
    assert zone.offset_ns(column).tolist() == expected
    assert zone.to_local(column).tolist() == (column + expected).tolist()
    assert [zone.offset_ns(ts) for ts in column.tolist()] == expected
    assert [zone.to_local(ts) - ts for ts in column.tolist()] == expected


@pytest.mark.parametrize("name", ZONES)
def test_local_times_are_resolved_as_python_does(name: str) -> None:
    zone = tw.Zone(name)
    info = zoneinfo.ZoneInfo(name)
    rng = np.random.default_rng(2)
    moments = [at for at, _, _ in zone.transitions(0, 2**62)][::3] or [0]
    for at in moments:
        # Python's offsets are those of whole transitions: two of them within a day are too much for it.
        naive = EPOCH.replace(tzinfo=None) + dt.timedelta(
            seconds=at // NS + int(rng.integers(-30, 30)) * 1_800
        )
        moment = naive.replace(tzinfo=info).astimezone(UTC)
        assert zone.localize(naive) == ns(moment), naive
        was_shown = moment.astimezone(info).replace(tzinfo=None) == naive
        later = naive.replace(tzinfo=info, fold=1).astimezone(UTC)
        if was_shown:
            assert zone.localize(naive, fold="later", gap="raise") == ns(later)
            assert zone.fold(ns(later)) == int(later != moment)
        else:
            with pytest.raises(tw.DataError, match="leaves out"):
                zone.localize(naive, gap="raise")
        if was_shown and later != moment:
            with pytest.raises(tw.DataError, match="twice"):
                zone.localize(naive, fold="raise")


def test_the_repeated_hour_is_told_apart_by_utc_and_by_fold() -> None:
    half_past_one = dt.datetime.fromisoformat("2024-11-03T01:30")
    earlier, later = NEW_YORK.localize(half_past_one), NEW_YORK.localize(half_past_one, fold="later")
    assert (earlier, later) == (AUTUMN - HOUR // 2, AUTUMN + HOUR // 2)
    assert NEW_YORK.to_local(earlier) == NEW_YORK.to_local(later) == ns(half_past_one.replace(tzinfo=UTC))
    assert (NEW_YORK.fold(earlier), NEW_YORK.fold(later)) == (0, 1)
    with pytest.raises(tw.DataError, match=r"2024-11-03T01:30.*twice.*05:30.*06:30.*fold="):
        NEW_YORK.localize(half_past_one, fold="raise")


def test_the_missing_hour_is_shifted_or_refused() -> None:
    half_past_two = dt.datetime.fromisoformat("2024-03-10T02:30")
    assert NEW_YORK.localize(half_past_two) == SPRING + HOUR // 2
    with pytest.raises(tw.DataError, match=r"2024-03-10T02:30.*leaves out.*gap="):
        NEW_YORK.localize(half_past_two, gap="raise")


def test_columns_and_single_times_are_the_same() -> None:
    column = np.arange(AUTUMN - 3 * HOUR, AUTUMN + 3 * HOUR, HOUR // 4)
    shown = NEW_YORK.to_local(column)
    assert shown.tolist() == [NEW_YORK.to_local(int(ts)) for ts in column]
    assert NEW_YORK.to_local(column.view("datetime64[ns]")).tolist() == shown.tolist()
    assert NEW_YORK.fold(column).tolist() == [0] * 12 + [1] * 4 + [0] * 8
    back = NEW_YORK.localize(shown, fold="later")
    assert back.tolist() == [NEW_YORK.localize(int(ts), "later") for ts in shown]
    assert (back != column).sum() == 4, "the first time of the repeated hour"
    with pytest.raises(tw.DataError, match="twice"):
        NEW_YORK.localize(shown, fold="raise")


def test_transitions_ahead() -> None:
    transition = NEW_YORK.next_transition(SPRING - 1)
    assert transition == tw.Transition(SPRING, -5 * HOUR, -4 * HOUR)
    assert transition.shift_ns == HOUR
    assert NEW_YORK.next_transition(EPOCH + dt.timedelta(seconds=SPRING // NS)) == (
        AUTUMN,
        -4 * HOUR,
        -5 * HOUR,
    )
    assert [each.ts for each in NEW_YORK.transitions(SPRING, AUTUMN)] == [SPRING]
    assert tw.Zone("Asia/Tokyo").next_transition(0) is None
    last = NEW_YORK.transitions(0, 2**63 - 1)[-1]
    assert local(last.ts, "America/New_York").date() == dt.date(2200, 11, 2)


def test_before_and_after_its_years_a_table_goes_on() -> None:
    assert NEW_YORK.offset_ns(-(2**63) + 1) == NEW_YORK.offset_ns(0) == -5 * HOUR
    assert NEW_YORK.offset_ns(2**63 - 1) == -5 * HOUR


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", None, 5])
def test_unknown_zones_are_refused(name: object) -> None:
    with pytest.raises(tw.ConfigError, match=r"zone: got .*expected a time zone"):
        tw.Zone(name)  # type: ignore[arg-type]


def test_policies_and_times_that_cannot_be_are_refused() -> None:
    with pytest.raises(tw.ConfigError, match='fold: got "first"'):
        NEW_YORK.localize(0, fold="first")  # type: ignore[call-overload]
    with pytest.raises(tw.ConfigError, match='gap: got "skip"'):
        NEW_YORK.localize(0, gap="skip")  # type: ignore[call-overload]
    with pytest.raises(tw.ConfigError, match="without a time zone"):
        NEW_YORK.localize(EPOCH)
    with pytest.raises(tw.DataError, match="ts: got dtype"):
        NEW_YORK.to_local([1.5])
