//! Arrow batches out, through the PyCapsule interface, without copying.

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::DataError;

/// Batches of one schema, for any library that speaks the Arrow PyCapsule interface.
#[pyclass(frozen, module = "tickwire._core")]
pub(crate) struct ArrowStream {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl ArrowStream {
    pub(crate) fn new(batches: Vec<RecordBatch>) -> PyResult<Self> {
        let schema = batches.first().map(RecordBatch::schema);
        let schema = schema.ok_or_else(|| DataError::new_err("no columns to show"))?;
        Ok(Self { schema, batches })
    }
}

#[pymethods]
impl ArrowStream {
    /// The stream as a capsule named `arrow_array_stream`. A wish for another schema is not met,
    /// as the interface allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = self.batches.clone().into_iter().map(Ok::<_, ArrowError>);
        let reader = RecordBatchIterator::new(batches, self.schema.clone());
        let stream = FFI_ArrowArrayStream::new(Box::new(reader));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// The batches as a polars.DataFrame.
pub(crate) fn frame<'py>(
    py: Python<'py>,
    batches: Result<Vec<RecordBatch>, ArrowError>,
) -> PyResult<Bound<'py, PyAny>> {
    let batches = batches.map_err(|error| DataError::new_err(error.to_string()))?;
    let stream = Bound::new(py, ArrowStream::new(batches)?)?;
    py.import("polars")?.getattr("DataFrame")?.call1((stream,))
}
