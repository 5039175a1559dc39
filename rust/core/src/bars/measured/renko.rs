//! Renko: bricks of so many ticks, each beside the one before.
//!
//! The first price is where the chart begins. A brick is laid whenever the price is a whole brick
//! beyond the last one in its direction; to turn around it must be a brick beyond the other side, two
//! from the last close (S. Nison, "Beyond Candlesticks", 1994; as in
//! <https://help.tradestation.com/09_01/tradestationhelp/charting/renko_chart.htm>). A brick opens at
//! one of its ends and closes at the other; it has no wicks.
//!
//! Ticks since the last brick belong to the next one. Where a tick lays several, all of them belong to
//! the first; those after it are phantom bricks, without trades and volume. One that would lay more
//! than [`MOST_BARS`] lays none: the chart begins anew at its price. While a brick is not laid, its bar
//! opens at the last brick's close and shows the prices since.

use super::{MOST_BARS, Run, Slot};
use crate::bars::bar::OpenBar;
use crate::grid::Steps;

#[derive(Debug)]
pub(super) struct Renko {
    steps: Steps,
    brick: i64,
    /// The close of the last brick, in steps, or the first price.
    level: Option<i64>,
    /// 1 where the last brick rose, -1 where it fell, 0 where there is none.
    direction: i64,
}

impl Renko {
    pub(super) fn new(steps: Steps, ticks: u32) -> Self {
        Self { steps, brick: Steps::in_ticks(ticks), level: None, direction: 0 }
    }

    #[inline]
    pub(super) fn take(
        &mut self,
        slot: &mut Slot,
        mut run: Run<'_>,
        out: &mut impl FnMut(&OpenBar),
    ) {
        let Some(&first) = run.price.first() else { return };
        let mut level = *self.level.get_or_insert_with(|| self.steps.of(first));
        let (mut down, mut up) = self.bounds(level);
        let mut row = 0;
        while row < run.ts.len() {
            let step = self.steps.of(run.price[row]);
            row += 1;
            if step <= down || step >= up {
                let (before, rest) = run.split_at(row);
                self.enter(slot, before, level);
                level = self.lay(slot, level, step, out);
                (down, up) = self.bounds(level);
                (run, row) = (rest, 0);
            }
        }
        self.enter(slot, run, level);
        self.level = Some(level);
    }

    /// The steps at which the next brick is laid, below and above.
    fn bounds(&self, level: i64) -> (i64, i64) {
        let away = |direction: i64| {
            let bricks = 1 + i64::from(self.direction == -direction);
            level.saturating_add(direction * bricks * self.brick)
        };
        (away(-1), away(1))
    }

    #[inline]
    fn enter(&self, slot: &mut Slot, run: Run<'_>, level: i64) {
        let first = slot.open.is_none();
        if let Some(bar) = slot.enter(run)
            && first
        {
            bar.open = self.steps.price(level);
            (bar.low, bar.high) = (bar.low.min(bar.open), bar.high.max(bar.open));
        }
    }

    /// Lays bricks from `level` towards `step`; returns the close of the last one.
    fn lay(
        &mut self,
        slot: &mut Slot,
        level: i64,
        step: i64,
        out: &mut impl FnMut(&OpenBar),
    ) -> i64 {
        let distance = step.saturating_sub(level);
        let direction = distance.signum();
        let bricks = distance.saturating_abs() / self.brick;
        if bricks > i64::from(MOST_BARS) {
            self.direction = 0;
            return step;
        }
        // A turn begins where the last brick did.
        let first = i64::from(self.direction == -direction);
        let end = |brick: i64| level + direction * brick * self.brick;
        for brick in first..bricks {
            let (open, close) = (self.steps.price(end(brick)), self.steps.price(end(brick + 1)));
            if let Some(bar) = &mut slot.open {
                (bar.open, bar.close) = (open, close);
                (bar.low, bar.high) = (open.min(close), open.max(close));
                let now = bar.end;
                slot.close(out);
                if brick + 1 < bricks {
                    let mut phantom = OpenBar::of_tick((now, now), now, open, 0.0);
                    phantom.trades = 0;
                    slot.open = Some(phantom);
                }
            }
        }
        self.direction = direction;
        end(bricks)
    }
}
