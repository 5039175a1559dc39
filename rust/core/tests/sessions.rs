//! Trading days from a table of hours.
#![allow(clippy::unwrap_used)]

use tickwire_core::sessions::{Sessions, SessionsError, TradingDay};

const HOUR: i64 = 3_600 * 1_000_000_000;
const DAY: i64 = 24 * HOUR;

/// Two days of two spans each, a day without trading, and a day of one.
fn table() -> Sessions {
    let at = |day: i64, hour: i64| day * DAY + hour * HOUR;
    Sessions::new(
        &[at(9, 22), at(10, 13), at(10, 22), at(11, 13), at(13, 8)],
        &[at(10, 11), at(10, 20), at(11, 11), at(11, 20), at(13, 16)],
        &[10, 10, 11, 11, 13],
    )
    .unwrap()
}

#[test]
fn a_span_holds_its_open_and_not_its_close() {
    let table = table();
    let first = Some((9 * DAY + 22 * HOUR, 10 * DAY + 11 * HOUR));
    assert_eq!(table.span(9 * DAY + 22 * HOUR - 1), None);
    assert_eq!(table.span(9 * DAY + 22 * HOUR), first);
    assert_eq!(table.span(10 * DAY + 11 * HOUR - 1), first);
    assert_eq!(table.span(10 * DAY + 11 * HOUR), None);
    assert_eq!(table.span(14 * DAY), None);
}

#[test]
fn the_next_open_is_now_while_the_market_is_open() {
    let table = table();
    let open = 9 * DAY + 22 * HOUR;
    for (ts, next) in [
        (open, open),
        (10 * DAY + 11 * HOUR - 1, 10 * DAY + 11 * HOUR - 1),
        (10 * DAY + 11 * HOUR, 10 * DAY + 13 * HOUR),
        (12 * DAY, 13 * DAY + 8 * HOUR),
        // Where nothing is known, nothing is closed.
        (0, 0),
        (20 * DAY, 20 * DAY),
    ] {
        assert_eq!(table.next_open(ts), next);
    }
}

#[test]
fn a_day_lasts_until_the_next_one_opens() {
    let table = table();
    let eleventh = TradingDay {
        date: 11,
        open: 10 * DAY + 22 * HOUR,
        close: 11 * DAY + 20 * HOUR,
        end: 13 * DAY + 8 * HOUR,
    };
    for ts in [eleventh.open, 11 * DAY + 12 * HOUR, 12 * DAY, eleventh.end - 1] {
        assert_eq!(table.day(ts), eleventh);
    }
    assert_eq!(table.day(eleventh.end).date, 13);
    assert_eq!(table.first_open(11), eleventh.open);
    assert_eq!(table.first_open(12), eleventh.end, "the twelfth has no trading");
    assert_eq!(table.first_open(13), eleventh.end);
}

#[test]
fn outside_of_the_table_a_day_begins_every_24_hours() {
    let table = table();
    let (first, last) = (9 * DAY + 22 * HOUR, 14 * DAY + 8 * HOUR);
    for (date, open) in
        [(9, first - DAY), (-20, first - 30 * DAY), (14, last), (44, last + 30 * DAY)]
    {
        let day = TradingDay { date, open, close: open + DAY, end: open + DAY };
        assert_eq!(table.day(open), day);
        assert_eq!(table.day(open + DAY - 1), day);
        assert_eq!(table.first_open(date), open);
    }
    for ts in [i64::MIN, i64::MAX] {
        let day = table.day(ts);
        assert!(day.open <= ts && (ts < day.end || day.end == i64::MAX), "{day:?}");
    }
}

#[test]
fn tables_that_cannot_be_are_refused() {
    let refused = |opens: &[i64], closes: &[i64], days: &[i64]| {
        Sessions::new(opens, closes, days).unwrap_err()
    };
    let lengths = |opens, closes, days| SessionsError::Lengths { opens, closes, days };
    assert_eq!(refused(&[], &[], &[]), lengths(0, 0, 0));
    assert_eq!(refused(&[1], &[2], &[]), lengths(1, 1, 0));
    assert_eq!(refused(&[1], &[1], &[0]), SessionsError::Spans { row: 0 });
    assert_eq!(refused(&[1, 3], &[4, 5], &[0, 1]), SessionsError::Spans { row: 0 });
    assert_eq!(refused(&[1, 3], &[2, 4], &[1, 0]), SessionsError::Days { row: 1, day: 0 });
}
