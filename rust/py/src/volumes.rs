//! `Volumes`: the volume that a feed publishes, beside the trades that it has delivered.

use pyo3::prelude::*;
use tickwire_core::decode;
use tickwire_core::record::NO_TIME;

/// What one connection has heard of one instrument's volume. Between two looks both counts only grow,
/// unless `resets` does.
#[pyclass(frozen, get_all, module = "tickwire")]
pub(crate) struct Volumes {
    /// The newest total of the day.
    published: f64,
    /// Event time of the quote that brought it (its arrival, if it has none), int ns UTC, or None.
    published_ts: Option<i64>,
    /// The total with which counting began.
    baseline: f64,
    /// Time of the quote that brought that one, as `published_ts`.
    baseline_ts: Option<i64>,
    /// Sum of the sizes of the trades delivered since, accepted or not.
    traded: f64,
    /// What `traded` was when `published` came.
    traded_then: f64,
    /// Number of trades delivered since.
    trades: u64,
    /// How often counting has begun anew: with `Feed.reset`, and with a total below the one before,
    /// which is that of another day.
    resets: u64,
}

impl From<decode::Volumes> for Volumes {
    fn from(volumes: decode::Volumes) -> Self {
        let known = |ts| (ts != NO_TIME).then_some(ts);
        Self {
            published: volumes.published,
            published_ts: known(volumes.published_ts),
            baseline: volumes.baseline,
            baseline_ts: known(volumes.baseline_ts),
            traded: volumes.traded,
            traded_then: volumes.traded_then,
            trades: volumes.trades,
            resets: volumes.resets,
        }
    }
}

#[pymethods]
impl Volumes {
    fn __repr__(&self) -> String {
        let time = |ts: Option<i64>| ts.map_or_else(|| "None".to_owned(), |ts| ts.to_string());
        format!(
            "Volumes(published={}, published_ts={}, baseline={}, baseline_ts={}, traded={}, \
             traded_then={}, trades={}, resets={})",
            self.published,
            time(self.published_ts),
            self.baseline,
            time(self.baseline_ts),
            self.traded,
            self.traded_then,
            self.trades,
            self.resets
        )
    }
}
