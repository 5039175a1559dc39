//! `Feed`: the bytes of one hub connection, into an engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString};
use tickwire_core::decode::{DEFAULT_MAX_RECORD_BYTES, Decoder, Protocol, UnknownProtocol};
use tickwire_core::engine::{Engine, Receipt as CoreReceipt};
use tickwire_core::feed::Feed as CoreFeed;
use tickwire_core::record::NO_TIME;

use crate::engine::PyEngine;
use crate::errors::ConfigError;
use crate::records::Receipt;
use crate::volumes::Volumes;

/// Payloads at least this long are decoded with the GIL released. A shorter one is decoded within a
/// tenth of a millisecond, and beside a busy Python thread taking the GIL back costs a whole switch
/// interval, 5 ms: releasing it for less would make every tick late to spare that thread nothing.
const RELEASE_GIL_BYTES: usize = 65_536;

/// One stream of hub payloads. It owns what one connection leaves behind between two payloads: a
/// record that was cut, and the state that partial quotes build on. Two feeds never mix.
#[pyclass(frozen, module = "tickwire")]
pub(crate) struct Feed {
    #[pyo3(get)]
    name: String,
    protocol: Protocol,
    engine: Arc<Engine>,
    core: Mutex<CoreFeed>,
}

/// The bytes of a payload, copied only where Python could change them meanwhile.
enum Payload<'a, 'py> {
    Bytes(&'a Bound<'py, PyBytes>),
    Text(&'a Bound<'py, PyString>),
    Copy(Bound<'py, PyBytes>),
}

impl<'a, 'py> Payload<'a, 'py> {
    fn new(data: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes));
        }
        if let Ok(text) = data.cast::<PyString>() {
            return Ok(Self::Text(text));
        }
        if data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>() {
            let bytes = data.py().get_type::<PyBytes>().call1((data,))?;
            return Ok(Self::Copy(bytes.cast_into()?));
        }
        let got = data.get_type();
        Err(PyTypeError::new_err(format!(
            "argument 'data': got {}, expected bytes, bytearray, memoryview or str",
            got.name()?
        )))
    }

    fn as_bytes(&self) -> PyResult<&[u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.as_bytes()),
            Self::Text(text) => Ok(text.to_str()?.as_bytes()),
            Self::Copy(bytes) => Ok(bytes.as_bytes()),
        }
    }
}

impl Feed {
    fn push(&self, data: &Bound<'_, PyAny>, ts_recv: Option<i64>) -> PyResult<Py<Receipt>> {
        let py = data.py();
        let payload = Payload::new(data)?;
        let bytes = payload.as_bytes()?;
        let ts_recv = ts_recv.unwrap_or(NO_TIME);
        let run = |feed: &mut CoreFeed| -> CoreReceipt { feed.push(bytes, ts_recv) };
        let free = if bytes.len() < RELEASE_GIL_BYTES { self.try_lock() } else { None };
        // In an overlap the other feed may have to be waited for.
        let receipt = match free.filter(|feed| !feed.is_overlapping()) {
            Some(mut feed) => run(&mut feed),
            None => py.detach(|| run(&mut self.lock())),
        };
        Receipt::new(py, &receipt)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, CoreFeed>> {
        match self.core.try_lock() {
            Ok(feed) => Some(feed),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The feed; to be waited for without the GIL.
    pub(crate) fn lock(&self) -> MutexGuard<'_, CoreFeed> {
        // A panic inside may cost the record at hand; refusing all later ones would help nobody.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Feed {
    /// A feed named `name` into `engine`, of a hub that speaks `protocol`, "json" or "messagepack".
    /// Records longer than `max_record_bytes` are refused.
    #[new]
    #[pyo3(signature = (
        engine, name="main", max_record_bytes=DEFAULT_MAX_RECORD_BYTES as i64, protocol="json"
    ))]
    fn new(engine: &PyEngine, name: &str, max_record_bytes: i64, protocol: &str) -> PyResult<Self> {
        let limit = usize::try_from(max_record_bytes).ok().filter(|&limit| limit > 0);
        let limit = limit.ok_or_else(|| {
            ConfigError::new_err(format!(
                "max_record_bytes: got {max_record_bytes}, expected at least 1"
            ))
        })?;
        let protocol = protocol
            .parse()
            .map_err(|error: UnknownProtocol| ConfigError::new_err(error.to_string()))?;
        let engine = engine.core();
        let core = CoreFeed::new(Arc::clone(&engine), Decoder::new(protocol, limit));
        Ok(Self { name: name.to_owned(), protocol, engine, core: Mutex::new(core) })
    }

    /// Decode and apply one payload of the hub, cut anywhere.
    ///
    /// Args:
    ///     data: SignalR JSON records, each ended by 0x1E, bytes-like or str; or MessagePack
    ///         messages, each behind its length, bytes-like.
    ///     ts_recv: arrival time, int ns UTC, given to every tick in it.
    #[pyo3(signature = (data, ts_recv=None))]
    fn push_bytes(&self, data: &Bound<'_, PyAny>, ts_recv: Option<i64>) -> PyResult<Py<Receipt>> {
        self.push(data, ts_recv)
    }

    /// Forget the cut record, the quotes and the volumes of the connection so far. Call it on reconnect.
    fn reset(&self, py: Python<'_>) {
        py.detach(|| self.lock().reset());
    }

    /// What the hub speaks: "json" or "messagepack".
    #[getter]
    fn protocol(&self) -> &'static str {
        self.protocol.name()
    }

    /// Whether the hub sent something in the place of a message's length. It was counted as one
    /// malformed record; nothing can be read any more until `reset`. Never in JSON.
    #[getter]
    fn is_lost(&self, py: Python<'_>) -> bool {
        py.detach(|| self.lock().is_lost())
    }

    /// The volume that this connection's quotes publish, beside that of the trades it has delivered, by
    /// symbol; only of instruments whose quotes publish one.
    fn volumes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let volumes: Vec<_> = py.detach(|| self.lock().volumes().collect());
        let dict = PyDict::new(py);
        for (id, volumes) in volumes {
            let symbol = self.engine.spec(id).symbol.as_str();
            dict.set_item(symbol, Bound::new(py, Volumes::from(volumes))?)?;
        }
        Ok(dict)
    }

    /// Bytes of a cut record that wait for its rest.
    #[getter]
    fn carried_bytes(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().carried_bytes())
    }

    fn __repr__(&self) -> String {
        format!("Feed(name={:?})", self.name)
    }
}
