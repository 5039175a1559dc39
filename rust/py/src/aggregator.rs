//! `BarAggregator`: bars alone, without engine.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use tickwire_core::aggregator::{Aggregator, Settings};
use tickwire_core::bars::{Alignment, Bar};
use tickwire_core::record::NO_TIME;

use crate::columns::Rows;
use crate::errors::{ConfigError, DataError};
use crate::records::{self, BarNames};
use crate::specs;

#[pyclass(frozen, subclass, name = "BarAggregator", module = "tickwire._core")]
pub(crate) struct PyAggregator {
    core: Mutex<Aggregator>,
    symbol: Py<PyString>,
    source: Py<PyString>,
    timeframes: Vec<Py<PyString>>,
}

impl PyAggregator {
    fn lock(&self) -> MutexGuard<'_, Aggregator> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bar(&self, py: Python<'_>, (level, bar): &(usize, Bar)) -> records::Bar {
        let names = BarNames {
            symbol: self.symbol.clone_ref(py),
            timeframe: self.timeframes[*level].clone_ref(py),
            source: self.source.clone_ref(py),
        };
        records::Bar::new(names, bar)
    }

    fn bars(&self, py: Python<'_>, bars: &[(usize, Bar)]) -> Vec<records::Bar> {
        bars.iter().map(|bar| self.bar(py, bar)).collect()
    }
}

/// The first row that no bar can be made of, and what is wrong with it.
fn wrong(ts: &[i64], price: &[f64], size: &[f64]) -> Option<String> {
    let several = ts.len() > 1;
    let mut rows = ts.iter().zip(price).zip(size).enumerate();
    rows.find_map(|(row, ((&ts, &price), &size))| {
        let (name, got, expected) = if ts == NO_TIME {
            ("ts_event", "no time".to_owned(), "int ns UTC")
        } else if !price.is_finite() {
            ("price", price.to_string(), "a finite number")
        } else if !(size >= 0.0 && size.is_finite()) {
            ("size", size.to_string(), "a finite number, zero or more")
        } else {
            return None;
        };
        let place = if several { format!(" in row {row}") } else { String::new() };
        Some(format!("{name}: got {got}{place}, expected {expected}; nothing was applied"))
    })
}

#[pymethods]
impl PyAggregator {
    #[new]
    fn new(
        py: Python<'_>,
        timeframes: Vec<String>,
        symbol: &str,
        tick_size: Option<f64>,
        source: &str,
        lateness_ns: i64,
        split: &str,
    ) -> PyResult<Self> {
        let kinds =
            timeframes.iter().map(|text| specs::kind(text)).collect::<PyResult<Vec<_>>>()?;
        let source = specs::source(source)?;
        if let Some(kind) = kinds.iter().find(|kind| kind.needs_tick_size())
            && tick_size.is_none()
        {
            return Err(ConfigError::new_err(format!(
                "tick_size: got None, expected the smallest price step for timeframe \"{kind}\""
            )));
        }
        if let Some(kind) = kinds.iter().find(|kind| kind.needs_sizes())
            && source != tickwire_core::bars::Source::Trade
        {
            return Err(ConfigError::new_err(format!(
                "source: got \"{source}\" with timeframe \"{kind}\", but quotes carry no volume; \
                 expected source \"trade\""
            )));
        }
        let settings = Settings {
            tick_size: tick_size.unwrap_or(1.0),
            alignment: Alignment::Utc,
            lateness_ns,
            split: specs::split(split)?,
        };
        let core = Aggregator::new(&kinds, &settings);
        let name = |text: &str| PyString::intern(py, text).unbind();
        Ok(Self {
            symbol: name(symbol),
            source: name(source.name()),
            timeframes: core.kinds().iter().map(|kind| name(&kind.to_string())).collect(),
            core: Mutex::new(core),
        })
    }

    /// The timeframes, in the order of `Engine.timeframes`.
    #[getter]
    fn timeframes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.timeframes)
    }

    /// Ticks that came after a time bar of theirs was closed; they are in no bar.
    #[getter]
    fn late(&self) -> u64 {
        self.lock().late()
    }

    /// Add one tick; returns the bars that it closed.
    #[pyo3(signature = (ts_event, price, size=0.0, ts_recv=None))]
    fn push(
        &self,
        py: Python<'_>,
        ts_event: i64,
        price: f64,
        size: f64,
        ts_recv: Option<i64>,
    ) -> PyResult<Vec<records::Bar>> {
        if let Some(message) = wrong(&[ts_event], &[price], &[size]) {
            return Err(DataError::new_err(message));
        }
        let mut core = self.lock();
        core.push(ts_event, ts_recv.unwrap_or(NO_TIME), price, size);
        let bars = core.take();
        drop(core);
        Ok(self.bars(py, &bars))
    }

    fn _push_many(
        &self,
        py: Python<'_>,
        ts_event: PyReadonlyArray1<'_, i64>,
        price: PyReadonlyArray1<'_, f64>,
        size: PyReadonlyArray1<'_, f64>,
        ts_recv: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<Vec<records::Bar>> {
        let rows = Rows { name: "ts_event", count: ts_event.len() };
        let ts_event = rows.column("ts_event", &ts_event)?;
        let price = rows.column("price", &price)?;
        let size = rows.column("size", &size)?;
        let ts_recv = rows.optional("ts_recv", ts_recv.as_ref())?;
        if let Some(message) = wrong(ts_event, price, size) {
            return Err(DataError::new_err(message));
        }
        let bars = py.detach(|| {
            let mut core = self.lock();
            for row in 0..rows.count {
                let ts_recv = ts_recv.map_or(NO_TIME, |column| column[row]);
                core.push(ts_event[row], ts_recv, price[row], size[row]);
            }
            core.take()
        });
        Ok(self.bars(py, &bars))
    }

    /// Close every time bar that ends at or before `now_ns` (int ns UTC), and return them. Ticks that
    /// belong to them are late from then on.
    fn advance(&self, py: Python<'_>, now_ns: i64) -> Vec<records::Bar> {
        let mut core = self.lock();
        core.advance(now_ns);
        let bars = core.take();
        drop(core);
        self.bars(py, &bars)
    }

    /// The bars of a timeframe that are still open, oldest first: usually one.
    fn open_bars(&self, py: Python<'_>, timeframe: &str) -> PyResult<Vec<records::Bar>> {
        let kind = specs::kind(timeframe)?;
        let core = self.lock();
        let known = core.kinds();
        let Some(level) = known.iter().position(|other| *other == kind) else {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            return Err(ConfigError::new_err(format!(
                "timeframe: got {timeframe:?}, expected one of the aggregator's: {}",
                known.join(", ")
            )));
        };
        let bars: Vec<(usize, Bar)> =
            core.open_bars(level).into_iter().map(|bar| (level, bar)).collect();
        drop(core);
        Ok(self.bars(py, &bars))
    }
}
