//! A timeframe under an alignment: which bar a moment belongs to.
//!
//! # Contract
//! - Buckets tile time: every moment is in exactly one, `[start, end)` in ns UTC.
//! - [`nests_in`](Buckets::nests_in) is a promise about all of time: every bucket of the larger one is
//!   made of whole buckets of the smaller one.
//!
//! Alignment belongs to the instrument, so instruments of one engine may differ in it.

use super::bar::OpenBar;
use super::timeframe::{HOUR, Timeframe};
use super::{local, session};
use crate::calendar::Offsets;
use crate::sessions::Sessions;
use std::sync::Arc;

/// What the bars of an instrument are aligned to.
#[derive(Clone, Debug, Default)]
pub enum Alignment {
    /// Multiples of the timeframe since the epoch, UTC.
    #[default]
    Utc,
    /// The wall clock of a place, for bars of an hour and longer; UTC for those that are shorter.
    Local(Arc<Offsets>),
    /// The trading days of a market, for all bars.
    Session(Arc<Sessions>),
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Buckets {
    timeframe: Timeframe,
    alignment: Alignment,
}

impl Buckets {
    /// The buckets of a timeframe.
    #[must_use]
    pub fn new(timeframe: Timeframe, alignment: &Alignment) -> Self {
        let alignment = match alignment {
            Alignment::Local(_) if timeframe.nominal_ns() < HOUR => Alignment::Utc,
            _ => alignment.clone(),
        };
        Self { timeframe, alignment }
    }

    /// The timeframe.
    #[must_use]
    pub fn timeframe(&self) -> Timeframe {
        self.timeframe
    }

    /// The bucket `[start, end)` that holds `ts`, ns UTC. Saturates at the ends of time.
    #[inline]
    #[must_use]
    pub fn bucket(&self, ts: i64) -> (i64, i64) {
        let (start, end) = match &self.alignment {
            Alignment::Utc => return self.timeframe.bucket(ts),
            Alignment::Local(offsets) => local::bucket(self.timeframe, offsets, ts),
            Alignment::Session(sessions) => session::bucket(self.timeframe, sessions, ts),
        };
        // Only at the ends of time, where sums saturate, is it not inside.
        (start.min(ts), end.max(ts.saturating_add(1)))
    }

    /// The buckets of a column of moments, each given to `bucket`. Moments beside each other are
    /// nearly always in one bucket, which is then worked out once.
    pub fn each(&self, column: &[i64], mut bucket: impl FnMut(i64, i64)) {
        let (mut start, mut end) = (0, 0);
        for &ts in column {
            if ts < start || ts >= end {
                (start, end) = self.bucket(ts);
            }
            bucket(start, end);
        }
    }

    /// Whether every bucket of `larger` is made of whole buckets of this one. The two are of one
    /// instrument.
    #[must_use]
    pub fn nests_in(&self, larger: &Self) -> bool {
        let (smaller, whole) = (self.timeframe, larger.timeframe);
        match (&self.alignment, &larger.alignment) {
            (Alignment::Utc, Alignment::Utc) => smaller.nests_in(whole),
            (Alignment::Utc, Alignment::Local(offsets)) => {
                local::is_made_of_utc(offsets, smaller, whole)
            }
            (Alignment::Local(_), Alignment::Local(_)) => local::nests(smaller, whole),
            (Alignment::Session(_), Alignment::Session(_)) => session::nests(smaller, whole),
            _ => false,
        }
    }
}

/// Aligned to UTC.
impl From<Timeframe> for Buckets {
    fn from(timeframe: Timeframe) -> Self {
        Self::new(timeframe, &Alignment::Utc)
    }
}

/// Of buckets in the order of their lengths, the largest smaller ones that nest in those at `level`.
pub(crate) fn parent(levels: &[Buckets], level: usize) -> Option<usize> {
    (0..level).rev().find(|&smaller| levels[smaller].nests_in(&levels[level]))
}

/// The bars at `level` that are still open, oldest first, put together from what each level holds:
/// ticks where it is fed by them, closed parts where it is rolled up.
pub(crate) fn still_open<H: Iterator<Item = OpenBar>>(
    levels: &[Buckets],
    level: usize,
    held: impl Fn(usize) -> H,
) -> Vec<OpenBar> {
    let mut merged: Vec<OpenBar> = Vec::new();
    // The largest timeframe holds the oldest closed parts; the smaller ones continue it.
    let mut chain = Some(level);
    while let Some(current) = chain {
        for part in held(current) {
            let bucket = levels[level].bucket(part.start);
            match merged.binary_search_by_key(&bucket.0, |bar| bar.start) {
                Ok(index) => merged[index].merge(&part),
                Err(index) => merged.insert(index, part.within(bucket)),
            }
        }
        chain = parent(levels, current);
    }
    merged
}
