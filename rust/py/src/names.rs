//! From the names that Python uses to what the core counts by, and back.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;
use tickwire_core::bars::{Bar, Kind, Source};
use tickwire_core::engine::Engine;
use tickwire_core::record::InstrumentId;
use tickwire_core::subscription::Item;

use crate::errors::{ConfigError, UnknownInstrument};
use crate::records::{self, BarNames};
use crate::specs;

/// The names of one engine's instruments, timeframes and sources.
pub(crate) struct Names {
    core: Arc<Engine>,
    symbols: Vec<Py<PyString>>,
    timeframes: Vec<Py<PyString>>,
    sources: [Py<PyString>; Source::ALL.len()],
}

impl Names {
    pub(crate) fn new(py: Python<'_>, core: Arc<Engine>) -> Self {
        let name = |text: &str| PyString::intern(py, text).unbind();
        Self {
            symbols: core.ids().map(|id| name(&core.spec(id).symbol)).collect(),
            timeframes: core.kinds().iter().map(|known| name(&known.to_string())).collect(),
            sources: Source::ALL.map(|source| name(source.name())),
            core,
        }
    }

    /// The instruments' symbols, in the order given.
    pub(crate) fn symbols(&self) -> &[Py<PyString>] {
        &self.symbols
    }

    /// The names of all kinds of bars, in the engine's order.
    pub(crate) fn timeframes(&self) -> &[Py<PyString>] {
        &self.timeframes
    }

    pub(crate) fn find(&self, symbol: &str) -> PyResult<InstrumentId> {
        self.core.find(symbol).ok_or_else(|| {
            let known: Vec<&str> =
                self.core.ids().take(8).map(|id| self.core.spec(id).symbol.as_str()).collect();
            let more = if self.symbols.len() > known.len() { ", …" } else { "" };
            UnknownInstrument::new_err(format!(
                "symbol: got {symbol:?}, expected one of the engine's instruments: {}{more}",
                known.join(", ")
            ))
        })
    }

    pub(crate) fn level(&self, text: &str) -> PyResult<usize> {
        let kind = specs::kind(text)?;
        let known = self.core.kinds();
        known.iter().position(|other| *other == kind).ok_or_else(|| {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            ConfigError::new_err(format!(
                "timeframe: got {text:?}, expected one of the engine's: {}",
                known.join(", ")
            ))
        })
    }

    /// A source that the instrument has bars of.
    pub(crate) fn source_of(&self, id: InstrumentId, text: &str) -> PyResult<Source> {
        let source = specs::source(text)?;
        let spec = self.core.spec(id);
        if spec.sources.contains(&source) {
            return Ok(source);
        }
        let known: Vec<&str> = spec.sources.iter().map(|source| source.name()).collect();
        Err(ConfigError::new_err(format!(
            "source: got {text:?}, expected one that {} has bars of: {}",
            spec.symbol,
            known.join(", ")
        )))
    }

    pub(crate) fn symbol(&self, py: Python<'_>, id: InstrumentId) -> Py<PyString> {
        self.symbols[id.0 as usize].clone_ref(py)
    }

    pub(crate) fn bar(
        &self,
        py: Python<'_>,
        id: InstrumentId,
        kind: Kind,
        source: Source,
        bar: &Bar,
    ) -> records::Bar {
        let level = self.core.kinds().iter().position(|known| *known == kind);
        let names = BarNames {
            symbol: self.symbol(py, id),
            timeframe: self.timeframes[level.unwrap_or_default()].clone_ref(py),
            source: self.sources[source as usize].clone_ref(py),
        };
        records::Bar::new(names, bar)
    }

    pub(crate) fn item<'py>(&self, py: Python<'py>, item: &Item) -> PyResult<Bound<'py, PyAny>> {
        Ok(match item {
            Item::Bar(id, kind, source, bar) => {
                Bound::new(py, self.bar(py, *id, *kind, *source, bar))?.into_any()
            }
            Item::Trade(id, trade) => {
                Bound::new(py, records::Trade::new(self.symbol(py, *id), trade))?.into_any()
            }
            Item::Quote(id, quote) => {
                Bound::new(py, records::Quote::new(self.symbol(py, *id), quote))?.into_any()
            }
        })
    }
}
