//! `Zone`: the base class of `tickwire.Zone`, which knows where the table comes from.

use std::sync::Arc;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tickwire_core::calendar::{Fold, Gap, Offsets, Utc};

use crate::columns::Times;
use crate::errors::{ConfigError, DataError};

#[pyclass(frozen, subclass, module = "tickwire._core")]
pub(crate) struct Zone {
    name: String,
    core: Arc<Offsets>,
}

impl Zone {
    pub(crate) fn core(&self) -> Arc<Offsets> {
        Arc::clone(&self.core)
    }

    /// The moment that is meant by a local time, or what to say of it.
    fn unclear(&self, py: Python<'_>, local: i64) -> PyErr {
        // NumPy writes a date of ns as people read it.
        let text = |ns: i64| -> PyResult<String> {
            Ok(py.import("numpy")?.getattr("datetime64")?.call1((ns, "ns"))?.str()?.to_string())
        };
        let words = || {
            let (name, local_time) = (&self.name, text(local)?);
            Ok(match self.core.utc(local) {
                Utc::Twice { earlier, later } => format!(
                    "local: got {local_time}, which {name} has twice, at {} and {} UTC; \
                     give fold=\"earlier\" or \"later\"",
                    text(earlier)?,
                    text(later)?
                ),
                _ => format!(
                    "local: got {local_time}, which {name} leaves out; \
                     give gap=\"shift\" to go on as long after the transition"
                ),
            })
        };
        words().map_or_else(|error: PyErr| error, DataError::new_err)
    }
}

#[pymethods]
impl Zone {
    #[new]
    fn new(
        name: String,
        starts_ns: PyReadonlyArray1<'_, i64>,
        offsets_ns: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<Self> {
        let core = Offsets::new(starts_ns.as_slice()?, offsets_ns.as_slice()?)
            .map_err(|error| ConfigError::new_err(format!("{name}: {error}")))?;
        Ok(Self { name, core: Arc::new(core) })
    }

    /// The IANA name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// How far local time is ahead of UTC at `ts`, ns.
    fn offset_ns<'py>(&self, ts: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Times::of("ts", ts)?.map(ts.py(), |ts| self.core.offset(ts))
    }

    /// Local time at `ts`, ns since 1970-01-01T00:00 local time.
    fn to_local<'py>(&self, ts: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Times::of("ts", ts)?.map(ts.py(), |ts| self.core.local(ts))
    }

    /// 1 where the local time at `ts` was shown before, because the clock was set back; else 0.
    fn fold<'py>(&self, ts: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Times::of("ts", ts)?.map(ts.py(), |ts| self.core.is_repeated(ts).into())
    }

    /// The moments of local times, ns UTC.
    fn _localize<'py>(
        &self,
        local: &Bound<'py, PyAny>,
        fold: &str,
        gap: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = local.py();
        let fold = match fold {
            "earlier" => Fold::Earlier,
            "later" => Fold::Later,
            "raise" => Fold::Raise,
            _ => return Err(unknown("fold", fold, "\"earlier\", \"later\" or \"raise\"")),
        };
        let gap = match gap {
            "shift" => Gap::Shift,
            "raise" => Gap::Raise,
            _ => return Err(unknown("gap", gap, "\"shift\" or \"raise\"")),
        };
        let each = |local: i64| self.core.utc(local).resolve(fold, gap);
        let times = Times::of("local", local)?;
        times.try_map(py, each)?.map_err(|unclear| self.unclear(py, unclear))
    }
}

fn unknown(name: &str, got: &str, expected: &str) -> PyErr {
    ConfigError::new_err(format!("{name}: got {got:?}, expected {expected}"))
}
