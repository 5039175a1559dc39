//! Private parts as the concurrency models in `tests/` need them. Exists only where those are built.
#![allow(missing_docs)]

use crate::bars::{Bar, Timeframe};
use crate::signal::{Signal, Watch};
use crate::store::{Columns, Tail as Inner};
use std::sync::Arc;

#[derive(Debug)]
pub struct Tail(Inner);

impl Tail {
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self(Inner::new(capacity, false))
    }

    pub fn push(&self, bar: &Bar) {
        self.0.push(bar);
    }

    /// All rows that a reader may copy.
    #[must_use]
    pub fn bars(&self, timeframe: Timeframe) -> Vec<Bar> {
        let mut columns = Columns::default();
        self.0.copy_to(0, self.0.len(), &mut columns);
        let buckets = timeframe.into();
        (0..columns.len()).map(|row| columns.bar(row, Some(&buckets))).collect()
    }
}

#[derive(Debug, Default)]
pub struct Watchers(crate::signal::Watchers);

impl Watchers {
    pub fn add(&self, signal: &Arc<Signal>) {
        self.0.add(&Watch { signal: Arc::downgrade(signal), ticks: true, bars: false });
    }

    pub fn raise(&self) {
        self.0.raise(true, false);
    }
}
