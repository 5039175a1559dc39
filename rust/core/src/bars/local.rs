//! Buckets by the wall clock of a place.
//!
//! Bars shorter than a day count from local midnight. Each is one stretch of real time during which
//! the wall clock stays inside it: where the clock is set forward over the whole of a bar there is
//! none, and where it is set back once it has reached the bar's end, what it shows again is a bar of
//! its own. A bar in whose middle the clock is set back goes on and lasts longer.
//!
//! Bars of a day and longer begin with the first moment of a local date. A date that was left out
//! has no bar, and one whose midnight comes twice begins with the first.

use super::timeframe::{DAY, Timeframe};
use crate::calendar::Offsets;

/// The bucket that holds `ts`, ns UTC.
pub(super) fn bucket(timeframe: Timeframe, offsets: &Offsets, ts: i64) -> (i64, i64) {
    if timeframe.nominal_ns() < DAY {
        return part_of_day(timeframe.nominal_ns(), offsets, ts);
    }
    let (first, after) = timeframe.bucket(offsets.forward(ts));
    (offsets.first_shown(first), offsets.first_shown(after))
}

fn part_of_day(length: i64, offsets: &Offsets, ts: i64) -> (i64, i64) {
    let known = offsets.offsets();
    let here = offsets.span(ts);
    let wall = ts.saturating_add(known[here]);
    let since_midnight = wall.rem_euclid(DAY);
    let first = wall.saturating_sub(since_midnight % length);
    let midnight = wall.saturating_add(DAY - since_midnight);
    let after = first.saturating_add(length).min(midnight);

    let mut span = here;
    let start = loop {
        let start = first.saturating_sub(known[span]);
        match offsets.start(span) {
            Some(transition) if start < transition => {
                // What the clock had reached. At the end of this bar, it has been set back.
                let reached = transition + known[span - 1];
                if reached <= first || reached >= after {
                    break transition;
                }
                span -= 1;
            }
            _ => break start,
        }
    };
    span = here;
    let end = loop {
        let end = after.saturating_sub(known[span]);
        match offsets.start(span + 1) {
            Some(transition) if transition < end => {
                let set = transition + known[span + 1];
                if set < first || set >= after {
                    break transition;
                }
                span += 1;
            }
            _ => break end,
        }
    };
    (start, end)
}

/// Whether buckets aligned to UTC, shorter than an hour, nest in local ones.
pub(super) fn is_made_of_utc(offsets: &Offsets, smaller: Timeframe, larger: Timeframe) -> bool {
    let length = smaller.nominal_ns();
    smaller.nests_in(larger) && DAY % length == 0 && offsets.grain_ns() % length == 0
}

/// Whether local buckets nest in local ones.
pub(super) fn nests(smaller: Timeframe, larger: Timeframe) -> bool {
    let (length, whole) = (smaller.nominal_ns(), larger.nominal_ns());
    if length >= DAY {
        return smaller.nests_in(larger);
    }
    // All that is shorter than a day begins anew at midnight.
    let midnights = larger.is_whole_days();
    midnights || whole % length == 0 && whole > length && (whole < DAY || DAY % length == 0)
}
