//! Counts as dicts.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickwire_core::History;
use tickwire_core::engine::Memory;
use tickwire_core::reason::Reason;
use tickwire_core::snapshot::Counters;

/// Counts that are not zero, by the name of the reason.
pub(crate) fn by_reason<'py>(py: Python<'py>, counts: &[u64]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (reason, &count) in Reason::ALL.iter().zip(counts) {
        if count > 0 {
            dict.set_item(reason.name(), count)?;
        }
    }
    Ok(dict)
}

/// Counts of ticks, and how far the clock of this machine is ahead of the venue's.
pub(crate) fn stats<'py>(
    py: Python<'py>,
    counters: &Counters,
    clock_offset_ns: Option<i64>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("received", counters.received)?;
    dict.set_item("accepted", counters.accepted)?;
    dict.set_item("rejected", counters.rejected_total())?;
    dict.set_item("trades", counters.trades)?;
    dict.set_item("quotes", counters.quotes)?;
    dict.set_item("depth", counters.depth)?;
    dict.set_item("duplicates", counters.duplicates)?;
    dict.set_item("book_disagreements", counters.book_disagreements)?;
    dict.set_item("revised", counters.revised)?;
    dict.set_item("clock_offset_ns", clock_offset_ns)?;
    dict.set_item("rejections", by_reason(py, &counters.rejected)?)?;
    dict.set_item("flags", by_reason(py, &counters.flagged)?)?;
    Ok(dict)
}

pub(crate) fn history<'py>(py: Python<'py>, history: &History) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("received", history.received)?;
    dict.set_item("inserted", history.inserted)?;
    dict.set_item("replaced", history.replaced)?;
    dict.set_item("existing", history.existing)?;
    dict.set_item("open", history.open)?;
    Ok(dict)
}

pub(crate) fn memory<'py>(py: Python<'py>, memory: &Memory) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("rings", memory.rings)?;
    dict.set_item("bars", memory.bars)?;
    dict.set_item("books", memory.books)?;
    dict.set_item("fixed", memory.fixed)?;
    dict.set_item("total", memory.rings + memory.bars + memory.books + memory.fixed)?;
    Ok(dict)
}
