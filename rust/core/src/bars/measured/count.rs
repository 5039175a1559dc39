//! Bars of so many ticks: the n-th closes the bar.

use super::{Run, Slot};
use crate::bars::bar::OpenBar;

#[derive(Debug)]
pub(super) struct Count {
    most: u64,
}

impl Count {
    pub(super) fn new(most: u32) -> Self {
        Self { most: u64::from(most) }
    }

    #[inline]
    pub(super) fn take(&self, slot: &mut Slot, mut run: Run<'_>, out: &mut impl FnMut(&OpenBar)) {
        while !run.ts.is_empty() {
            let room = self.most - slot.open.as_ref().map_or(0, |bar| bar.trades);
            let (part, rest) = run.split_at(run.ts.len().min(room as usize));
            run = rest;
            if slot.enter(part).is_some_and(|bar| bar.trades == self.most) {
                slot.close(out);
            }
        }
    }
}
