//! How an engine judges ticks: its rules, which may change, and the ticks that broke one.

use pyo3::prelude::*;
use tickwire_core::judged::{Fate, KEPT};

use crate::engine::PyEngine;
use crate::frame::frame;
use crate::session;
use crate::specs::RulesArg;

/// Judge all later ticks of an instrument by these rules.
#[pyfunction]
pub(crate) fn set_rules(
    py: Python<'_>,
    engine: &Bound<'_, PyEngine>,
    symbol: &str,
    rules: RulesArg,
) -> PyResult<()> {
    let engine = engine.get();
    let id = engine.names().find(symbol)?;
    let rules = rules.build()?;
    let core = engine.core();
    session::write(&core, py, false, |session| session.set_rules(id, &rules));
    Ok(())
}

/// The newest ticks that were rejected or flagged, of one instrument or of all, as a polars.DataFrame.
#[pyfunction]
pub(crate) fn judged<'py>(
    py: Python<'py>,
    engine: &Bound<'py, PyEngine>,
    symbol: Option<&str>,
    flagged: bool,
    last: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let engine = engine.get();
    let ids = match symbol {
        Some(symbol) => vec![engine.names().find(symbol)?],
        None => engine.core().ids().collect(),
    };
    let fate = if flagged { Fate::Flagged } else { Fate::Rejected };
    let core = engine.core();
    let batch = py.detach(|| core.judged_batch(&ids, fate, last.unwrap_or(KEPT)));
    frame(py, batch.map(|batch| vec![batch]))
}
