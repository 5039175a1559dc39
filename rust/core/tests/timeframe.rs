//! Names, alignment and nesting of timeframes.
#![allow(clippy::unwrap_used)]

mod engine_support;

use engine_support::{DAY, HOUR, MINUTE, SECOND, timeframe};
use proptest::prelude::*;
use tickwire_core::bars::Timeframe;

#[test]
fn names_come_back_as_they_were() {
    for text in ["1s", "5s", "15m", "4h", "1d", "2w", "1mo", "100000s"] {
        assert_eq!(timeframe(text).to_string(), text);
    }
}

#[test]
fn other_text_is_refused_with_what_was_expected() {
    for text in [
        "", "m", "1", "0s", "01s", "1S", "1M", "1y", "-1s", "1.5m", " 1m", "1m ", "100001s",
        "1month", "٣s", "100t", "5000v", "8renko",
    ] {
        let error = text.parse::<Timeframe>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")) && error.contains("expected"), "{error}");
    }
}

/// A date, its day of the month, how long that month is, and the days since the epoch.
const DATES: [(&str, i64, i64, i64); 12] = [
    ("1700-03-01", 1, 31, -98_556),
    ("1899-12-31", 31, 31, -25_568),
    ("1968-02-29", 29, 29, -672),
    ("1969-12-31", 31, 31, -1),
    ("1970-01-01", 1, 31, 0),
    ("1972-02-29", 29, 29, 789),
    ("1999-12-31", 31, 31, 10_956),
    ("2000-02-29", 29, 29, 11_016),
    ("2024-02-29", 29, 29, 19_782),
    ("2100-02-28", 28, 28, 47_540),
    ("2100-03-01", 1, 31, 47_541),
    ("2199-12-31", 31, 31, 84_005),
];

#[test]
fn months_follow_the_calendar() {
    for (date, day, length, days) in DATES {
        let start = (days - day + 1) * DAY;
        let bucket = timeframe("1mo").bucket(days * DAY + 5 * HOUR);
        assert_eq!(bucket, (start, start + length * DAY), "{date}");
    }
}

#[test]
fn quarters_and_years_begin_in_january() {
    let may_2024 = 19_844 * DAY;
    let at = |text: &str| timeframe(text).bucket(may_2024);
    assert_eq!(at("3mo"), (19_814 * DAY, 19_905 * DAY), "April to June");
    assert_eq!(at("12mo"), (19_723 * DAY, 20_089 * DAY), "a leap year");
}

#[test]
fn weeks_begin_on_monday() {
    // 2024-02-29 was a Thursday.
    let thursday = 19_782 * DAY + 13 * HOUR;
    assert_eq!(timeframe("1w").bucket(thursday), (19_779 * DAY, 19_786 * DAY));
    assert_eq!(timeframe("1w").bucket(-1), (-3 * DAY, 4 * DAY), "the epoch was a Thursday, too");
}

#[test]
fn a_bucket_holds_its_start_and_not_its_end() {
    for text in ["1s", "7s", "1m", "1h", "1d", "1w", "1mo", "3mo"] {
        let timeframe = timeframe(text);
        let bucket = timeframe.bucket(19_782 * DAY);
        assert_eq!(timeframe.bucket(bucket.0), bucket);
        assert_eq!(timeframe.bucket(bucket.1 - 1), bucket);
        assert_eq!(timeframe.bucket(bucket.1).0, bucket.1);
        assert_eq!(timeframe.bucket(bucket.0 - 1).1, bucket.0);
    }
}

#[test]
fn the_ends_of_time_are_harmless() {
    for text in ["1s", "100000s", "1d", "1w", "100000w", "1mo", "100000mo"] {
        for ts in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            let (start, end) = timeframe(text).bucket(ts);
            assert!(start <= ts && (ts < end || end == i64::MAX), "{text} at {ts}: {start}, {end}");
        }
    }
}

#[test]
fn nominal_lengths() {
    let lengths = [
        ("1s", SECOND),
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("2d", 2 * DAY),
        ("1w", 7 * DAY),
        ("1mo", 30 * DAY),
    ];
    for (text, length) in lengths {
        assert_eq!(timeframe(text).nominal_ns(), length);
    }
}

fn any_timeframe() -> impl Strategy<Value = Timeframe> {
    let count = prop_oneof![1_u32..100, Just(1), Just(60), Just(24), Just(7), Just(12)];
    (count, prop::sample::select(vec!["s", "m", "h", "d", "w", "mo"]))
        .prop_map(|(count, unit)| timeframe(&format!("{count}{unit}")))
}

proptest! {
    #[test]
    fn buckets_tile_time(timeframe in any_timeframe(), ts in -60_000 * DAY..60_000 * DAY) {
        let (start, end) = timeframe.bucket(ts);
        prop_assert!(start <= ts && ts < end);
        prop_assert_eq!(timeframe.bucket(start), (start, end));
        prop_assert_eq!(timeframe.bucket(end).0, end);
        prop_assert_eq!(timeframe.bucket(start - 1).1, start);
    }

    /// Nesting is a promise about all of time: wherever one looks, a larger bucket begins and ends
    /// where smaller ones do. And where it is denied, some larger bucket shows why.
    #[test]
    fn nested_buckets_share_their_edges(
        smaller in any_timeframe(),
        larger in any_timeframe(),
        ts in -60_000 * DAY..60_000 * DAY,
    ) {
        prop_assume!(smaller != larger);
        let shares = |edge: i64| smaller.bucket(edge).0 == edge;
        let (start, end) = larger.bucket(ts);
        if smaller.nests_in(larger) {
            prop_assert!(shares(start) && shares(end));
            prop_assert!(larger.nominal_ns() > smaller.nominal_ns());
        } else if larger.nominal_ns() > smaller.nominal_ns() {
            let edges = std::iter::successors(Some(larger.bucket(0).0), |&edge| {
                Some(larger.bucket(edge).1).filter(|&edge| edge < 60_000 * DAY)
            });
            let mut edges = edges.take(300);
            prop_assert!(!edges.all(shares), "{smaller} nests in {larger}");
        }
    }
}
