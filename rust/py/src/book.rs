//! `Book`: the order book of an instrument as it was at one moment.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tickwire_core::book::{BookCounts, BookView, Level};

use crate::errors::ConfigError;
use crate::frame::frame;

/// The order book of one instrument as it was after some one update. It does not change.
#[pyclass(frozen, module = "tickwire")]
pub(crate) struct Book {
    #[pyo3(get)]
    symbol: Py<PyString>,
    /// The best bids, best first: float64, shape (n, 2), a row being price and size. Read-only.
    #[pyo3(get)]
    bids: Py<PyArray2<f64>>,
    /// The best asks, as `bids`.
    #[pyo3(get)]
    asks: Py<PyArray2<f64>>,
    /// Levels of each side that were asked for.
    #[pyo3(get)]
    levels: usize,
    view: BookView,
}

impl Book {
    /// At most `levels` of those that the engine shows, or all of them.
    pub(crate) fn new(
        py: Python<'_>,
        symbol: Py<PyString>,
        view: BookView,
        shown: usize,
        levels: Option<usize>,
    ) -> PyResult<Self> {
        let levels = levels.unwrap_or(shown);
        if !(1..=shown).contains(&levels) {
            return Err(ConfigError::new_err(format!(
                "levels: got {levels}, expected 1 to {shown}; more are shown with Engine(book_levels=…)"
            )));
        }
        let view = view.truncated(levels);
        let (bids, asks) = (array(py, &view.bids)?, array(py, &view.asks)?);
        Ok(Self { symbol, bids, asks, levels, view })
    }

    fn first(&self, side: &[Level], value: fn(&Level) -> f64) -> f64 {
        side.first().map_or(f64::NAN, value)
    }
}

/// Prices and sizes, side by side.
fn array(py: Python<'_>, levels: &[Level]) -> PyResult<Py<PyArray2<f64>>> {
    let flat = levels.iter().flat_map(|level| [level.price, level.size]).collect();
    let array = PyArray1::from_vec(py, flat).reshape([levels.len(), 2])?;
    array.readwrite().make_nonwriteable();
    Ok(array.unbind())
}

#[pymethods]
impl Book {
    /// Event time of the newest depth delta, int ns UTC, or None.
    #[getter]
    fn ts_event(&self) -> Option<i64> {
        self.view.ts_event
    }

    /// Whether the book began with everything that rests (a reset, or a whole book) and nothing was lost
    /// since. Otherwise it is put together from what has changed since the feed was joined.
    #[getter]
    fn complete(&self) -> bool {
        self.view.complete
    }

    /// Best bid, NaN without one.
    #[getter]
    fn bid(&self) -> f64 {
        self.first(&self.view.bids, |level| level.price)
    }

    /// Best ask, NaN without one.
    #[getter]
    fn ask(&self) -> f64 {
        self.first(&self.view.asks, |level| level.price)
    }

    /// Size at the best bid, NaN without one.
    #[getter]
    fn bid_size(&self) -> f64 {
        self.first(&self.view.bids, |level| level.size)
    }

    /// Size at the best ask, NaN without one.
    #[getter]
    fn ask_size(&self) -> f64 {
        self.first(&self.view.asks, |level| level.size)
    }

    /// Best ask less best bid, NaN where a side is empty.
    #[getter]
    fn spread(&self) -> f64 {
        self.view.spread().unwrap_or(f64::NAN)
    }

    /// The middle of the best prices, NaN where a side is empty.
    #[getter]
    fn mid(&self) -> f64 {
        self.view.mid().unwrap_or(f64::NAN)
    }

    /// The middle of the best prices, each weighted with the size on the other side:
    /// (bid * ask_size + ask * bid_size) / (bid_size + ask_size), the weighted mid of Stoikov, "The
    /// micro-price" (2018). NaN where a side is empty.
    #[getter]
    fn microprice(&self) -> f64 {
        self.view.microprice().unwrap_or(f64::NAN)
    }

    /// (B - A) / (B + A), where B and A are the sizes of the first `levels` bids and asks (None: of all
    /// here): 1 if only bids rest, -1 if only asks do, NaN for an empty book. With one level the queue
    /// imbalance of Gould and Bonart, "Queue imbalance as a one-tick-ahead price predictor" (2016).
    #[pyo3(signature = (levels=None))]
    fn imbalance(&self, levels: Option<usize>) -> PyResult<f64> {
        let levels = levels.unwrap_or(self.levels);
        if !(1..=self.levels).contains(&levels) {
            return Err(ConfigError::new_err(format!(
                "levels: got {levels}, expected 1 to the {} that this book has",
                self.levels
            )));
        }
        Ok(self.view.imbalance(levels).unwrap_or(f64::NAN))
    }

    /// Aggressor of the newest accepted trade: 1 buy, -1 sell, 0 not known.
    #[getter]
    fn last_side(&self) -> i8 {
        self.view.last_side as i8
    }

    /// Bids that the engine holds, shown or not.
    #[getter]
    fn bid_levels(&self) -> usize {
        self.view.bid_levels
    }

    /// Asks that the engine holds, shown or not.
    #[getter]
    fn ask_levels(&self) -> usize {
        self.view.ask_levels
    }

    /// Depth deltas that the book was given so far.
    #[getter]
    fn updates(&self) -> u64 {
        self.view.counts.updates
    }

    /// What became of the deltas, by name: updates, other (no level: prints, session extremes), missed
    /// (refused, so that their level may be out of date), dropped (levels, too many), pruned (levels
    /// better than what the feed called its best), crossed (levels that the other side had passed),
    /// disagreements (lasting differences to the quotes' best prices), resets, snapshots, gaps.
    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, count) in BookCounts::NAMES.iter().zip(self.view.counts.to_words()) {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }

    /// The book as a polars.DataFrame of one row: ts_event, then bid_px_00, ask_px_00, bid_sz_00,
    /// ask_sz_00, bid_px_01, … best first; null where there is no such level.
    fn frame<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        frame(py, self.view.batch(self.levels).map(|batch| vec![batch]))
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            self.view == other.view
                && self.levels == other.levels
                && self.symbol.bind(py).as_any().eq(other.symbol.bind(py)).unwrap_or(false)
        })
    }

    fn __hash__(&self) -> u64 {
        self.view.counts.updates
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (bid, ask) = (self.bid(), self.ask());
        format!(
            "Book(symbol='{}', ts_event={}, bid={bid}, ask={ask}, levels=({}, {}), complete={})",
            self.symbol.bind(py),
            self.view.ts_event.map_or_else(|| "None".to_owned(), |time| time.to_string()),
            self.view.bids.len(),
            self.view.asks.len(),
            if self.view.complete { "True" } else { "False" },
        )
    }
}
