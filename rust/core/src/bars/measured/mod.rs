//! Bars that are cut by their ticks: so many trades, so much volume, so far a price.
//!
//! # Contract
//! - Ticks count in the order in which they arrive; event times only label. Nothing is late here, and
//!   no time that passes closes a bar.
//! - A bar is labelled by the time of its first tick and ends with the time of its last. Labels never
//!   go back, so that a series can be searched: a tick counts as made at the largest time believed
//!   when it came. Several bars may share a label.
//! - At most one bar is open. A run of ticks leaves the same state as its ticks one by one.
//! - A bar is not complete if data is missing anywhere after the end of the one before it.
//! - One tick closes at most [`MOST_BARS`] bars, so that no stray value can keep a writer busy.
//!
//! What fills a bar is the rule's to say: [`Count`], [`Fill`], [`Range`] or [`Renko`].

mod count;
mod fill;
mod range;
mod renko;

pub use fill::Split;

use super::bar::OpenBar;
use super::kind::Measure;
use crate::grid::Steps;
use crate::record::NO_TIME;
use count::Count;
use fill::{Fill, Quantity};
use range::Range;
use renko::Renko;

/// See the module documentation.
const MOST_BARS: u32 = 4_096;

/// Ticks in the order of their arrival, of which none is labelled earlier than the one before.
#[derive(Clone, Copy)]
struct Run<'a> {
    ts: &'a [i64],
    price: &'a [f64],
    size: &'a [f64],
}

impl<'a> Run<'a> {
    /// The first `count` ticks, and the rest.
    #[inline]
    fn split_at(self, count: usize) -> (Self, Self) {
        let (ts, later_ts) = self.ts.split_at(count);
        let (price, later_price) = self.price.split_at(count);
        let (size, later_size) = self.size.split_at(count);
        (Self { ts, price, size }, Self { ts: later_ts, price: later_price, size: later_size })
    }
}

/// The bar that ticks enter.
#[derive(Debug)]
struct Slot {
    open: Option<OpenBar>,
    /// Whether data is missing in it, or in the next one where none is open.
    missing: bool,
    /// The end of the last bar closed.
    closed_until: i64,
}

impl Slot {
    #[inline]
    fn enter(&mut self, run: Run<'_>) -> Option<&mut OpenBar> {
        let (Some(&first), Some(&last)) = (run.ts.first(), run.ts.last()) else { return None };
        let bar = match &mut self.open {
            Some(bar) => {
                bar.add_run(run.ts, run.price, run.size);
                bar
            }
            none => {
                let (price, size) = (run.price[0], run.size[0]);
                let bar = none.insert(OpenBar::of_tick((first, first), first, price, size));
                bar.add_run(&run.ts[1..], &run.price[1..], &run.size[1..]);
                bar
            }
        };
        bar.end = last;
        Some(bar)
    }

    fn close(&mut self, out: &mut impl FnMut(&OpenBar)) {
        if let Some(mut bar) = self.open.take() {
            bar.complete = !std::mem::take(&mut self.missing);
            self.closed_until = bar.end;
            out(&bar);
        }
    }
}

#[derive(Debug)]
enum Rule {
    Count(Count),
    Fill(Fill),
    Range(Range),
    Renko(Renko),
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Measured {
    rule: Rule,
    slot: Slot,
    /// The label of the newest tick.
    now: i64,
}

impl Measured {
    /// Prices are measured in ticks of `tick_size`.
    pub(crate) fn new(measure: Measure, tick_size: f64, split: Split) -> Self {
        let steps = || Steps::new(tick_size);
        let rule = match measure {
            Measure::Trades(count) => Rule::Count(Count::new(count)),
            Measure::Volume(most) => Rule::Fill(Fill::new(Quantity::Volume, most.get(), split)),
            Measure::Notional(most) => Rule::Fill(Fill::new(Quantity::Notional, most.get(), split)),
            Measure::Range(ticks) => Rule::Range(Range::new(steps(), ticks)),
            Measure::Renko(ticks) => Rule::Renko(Renko::new(steps(), ticks)),
        };
        let slot = Slot { open: None, missing: false, closed_until: NO_TIME };
        Self { rule, slot, now: NO_TIME }
    }

    /// The bar that is open.
    pub(crate) fn open(&self) -> Option<&OpenBar> {
        self.slot.open.as_ref()
    }

    /// Adds a tick; `time` is the largest event time believed.
    #[inline]
    pub(crate) fn add(&mut self, time: i64, price: f64, size: f64, out: &mut impl FnMut(&OpenBar)) {
        self.now = self.now.max(time);
        let now = self.now;
        self.take(Run { ts: &[now], price: &[price], size: &[size] }, out);
    }

    /// Adds ticks of which none is earlier than the one before, and all are believed; `time` is the
    /// largest event time believed before them.
    #[inline]
    pub(crate) fn add_run(
        &mut self,
        time: i64,
        ts: &[i64],
        price: &[f64],
        size: &[f64],
        out: &mut impl FnMut(&OpenBar),
    ) {
        let (Some(&first), Some(&last)) = (ts.first(), ts.last()) else { return };
        self.now = self.now.max(time);
        if first < self.now {
            for ((&ts, &price), &size) in ts.iter().zip(price).zip(size) {
                self.add(ts, price, size, out);
            }
        } else {
            self.now = last;
            self.take(Run { ts, price, size }, out);
        }
    }

    #[inline]
    fn take(&mut self, run: Run<'_>, out: &mut impl FnMut(&OpenBar)) {
        let slot = &mut self.slot;
        match &mut self.rule {
            Rule::Count(rule) => rule.take(slot, run, out),
            Rule::Fill(rule) => rule.take(slot, run, out),
            Rule::Range(rule) => rule.take(slot, run, out),
            Rule::Renko(rule) => rule.take(slot, run, out),
        }
    }

    /// Ends the bar that is open and begins anew with the next tick. Bricks go on: they are laid by
    /// prices alone.
    pub(crate) fn restart(&mut self, out: &mut impl FnMut(&OpenBar)) {
        match &mut self.rule {
            Rule::Count(_) => {}
            Rule::Fill(rule) => rule.restart(),
            Rule::Range(rule) => rule.restart(),
            Rule::Renko(_) => return,
        }
        self.slot.close(out);
    }

    /// Says that data is missing up to `end`.
    pub(crate) fn mark_gap(&mut self, end: i64) {
        self.slot.missing |= end > self.slot.closed_until;
    }
}
