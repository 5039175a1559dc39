//! `Subscription`: a reader's place, with blocking waits that release the GIL.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyStopIteration, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickwire_core::record::InstrumentId;
use tickwire_core::signal::Signal;
use tickwire_core::subscription::{Delivery, Interest, Item, Subscription as Core};

use crate::engine::PyEngine;
use crate::errors::{ConfigError, SubscriptionClosed};
use crate::sessions::Sessions;
use crate::specs;

/// How long a blocking wait goes without looking for Ctrl-C.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

struct State {
    stage: Stage,
    /// Fetched from the rings, not yet handed out.
    fetched: VecDeque<Item>,
}

enum Stage {
    Open(Core),
    /// Nothing is fetched any more; what became of everything until then.
    Closed(Delivery),
}

impl State {
    fn fetch(&mut self) {
        if let Stage::Open(core) = &mut self.stage {
            self.fetched.extend(core.poll());
        }
    }

    /// Keeps what is waiting and lets go of the streams: a busy market must not hold up the end.
    fn close(&mut self) {
        self.fetch();
        let stage = std::mem::replace(&mut self.stage, Stage::Closed(Delivery::default()));
        self.stage = Stage::Closed(match stage {
            Stage::Open(core) => core.close(),
            Stage::Closed(delivery) => delivery,
        });
    }
}

/// What a wait ended with.
enum Next {
    Item(Item),
    /// Closed, and everything it held has been delivered.
    Closed,
    TimedOut,
}

/// See `tickwire.Subscription`.
#[pyclass(frozen, subclass, module = "tickwire._core")]
pub(crate) struct Subscription {
    engine: Py<PyEngine>,
    signal: Arc<Signal>,
    state: Mutex<State>,
}

impl Subscription {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn item<'py>(&self, py: Python<'py>, item: &Item) -> PyResult<Bound<'py, PyAny>> {
        self.engine.get().names().item(py, item)
    }

    fn take(&self) -> Option<Item> {
        let mut state = self.lock();
        if state.fetched.is_empty() {
            state.fetch();
        }
        state.fetched.pop_front()
    }

    fn is_closed(&self) -> bool {
        matches!(self.lock().stage, Stage::Closed(_))
    }

    fn wait(&self, py: Python<'_>, deadline: Option<Instant>) -> PyResult<Next> {
        loop {
            if let Some(item) = self.take() {
                return Ok(Next::Item(item));
            }
            self.signal.arm();
            // Asked before looking again: closing may be what fetches the last items.
            let closed = self.is_closed();
            // What came before the signal was armed does not raise it.
            if let Some(item) = self.take() {
                return Ok(Next::Item(item));
            }
            if closed {
                return Ok(Next::Closed);
            }
            let left =
                deadline.map_or(SIGNAL_CHECK, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(Next::TimedOut);
            }
            let _ = py.detach(|| self.signal.wait(left.min(SIGNAL_CHECK)));
            py.check_signals()?;
        }
    }
}

#[pymethods]
impl Subscription {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "one argument for each of Python's")]
    fn new(
        py: Python<'_>,
        engine: Py<PyEngine>,
        bars: Vec<String>,
        trades: bool,
        quotes: bool,
        symbols: Option<Vec<String>>,
        capacity: i64,
        source: &str,
        hours: Vec<Py<Sessions>>,
    ) -> PyResult<Self> {
        let core = engine.get().core();
        let interest = Interest {
            instruments: match symbols {
                None => core.ids().collect::<Vec<InstrumentId>>(),
                Some(symbols) => symbols
                    .iter()
                    .map(|symbol| engine.get().names().find(symbol))
                    .collect::<PyResult<_>>()?,
            },
            levels: bars
                .iter()
                .map(|text| engine.get().names().level(text))
                .collect::<PyResult<_>>()?,
            source: specs::source(source)?,
            trades,
            quotes,
            capacity: usize::try_from(capacity).ok().filter(|&capacity| capacity > 0).ok_or_else(
                || ConfigError::new_err(format!("capacity: got {capacity}, expected at least 1")),
            )?,
            hours: hours.iter().map(|hours| hours.get().core()).collect(),
        };
        if !interest.hours.is_empty() && interest.hours.len() != interest.instruments.len() {
            return Err(ConfigError::new_err(format!(
                "hours: got {} of them, expected one for each of {} instruments, or none",
                interest.hours.len(),
                interest.instruments.len()
            )));
        }
        if interest.levels.is_empty() && !trades && !quotes {
            return Err(ConfigError::new_err(
                "got nothing to subscribe to; give bars=[\"1m\"], trades=True or quotes=True",
            ));
        }
        for &id in &interest.instruments {
            let spec = core.spec(id);
            if !interest.levels.is_empty() && !spec.sources.contains(&interest.source) {
                return Err(ConfigError::new_err(format!(
                    "source: {} has no {source} bars; give the instrument source={source:?} or name other symbols",
                    spec.symbol
                )));
            }
            if (trades || quotes) && interest.capacity > spec.capacity {
                return Err(ConfigError::new_err(format!(
                    "capacity: got {capacity}, expected at most {}, the engine's own capacity of ticks",
                    spec.capacity
                )));
            }
        }
        let core = py.detach(|| Core::new(&core, &interest));
        let signal = Arc::clone(core.signal());
        let state = State { stage: Stage::Open(core), fetched: VecDeque::new() };
        Ok(Self { engine, signal, state: Mutex::new(state) })
    }

    /// Everything that is waiting, as a list; empty when there is nothing. Never blocks.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let items = {
            let mut state = self.lock();
            state.fetch();
            std::mem::take(&mut state.fetched)
        };
        items.iter().map(|item| self.item(py, item)).collect()
    }

    /// The next item. Ctrl-C interrupts the wait.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits as long as it takes.
    ///
    /// Raises:
    ///     TimeoutError: nothing came in time.
    ///     SubscriptionClosed: closed, and everything it held has been delivered.
    #[pyo3(signature = (timeout=None))]
    fn get<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let limit = match timeout {
            None => None,
            Some(seconds) => Some(Duration::try_from_secs_f64(seconds).map_err(|_| {
                ConfigError::new_err(format!(
                    "timeout: got {seconds}, expected seconds, zero or more, or None"
                ))
            })?),
        };
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        match self.wait(py, deadline)? {
            Next::Item(item) => self.item(py, &item),
            Next::Closed => Err(SubscriptionClosed::new_err("the subscription was closed")),
            Next::TimedOut => Err(PyTimeoutError::new_err(format!(
                "nothing came within {} s",
                timeout.unwrap_or_default()
            ))),
        }
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.wait(py, None)? {
            Next::Item(item) => self.item(py, &item),
            Next::Closed | Next::TimedOut => Err(PyStopIteration::new_err(())),
        }
    }

    /// The next item if one is waiting, else None.
    fn _take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.take().map(|item| self.item(py, &item)).transpose()
    }

    /// Have `callback` called, once, by the thread that next publishes something. Look again for
    /// items after this: what came before does not call it.
    fn _arm(&self, callback: Py<PyAny>) {
        self.signal.set_hook(move || {
            Python::attach(|py| {
                if let Err(error) = callback.call0(py) {
                    error.write_unraisable(py, None);
                }
            });
        });
        self.signal.arm();
    }

    /// Stop. What it holds can still be read; then iteration ends. Closing twice is harmless.
    fn close(&self) {
        self.lock().close();
        self.signal.raise();
        self.signal.clear_hook();
    }

    /// Whether `close` was called.
    #[getter]
    fn closed(&self) -> bool {
        self.is_closed()
    }

    /// What became of everything published since the subscription was made: a dict with
    /// published == delivered + pending + shed; what lies outside of the hours asked for was not
    /// published, and is filtered.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (Delivery { published, delivered, pending, shed, filtered }, fetched) = {
            let state = self.lock();
            let delivery = match &state.stage {
                Stage::Open(core) => core.delivery(),
                Stage::Closed(delivery) => *delivery,
            };
            (delivery, state.fetched.len() as u64)
        };
        let stats = PyDict::new(py);
        stats.set_item("published", published)?;
        stats.set_item("delivered", delivered - fetched)?;
        stats.set_item("pending", pending + fetched)?;
        stats.set_item("shed", shed)?;
        stats.set_item("filtered", filtered)?;
        Ok(stats)
    }
}
