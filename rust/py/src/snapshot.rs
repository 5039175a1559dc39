//! `Snapshot`: one consistent cut through an instrument.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tickwire_core::record::InstrumentId;
use tickwire_core::snapshot::Snapshot as Core;

use crate::book::Book;
use crate::counts::stats;
use crate::engine::PyEngine;
use crate::frame::frame;
use crate::records::{Bar, Quote, Trade};
use crate::specs;

/// An instrument as it was at one moment: every timeframe, the newest tick, the top of the book and
/// the counters, all from after the same update. It does not change.
#[pyclass(frozen, module = "tickwire")]
pub(crate) struct Snapshot {
    engine: Py<PyEngine>,
    id: InstrumentId,
    core: Core,
}

impl Snapshot {
    pub(crate) fn new(engine: Py<PyEngine>, id: InstrumentId, core: Core) -> Self {
        Self { engine, id, core }
    }

    /// At most `levels` of each side of the book.
    pub(crate) fn book_of(&self, py: Python<'_>, levels: Option<usize>) -> PyResult<Option<Book>> {
        let shown = self.engine.get().core().spec(self.id).book_levels;
        let book = |view| Book::new(py, self.name(py), view, shown, levels);
        self.core.book().map(book).transpose()
    }

    fn name(&self, py: Python<'_>) -> Py<PyString> {
        PyString::intern(py, &self.engine.get().core().spec(self.id).symbol).unbind()
    }
}

#[pymethods]
impl Snapshot {
    /// The instrument's symbol.
    #[getter]
    fn symbol(&self, py: Python<'_>) -> Py<PyString> {
        self.name(py)
    }

    /// The newest accepted trade, or None.
    #[getter]
    fn trade(&self, py: Python<'_>) -> Option<Trade> {
        self.core.trade().map(|trade| Trade::new(self.name(py), &trade))
    }

    /// The newest accepted quote, or None.
    #[getter]
    fn quote(&self, py: Python<'_>) -> Option<Quote> {
        self.core.quote().map(|quote| Quote::new(self.name(py), &quote))
    }

    /// The order book, as of `Engine.book(symbol)`, or None before the first depth delta.
    #[getter]
    fn book(&self, py: Python<'_>) -> PyResult<Option<Book>> {
        self.book_of(py, None)
    }

    /// Counts of ticks, as of `Engine.stats(symbol)`.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats(py, &self.core.counters(), self.core.clock_offset_ns())
    }

    /// The time up to which bars are closed, int ns UTC, or None before the first tick.
    #[pyo3(signature = (source="trade"))]
    fn closing_time(&self, source: &str) -> PyResult<Option<i64>> {
        Ok(self.core.closing_time(specs::source(source)?))
    }

    /// The newest closed bar of a timeframe, or None.
    #[pyo3(signature = (timeframe, source="trade"))]
    fn closed_bar(&self, py: Python<'_>, timeframe: &str, source: &str) -> PyResult<Option<Bar>> {
        let names = self.engine.get().names();
        let (level, source) = (names.level(timeframe)?, specs::source(source)?);
        let bar = self.core.closed_bar(source, level);
        Ok(bar.map(|bar| names.bar(py, self.id, self.core.kinds()[level], source, &bar)))
    }

    /// The bars of a timeframe that are still open, oldest first: none, one, or several where late
    /// ticks are waited for.
    #[pyo3(signature = (timeframe, source="trade"))]
    fn open_bars(&self, py: Python<'_>, timeframe: &str, source: &str) -> PyResult<Vec<Bar>> {
        let names = self.engine.get().names();
        let (level, source) = (names.level(timeframe)?, specs::source(source)?);
        let kind = self.core.kinds()[level];
        let bars = self.core.open_bars(source, level);
        Ok(bars.iter().map(|bar| names.bar(py, self.id, kind, source, bar)).collect())
    }

    /// The bars of a timeframe as a polars.DataFrame; see `Engine.bars`.
    #[pyo3(signature = (timeframe, last=None, *, partial=false, source="trade"))]
    fn bars<'py>(
        &self,
        py: Python<'py>,
        timeframe: &str,
        last: Option<usize>,
        partial: bool,
        source: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let names = self.engine.get().names();
        let (level, source) = (names.level(timeframe)?, names.source_of(self.id, source)?);
        frame(py, self.core.batches(source, level, last, None, partial))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("Snapshot(symbol='{}')", self.name(py).bind(py))
    }
}
