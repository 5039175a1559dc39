//! What becomes of late ticks, and what must be known of a closed bar that one of them enters.

use std::collections::VecDeque;

/// What becomes of a tick of which a bar is already closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Late {
    /// It is refused.
    #[default]
    Reject,
    /// It enters the bars that it belongs to, and they get a new revision, if the smallest of them
    /// ended less than so long before the closing time.
    Revise {
        /// Event time, ns.
        horizon_ns: i64,
    },
}

/// Closed bars of one series whose first and last ticks are remembered; beyond it the oldest are
/// forgotten.
const MOST: usize = 65_536;

/// When the first and the last tick of a closed bar were: a late tick between them changes neither
/// open nor close. The newest bars of one series, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    bars: VecDeque<Edge>,
    /// Bars that start before this may have been forgotten.
    floor: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) start: i64,
    pub(crate) open_ts: i64,
    pub(crate) close_ts: i64,
}

impl Edges {
    /// Takes up a bar.
    pub(crate) fn add(&mut self, edge: Edge) {
        match self.position(edge.start) {
            Ok(index) => self.bars[index] = edge,
            Err(index) => self.bars.insert(index, edge),
        }
        if self.bars.len() > MOST {
            self.forget_first();
        }
    }

    /// Forgets bars that start before a time.
    pub(crate) fn forget(&mut self, before: i64) {
        while self.bars.front().is_some_and(|edge| edge.start < before) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        self.floor = self.bars.pop_front().map(|edge| edge.start + 1).max(self.floor);
    }

    /// Whether a bar that starts then would be known, had it any ticks.
    pub(crate) fn reaches(&self, start: i64) -> bool {
        self.floor.is_none_or(|floor| start >= floor)
    }

    /// Takes up a late tick of the bar that starts then; whether it is the first and whether it is the
    /// last of that bar's ticks. Among equal event times arrival decides.
    pub(crate) fn amend(&mut self, start: i64, ts: i64) -> (bool, bool) {
        match self.position(start) {
            Ok(index) => {
                let edge = &mut self.bars[index];
                let ends = (ts < edge.open_ts, ts >= edge.close_ts);
                edge.open_ts = edge.open_ts.min(ts);
                edge.close_ts = edge.close_ts.max(ts);
                ends
            }
            Err(_) => {
                self.add(Edge { start, open_ts: ts, close_ts: ts });
                (true, true)
            }
        }
    }

    fn position(&self, start: i64) -> Result<usize, usize> {
        // Nearly always after the newest.
        match self.bars.back() {
            Some(newest) if start > newest.start => Err(self.bars.len()),
            _ => self.bars.binary_search_by_key(&start, |edge| edge.start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Edge, Edges, MOST};

    fn edge(start: i64, ts: i64) -> Edge {
        Edge { start, open_ts: ts, close_ts: ts }
    }

    #[test]
    fn the_newest_are_known_and_what_was_forgotten_is_not_taken_for_empty() {
        let mut edges = Edges::default();
        let count = MOST as i64 + 10;
        (0..count).for_each(|start| edges.add(edge(start, start)));
        assert!(!edges.reaches(9) && edges.position(9).is_err());
        assert!(edges.reaches(10) && edges.position(10).is_ok());
        edges.forget(count - 1);
        assert!(!edges.reaches(count - 2) && edges.reaches(count - 1));
    }

    #[test]
    fn a_late_tick_is_first_or_last_in_order_of_event_time_and_then_of_arrival() {
        let mut edges = Edges::default();
        for start in [10, 30] {
            edges.add(edge(start, start + 5));
        }
        assert_eq!(edges.amend(20, 25), (true, true), "the only one");
        assert_eq!(edges.amend(20, 25), (false, true));
        assert_eq!(edges.amend(20, 24), (true, false));
        assert_eq!(edges.amend(20, 24), (false, false));
        assert_eq!(edges.amend(20, 26), (false, true));
        let starts: Vec<_> = edges.bars.iter().map(|edge| edge.start).collect();
        assert_eq!(starts, [10, 20, 30]);
    }
}
