//! Buckets of a timeframe by the wall clock and by trading days, against models that look at every
//! quarter of an hour.
#![allow(clippy::unwrap_used)]

mod engine_support;

use engine_support::{DAY, HOUR, MINUTE, timeframe};
use proptest::prelude::*;
use std::sync::Arc;
use tickwire_core::bars::{Alignment, Buckets};
use tickwire_core::calendar::Offsets;
use tickwire_core::sessions::Sessions;

const QUARTER: i64 = 15 * MINUTE;
const DAYS: i64 = 40;

fn buckets(text: &str, alignment: &Alignment) -> Buckets {
    Buckets::new(timeframe(text), alignment)
}

/// Every bucket that begins in the first days of time.
fn starts(buckets: &Buckets) -> Vec<i64> {
    let first = buckets.bucket(0).1;
    std::iter::successors(Some(first), |&start| Some(buckets.bucket(start).1))
        .take_while(|&start| start < DAYS * DAY)
        .collect()
}

fn offsets(hours: &[(i64, i64)], first: i64) -> Alignment {
    let starts: Vec<i64> = hours.iter().map(|&(start, _)| start).collect();
    let offsets: Vec<i64> =
        std::iter::once(first).chain(hours.iter().map(|&(_, offset)| offset)).collect();
    Alignment::Local(Arc::new(Offsets::new(&starts, &offsets).unwrap()))
}

#[test]
fn new_york_in_spring_and_autumn() {
    // 10 March 2024, 07:00 UTC, and 3 November 2024, 06:00 UTC.
    let (spring, autumn) = (1_710_054_000_000_000_000, 1_730_613_600_000_000_000);
    let zone = offsets(&[(spring, -4 * HOUR), (autumn, -5 * HOUR)], -5 * HOUR);
    let bucket = |text: &str, ts: i64| buckets(text, &zone).bucket(ts);
    // The hour from 02:00 to 03:00 was left out, and that from 01:00 to 02:00 came twice.
    assert_eq!(bucket("1h", spring - 1), (spring - HOUR, spring));
    assert_eq!(bucket("1h", spring), (spring, spring + HOUR));
    assert_eq!(bucket("1h", autumn - 1), (autumn - HOUR, autumn));
    assert_eq!(bucket("1h", autumn), (autumn, autumn + HOUR));
    // From midnight to 04:00 it was three hours, then five.
    assert_eq!(bucket("4h", spring), (spring - 2 * HOUR, spring + HOUR));
    assert_eq!(bucket("4h", autumn), (autumn - 2 * HOUR, autumn + 3 * HOUR));
    // What comes twice after the end of a bar is a bar of its own.
    assert_eq!(bucket("2h", autumn - 1), (autumn - 2 * HOUR, autumn));
    assert_eq!(bucket("2h", autumn), (autumn, autumn + HOUR));
    assert_eq!(bucket("1d", spring), (spring - 2 * HOUR, spring + 21 * HOUR));
    assert_eq!(bucket("1d", autumn), (autumn - 2 * HOUR, autumn + 23 * HOUR));
    // Shorter bars know nothing of it.
    assert_eq!(bucket("30m", spring), (spring, spring + 30 * MINUTE));
    assert_eq!(bucket("7s", spring), timeframe("7s").bucket(spring));
}

#[test]
fn half_an_hour_at_lord_howe() {
    // From +10:30 to +11:00 on 6 October 2024, 15:30 UTC the day before; back on 6 April 2025.
    let (spring, autumn) = (1_728_142_200_000_000_000, 1_743_865_200_000_000_000);
    let zone = offsets(&[(spring, 11 * HOUR), (autumn, 10 * HOUR + 30 * MINUTE)], 630 * MINUTE);
    let bucket = |text: &str, ts: i64| buckets(text, &zone).bucket(ts);
    assert_eq!(bucket("1h", spring), (spring, spring + 30 * MINUTE));
    assert_eq!(bucket("1h", autumn - 1), (autumn - HOUR, autumn));
    assert_eq!(bucket("1h", autumn), (autumn, autumn + 30 * MINUTE), "01:30 to 02:00, again");
    assert_eq!(bucket("1d", spring).1 - bucket("1d", spring).0, 23 * HOUR + 30 * MINUTE);
    assert_eq!(bucket("1d", autumn).1 - bucket("1d", autumn).0, 24 * HOUR + 30 * MINUTE);
    assert!(buckets("30m", &zone).nests_in(&buckets("1h", &zone)));
    assert!(!buckets("20m", &zone).nests_in(&buckets("1h", &zone)));
    assert!(buckets("10m", &zone).nests_in(&buckets("1d", &zone)));
}

#[test]
fn a_date_that_was_left_out_has_no_bar() {
    // Apia went from -10 h to +14 h at the end of 29 December 2011.
    let skip = 1_325_239_200_000_000_000;
    let zone = offsets(&[(skip, 14 * HOUR)], -10 * HOUR);
    assert_eq!(buckets("1d", &zone).bucket(skip - 1), (skip - DAY, skip));
    assert_eq!(buckets("1d", &zone).bucket(skip), (skip, skip + DAY));
    assert_eq!(buckets("1w", &zone).bucket(skip), (skip - 4 * DAY, skip + 2 * DAY));
}

#[test]
fn a_date_whose_midnight_comes_twice_begins_with_the_first() {
    // St John's set its clocks back by an hour at one minute past midnight.
    let back = 10 * DAY + 151 * MINUTE;
    let midnight = back - MINUTE;
    let zone = offsets(&[(back, -210 * MINUTE)], -150 * MINUTE);
    let bucket = |text: &str, ts: i64| buckets(text, &zone).bucket(ts);
    assert_eq!(bucket("1d", back), (midnight, midnight + 25 * HOUR));
    assert_eq!(bucket("1h", midnight), (midnight, back));
    assert_eq!(bucket("1h", back), (back, back + 59 * MINUTE));
}

#[test]
fn bars_of_a_session_count_from_its_open() {
    // Two days from 22:00 to 21:00, then one that opens an hour earlier, as after a transition.
    let opens = [22 * HOUR, 46 * HOUR, 69 * HOUR];
    let closes = [45 * HOUR, 69 * HOUR, 92 * HOUR];
    let days = [1, 2, 3];
    let sessions = Alignment::Session(Arc::new(Sessions::new(&opens, &closes, &days).unwrap()));
    let bucket = |text: &str, ts: i64| buckets(text, &sessions).bucket(ts);
    assert_eq!(bucket("1d", 45 * HOUR), (22 * HOUR, 46 * HOUR), "the break is the day's last hour");
    assert_eq!(bucket("1d", 46 * HOUR), (46 * HOUR, 69 * HOUR));
    assert_eq!(bucket("4h", 46 * HOUR), (46 * HOUR, 50 * HOUR));
    assert_eq!(bucket("4h", 68 * HOUR), (66 * HOUR, 69 * HOUR), "what is left of the day");
    assert_eq!(bucket("90m", 24 * HOUR), (23 * HOUR + 30 * MINUTE, 25 * HOUR));
    assert_eq!(bucket("1mo", 46 * HOUR), (-2 * HOUR, 31 * DAY - 3 * HOUR));
}

fn local() -> impl Strategy<Value = Alignment> {
    let step = (1_i64..700, -50_i64..57);
    (prop::collection::vec(step, 0..8), -50_i64..57).prop_map(|(steps, first)| {
        let mut at = 0;
        let table: Vec<_> = steps
            .into_iter()
            .map(|(step, offset)| {
                at += step;
                (at * QUARTER, offset * QUARTER)
            })
            .collect();
        offsets(&table, first * QUARTER)
    })
}

fn hours() -> impl Strategy<Value = Alignment> {
    prop::collection::vec((1_i64..60, 1_i64..60, 0_i64..3), 1..40).prop_map(|steps| {
        let (mut at, mut day) = (0, 0);
        let (mut opens, mut closes, mut days) = (Vec::new(), Vec::new(), Vec::new());
        for (pause, length, later) in steps {
            opens.push((at + pause) * QUARTER);
            at += pause + length;
            closes.push(at * QUARTER);
            day += later;
            days.push(day);
        }
        Alignment::Session(Arc::new(Sessions::new(&opens, &closes, &days).unwrap()))
    })
}

fn length() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "15m", "30m", "45m", "1h", "60m", "75m", "90m", "2h", "3h", "4h", "5h", "12h", "24h",
        "36h", "1d", "2d", "3d", "1w", "1mo",
    ])
}

/// What the wall clock shows in each quarter of an hour.
fn walls(offsets: &Offsets) -> Vec<i64> {
    (0..DAYS * DAY / QUARTER).map(|quarter| offsets.local(quarter * QUARTER)).collect()
}

/// The first quarter of each bar shorter than a day.
fn by_the_wall(walls: &[i64], length: i64) -> Vec<i64> {
    let key = |wall: i64| (wall.div_euclid(DAY), wall.rem_euclid(DAY) / length);
    let begins = |&row: &usize| {
        let (before, now) = (walls[row - 1], walls[row]);
        let reached = key(before + QUARTER) != key(before);
        key(now) != key(before) || now < before + QUARTER && reached
    };
    (1..walls.len()).filter(begins).map(|row| row as i64 * QUARTER).collect()
}

/// The first quarter of each bar of days, by the dates that the wall clock has reached.
fn by_dates(walls: &[i64], key: impl Fn(i64) -> i64) -> Vec<i64> {
    let mut reached = i64::MIN;
    let mut starts = Vec::new();
    for (row, &wall) in walls.iter().enumerate() {
        let later = reached.max(wall);
        if row > 0 && key(later) != key(reached) {
            starts.push(row as i64 * QUARTER);
        }
        reached = later;
    }
    starts
}

proptest! {
    #[test]
    fn local_bars_begin_where_the_wall_clock_says(zone in local(), text in length()) {
        let Alignment::Local(table) = &zone else { unreachable!() };
        let buckets = buckets(text, &zone);
        let walls = walls(table);
        let length = timeframe(text).nominal_ns();
        let expected = if length < HOUR {
            (1..DAYS * DAY / length).map(|row| row * length).collect()
        } else if length < DAY {
            by_the_wall(&walls, length)
        } else {
            by_dates(&walls, |wall| timeframe(text).bucket(wall).0)
        };
        let found = starts(&buckets);
        prop_assert_eq!(&found, &expected);
    }

    #[test]
    fn bars_tile_time(
        alignment in prop_oneof![local(), hours()],
        text in length(),
        ts in -DAY..(DAYS + 1) * DAY,
    ) {
        let buckets = buckets(text, &alignment);
        let (start, end) = buckets.bucket(ts);
        prop_assert!(start <= ts && ts < end);
        prop_assert_eq!(buckets.bucket(start), (start, end));
        prop_assert_eq!(buckets.bucket(end - 1), (start, end));
        prop_assert_eq!(buckets.bucket(end).0, end);
        prop_assert_eq!(buckets.bucket(start - 1).1, start);
    }

    #[test]
    fn nested_buckets_share_their_edges(
        alignment in prop_oneof![local(), hours()],
        smaller in length(),
        larger in length(),
    ) {
        let (smaller, larger) = (buckets(smaller, &alignment), buckets(larger, &alignment));
        prop_assume!(smaller.nests_in(&larger));
        let edges = starts(&smaller);
        for start in starts(&larger) {
            prop_assert!(edges.binary_search(&start).is_ok(), "{start}");
        }
    }

    #[test]
    fn a_column_is_the_same_as_its_rows(
        alignment in prop_oneof![local(), hours()],
        text in length(),
        column in prop::collection::vec(-DAY..DAYS * DAY, 0..50),
    ) {
        let buckets = buckets(text, &alignment);
        let mut found = Vec::new();
        buckets.each(&column, |start, end| found.push((start, end)));
        let expected: Vec<_> = column.iter().map(|&ts| buckets.bucket(ts)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bars_of_a_session_lie_inside_its_days(
        hours in hours(),
        text in length(),
        ts in 0..DAYS * DAY,
    ) {
        let Alignment::Session(table) = &hours else { unreachable!() };
        let timeframe = timeframe(text);
        let (start, end) = buckets(text, &hours).bucket(ts);
        let length = timeframe.nominal_ns();
        let day = table.day(ts);
        if length % DAY == 0 {
            // All of the trading days whose dates are in one bucket, and no others.
            let dates = timeframe.bucket(day.date * DAY);
            let inside = |date: i64| dates.0 <= date * DAY && date * DAY < dates.1;
            prop_assert!(inside(table.day(start).date) && inside(table.day(end - 1).date));
            prop_assert!(!inside(table.day(start - 1).date) && !inside(table.day(end).date));
        } else {
            prop_assert!(day.open <= start && end <= day.end);
            prop_assert_eq!((start - day.open) % length, 0);
            prop_assert!(end == day.end || end == start + length);
        }
    }
}

#[test]
fn the_ends_of_time_are_harmless() {
    let sessions = Sessions::new(&[0], &[HOUR], &[0]).unwrap();
    let zone = offsets(&[(0, -5 * HOUR), (90 * DAY, -4 * HOUR)], 9 * HOUR);
    for alignment in [zone, Alignment::Session(Arc::new(sessions))] {
        for text in ["1s", "1h", "5h", "100000h", "1d", "100000w", "1mo", "100000mo"] {
            for ts in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                let (start, end) = buckets(text, &alignment).bucket(ts);
                let holds = start <= ts && (ts < end || end == i64::MAX);
                assert!(holds, "{text} of {alignment:?} at {ts}: {start}, {end}");
            }
        }
    }
}
