//! `Engine`: the base class of `tickwire.Engine`, which adds what needs Python.

use std::sync::Arc;

use numpy::{PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tickwire_core::HistoryError;
use tickwire_core::bars::{Bar, Kind, Timeframe};
use tickwire_core::columns::TradeColumns;
use tickwire_core::engine::{Engine, Session};
use tickwire_core::record::{Depth, InstrumentId, NO_TIME, Quote, Side, Trade};
use tickwire_core::snapshot::Counters;

use crate::book::Book;
use crate::columns::{BarColumns, Instruments, Numbers, QuoteColumns, Rows, Times};
use crate::counts;
use crate::errors::{self, ConfigError, DataError};
use crate::frame::frame;
use crate::names::Names;
use crate::records::{self, Receipt};
use crate::session;
use crate::snapshot::Snapshot;
use crate::specs::{self, SpecArg};
use crate::symbols::Symbols;

/// Batches at least this long are applied with the GIL released; about as long as for the feed's
/// payloads, and for its reason.
const RELEASE_GIL_ROWS: usize = 2_048;

#[pyclass(frozen, subclass, name = "Engine", module = "tickwire._core")]
pub(crate) struct PyEngine {
    core: Arc<Engine>,
    names: Names,
    seen: Symbols,
}

impl PyEngine {
    pub(crate) fn core(&self) -> Arc<Engine> {
        Arc::clone(&self.core)
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }
}

#[pymethods]
impl PyEngine {
    #[new]
    fn new(
        py: Python<'_>,
        instruments: Vec<SpecArg>,
        timeframes: Vec<(String, usize)>,
    ) -> PyResult<Self> {
        let instruments: Vec<_> =
            instruments.into_iter().map(SpecArg::build).collect::<PyResult<_>>()?;
        let timeframes: Vec<_> = timeframes
            .iter()
            .map(|(text, retain)| Ok((specs::kind(text)?, *retain)))
            .collect::<PyResult<_>>()?;
        let kinds: Vec<Kind> = timeframes.iter().map(|&(kind, _)| kind).collect();
        instruments
            .iter()
            .try_for_each(|spec| spec.check(&kinds))
            .map_err(|error| ConfigError::new_err(error.to_string()))?;
        let core = Arc::new(Engine::new(instruments, &timeframes));
        Ok(Self {
            names: Names::new(py, Arc::clone(&core)),
            seen: Symbols::new(Arc::clone(&core)),
            core,
        })
    }

    /// The instruments' symbols, in the order given.
    #[getter]
    fn symbols<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.symbols())
    }

    /// The timeframes: lengths of time from the smallest to the largest, then trades, volume, notional,
    /// range and Renko.
    #[getter]
    fn timeframes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.timeframes())
    }

    /// Apply one trade. Returns whether it was accepted; `rejections()` says why not.
    #[expect(clippy::too_many_arguments, reason = "one argument for each of Python's")]
    #[pyo3(signature = (symbol, ts_event, price, size, side=0, ts_recv=None))]
    fn push_trade(
        &self,
        py: Python<'_>,
        symbol: &Bound<'_, PyAny>,
        ts_event: Option<i64>,
        price: f64,
        size: f64,
        side: i8,
        ts_recv: Option<i64>,
    ) -> PyResult<bool> {
        if !matches!(side, -1..=1) {
            return Err(DataError::new_err(format!(
                "side: got {side}, expected 1 (buy), -1 (sell) or 0 (not known)"
            )));
        }
        let trade = Trade {
            ts_event: ts_event.unwrap_or(NO_TIME),
            ts_recv: ts_recv.unwrap_or(NO_TIME),
            price,
            size,
            side: Side::from_sign(side),
        };
        let id = self.seen.find(symbol)?;
        Ok(session::write_tick(&self.core, py, id, |session, id| session.push_trade(id, &trade)))
    }

    /// Apply one quote. A side, size or last price that is absent is NaN.
    #[expect(clippy::too_many_arguments, reason = "one argument for each of Python's")]
    #[pyo3(signature = (symbol, ts_event, bid, ask, bid_size=f64::NAN, ask_size=f64::NAN, ts_recv=None, *, last=f64::NAN))]
    fn push_quote(
        &self,
        py: Python<'_>,
        symbol: &Bound<'_, PyAny>,
        ts_event: Option<i64>,
        bid: f64,
        ask: f64,
        bid_size: f64,
        ask_size: f64,
        ts_recv: Option<i64>,
        last: f64,
    ) -> PyResult<bool> {
        let quote = Quote {
            ts_event: ts_event.unwrap_or(NO_TIME),
            ts_recv: ts_recv.unwrap_or(NO_TIME),
            bid,
            ask,
            bid_size,
            ask_size,
            last,
        };
        let id = self.seen.find(symbol)?;
        Ok(session::write_tick(&self.core, py, id, |session, id| session.push_quote(id, &quote)))
    }

    /// Apply one depth delta. `size` is what rests at the price from now on, 0 for nothing. Returns whether
    /// it was accepted.
    ///
    /// Args:
    ///     kind: "bid" or "ask"; "best_bid" or "best_ask" if nothing better rests on that side; "reset"
    ///         to begin the book anew, for which price and size mean nothing.
    #[expect(clippy::too_many_arguments, reason = "one argument for each of Python's")]
    #[pyo3(signature = (symbol, ts_event, kind, price=f64::NAN, size=f64::NAN, ts_recv=None))]
    fn push_depth(
        &self,
        py: Python<'_>,
        symbol: &Bound<'_, PyAny>,
        ts_event: Option<i64>,
        kind: &str,
        price: f64,
        size: f64,
        ts_recv: Option<i64>,
    ) -> PyResult<bool> {
        let depth = Depth {
            ts_event: ts_event.unwrap_or(NO_TIME),
            ts_recv: ts_recv.unwrap_or(NO_TIME),
            price,
            size,
            kind: specs::depth_kind(kind)?,
        };
        let id = self.seen.find(symbol)?;
        Ok(session::write_tick(&self.core, py, id, |session, id| session.push_depth(id, &depth)))
    }

    /// Apply columns of trades. `symbols[codes[i]]` is the instrument of row i; without codes, all
    /// rows are of the first.
    #[expect(clippy::too_many_arguments, reason = "one argument for each column")]
    fn _push_trades(
        &self,
        py: Python<'_>,
        symbols: Vec<String>,
        codes: Option<PyReadonlyArray1<'_, u32>>,
        ts_event: PyReadonlyArray1<'_, i64>,
        price: PyReadonlyArray1<'_, f64>,
        size: PyReadonlyArray1<'_, f64>,
        side: Option<PyReadonlyArray1<'_, i8>>,
        ts_recv: Option<PyReadonlyArray1<'_, i64>>,
        numbers: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<Py<Receipt>> {
        let rows = Rows { name: "ts_event", count: ts_event.len() };
        let codes = rows.optional("symbol", codes.as_ref())?;
        let instruments = Instruments::new(&self.core, &symbols, codes);
        let columns = TradeColumns {
            ts_event: rows.column("ts_event", &ts_event)?,
            ts_recv: rows.optional("ts_recv", ts_recv.as_ref())?,
            price: rows.column("price", &price)?,
            size: rows.column("size", &size)?,
            side: rows.optional("side", side.as_ref())?,
        };
        let numbers = Numbers(rows.optional("tick_id", numbers.as_ref())?);
        let work = |session: &mut Session<'_>| match (instruments.only(), numbers) {
            (Some(id), Numbers(None)) => session.push_trades(id, &columns),
            _ => instruments.each(session, rows, |session, id, row| {
                if numbers.of(row).is_none_or(|number| session.is_new_trade(id, number)) {
                    session.push_trade(id, &columns.row(row))?;
                }
                Ok(())
            }),
        };
        Receipt::new(py, &session::write(&self.core, py, rows.count < RELEASE_GIL_ROWS, work).1)
    }

    /// Apply columns of quotes; see `_push_trades`.
    #[expect(clippy::too_many_arguments, reason = "one argument for each column")]
    fn _push_quotes(
        &self,
        py: Python<'_>,
        symbols: Vec<String>,
        codes: Option<PyReadonlyArray1<'_, u32>>,
        ts_event: PyReadonlyArray1<'_, i64>,
        bid: PyReadonlyArray1<'_, f64>,
        ask: PyReadonlyArray1<'_, f64>,
        bid_size: Option<PyReadonlyArray1<'_, f64>>,
        ask_size: Option<PyReadonlyArray1<'_, f64>>,
        last: Option<PyReadonlyArray1<'_, f64>>,
        ts_recv: Option<PyReadonlyArray1<'_, i64>>,
        numbers: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<Py<Receipt>> {
        let rows = Rows { name: "ts_event", count: ts_event.len() };
        let codes = rows.optional("symbol", codes.as_ref())?;
        let instruments = Instruments::new(&self.core, &symbols, codes);
        let columns = QuoteColumns {
            ts_event: rows.column("ts_event", &ts_event)?,
            ts_recv: rows.optional("ts_recv", ts_recv.as_ref())?,
            bid: rows.column("bid", &bid)?,
            ask: rows.column("ask", &ask)?,
            bid_size: rows.optional("bid_size", bid_size.as_ref())?,
            ask_size: rows.optional("ask_size", ask_size.as_ref())?,
            last: rows.optional("last", last.as_ref())?,
        };
        let numbers = Numbers(rows.optional("tick_id", numbers.as_ref())?);
        let work = |session: &mut Session<'_>| {
            instruments.each(session, rows, |session, id, row| {
                if numbers.of(row).is_none_or(|number| session.is_new_quote(id, number)) {
                    session.push_quote(id, &columns.row(row))?;
                }
                Ok(())
            });
        };
        Receipt::new(py, &session::write(&self.core, py, rows.count < RELEASE_GIL_ROWS, work).1)
    }

    /// Put in ready bars, all there are in `span` if that is given; returns what became of them as a
    /// dict of counts, and the closed bars that changed.
    #[expect(clippy::too_many_arguments, reason = "one argument for each column")]
    fn _push_bars<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        timeframe: &str,
        source: &str,
        ts: PyReadonlyArray1<'_, i64>,
        open: PyReadonlyArray1<'_, f64>,
        high: PyReadonlyArray1<'_, f64>,
        low: PyReadonlyArray1<'_, f64>,
        close: PyReadonlyArray1<'_, f64>,
        volume: PyReadonlyArray1<'_, f64>,
        vwap: PyReadonlyArray1<'_, f64>,
        trades: PyReadonlyArray1<'_, i64>,
        replace: bool,
        span: Option<(i64, i64)>,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<records::Bar>)> {
        let id = self.names.find(symbol)?;
        let level = self.names.level(timeframe)?;
        let source = self.names.source_of(id, source)?;
        let rows = Rows { name: "ts", count: ts.len() };
        let columns = BarColumns {
            ts: rows.column("ts", &ts)?,
            open: rows.column("open", &open)?,
            high: rows.column("high", &high)?,
            low: rows.column("low", &low)?,
            close: rows.column("close", &close)?,
            volume: rows.column("volume", &volume)?,
            vwap: rows.column("vwap", &vwap)?,
            trades: rows.column("trades", &trades)?,
        };
        let bars = columns.bars();
        let work = |session: &mut Session<'_>| {
            session.push_history(id, source, level, bars, replace, span)
        };
        let (history, revised) = session::write(&self.core, py, false, work)
            .0
            .map_err(|error| errors::history(&error))?;
        let bar = |(timeframe, bar): &(Timeframe, Bar)| {
            self.names.bar(py, id, (*timeframe).into(), source, bar)
        };
        Ok((counts::history(py, &history)?, revised.iter().map(bar).collect()))
    }

    /// Start and end of the bar of an instrument that `ts` belongs to, ns UTC: two ints, or of a
    /// column of times two columns. Only for lengths of time.
    fn bar_span<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        timeframe: &str,
        ts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (id, level) = (self.names.find(symbol)?, self.names.level(timeframe)?);
        let Some(buckets) = self.core.buckets(id).get(level) else {
            return Err(errors::history(&HistoryError::NotTime(self.core.kinds()[level])));
        };
        match Times::of("ts", ts)? {
            Times::One(ts) => buckets.bucket(ts).into_pyobject(py),
            Times::Column(column) => {
                let column = column.as_slice()?;
                let (mut starts, mut ends) = (vec![0; column.len()], vec![0; column.len()]);
                py.detach(|| {
                    let mut rows = starts.iter_mut().zip(&mut ends);
                    buckets.each(column, |start, end| {
                        if let Some(row) = rows.next() {
                            (*row.0, *row.1) = (start, end);
                        }
                    });
                });
                (PyArray1::from_vec(py, starts), PyArray1::from_vec(py, ends)).into_pyobject(py)
            }
        }
    }

    /// Each length of time among the timeframes, from the smallest to the largest, with the smaller one
    /// whose bars an instrument's bars are put together from; None where they are made of ticks.
    fn parents(&self, symbol: &str) -> PyResult<Vec<(String, Option<String>)>> {
        let name = |level: usize| self.core.timeframes()[level].to_string();
        let parents = self.core.parents(self.names.find(symbol)?).into_iter().enumerate();
        Ok(parents.map(|(level, parent)| (name(level), parent.map(name))).collect())
    }

    /// Close, for all instruments, every bar that ends at or before `now_ns` (int ns UTC). Ticks that
    /// belong to them are late from then on.
    fn advance(&self, py: Python<'_>, now_ns: i64) {
        session::write(&self.core, py, false, |session| session.advance(now_ns));
    }

    /// Say that data is missing from `start_ns` (None: the feed was only just joined) to `end_ns`,
    /// int ns UTC. Bars that overlap a gap carry complete=False.
    #[pyo3(signature = (start_ns, end_ns, symbols=None))]
    fn mark_gap(
        &self,
        py: Python<'_>,
        start_ns: Option<i64>,
        end_ns: i64,
        symbols: Option<Vec<String>>,
    ) -> PyResult<()> {
        if start_ns.is_some_and(|start| start >= end_ns) {
            return Err(ConfigError::new_err(format!(
                "start_ns: got {}, expected a time before end_ns {end_ns}",
                start_ns.unwrap_or_default()
            )));
        }
        let ids: Vec<InstrumentId> = match symbols {
            None => self.core.ids().collect(),
            Some(symbols) => {
                symbols.iter().map(|symbol| self.names.find(symbol)).collect::<PyResult<_>>()?
            }
        };
        let work = |session: &mut Session<'_>| {
            ids.iter().try_for_each(|&id| session.mark_gap(id, start_ns, end_ns))
        };
        session::write(&self.core, py, false, work).0.map_err(|error| errors::history(&error))
    }

    #[expect(clippy::too_many_arguments, reason = "one argument for each of Python's")]
    fn _bars<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        timeframe: &str,
        last: Option<usize>,
        since: Option<i64>,
        partial: bool,
        source: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let id = self.names.find(symbol)?;
        let level = self.names.level(timeframe)?;
        let source = self.names.source_of(id, source)?;
        frame(py, py.detach(|| self.core.bars(id, source, level, last, since, partial)))
    }

    fn _trades<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        last: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let id = self.names.find(symbol)?;
        frame(
            py,
            py.detach(|| self.core.trade_batch(id, last.unwrap_or(usize::MAX)))
                .map(|batch| vec![batch]),
        )
    }

    fn _quotes<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        last: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let id = self.names.find(symbol)?;
        frame(
            py,
            py.detach(|| self.core.quote_batch(id, last.unwrap_or(usize::MAX)))
                .map(|batch| vec![batch]),
        )
    }

    /// One consistent cut through an instrument, over all timeframes.
    fn snapshot(this: &Bound<'_, Self>, symbol: &str) -> PyResult<Snapshot> {
        let id = this.get().names.find(symbol)?;
        Ok(Snapshot::new(this.clone().unbind(), id, this.get().core.snapshot(id)))
    }

    /// The newest accepted trade, or None.
    fn last(&self, py: Python<'_>, symbol: &str) -> PyResult<Option<records::Trade>> {
        let id = self.names.find(symbol)?;
        let trade = self.core.snapshot(id).trade();
        Ok(trade.map(|trade| records::Trade::new(self.names.symbol(py, id), &trade)))
    }

    /// The newest accepted quote, or None.
    fn quote(&self, py: Python<'_>, symbol: &str) -> PyResult<Option<records::Quote>> {
        let id = self.names.find(symbol)?;
        let quote = self.core.snapshot(id).quote();
        Ok(quote.map(|quote| records::Quote::new(self.names.symbol(py, id), &quote)))
    }

    /// The order book, or None before the first depth delta: at most `levels` levels of each side, by
    /// default all that the engine shows (`book_levels`). It never waits for a writer, and no writer for it.
    #[pyo3(signature = (symbol, levels=None))]
    fn book(this: &Bound<'_, Self>, symbol: &str, levels: Option<usize>) -> PyResult<Option<Book>> {
        Self::snapshot(this, symbol)?.book_of(this.py(), levels)
    }

    /// Rejected ticks by reason, of one instrument or of everything that came.
    #[pyo3(signature = (symbol=None))]
    fn rejections<'py>(
        &self,
        py: Python<'py>,
        symbol: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        counts::by_reason(py, &self.counters(symbol)?.rejected)
    }

    /// Counts of ticks, of one instrument or of everything that came: received, accepted, rejected,
    /// trades, quotes, depth, duplicates, revised, book_disagreements, and rejections and flags by reason.
    /// received == accepted + rejected; duplicates, which a second connection has brought, are none of
    /// these. Revised are the accepted ticks that came late and changed closed bars. clock_offset_ns says
    /// how far the clock that ts_recv is of is ahead of the venue's, as far as arrivals can tell (of all
    /// instruments, the least), or is None.
    #[pyo3(signature = (symbol=None))]
    fn stats<'py>(&self, py: Python<'py>, symbol: Option<&str>) -> PyResult<Bound<'py, PyDict>> {
        let Some(symbol) = symbol else {
            let offsets = self.core.ids().filter_map(|id| self.core.snapshot(id).clock_offset_ns());
            return counts::stats(py, &self.core.counters(), offsets.min());
        };
        let snapshot = self.core.snapshot(self.names.find(symbol)?);
        counts::stats(py, &snapshot.counters(), snapshot.clock_offset_ns())
    }

    /// Bytes of memory in use: rings (as far as filled), bars, books, fixed, total.
    fn memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts::memory(py, &self.core.memory())
    }
}

impl PyEngine {
    fn counters(&self, symbol: Option<&str>) -> PyResult<Counters> {
        Ok(match symbol {
            Some(symbol) => self.core.snapshot(self.names.find(symbol)?).counters(),
            None => self.core.counters(),
        })
    }
}
