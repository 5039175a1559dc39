//! Timestamps to nanoseconds since the Unix epoch, UTC: ISO 8601 text, and seconds with nanoseconds.
//!
//! Of text, read is `YYYY-MM-DDTHH:MM:SS`, a fraction of one to nine digits if there is one, and then
//! `Z`, `+HH:MM`, `-HH:MM` or nothing, which means UTC. A lower-case `t` or `z` and a space in the
//! place of the `T` are understood. Anything else, including dates that the calendar does not have, leap
//! seconds, more than nine digits and instants outside of the `i64` range (1677 to 2262), is
//! [`NO_TIME`]: a doubtful time is no time, never a wrong one.

use super::number::digits;
use crate::record::NO_TIME;

const NS_PER_S: i64 = 1_000_000_000;

/// Instants nearer to the epoch than this many seconds need no overflow check in nanoseconds.
const SAFE_S: u64 = (i64::MAX / NS_PER_S - 1) as u64;

/// Nanoseconds in the last digit of a fraction, by its number of digits.
const FRACTION_NS: [u64; 10] =
    [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// The instant that `text` names, ns UTC, or [`NO_TIME`].
#[must_use]
pub fn parse(text: &[u8]) -> i64 {
    let (instant, len) = MinuteMemo::default().read(text);
    if len == text.len() { instant } else { NO_TIME }
}

/// The instant so many seconds and nanoseconds after the epoch, ns UTC, or [`NO_TIME`].
pub(super) fn from_unix(seconds: i64, nanos: u32) -> i64 {
    let nanos = i64::from(nanos);
    if nanos < NS_PER_S { joined(seconds, nanos).unwrap_or(NO_TIME) } else { NO_TIME }
}

/// Reads timestamps and remembers the minute of the last one: the ticks of a feed mostly share it,
/// and its sixteen bytes are compared faster than a date is worked out.
#[derive(Clone, Debug)]
pub(super) struct MinuteMemo {
    text: [u8; 16],
    /// Seconds from the epoch to the start of the minute, before any offset.
    start_s: i64,
}

impl Default for MinuteMemo {
    fn default() -> Self {
        Self { text: *b"1970-01-01T00:00", start_s: 0 }
    }
}

impl MinuteMemo {
    /// The timestamp at the start of `text` and its length in bytes; [`NO_TIME`] if there is none.
    ///
    /// The caller decides what may follow: `...00Zx` is read up to the `x`. A pair of scalars comes
    /// back in registers; an `Option` around it would go through memory.
    #[inline]
    pub(super) fn read(&mut self, text: &[u8]) -> (i64, usize) {
        self.read_parts(text)
            .map_or((NO_TIME, 0), |(instant, rest)| (instant, text.len() - rest.len()))
    }

    #[inline(always)]
    fn read_parts<'a>(&mut self, text: &'a [u8]) -> Option<(i64, &'a [u8])> {
        let (minute, rest) = text.split_first_chunk::<16>()?;
        if u128::from_le_bytes(*minute) != u128::from_le_bytes(self.text) {
            self.start_s = minute_start_s(minute)?;
            self.text = *minute;
        }
        let ([b':', tens, ones], rest) = rest.split_first_chunk::<3>()? else {
            return None;
        };
        let second = two_digits(*tens, *ones).filter(|second| *second < 60)?;
        let (fraction_ns, rest) = read_fraction_ns(rest)?;
        let (offset_s, rest) = read_offset_s(rest)?;
        let instant_s = self.start_s + second - offset_s;
        Some((joined(instant_s, fraction_ns)?, rest))
    }
}

#[inline(always)]
fn two_digits(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens * 10 + ones))
}

#[inline(always)]
fn read_fraction_ns(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', fraction @ ..] = text else {
        return Some((0, text));
    };
    let (value, rest) = digits(fraction, 0);
    let count = fraction.len() - rest.len();
    if count == 0 || count > 9 {
        return None;
    }
    #[allow(clippy::cast_possible_wrap, reason = "below a second")]
    Some(((value * FRACTION_NS[count]) as i64, rest))
}

#[inline(always)]
fn read_offset_s(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [b'Z' | b'z', rest @ ..] => Some((0, rest)),
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0, rest @ ..] => {
            let hours = two_digits(*h1, *h0).filter(|hours| *hours < 24)?;
            let minutes = two_digits(*m1, *m0).filter(|minutes| *minutes < 60)?;
            let offset_s = hours * 3_600 + minutes * 60;
            Some((if *sign == b'-' { -offset_s } else { offset_s }, rest))
        }
        _ => Some((0, text)),
    }
}

/// Seconds from the epoch to `YYYY-MM-DDTHH:MM`, if the calendar and the clock have it.
#[cold]
fn minute_start_s(text: &[u8; 16]) -> Option<i64> {
    let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0, b'T' | b't' | b' ', h1, h0, b':', n1, n0] =
        *text
    else {
        return None;
    };
    let year = two_digits(y3, y2)? * 100 + two_digits(y1, y0)?;
    let month = two_digits(m1, m0)?;
    let day = two_digits(d1, d0)?;
    let hour = two_digits(h1, h0).filter(|hour| *hour < 24)?;
    let minute = two_digits(n1, n0).filter(|minute| *minute < 60)?;
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    Some(((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to a date of the proleptic Gregorian calendar, years 0 to 9999.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from March, so that the leap day is the last of its year and the months
    // before it are 153 days for every five.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// Seconds and nanoseconds as one, if they fit.
#[inline(always)]
fn joined(instant_s: i64, fraction_ns: i64) -> Option<i64> {
    if instant_s.unsigned_abs() < SAFE_S {
        return Some(instant_s * NS_PER_S + fraction_ns);
    }
    at_the_edge(instant_s, fraction_ns)
}

/// Nanoseconds where they might not fit.
#[cold]
fn at_the_edge(instant_s: i64, fraction_ns: i64) -> Option<i64> {
    let instant = i128::from(instant_s) * i128::from(NS_PER_S) + i128::from(fraction_ns);
    i64::try_from(instant).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The days of 1677 to 2262, found by counting them one by one from a known date.
    fn every_day() -> Vec<(i64, i64, i64, i64)> {
        let leap = |year: i64| (year % 4 == 0) && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut days = Vec::new();
        for year in 1677..=2262 {
            for (month, length) in lengths.iter().enumerate() {
                let length = if month == 1 && leap(year) { 29 } else { *length };
                days.extend((1..=length).map(|day| (year, month as i64 + 1, day, 0)));
            }
        }
        let epoch =
            days.iter().position(|day| *day == (1970, 1, 1, 0)).expect("the epoch is in range")
                as i64;
        for (index, day) in days.iter_mut().enumerate() {
            day.3 = index as i64 - epoch;
        }
        days
    }

    #[test]
    fn every_day_of_the_range() {
        for (year, month, day, number) in every_day() {
            assert_eq!(days_from_civil(year, month, day), number, "{year}-{month}-{day}");
            let text = format!("{year:04}-{month:02}-{day:02}T12:34:56.789");
            let instant = (i128::from(number) * 86_400 + 45_296) * 1_000_000_000 + 789_000_000;
            let expected = i64::try_from(instant).unwrap_or(NO_TIME);
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn both_ends_of_the_range() {
        for (text, expected) in [
            ("1677-09-21T00:12:43.145224193Z", i64::MIN + 1),
            ("1677-09-21T00:12:43.145224191Z", NO_TIME),
            ("1677-09-21T05:42:43.145224193+05:30", i64::MIN + 1),
            ("1677-09-20T23:59:59Z", NO_TIME),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
            ("2262-04-11T23:47:16.854775808Z", NO_TIME),
            ("2262-04-11T23:47:16.854775807+00:01", i64::MAX - 60 * NS_PER_S),
            ("0000-01-01T00:00:00Z", NO_TIME),
            ("9999-12-31T23:59:59Z", NO_TIME),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_memo_never_answers_for_another_minute() {
        let mut memo = MinuteMemo::default();
        let texts = [
            "2024-07-21T13:45:00.123Z",
            "2024-07-21T13:45:59.999Z",
            "2024-07-21T13:46:00Z",
            "2024-07-21T13:4x:00Z",
            "2024-07-21T13:46:00Z",
            "2024-07-21 13:45:00Z",
            "2024-02-30T13:45:00Z",
            "2024-07-21T13:45:00Z",
            "1970-01-01T00:00:00Z",
        ];
        for text in texts {
            assert_eq!(memo.read(text.as_bytes()).0, parse(text.as_bytes()), "{text}");
        }
    }
}
