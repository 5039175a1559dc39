//! Which ticks a feed has numbered have come already.
//!
//! Two copies of one feed, such as a venue's lines A and B, are merged by the numbers that the feed
//! itself gives to its ticks: each is applied once, whichever copy brings it first. Only the newest
//! numbers are remembered, in the order in which they came first. They need not ascend, and may begin
//! anew once those from before have been forgotten.

use rustc_hash::FxHashSet;
use std::collections::VecDeque;

/// Numbers remembered. Copies of a feed are apart by far less.
pub const REMEMBERED: usize = 65_536;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    known: FxHashSet<i64>,
    order: VecDeque<i64>,
}

impl Ids {
    /// Takes note of a number; whether it is new.
    pub(crate) fn is_new(&mut self, id: i64) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, REMEMBERED};

    #[test]
    fn the_newest_are_remembered_and_no_others() {
        let mut ids = Ids::default();
        let most = REMEMBERED as i64;
        assert!((0..most).all(|id| ids.is_new(id)));
        assert!((0..most).all(|id| !ids.is_new(id)));
        assert!(ids.is_new(-1), "the first is forgotten for it");
        assert!(ids.is_new(0));
        assert!(!ids.is_new(-1) && !ids.is_new(most - 1));
        assert_eq!((ids.known.len(), ids.order.len()), (REMEMBERED, REMEMBERED));
    }
}
