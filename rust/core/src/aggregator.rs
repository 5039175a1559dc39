//! The bars of one stream of prices, and nothing else: no rules, no rings, no readers, no locks.
//!
//! # Contract
//! - It makes the bars that an engine makes of the same ticks, in every kind and by the same rules of
//!   time: what a wrong stamp can do and when a bar closes is the watermark's to say.
//! - Prices and sizes are finite, sizes not negative: whoever pushes has seen to it.
//! - Closed bars are kept until they are taken, in the order in which they closed; of those that close
//!   with the same tick, bars of time come first.
//! - A tick of which a bar of time is already closed is late: it enters no bar, and is counted.

use crate::bars::bar::OpenBar;
use crate::bars::ladder::{Closed, Ladder};
use crate::bars::{Alignment, Bar, Buckets, Empty, Kind, Measured, Split, Watermark, still_open};
use crate::clock::ClockOffset;
use crate::record::NO_TIME;

/// What an aggregator is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Smallest price step. Only bars of a range and Renko bricks depend on it.
    pub tick_size: f64,
    /// What bars of time are aligned to.
    pub alignment: Alignment,
    /// How long a bar waits for late ticks, ns.
    pub lateness_ns: i64,
    /// What becomes of a trade that reaches the end of a volume or notional bar.
    pub split: Split,
}

/// See the module documentation.
#[derive(Debug)]
pub struct Aggregator {
    kinds: Box<[Kind]>,
    buckets: Box<[Buckets]>,
    ladder: Ladder,
    measured: Box<[Measured]>,
    watermark: Watermark,
    clock: ClockOffset,
    /// The event time below which a tick is late, and the closing time at which that moves.
    closed_until: i64,
    next_close: i64,
    late: u64,
    done: Done,
}

/// Closed bars with their positions among the kinds.
#[derive(Debug, Default)]
struct Done(Vec<(usize, Bar)>);

impl Closed for Done {
    fn closed(&mut self, level: usize, bar: &OpenBar) {
        self.0.push((level, bar.close()));
    }
}

impl Aggregator {
    /// An aggregator of these kinds of bars, which are sorted as an engine's are.
    #[must_use]
    pub fn new(kinds: &[Kind], settings: &Settings) -> Self {
        let kinds = Kind::sorted(kinds.iter().copied());
        let times = kinds.iter().filter_map(|kind| kind.timeframe());
        let buckets: Box<[Buckets]> =
            times.map(|timeframe| Buckets::new(timeframe, &settings.alignment)).collect();
        let measured = kinds.iter().filter_map(|kind| match *kind {
            Kind::Time(_) => None,
            Kind::Measured(measure) => {
                Some(Measured::new(measure, settings.tick_size, settings.split))
            }
        });
        Self {
            ladder: Ladder::new(&buckets, &Empty::Skip),
            measured: measured.collect(),
            kinds: kinds.into(),
            buckets,
            watermark: Watermark::new(settings.lateness_ns),
            clock: ClockOffset::new(),
            closed_until: NO_TIME,
            next_close: NO_TIME + 1,
            late: 0,
            done: Done::default(),
        }
    }

    /// The kinds of bars, in order: lengths of time first, ascending.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Ticks that were too late.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Adds a tick; whether it was in time. `ts_recv` is its arrival, or [`NO_TIME`].
    pub fn push(&mut self, ts_event: i64, ts_recv: i64, price: f64, size: f64) -> bool {
        if ts_recv != NO_TIME && ts_event != NO_TIME {
            self.clock.sample(ts_event, ts_recv);
        }
        if ts_event < self.closed_until {
            self.late += 1;
            return false;
        }
        self.ladder.add(ts_event, price, size);
        let closing_time = self.watermark.observe(ts_event, self.clock.venue_time(ts_recv));
        self.close(closing_time);
        let time = self.watermark.believed(ts_event);
        let first = self.buckets.len();
        for (level, measured) in (first..).zip(&mut self.measured) {
            measured.add(time, price, size, &mut |bar| self.done.closed(level, bar));
        }
        true
    }

    /// Closes every bar of time that ends at or before `now_ns`.
    pub fn advance(&mut self, now_ns: i64) {
        let closing_time = self.watermark.advance(now_ns);
        self.close(closing_time);
    }

    fn close(&mut self, closing_time: i64) {
        if closing_time >= self.next_close {
            self.ladder.close(closing_time, &mut self.done);
            (self.closed_until, self.next_close) = self.ladder.limits(closing_time);
        }
    }

    /// The bars closed since they were last taken, each with its position among the kinds.
    pub fn take(&mut self) -> Vec<(usize, Bar)> {
        std::mem::take(&mut self.done.0)
    }

    /// The bars of a kind that are still open, oldest first: usually one.
    #[must_use]
    pub fn open_bars(&self, level: usize) -> Vec<Bar> {
        let open = match level.checked_sub(self.buckets.len()) {
            Some(measured) => self.measured[measured].open().copied().into_iter().collect(),
            None => still_open(&self.buckets, level, |held| self.ladder.open(held).iter().copied()),
        };
        open.iter().map(OpenBar::so_far).collect()
    }
}
