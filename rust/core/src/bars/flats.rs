//! Bars without ticks, filled flat at the previous close.
//!
//! # Contract
//! - A bar of which nothing was traded opens, peaks, bottoms and closes at the close before it; its
//!   volume and its number of ticks are zero.
//! - Where the hours of the market are known, only bars that hold some of them are filled.
//! - Nothing is filled before the first close is known, nor in and after a gap until the next is: a
//!   price that was not seen is no price.
//! - At most so many follow each other; then nothing is filled until there is a new close. A weekend,
//!   or a wrong stamp, does not make millions.
//! - What is filled is settled when a bar's time is over. A tick that comes late changes prices; it
//!   makes no flat bars of its own.

use super::buckets::Buckets;
use crate::record::NO_TIME;
use crate::sessions::Sessions;
use std::sync::Arc;

/// What becomes of a bar without ticks.
#[derive(Clone, Debug, Default)]
pub enum Empty {
    /// There is none.
    #[default]
    Skip,
    /// It is filled flat at the previous close.
    Flat {
        /// The most flat bars of the smallest timeframe (or of any that ticks enter) in a row.
        limit: u32,
        /// When the market trades; always, where nothing is said.
        hours: Option<Arc<Sessions>>,
    },
}

/// How far one timeframe that ticks enter is filled.
#[derive(Clone, Debug)]
pub(crate) struct Flats {
    limit: u32,
    hours: Option<Arc<Sessions>>,
    /// The previous close; NaN where it is not known.
    close: f64,
    /// Flat bars since it.
    made: u32,
    /// The start of the next bar to look at.
    next: i64,
}

impl Flats {
    pub(crate) fn new(empty: &Empty) -> Option<Self> {
        match empty {
            Empty::Skip => None,
            Empty::Flat { limit, hours } => {
                let hours = hours.clone();
                Some(Self { limit: *limit, hours, close: f64::NAN, made: 0, next: NO_TIME })
            }
        }
    }

    /// The next bar to fill, and its price, if any is to be filled.
    #[inline]
    pub(crate) fn due(&self, buckets: &Buckets) -> Option<((i64, i64), f64)> {
        if self.made >= self.limit || self.close.is_nan() {
            return None;
        }
        let bucket = buckets.bucket(self.next);
        let open = self.hours.as_ref().map_or(bucket.0, |hours| hours.next_open(bucket.0));
        Some((if open < bucket.1 { bucket } else { buckets.bucket(open) }, self.close))
    }

    /// Says that the bar due was filled, and ends then.
    pub(crate) fn filled(&mut self, end: i64) {
        self.made += 1;
        self.next = end;
    }

    /// Says that what was last known of the price is worth nothing any more.
    pub(crate) fn unknown(&mut self) {
        self.close = f64::NAN;
    }

    /// Says that the newest bar, which ends then, has closed at this price.
    pub(crate) fn closed(&mut self, end: i64, close: f64) {
        (self.close, self.made, self.next) = (close, 0, end);
    }

    /// Says that a ready bar which ends then has closed at this price, and that everything up to
    /// `closed_until` is closed.
    pub(crate) fn told(&mut self, end: i64, close: f64, closed_until: i64) {
        if end >= self.next {
            self.closed(end.max(closed_until), close);
        }
    }

    /// Says that a late tick made or changed the newest bar with ticks, that so many flat bars follow
    /// it, and that everything up to `closed_until` is closed.
    pub(crate) fn revised(&mut self, close: f64, followers: u32, closed_until: i64) {
        (self.close, self.made) = (close, followers);
        self.next = self.next.max(closed_until);
    }
}
