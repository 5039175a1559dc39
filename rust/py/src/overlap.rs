//! `Overlap`: two feeds that deliver the same ticks for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use tickwire_core::overlap::{self as core, DEFAULT_CAPACITY, Leg};

use crate::errors::ConfigError;
use crate::feed::Feed;

/// Two feeds of one engine whose connections deliver the same ticks. Until `end`, each tick is applied
/// once, whichever connection brings it first; its copy is counted as a duplicate.
///
/// Make it before the new connection subscribes to anything. Call `ready` when all its subscriptions
/// are confirmed, close the old connection when there is `contact`, and `end` it when nothing is
/// `unsettled` any more; or each of them after some time.
#[pyclass(frozen, module = "tickwire")]
pub(crate) struct Overlap {
    core: Arc<core::Overlap>,
    old: Py<Feed>,
    new: Py<Feed>,
    has_ended: Mutex<bool>,
}

impl Overlap {
    fn leg(&self, feed: &Bound<'_, Feed>) -> PyResult<Leg> {
        if feed.is(&self.old) {
            Ok(Leg::Old)
        } else if feed.is(&self.new) {
            Ok(Leg::New)
        } else {
            Err(ConfigError::new_err(format!(
                "survivor: got feed {:?}, expected one of the two that overlap, {:?} or {:?}",
                feed.get().name(),
                self.old.get().name(),
                self.new.get().name()
            )))
        }
    }

    fn lock_ended(&self) -> MutexGuard<'_, bool> {
        self.has_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Overlap {
    /// `capacity`: of how many different ticks one connection may be ahead of the other.
    #[new]
    #[pyo3(signature = (old, new, capacity=DEFAULT_CAPACITY as i64))]
    fn create(
        py: Python<'_>,
        old: Bound<'_, Feed>,
        new: Bound<'_, Feed>,
        capacity: i64,
    ) -> PyResult<Self> {
        let capacity =
            usize::try_from(capacity).ok().filter(|&capacity| capacity > 0).ok_or_else(|| {
                ConfigError::new_err(format!("capacity: got {capacity}, expected at least 1"))
            })?;
        let engine = old.get().engine();
        if old.is(&new) || !Arc::ptr_eq(engine, new.get().engine()) {
            return Err(ConfigError::new_err(format!(
                "old and new: got feeds {:?} and {:?}, expected two feeds of one engine",
                old.get().name(),
                new.get().name()
            )));
        }
        let overlap = Arc::new(core::Overlap::new(engine, capacity));
        // The new one first: from the moment at which the old one has joined, what either brings must
        // be compared.
        for (feed, leg) in [(&new, Leg::New), (&old, Leg::Old)] {
            let feed = feed.get();
            if let Err(error) = py.detach(|| feed.lock().join(&overlap, leg)) {
                if leg == Leg::Old {
                    let joined = new.get();
                    py.detach(|| joined.lock().leave(Leg::Old));
                }
                return Err(ConfigError::new_err(format!("{:?}: {error}", feed.name())));
            }
        }
        let (old, new) = (old.unbind(), new.unbind());
        Ok(Self { core: overlap, old, new, has_ended: Mutex::new(false) })
    }

    /// Say that all subscriptions of the new connection are confirmed.
    fn ready(&self, py: Python<'_>) {
        py.detach(|| self.core.ready());
    }

    /// Whether the old connection has got past the point from which on the new one delivers
    /// everything. Nothing is lost then by closing the old one.
    #[getter]
    fn contact(&self, py: Python<'_>) -> bool {
        py.detach(|| self.core.has_contact())
    }

    /// Ticks that the other connection has delivered and `survivor` may still deliver. If the overlap
    /// ended now in favour of `survivor`, they might count twice.
    fn unsettled(&self, py: Python<'_>, survivor: &Bound<'_, Feed>) -> PyResult<u64> {
        let leg = self.leg(survivor)?;
        Ok(py.detach(|| self.core.unsettled(leg)))
    }

    /// Ticks that came a second time so far.
    #[getter]
    fn duplicates(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.core.duplicates())
    }

    /// Different ticks in which one connection is ahead of the other.
    #[getter]
    fn outstanding(&self, py: Python<'_>) -> usize {
        py.detach(|| self.core.outstanding())
    }

    /// Bytes of memory in use.
    #[getter]
    fn memory_bytes(&self, py: Python<'_>) -> usize {
        py.detach(|| self.core.memory_bytes())
    }

    /// End it: `survivor` delivers alone from now on, and nothing is compared any more.
    fn end(&self, py: Python<'_>, survivor: &Bound<'_, Feed>) -> PyResult<OverlapReport> {
        let leg = self.leg(survivor)?;
        if std::mem::replace(&mut *self.lock_ended(), true) {
            return Err(ConfigError::new_err("the overlap has ended already; make another one"));
        }
        let (old, new) = (self.old.get(), self.new.get());
        let report = py.detach(|| {
            old.lock().leave(leg);
            new.lock().leave(leg);
            self.core.report(leg)
        });
        OverlapReport::new(py, old, &report)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "Overlap(old={:?}, new={:?}, contact={}, duplicates={})",
            self.old.get().name(),
            self.new.get().name(),
            if self.contact(py) { "True" } else { "False" },
            self.duplicates(py)
        )
    }
}

/// What came of an overlap.
#[pyclass(frozen, get_all, module = "tickwire")]
pub(crate) struct OverlapReport {
    /// Whether the old connection got past the start of the new one. Without it, and if the new one
    /// survives, data may be missing from the old one's last byte until the new one was ready.
    contact: bool,
    /// Ticks that came a second time.
    duplicates: u64,
    /// Ticks that the new connection passed over and the old one had.
    only_old: u64,
    /// Ticks that the old connection passed over and the new one had.
    only_new: u64,
    /// Ticks that had to be forgotten for lack of memory.
    shed: u64,
    /// (symbol, start_ns, end_ns), event time in int ns UTC: where ticks may be missing or double; at
    /// most one interval for each symbol.
    uncertain: Py<PyList>,
}

impl OverlapReport {
    fn new(py: Python<'_>, feed: &Feed, report: &core::Report) -> PyResult<Self> {
        let symbol = |id| PyString::new(py, &feed.engine().spec(id).symbol);
        let uncertain = report
            .uncertain
            .iter()
            .map(|span| (symbol(span.instrument), span.start_ns, span.end_ns));
        Ok(Self {
            contact: report.contact,
            duplicates: report.duplicates,
            only_old: report.only_old,
            only_new: report.only_new,
            shed: report.shed,
            uncertain: PyList::new(py, uncertain.collect::<Vec<_>>())?.unbind(),
        })
    }
}

#[pymethods]
impl OverlapReport {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "OverlapReport(contact={}, duplicates={}, only_old={}, only_new={}, shed={}, uncertain={})",
            if self.contact { "True" } else { "False" },
            self.duplicates,
            self.only_old,
            self.only_new,
            self.shed,
            self.uncertain.bind(py).repr()?
        ))
    }
}
