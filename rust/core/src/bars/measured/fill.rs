//! Bars of so much volume or notional.
//!
//! A bar is full when it holds as much as was asked for, or lacks no more than [`SLACK`] of it: sizes
//! such as 0.7 and 0.1 have no exact binary form, and 0.8 of them should fill a bar of 0.8. Notional is
//! the size times the magnitude of the price. What has neither (a print of size zero, say) enters the
//! bar and fills nothing.
//!
//! Of the trade that reaches the boundary, [`Split`] says whether it stays whole, so that the bar may
//! hold more than was asked for, or is divided over as many bars as it fills. It then counts among the
//! trades of the first of them; bars that it fills alone have none. One that would fill more than
//! [`MOST_BARS`] stays whole.

use super::{MOST_BARS, Run, Slot};
use crate::bars::bar::{OpenBar, Sums};

/// What may be lacking in a full bar, as a part of it. Sums are no more exact than that.
const SLACK: f64 = 1e-12;

/// What becomes of a trade that reaches the end of a volume or notional bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// It stays whole.
    #[default]
    Keep,
    /// Each bar gets the part that it has room for.
    Split,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Quantity {
    Volume,
    Notional,
}

#[derive(Debug)]
pub(super) struct Fill {
    quantity: Quantity,
    most: f64,
    split: Split,
    filled: Sums<1>,
}

impl Fill {
    pub(super) fn new(quantity: Quantity, most: f64, split: Split) -> Self {
        Self { quantity, most, split, filled: Sums::ZERO }
    }

    pub(super) fn restart(&mut self) {
        self.filled = Sums::ZERO;
    }

    #[inline]
    pub(super) fn take(&mut self, slot: &mut Slot, run: Run<'_>, out: &mut impl FnMut(&OpenBar)) {
        // Whatever the rules let pass, a size below zero fills nothing.
        let positive = |size: f64| if size > 0.0 { size } else { 0.0 };
        match self.quantity {
            Quantity::Volume => self.take_by(slot, run, out, |_, size| positive(size)),
            Quantity::Notional => {
                self.take_by(slot, run, out, |price, size| price.abs() * positive(size));
            }
        }
    }

    #[inline]
    fn take_by(
        &mut self,
        slot: &mut Slot,
        mut run: Run<'_>,
        out: &mut impl FnMut(&OpenBar),
        amount: impl Fn(f64, f64) -> f64,
    ) {
        let full = self.most * (1.0 - SLACK);
        let mut filled = self.filled;
        let mut row = 0;
        while row < run.ts.len() {
            let amount = amount(run.price[row], run.size[row]);
            let mut reached = filled;
            reached.add([amount]);
            if reached.get(0) < full {
                filled = reached;
                row += 1;
                continue;
            }
            let (before, rest) = run.split_at(row);
            let (tick, after) = rest.split_at(1);
            slot.enter(before);
            filled = self.fill(slot, tick, amount, filled, out);
            (run, row) = (after, 0);
        }
        self.filled = filled;
        slot.enter(run);
    }

    /// Adds the tick that reaches the boundary; returns how much the next bar then holds.
    #[inline]
    fn fill(
        &self,
        slot: &mut Slot,
        tick: Run<'_>,
        amount: f64,
        filled: Sums<1>,
        out: &mut impl FnMut(&OpenBar),
    ) -> Sums<1> {
        let room = self.most - filled.get(0);
        let rest = amount - room;
        if self.split == Split::Split
            && rest > self.most * SLACK
            && rest < self.most * f64::from(MOST_BARS)
        {
            return self.divide(slot, tick, room, rest, out);
        }
        if let Some(bar) = slot.enter(tick)
            && self.split == Split::Split
            && rest <= self.most * SLACK
        {
            self.settle(bar);
        }
        slot.close(out);
        Sums::ZERO
    }

    /// Fills the open bar with `room` of the tick, and further ones with the `rest`.
    #[cold]
    fn divide(
        &self,
        slot: &mut Slot,
        tick: Run<'_>,
        room: f64,
        rest: f64,
        out: &mut impl FnMut(&OpenBar),
    ) -> Sums<1> {
        let size = |amount: f64| match self.quantity {
            Quantity::Volume => amount,
            Quantity::Notional => amount / tick.price[0].abs(),
        };
        if let Some(bar) = slot.enter(Run { size: &[size(room)], ..tick }) {
            self.settle(bar);
        }
        slot.close(out);
        let later = |slot: &mut Slot, amount: f64| {
            if let Some(bar) = slot.enter(Run { size: &[size(amount)], ..tick }) {
                bar.trades -= 1;
            }
        };
        // Counted rather than subtracted one by one, which would add up as many roundings.
        let whole = (rest / self.most + SLACK).floor();
        for _ in 0..whole as u32 {
            later(slot, self.most);
            slot.close(out);
        }
        let left = rest - whole * self.most;
        let mut filled = Sums::ZERO;
        if left > self.most * SLACK {
            later(slot, left);
            filled.add([left]);
        }
        filled
    }

    /// Makes the volume of a bar that was filled up what it is meant to be, where sums have rounded.
    fn settle(&self, bar: &mut OpenBar) {
        if let Quantity::Volume = self.quantity {
            bar.set_volume(self.most);
        }
    }
}
