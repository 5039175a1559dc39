//! `Validator`: the rules alone, without ring or bars.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use tickwire_core::columns::TradeColumns;
use tickwire_core::reason::Reason;
use tickwire_core::record::{self, NO_TIME, Side, Tick};
use tickwire_core::validate::{self, Judge};

use crate::columns::{QuoteColumns, Rows};
use crate::counts;
use crate::errors::DataError;
use crate::records::{Quote, Trade};
use crate::sessions::Sessions;
use crate::specs::RulesArg;

/// What was found of a tick.
#[pyclass(frozen, get_all, module = "tickwire")]
pub(crate) struct Verdict {
    /// Whether the tick may be used.
    accepted: bool,
    /// The rule that it broke if not.
    reason: Option<&'static str>,
    /// The rules that it broke if so.
    flags: Py<PyTuple>,
    /// The ticks before it that it shows to have been a spike: Trade or Quote, oldest first.
    spike: Py<PyTuple>,
}

#[pymethods]
impl Verdict {
    /// Whether the tick was accepted.
    fn __bool__(&self) -> bool {
        self.accepted
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let reason = self.reason.map_or_else(|| "None".to_owned(), |reason| format!("'{reason}'"));
        Ok(format!(
            "Verdict(accepted={}, reason={reason}, flags={}, spike={})",
            if self.accepted { "True" } else { "False" },
            self.flags.bind(py).repr()?,
            self.spike.bind(py).repr()?
        ))
    }
}

/// The verdict of nearly every tick; verdicts are frozen, so that one will do for all.
static ACCEPTED: PyOnceLock<Py<Verdict>> = PyOnceLock::new();

/// Codes and flags of a batch, one each per row: 0 for accepted, else one above the reason's place.
type Columns<'py> = (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<u32>>);

#[pyclass(frozen, subclass, name = "Validator", module = "tickwire._core")]
pub(crate) struct PyValidator {
    symbol: Py<PyString>,
    judge: Mutex<Judge>,
}

impl PyValidator {
    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict(
        &self,
        py: Python<'_>,
        verdict: validate::Verdict,
        spike: &[Tick],
    ) -> PyResult<Py<Verdict>> {
        if verdict.rejected.is_none() && verdict.flags.is_empty() {
            let made = ACCEPTED.get_or_try_init(py, || self.made(py, verdict, spike))?;
            return Ok(made.clone_ref(py));
        }
        self.made(py, verdict, spike)
    }

    fn made(
        &self,
        py: Python<'_>,
        verdict: validate::Verdict,
        spike: &[Tick],
    ) -> PyResult<Py<Verdict>> {
        let symbol = || self.symbol.clone_ref(py);
        let tick = |tick: &Tick| match tick {
            Tick::Quote(quote) => Ok(Bound::new(py, Quote::new(symbol(), quote))?.into_any()),
            Tick::Trade(trade) => Ok(Bound::new(py, Trade::new(symbol(), trade))?.into_any()),
            // Depth is not judged by what came before it.
            Tick::Depth(_) => Ok(py.None().into_bound(py)),
        };
        let spike: Vec<_> = spike.iter().map(tick).collect::<PyResult<_>>()?;
        let flags: Vec<_> = verdict.flags.iter().map(Reason::name).collect();
        let made = Verdict {
            accepted: verdict.rejected.is_none(),
            reason: verdict.rejected.map(Reason::name),
            flags: PyTuple::new(py, flags)?.unbind(),
            spike: PyTuple::new(py, spike)?.unbind(),
        };
        Py::new(py, made)
    }

    /// Judges rows one after another. A spike is flagged in the rows that made it, as far as they are
    /// among these.
    fn batch<'py>(
        &self,
        py: Python<'py>,
        rows: usize,
        judge: impl Fn(&mut Judge, usize) -> (validate::Verdict, usize) + Sync,
    ) -> Columns<'py> {
        let work = || {
            let mut state = self.judge();
            let (mut codes, mut flags) = (vec![0_u8; rows], vec![0_u32; rows]);
            for row in 0..rows {
                let (verdict, spike) = judge(&mut state, row);
                codes[row] = verdict.rejected.map_or(0, |reason| reason as u8 + 1);
                flags[row] = verdict.flags.bits();
                // Its ticks are the accepted ones right before this one.
                let before = (0..row).rev().filter(|&earlier| codes[earlier] == 0).take(spike);
                before.for_each(|earlier| flags[earlier] |= 1 << Reason::Spike as u8);
            }
            (codes, flags)
        };
        let (codes, flags) = py.detach(work);
        (PyArray1::from_vec(py, codes), PyArray1::from_vec(py, flags))
    }
}

#[pymethods]
impl PyValidator {
    #[new]
    fn new(
        symbol: Py<PyString>,
        rules: RulesArg,
        tick_size: f64,
        stamp_arrival: bool,
        hours: Option<Py<Sessions>>,
    ) -> PyResult<Self> {
        let judge = Judge::new(&rules.build()?, tick_size, stamp_arrival)
            .with_hours(hours.map(|hours| hours.get().core()));
        Ok(Self { symbol, judge: Mutex::new(judge) })
    }

    /// Judge one trade.
    #[pyo3(signature = (ts_event, price, size, side=0, ts_recv=None))]
    fn trade(
        &self,
        py: Python<'_>,
        ts_event: Option<i64>,
        price: f64,
        size: f64,
        side: i8,
        ts_recv: Option<i64>,
    ) -> PyResult<Py<Verdict>> {
        if !matches!(side, -1..=1) {
            return Err(DataError::new_err(format!(
                "side: got {side}, expected 1 (buy), -1 (sell) or 0 (not known)"
            )));
        }
        let trade = record::Trade {
            ts_event: ts_event.unwrap_or(NO_TIME),
            ts_recv: ts_recv.unwrap_or(NO_TIME),
            price,
            size,
            side: Side::from_sign(side),
        };
        let (verdict, spike) = {
            let mut judge = self.judge();
            let (verdict, spike) = judge.trade(&trade);
            (verdict, spike.to_vec())
        };
        self.verdict(py, verdict, &spike)
    }

    /// Judge one quote. A side, size or last price that is absent is NaN.
    #[expect(clippy::too_many_arguments, reason = "one argument for each of Python's")]
    #[pyo3(signature = (ts_event, bid, ask, bid_size=f64::NAN, ask_size=f64::NAN, ts_recv=None, *, last=f64::NAN))]
    fn quote(
        &self,
        py: Python<'_>,
        ts_event: Option<i64>,
        bid: f64,
        ask: f64,
        bid_size: f64,
        ask_size: f64,
        ts_recv: Option<i64>,
        last: f64,
    ) -> PyResult<Py<Verdict>> {
        let quote = record::Quote {
            ts_event: ts_event.unwrap_or(NO_TIME),
            ts_recv: ts_recv.unwrap_or(NO_TIME),
            bid,
            ask,
            bid_size,
            ask_size,
            last,
        };
        let (verdict, spike) = {
            let mut judge = self.judge();
            let (verdict, spike) = judge.quote(&quote);
            (verdict, spike.to_vec())
        };
        self.verdict(py, verdict, &spike)
    }

    fn _trades<'py>(
        &self,
        py: Python<'py>,
        ts_event: PyReadonlyArray1<'_, i64>,
        price: PyReadonlyArray1<'_, f64>,
        size: PyReadonlyArray1<'_, f64>,
        side: Option<PyReadonlyArray1<'_, i8>>,
        ts_recv: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<Columns<'py>> {
        let rows = Rows { name: "ts_event", count: ts_event.len() };
        let columns = TradeColumns {
            ts_event: rows.column("ts_event", &ts_event)?,
            ts_recv: rows.optional("ts_recv", ts_recv.as_ref())?,
            price: rows.column("price", &price)?,
            size: rows.column("size", &size)?,
            side: rows.optional("side", side.as_ref())?,
        };
        Ok(self.batch(py, rows.count, |judge, row| {
            let (verdict, spike) = judge.trade(&columns.row(row));
            (verdict, spike.len())
        }))
    }

    #[expect(clippy::too_many_arguments, reason = "one argument for each column")]
    fn _quotes<'py>(
        &self,
        py: Python<'py>,
        ts_event: PyReadonlyArray1<'_, i64>,
        bid: PyReadonlyArray1<'_, f64>,
        ask: PyReadonlyArray1<'_, f64>,
        bid_size: Option<PyReadonlyArray1<'_, f64>>,
        ask_size: Option<PyReadonlyArray1<'_, f64>>,
        last: Option<PyReadonlyArray1<'_, f64>>,
        ts_recv: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<Columns<'py>> {
        let rows = Rows { name: "ts_event", count: ts_event.len() };
        let columns = QuoteColumns {
            ts_event: rows.column("ts_event", &ts_event)?,
            ts_recv: rows.optional("ts_recv", ts_recv.as_ref())?,
            bid: rows.column("bid", &bid)?,
            ask: rows.column("ask", &ask)?,
            bid_size: rows.optional("bid_size", bid_size.as_ref())?,
            ask_size: rows.optional("ask_size", ask_size.as_ref())?,
            last: rows.optional("last", last.as_ref())?,
        };
        Ok(self.batch(py, rows.count, |judge, row| {
            let (verdict, spike) = judge.quote(&columns.row(row));
            (verdict, spike.len())
        }))
    }

    /// The names of all reasons, in the order of their codes and flags.
    #[staticmethod]
    fn _reasons() -> Vec<&'static str> {
        Reason::ALL.iter().map(|reason| reason.name()).collect()
    }

    fn _set_rules(&self, rules: RulesArg) -> PyResult<()> {
        let rules = rules.build()?;
        self.judge().set_rules(&rules);
        Ok(())
    }

    /// Counts of ticks, as of `Engine.stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counters, offset) = {
            let judge = self.judge();
            (judge.counters().clone(), judge.clock_offset_ns())
        };
        counts::stats(py, &counters, offset)
    }
}
