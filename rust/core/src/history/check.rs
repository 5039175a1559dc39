//! What a ready bar must be, and what is said of one that is not.

use crate::bars::{Bar, Buckets, Kind, Timeframe};
use crate::record::NO_TIME;
use arrow_schema::ArrowError;

/// Why bars were refused. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// An update of the instrument has failed inside before.
    #[error(
        "{symbol} is stopped, because an update of it has failed inside, which is a defect of tickwire; \
         make a new engine, and please report the panic"
    )]
    Stopped {
        /// The instrument.
        symbol: String,
    },
    /// The engine does not make bars of this source for the instrument.
    #[error("{symbol} has no {source_name} bars; give the instrument that source to keep them")]
    NoSource {
        /// The instrument.
        symbol: String,
        /// The source asked for.
        source_name: &'static str,
    },
    /// Bars that are no lengths of time.
    #[error(
        "timeframe: got \"{0}\", expected a length of time such as \"1m\"; bars that are cut by their ticks \
         are made of ticks alone"
    )]
    NotTime(Kind),
    /// No label.
    #[error("row {row}: the bar has no time")]
    NoTime {
        /// Position in the order of time.
        row: usize,
    },
    /// A label that is not the start of a bar.
    #[error(
        "row {row}: {ts} ns is not the start of a {timeframe} bar; the bar that holds it starts at {start} ns"
    )]
    Unaligned {
        /// Position in the order of time.
        row: usize,
        /// The label.
        ts: i64,
        /// What the label should have been.
        start: i64,
        /// The timeframe of the table.
        timeframe: Timeframe,
    },
    /// Two bars of the same label.
    #[error("row {row}: a second bar starts at {ts} ns; give each bar once")]
    Twice {
        /// Position in the order of time.
        row: usize,
        /// The label.
        ts: i64,
    },
    /// Prices that no market can have made.
    #[error("row {row}: the bar at {ts} ns has {what}")]
    Impossible {
        /// Position in the order of time.
        row: usize,
        /// The label.
        ts: i64,
        /// What is wrong.
        what: &'static str,
    },
    /// The columns could not be stored.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Whether a bar can be right.
pub(super) fn check(row: usize, bar: &Bar, buckets: &Buckets) -> Result<(), HistoryError> {
    if bar.ts == NO_TIME {
        return Err(HistoryError::NoTime { row });
    }
    let (start, _) = buckets.bucket(bar.ts);
    if start != bar.ts {
        let timeframe = buckets.timeframe();
        return Err(HistoryError::Unaligned { row, ts: bar.ts, start, timeframe });
    }
    let finite = [bar.open, bar.high, bar.low, bar.close].iter().all(|price| price.is_finite());
    let what = if !finite {
        "a price that is not a finite number"
    } else if bar.low > bar.open.min(bar.close) || bar.high < bar.open.max(bar.close) {
        "an open or close outside of low and high"
    } else if !(bar.volume >= 0.0 && bar.volume.is_finite()) {
        "a volume that is negative or not a finite number"
    } else if bar.volume > 0.0 && !bar.vwap.is_finite() {
        "a vwap that is not a finite number"
    } else {
        return Ok(());
    };
    Err(HistoryError::Impossible { row, ts: bar.ts, what })
}
