//! From a symbol as Python has it to an instrument, without hashing the text on every tick.
//!
//! A strategy pushes the same few string objects over and over. The first of them to name an
//! instrument is kept, with a strong reference, so that later on the object's identity is enough: a
//! string does not change, and an address is not used again while its object lives. A place that is
//! taken stays taken, so a caller who makes a new string for every tick pays the look-up and keeps
//! at most [`PLACES`] strings alive.

use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use tickwire_core::engine::Engine;
use tickwire_core::record::InstrumentId;

const PLACES: usize = 128;

type Place = OnceLock<(Py<PyString>, InstrumentId)>;

/// The symbols seen by one engine.
pub(crate) struct Symbols {
    engine: Arc<Engine>,
    seen: Box<[Place]>,
}

impl Symbols {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, seen: (0..PLACES).map(|_| OnceLock::new()).collect() }
    }

    /// The instrument of this symbol, or None. An error for what is no text.
    #[inline]
    pub(crate) fn find(&self, symbol: &Bound<'_, PyAny>) -> PyResult<Option<InstrumentId>> {
        // Objects lie 16 bytes apart at least.
        let place = &self.seen[(symbol.as_ptr() as usize >> 4) % PLACES];
        match place.get() {
            Some((seen, id)) if seen.is(symbol) => Ok(Some(*id)),
            _ => self.look_up(symbol, place),
        }
    }

    #[cold]
    fn look_up(&self, symbol: &Bound<'_, PyAny>, place: &Place) -> PyResult<Option<InstrumentId>> {
        let Ok(text) = symbol.cast::<PyString>() else {
            let got = symbol.get_type();
            return Err(PyTypeError::new_err(format!(
                "argument 'symbol': got {}, expected str",
                got.name()?
            )));
        };
        let id = self.engine.find(text.to_str()?);
        if let Some(id) = id {
            // Taken already: then this symbol goes on being looked up.
            let _ = place.set((text.clone().unbind(), id));
        }
        Ok(id)
    }
}
