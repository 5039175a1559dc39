//! Lengths of time bars, and their buckets where bars are aligned to UTC: multiples of the length
//! since the epoch, weeks from Monday, months by the calendar. Labels are the start of the bucket.

use super::kind::{Kind, KindError, whole};
use std::fmt;
use std::str::FromStr;

const SECOND: i64 = 1_000_000_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;
/// The first Monday of the epoch, 1970-01-05.
const MONDAY: i64 = 4 * DAY;
/// Longest count a unit may have; keeps every length far from overflow.
const MOST: u32 = 100_000;

/// A unit of time-bar length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days of 24 hours.
    Day,
    /// Weeks that begin on Monday.
    Week,
    /// Calendar months.
    Month,
}

impl Unit {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Second, "s"),
        (Self::Minute, "m"),
        (Self::Hour, "h"),
        (Self::Day, "d"),
        (Self::Week, "w"),
        (Self::Month, "mo"),
    ];

    fn suffix(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// The length of a time bar, such as `5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeframe {
    count: u32,
    unit: Unit,
}

/// Text that is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeframeError {
    /// No kind of bar at all.
    #[error(transparent)]
    Unknown(#[from] KindError),
    /// Bars of another kind.
    #[error("got timeframe {0:?}, expected a length of time, such as \"1s\", \"5m\" or \"1d\"")]
    NotTime(String),
}

impl FromStr for Timeframe {
    type Err = TimeframeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind: Kind = text.parse()?;
        kind.timeframe().ok_or_else(|| TimeframeError::NotTime(text.to_owned()))
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.suffix())
    }
}

impl Timeframe {
    /// So many of the unit of this name.
    pub(super) fn of(count: &str, unit: &str) -> Option<Self> {
        let (unit, _) = Unit::ALL.iter().find(|(_, name)| *name == unit)?;
        Some(Self { count: whole(count, MOST)?, unit: *unit })
    }

    /// The bucket `[start, end)` that holds `ts`, ns UTC. Saturates at the ends of time.
    #[inline]
    #[must_use]
    pub fn bucket(self, ts: i64) -> (i64, i64) {
        match self.fixed() {
            Some((length, anchor)) => {
                let start = ts.saturating_sub(ts.wrapping_sub(anchor).rem_euclid(length));
                (start, start.saturating_add(length))
            }
            None => self.month_bucket(ts),
        }
    }

    /// Nominal length in ns; a month counts as 30 days. Orders timeframes by length.
    #[must_use]
    pub fn nominal_ns(self) -> i64 {
        self.fixed().map_or(i64::from(self.count) * 30 * DAY, |(length, _)| length)
    }

    /// Whether buckets begin on whole days only.
    pub(super) fn is_whole_days(self) -> bool {
        self.fixed().is_none_or(|(length, _)| length % DAY == 0)
    }

    /// Whether every bucket of `larger` is made of whole buckets of this one.
    #[must_use]
    pub fn nests_in(self, larger: Self) -> bool {
        match (self.fixed(), larger.fixed()) {
            (Some((length, anchor)), Some((whole, other))) => {
                whole > length && whole % length == 0 && (other - anchor) % length == 0
            }
            // Months begin on whole days that are no fixed number of days apart.
            (Some((length, anchor)), None) => DAY % length == 0 && anchor % length == 0,
            (None, None) => larger.count > self.count && larger.count.is_multiple_of(self.count),
            (None, Some(_)) => false,
        }
    }

    /// Length and anchor in ns, unless the length varies.
    #[inline]
    fn fixed(self) -> Option<(i64, i64)> {
        let count = i64::from(self.count);
        match self.unit {
            Unit::Second => Some((count * SECOND, 0)),
            Unit::Minute => Some((count * 60 * SECOND, 0)),
            Unit::Hour => Some((count * HOUR, 0)),
            Unit::Day => Some((count * DAY, 0)),
            Unit::Week => Some((count * 7 * DAY, MONDAY)),
            Unit::Month => None,
        }
    }

    fn month_bucket(self, ts: i64) -> (i64, i64) {
        let count = i64::from(self.count);
        let (year, month) = civil_month(ts.div_euclid(DAY));
        let index = (year - 1970) * 12 + month - 1;
        let first = index - index.rem_euclid(count);
        (month_start(first), month_start(first + count))
    }
}

/// The start of a month, counted from January 1970, ns UTC.
fn month_start(index: i64) -> i64 {
    days_from_civil(1970 + index.div_euclid(12), index.rem_euclid(12) + 1).saturating_mul(DAY)
}

/// Days since the epoch of the first of a month. After Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms" (`days_from_civil`).
fn days_from_civil(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year and month of a day since the epoch. The same source, `civil_from_days`.
fn civil_month(days: i64) -> (i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month)
}
