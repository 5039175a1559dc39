//! `_core.WebSocket`: the connection of `tickwire_core::websocket` for the Python transport.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickwire_core::websocket::{self as core, WebSocketError};

use crate::errors::{ConfigError, ConnectionFailed};

/// Reads at least this long are parsed with the GIL released; as long as for the feed's payloads, and
/// for its reason.
const RELEASE_GIL_BYTES: usize = 65_536;

fn to_py_err(error: &WebSocketError) -> PyErr {
    match error {
        WebSocketError::ControlTooLong { .. } | WebSocketError::CloseCode(_) => {
            ConfigError::new_err(error.to_string())
        }
        WebSocketError::Violation(_)
        | WebSocketError::NotUtf8
        | WebSocketError::MessageTooLong { .. }
        | WebSocketError::Closed => ConnectionFailed::new_err(error.to_string()),
    }
}

/// The client's half of one WebSocket connection after the HTTP upgrade, without a socket.
///
/// What the network delivers goes into `receive`; what must be written to it comes from `output`,
/// which has to be called after every other method. A lock guards each call, so several threads
/// may send; keeping the outputs of two threads in order on the wire is the caller's task.
#[pyclass(frozen, module = "tickwire._core")]
pub(crate) struct WebSocket {
    inner: Mutex<core::WebSocket>,
}

impl WebSocket {
    fn lock(&self) -> MutexGuard<'_, core::WebSocket> {
        // A panic inside leaves a connection that fails its next frames; it harms nothing else.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl WebSocket {
    #[new]
    fn new(max_message_bytes: i64) -> PyResult<Self> {
        let limit = usize::try_from(max_message_bytes)
            .ok()
            .and_then(NonZeroUsize::new)
            .ok_or_else(|| {
                ConfigError::new_err(format!(
                    "max_message_bytes must be at least 1, got {max_message_bytes}"
                ))
            })?;
        Ok(Self { inner: Mutex::new(core::WebSocket::new(limit)) })
    }

    /// Take in what one read from the network returned, cut anywhere.
    ///
    /// A violation found in `data` is told in `Received.violation`, beside what came before it;
    /// the call after it raises `ConnectionFailed`, as does one after the peer's close frame.
    fn receive(&self, py: Python<'_>, data: &[u8]) -> PyResult<Received> {
        let received = if data.len() >= RELEASE_GIL_BYTES {
            py.detach(|| self.lock().receive(data))
        } else {
            self.lock().receive(data)
        };
        received.map(|received| Received::new(py, received)).map_err(|error| to_py_err(&error))
    }

    /// Queue a text message.
    fn send_text(&self, text: &str) -> PyResult<()> {
        self.lock().send_text(text).map_err(|error| to_py_err(&error))
    }

    /// Queue a binary message.
    fn send_binary(&self, data: &[u8]) -> PyResult<()> {
        self.lock().send_binary(data).map_err(|error| to_py_err(&error))
    }

    /// Queue a ping of at most 125 bytes; its pong comes in `Received.pongs`.
    #[pyo3(signature = (payload=None))]
    fn ping(&self, payload: Option<&[u8]>) -> PyResult<()> {
        self.lock().ping(payload.unwrap_or_default()).map_err(|error| to_py_err(&error))
    }

    /// Queue a close frame with a reason of at most 123 bytes; nothing can be sent after it.
    #[pyo3(signature = (code=1000, reason=""))]
    fn close(&self, code: u16, reason: &str) -> PyResult<()> {
        self.lock().close(code, reason).map_err(|error| to_py_err(&error))
    }

    /// Take the bytes that must be written to the network now; empty when there are none.
    fn output<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let output = self.lock().take_output();
        PyBytes::new(py, &output)
    }

    /// Whether frames can still be sent.
    #[getter]
    fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    fn __repr__(&self) -> String {
        format!("WebSocket(is_open={})", if self.is_open() { "True" } else { "False" })
    }
}

/// What one `WebSocket.receive` found.
#[pyclass(frozen, module = "tickwire._core")]
pub(crate) struct Received {
    /// Payloads of all messages completed by this read, in order, joined without borders.
    #[pyo3(get)]
    payload: Py<PyBytes>,
    /// How many messages those were.
    #[pyo3(get)]
    messages: usize,
    /// How many pings came; `WebSocket.output` has the answers.
    #[pyo3(get)]
    pings: usize,
    /// What ended the connection, found after everything else here; None while it lives.
    #[pyo3(get)]
    violation: Option<String>,
    pongs: Vec<Vec<u8>>,
    close: Option<core::Close>,
}

impl Received {
    fn new(py: Python<'_>, received: core::Received) -> Self {
        Self {
            payload: PyBytes::new(py, &received.payload).unbind(),
            messages: received.messages,
            pings: received.pings,
            violation: received.violation.map(|violation| violation.to_string()),
            pongs: received.pongs,
            close: received.close,
        }
    }
}

#[pymethods]
impl Received {
    /// Payloads of the pongs that came.
    #[getter]
    fn pongs<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.pongs.iter().map(|payload| PyBytes::new(py, payload)).collect()
    }

    /// The peer's close frame as (code, reason), code 1005 where it named none; else None.
    #[getter]
    fn close(&self) -> Option<(u16, &str)> {
        self.close.as_ref().map(|close| (close.code, close.reason.as_str()))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "Received(messages={}, payload_bytes={}, pings={}, pongs={}, closed={})",
            self.messages,
            self.payload.bind(py).as_bytes().len(),
            self.pings,
            self.pongs.len(),
            if self.close.is_some() { "True" } else { "False" },
        )
    }
}
