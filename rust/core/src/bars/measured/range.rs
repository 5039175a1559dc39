//! Bars whose high and low are no more than so many ticks apart.
//!
//! A bar takes every tick that keeps it within its range. The first one beyond closes it as it is, and
//! opens the next at its own price; a jump over several ranges leaves the prices between without bars
//! ("range bars" as CQG builds them by default; other makers' fill such jumps with bars that nobody
//! traded: <https://help.cqg.com/cqgic/25/Documents/rangebarrb.htm>).

use super::{Run, Slot};
use crate::bars::bar::OpenBar;
use crate::grid::Steps;

#[derive(Debug)]
pub(super) struct Range {
    steps: Steps,
    most: i64,
    /// Of the open bar, in steps.
    low: i64,
    high: i64,
}

impl Range {
    pub(super) fn new(steps: Steps, ticks: u32) -> Self {
        Self { steps, most: Steps::in_ticks(ticks), low: i64::MAX, high: i64::MIN }
    }

    pub(super) fn restart(&mut self) {
        (self.low, self.high) = (i64::MAX, i64::MIN);
    }

    #[inline]
    pub(super) fn take(
        &mut self,
        slot: &mut Slot,
        mut run: Run<'_>,
        out: &mut impl FnMut(&OpenBar),
    ) {
        let (mut low, mut high) = (self.low, self.high);
        let mut row = 0;
        while row < run.ts.len() {
            let step = self.steps.of(run.price[row]);
            (low, high) = (low.min(step), high.max(step));
            if high.saturating_sub(low) > self.most {
                let (before, rest) = run.split_at(row);
                slot.enter(before);
                slot.close(out);
                (run, row) = (rest, 0);
                (low, high) = (step, step);
            }
            row += 1;
        }
        (self.low, self.high) = (low, high);
        slot.enter(run);
    }
}
