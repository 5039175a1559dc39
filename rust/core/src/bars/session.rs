//! Buckets by the trading days of a market.
//!
//! Bars of whole days, weeks and months group trading days by their dates. All others count from the
//! trading day's first open, and begin anew with the next day.

use super::timeframe::{DAY, Timeframe};
use crate::sessions::Sessions;

/// The bucket that holds `ts`, ns UTC.
pub(super) fn bucket(timeframe: Timeframe, sessions: &Sessions, ts: i64) -> (i64, i64) {
    let day = sessions.day(ts);
    if timeframe.is_whole_days() {
        let (first, after) = timeframe.bucket(day.date.saturating_mul(DAY));
        let open = |midnight: i64| sessions.first_open(midnight.div_euclid(DAY));
        return (open(first), open(after));
    }
    let length = timeframe.nominal_ns();
    let start = ts - ts.saturating_sub(day.open) % length;
    (start, start.saturating_add(length).min(day.end))
}

/// Whether the buckets of one timeframe nest in those of another.
pub(super) fn nests(smaller: Timeframe, larger: Timeframe) -> bool {
    if smaller.is_whole_days() {
        return larger.is_whole_days() && smaller.nests_in(larger);
    }
    let (length, whole) = (smaller.nominal_ns(), larger.nominal_ns());
    larger.is_whole_days() || whole > length && whole % length == 0
}
