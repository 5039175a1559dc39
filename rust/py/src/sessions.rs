//! `Sessions`: trading hours as the core wants them.

use std::sync::Arc;

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tickwire_core::sessions::Sessions as Core;

use crate::columns::Rows;
use crate::errors::ConfigError;

/// The hours of a market, to be shared by all its instruments.
#[pyclass(frozen, module = "tickwire._core")]
pub(crate) struct Sessions {
    core: Arc<Core>,
}

impl Sessions {
    pub(crate) fn core(&self) -> Arc<Core> {
        Arc::clone(&self.core)
    }
}

#[pymethods]
impl Sessions {
    #[new]
    fn new(
        open_ns: PyReadonlyArray1<'_, i64>,
        close_ns: PyReadonlyArray1<'_, i64>,
        day: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<Self> {
        let rows = Rows { name: "open_ns", count: open_ns.len() };
        let core = Core::new(
            rows.column("open_ns", &open_ns)?,
            rows.column("close_ns", &close_ns)?,
            rows.column("day", &day)?,
        );
        let core = core.map_err(|error| ConfigError::new_err(format!("session: {error}")))?;
        Ok(Self { core: Arc::new(core) })
    }
}
