//! The offset of the clocks, worked out anew from all arrivals.

use tickwire_core::record::NO_TIME;

const WINDOW_NS: i64 = 150_000_000_000;

#[derive(Default)]
pub(crate) struct NaiveClock {
    /// Arrivals, each with how much later than its event it was.
    arrivals: Vec<(i64, i64)>,
    /// After each tick its arrival, and the largest of the newest three differences.
    lows: Vec<(i64, i64)>,
}

impl NaiveClock {
    pub(crate) fn arrive(&mut self, ts_event: i64, ts_recv: i64) {
        if ts_event == NO_TIME || ts_recv == NO_TIME {
            return;
        }
        if self.arrivals.last().is_some_and(|last| last.0 == ts_recv) {
            self.arrivals.pop();
        }
        self.arrivals.push((ts_recv, ts_recv - ts_event));
        if let [.., one, two, three] = self.arrivals[..] {
            self.lows.push((ts_recv, one.1.max(two.1).max(three.1)));
        }
    }

    /// The smallest difference that three arrivals in a row did not exceed, in this window and the
    /// last; zero if there is none.
    pub(crate) fn offset(&self) -> i64 {
        let mut windows: Vec<(i64, Vec<i64>)> = Vec::new();
        for &(recv, low) in &self.lows {
            match windows.last_mut() {
                Some((start, lows)) if (0..WINDOW_NS).contains(&(recv - *start)) => lows.push(low),
                // The first of all has a window of its own.
                None => windows.push((i64::MIN / 2, vec![low])),
                Some(_) => windows.push((recv, vec![low])),
            }
        }
        let lows = windows.iter().rev().take(2).flat_map(|(_, lows)| lows);
        lows.min().copied().unwrap_or(0)
    }
}
