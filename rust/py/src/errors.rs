//! The Python exceptions that the bindings raise; the tree is `tickwire.errors`.

use pyo3::import_exception;
use pyo3::prelude::*;
use tickwire_core::HistoryError;

import_exception!(tickwire.errors, ConfigError);
import_exception!(tickwire.errors, ConnectionFailed);
import_exception!(tickwire.errors, DataError);
import_exception!(tickwire.errors, SubscriptionClosed);
import_exception!(tickwire.errors, UnknownInstrument);

/// Bars that were refused: a setting that is missing, or data that cannot be right.
pub(crate) fn history(error: &HistoryError) -> PyErr {
    match error {
        HistoryError::NoSource { .. } | HistoryError::NotTime(_) => {
            ConfigError::new_err(error.to_string())
        }
        _ => DataError::new_err(error.to_string()),
    }
}
