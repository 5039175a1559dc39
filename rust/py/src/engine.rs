//! `Engine`: the base class of `tickwire.Engine`, which adds what needs Python.

use std::str::FromStr;
use std::sync::Arc;

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tickwire_core::Spec;
use tickwire_core::bars::{Bar, Source, Timeframe};
use tickwire_core::columns::TradeColumns;
use tickwire_core::engine::{Engine, Receipt as CoreReceipt, Session};
use tickwire_core::reason::Reason;
use tickwire_core::record::{InstrumentId, NO_TIME, Quote, Side, Trade};
use tickwire_core::snapshot::Counters;
use tickwire_core::subscription::Item;
use tickwire_core::validate::{Action, Rules};

use crate::errors::{self, ConfigError, DataError, UnknownInstrument};
use crate::frame::frame;
use crate::records::{self, BarNames, Receipt};
use crate::snapshot::Snapshot;
use crate::symbols::Symbols;

/// Batches at least this long are applied with the GIL released.
const RELEASE_GIL_ROWS: usize = 64;

#[pyclass(frozen, subclass, name = "Engine", module = "tickwire._core")]
pub(crate) struct PyEngine {
    core: Arc<Engine>,
    symbols: Vec<Py<PyString>>,
    seen: Symbols,
    timeframes: Vec<Py<PyString>>,
    sources: [Py<PyString>; Source::ALL.len()],
}

/// `tickwire.Rules`, with times in ns.
#[derive(FromPyObject)]
struct RulesArg {
    grid: String,
    band: String,
    size: String,
    skew: String,
    crossed: String,
    allow_negative: bool,
    band_width: f64,
    band_ticks: f64,
    band_agree: u32,
    band_age_ns: i64,
    skew_ns: i64,
}

/// What `tickwire.Engine` makes of a `tickwire.Instrument` and its own defaults.
#[derive(FromPyObject)]
struct SpecArg {
    symbol: String,
    tick_size: f64,
    sources: Vec<String>,
    lateness_ns: i64,
    stamp_arrival: bool,
    capacity: usize,
    rules: RulesArg,
}

fn action(name: &str, text: &str) -> PyResult<Action> {
    match text {
        "reject" => Ok(Action::Reject),
        "flag" => Ok(Action::Flag),
        "off" => Ok(Action::Off),
        _ => Err(ConfigError::new_err(format!(
            "{name}: got {text:?}, expected \"reject\", \"flag\" or \"off\""
        ))),
    }
}

fn parse_source(text: &str) -> PyResult<Source> {
    Source::from_str(text).map_err(|error| ConfigError::new_err(error.to_string()))
}

impl SpecArg {
    fn build(self) -> PyResult<Spec> {
        let rules = self.rules;
        Ok(Spec {
            symbol: self.symbol,
            tick_size: self.tick_size,
            rules: Rules {
                grid: action("grid", &rules.grid)?,
                band: action("band", &rules.band)?,
                size: action("size", &rules.size)?,
                skew: action("skew", &rules.skew)?,
                crossed: action("crossed", &rules.crossed)?,
                allow_negative: rules.allow_negative,
                band_width: rules.band_width,
                band_ticks: rules.band_ticks,
                band_agree: rules.band_agree,
                band_age_ns: rules.band_age_ns,
                skew_ns: rules.skew_ns,
            },
            sources: self.sources.iter().map(|text| parse_source(text)).collect::<PyResult<_>>()?,
            lateness_ns: self.lateness_ns,
            stamp_arrival: self.stamp_arrival,
            capacity: self.capacity,
        })
    }
}

/// A column of a batch: one contiguous run, as long as the others.
fn column<'a, T: numpy::Element>(
    name: &str,
    array: &'a PyReadonlyArray1<'_, T>,
    rows: usize,
) -> PyResult<&'a [T]> {
    if array.len() != rows {
        return Err(DataError::new_err(format!(
            "{name}: got {} rows, expected {rows} as in ts_event",
            array.len()
        )));
    }
    array.as_slice().map_err(|_| DataError::new_err(format!("{name}: expected a contiguous array")))
}

fn optional<'a, T: numpy::Element>(
    name: &str,
    array: Option<&'a PyReadonlyArray1<'_, T>>,
    rows: usize,
) -> PyResult<Option<&'a [T]>> {
    array.map(|array| column(name, array, rows)).transpose()
}

fn by_reason<'py>(py: Python<'py>, counts: &[u64]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (reason, &count) in Reason::ALL.iter().zip(counts) {
        if count > 0 {
            dict.set_item(reason.name(), count)?;
        }
    }
    Ok(dict)
}

pub(crate) fn counters<'py>(py: Python<'py>, counters: &Counters) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("received", counters.received)?;
    dict.set_item("accepted", counters.accepted)?;
    dict.set_item("rejected", counters.rejected_total())?;
    dict.set_item("trades", counters.trades)?;
    dict.set_item("quotes", counters.quotes)?;
    dict.set_item("depth", counters.depth)?;
    dict.set_item("duplicates", counters.duplicates)?;
    dict.set_item("rejections", by_reason(py, &counters.rejected)?)?;
    dict.set_item("flags", by_reason(py, &counters.flagged)?)?;
    Ok(dict)
}

impl PyEngine {
    pub(crate) fn core(&self) -> Arc<Engine> {
        Arc::clone(&self.core)
    }

    pub(crate) fn find(&self, symbol: &str) -> PyResult<InstrumentId> {
        self.core.find(symbol).ok_or_else(|| {
            let known: Vec<&str> =
                self.core.ids().take(8).map(|id| self.core.spec(id).symbol.as_str()).collect();
            let more = if self.symbols.len() > known.len() { ", …" } else { "" };
            UnknownInstrument::new_err(format!(
                "symbol: got {symbol:?}, expected one of the engine's instruments: {}{more}",
                known.join(", ")
            ))
        })
    }

    pub(crate) fn level(&self, text: &str) -> PyResult<usize> {
        let timeframe =
            Timeframe::from_str(text).map_err(|error| ConfigError::new_err(error.to_string()))?;
        let known = self.core.timeframes();
        known.iter().position(|other| *other == timeframe).ok_or_else(|| {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            ConfigError::new_err(format!(
                "timeframe: got {text:?}, expected one of the engine's: {}",
                known.join(", ")
            ))
        })
    }

    pub(crate) fn source(&self, text: &str) -> PyResult<Source> {
        parse_source(text)
    }

    /// A source that the instrument has bars of.
    pub(crate) fn source_of(&self, id: InstrumentId, text: &str) -> PyResult<Source> {
        let source = parse_source(text)?;
        let spec = self.core.spec(id);
        if spec.sources.contains(&source) {
            return Ok(source);
        }
        let known: Vec<&str> = spec.sources.iter().map(|source| source.name()).collect();
        Err(ConfigError::new_err(format!(
            "source: got {text:?}, expected one that {} has bars of: {}",
            spec.symbol,
            known.join(", ")
        )))
    }

    fn symbol(&self, py: Python<'_>, id: InstrumentId) -> Py<PyString> {
        self.symbols[id.0 as usize].clone_ref(py)
    }

    pub(crate) fn bar(
        &self,
        py: Python<'_>,
        id: InstrumentId,
        timeframe: Timeframe,
        source: Source,
        bar: &Bar,
    ) -> records::Bar {
        let level = self.core.timeframes().iter().position(|known| *known == timeframe);
        let names = BarNames {
            symbol: self.symbol(py, id),
            timeframe: self.timeframes[level.unwrap_or_default()].clone_ref(py),
            source: self.sources[source as usize].clone_ref(py),
        };
        records::Bar::new(names, bar)
    }

    pub(crate) fn item<'py>(&self, py: Python<'py>, item: &Item) -> PyResult<Bound<'py, PyAny>> {
        Ok(match item {
            Item::Bar(id, timeframe, source, bar) => {
                Bound::new(py, self.bar(py, *id, *timeframe, *source, bar))?.into_any()
            }
            Item::Trade(id, trade) => {
                Bound::new(py, records::Trade::new(self.symbol(py, *id), trade))?.into_any()
            }
            Item::Quote(id, quote) => {
                Bound::new(py, records::Quote::new(self.symbol(py, *id), quote))?.into_any()
            }
        })
    }

    /// Runs a session: with the GIL if that is quick, else without.
    fn write<T: Send>(
        &self,
        py: Python<'_>,
        quick: bool,
        work: impl FnOnce(&mut Session<'_>) -> T + Send,
    ) -> (T, CoreReceipt) {
        let run = || {
            let mut session = self.core.session();
            let outcome = work(&mut session);
            (outcome, session.finish())
        };
        if quick { run() } else { py.detach(run) }
    }

    /// Applies one tick and says whether it was accepted. The GIL is kept unless another thread is
    /// writing to the instrument.
    #[inline]
    fn write_tick(
        &self,
        py: Python<'_>,
        id: Option<InstrumentId>,
        tick: impl FnOnce(&mut Session<'_>, InstrumentId) -> Result<(), Reason> + Send,
    ) -> bool {
        let Some(id) = id else {
            self.core.session().refuse(None, Reason::UnknownInstrument);
            return false;
        };
        // The session ends without a receipt: for one tick the outcome is all there is to say.
        match self.core.try_session(id) {
            Some(mut session) => tick(&mut session, id).is_ok(),
            None => py.detach(|| tick(&mut self.core.session(), id).is_ok()),
        }
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
        let specs = instruments.into_iter().map(SpecArg::build).collect::<PyResult<Vec<Spec>>>()?;
        let timeframes = timeframes
            .into_iter()
            .map(|(text, retain)| match Timeframe::from_str(&text) {
                Ok(timeframe) => Ok((timeframe, retain)),
                Err(error) => Err(ConfigError::new_err(error.to_string())),
            })
            .collect::<PyResult<Vec<_>>>()?;
        let core = Arc::new(Engine::new(specs, &timeframes));
        Ok(Self {
            seen: Symbols::new(Arc::clone(&core)),
            symbols: core
                .ids()
                .map(|id| PyString::intern(py, &core.spec(id).symbol).unbind())
                .collect(),
            timeframes: core
                .timeframes()
                .iter()
                .map(|timeframe| PyString::intern(py, &timeframe.to_string()).unbind())
                .collect(),
            sources: Source::ALL.map(|source| PyString::intern(py, source.name()).unbind()),
            core,
        })
    }

    /// The instruments' symbols, in the order given.
    #[getter]
    fn symbols<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pyo3::types::PyTuple::new(py, &self.symbols)
    }

    /// The timeframes, from the smallest to the largest.
    #[getter]
    fn timeframes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pyo3::types::PyTuple::new(py, &self.timeframes)
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
        Ok(self.write_tick(py, id, |session, id| session.push_trade(id, &trade)))
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
        Ok(self.write_tick(py, id, |session, id| session.push_quote(id, &quote)))
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
    ) -> PyResult<Py<Receipt>> {
        let rows = ts_event.len();
        let ids: Vec<_> = symbols.iter().map(|symbol| self.core.find(symbol)).collect();
        let codes = optional("symbol", codes.as_ref(), rows)?;
        let ts_event = column("ts_event", &ts_event, rows)?;
        let price = column("price", &price, rows)?;
        let size = column("size", &size, rows)?;
        let side = optional("side", side.as_ref(), rows)?;
        let ts_recv = optional("ts_recv", ts_recv.as_ref(), rows)?;
        let columns = TradeColumns { ts_event, ts_recv, price, size, side };
        let work = |session: &mut Session<'_>| match (codes, ids.as_slice()) {
            (None, [Some(id)]) => session.push_trades(*id, &columns),
            _ => {
                for row in 0..rows {
                    match ids[codes.map_or(0, |codes| codes[row] as usize)] {
                        Some(id) => drop(session.push_trade(id, &columns.row(row))),
                        None => session.refuse(None, Reason::UnknownInstrument),
                    }
                }
            }
        };
        Receipt::new(py, &self.write(py, rows < RELEASE_GIL_ROWS, work).1)
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
    ) -> PyResult<Py<Receipt>> {
        let rows = ts_event.len();
        let ids: Vec<_> = symbols.iter().map(|symbol| self.core.find(symbol)).collect();
        let codes = optional("symbol", codes.as_ref(), rows)?;
        let ts_event = column("ts_event", &ts_event, rows)?;
        let bid = column("bid", &bid, rows)?;
        let ask = column("ask", &ask, rows)?;
        let bid_size = optional("bid_size", bid_size.as_ref(), rows)?;
        let ask_size = optional("ask_size", ask_size.as_ref(), rows)?;
        let last = optional("last", last.as_ref(), rows)?;
        let ts_recv = optional("ts_recv", ts_recv.as_ref(), rows)?;
        let number =
            |column: Option<&[f64]>, row: usize| column.map_or(f64::NAN, |column| column[row]);
        let work = |session: &mut Session<'_>| {
            for row in 0..rows {
                let quote = Quote {
                    ts_event: ts_event[row],
                    ts_recv: ts_recv.map_or(NO_TIME, |column| column[row]),
                    bid: bid[row],
                    ask: ask[row],
                    bid_size: number(bid_size, row),
                    ask_size: number(ask_size, row),
                    last: number(last, row),
                };
                match ids[codes.map_or(0, |codes| codes[row] as usize)] {
                    Some(id) => drop(session.push_quote(id, &quote)),
                    None => session.refuse(None, Reason::UnknownInstrument),
                }
            }
        };
        Receipt::new(py, &self.write(py, rows < RELEASE_GIL_ROWS, work).1)
    }

    /// Put in ready bars; returns what became of them as a dict of counts.
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
    ) -> PyResult<Bound<'py, PyDict>> {
        let id = self.find(symbol)?;
        let level = self.level(timeframe)?;
        let source = self.source_of(id, source)?;
        let rows = ts.len();
        let ts = column("ts", &ts, rows)?;
        let open = column("open", &open, rows)?;
        let high = column("high", &high, rows)?;
        let low = column("low", &low, rows)?;
        let close = column("close", &close, rows)?;
        let volume = column("volume", &volume, rows)?;
        let vwap = column("vwap", &vwap, rows)?;
        let trades = column("trades", &trades, rows)?;
        let bars: Vec<Bar> = (0..rows)
            .map(|row| Bar {
                ts: ts[row],
                ts_end: ts[row],
                open: open[row],
                high: high[row],
                low: low[row],
                close: close[row],
                volume: volume[row],
                vwap: vwap[row],
                trades: trades[row].max(0) as u64,
                complete: true,
                revision: 0,
            })
            .collect();
        let (outcome, _) =
            self.write(py, false, |session| session.push_bars(id, source, level, bars, replace));
        let outcome = outcome.map_err(|error| errors::history(&error))?;
        let dict = PyDict::new(py);
        dict.set_item("received", outcome.received)?;
        dict.set_item("inserted", outcome.inserted)?;
        dict.set_item("replaced", outcome.replaced)?;
        dict.set_item("existing", outcome.existing)?;
        dict.set_item("open", outcome.open)?;
        Ok(dict)
    }

    /// Close, for all instruments, every bar that ends at or before `now_ns` (int ns UTC). Ticks that
    /// belong to them are late from then on.
    fn advance(&self, py: Python<'_>, now_ns: i64) {
        self.write(py, false, |session| session.advance(now_ns));
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
                symbols.iter().map(|symbol| self.find(symbol)).collect::<PyResult<_>>()?
            }
        };
        let work = |session: &mut Session<'_>| {
            ids.iter().try_for_each(|&id| session.mark_gap(id, start_ns, end_ns))
        };
        self.write(py, false, work).0.map_err(|error| errors::history(&error))
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
        let id = self.find(symbol)?;
        let level = self.level(timeframe)?;
        let source = self.source_of(id, source)?;
        frame(py, py.detach(|| self.core.bars(id, source, level, last, since, partial)))
    }

    fn _trades<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        last: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let id = self.find(symbol)?;
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
        let id = self.find(symbol)?;
        frame(
            py,
            py.detach(|| self.core.quote_batch(id, last.unwrap_or(usize::MAX)))
                .map(|batch| vec![batch]),
        )
    }

    /// One consistent cut through an instrument, over all timeframes.
    fn snapshot(this: &Bound<'_, Self>, symbol: &str) -> PyResult<Snapshot> {
        let id = this.get().find(symbol)?;
        Ok(Snapshot::new(this.clone().unbind(), id, this.get().core.snapshot(id)))
    }

    /// The newest accepted trade, or None.
    fn last(&self, py: Python<'_>, symbol: &str) -> PyResult<Option<records::Trade>> {
        let id = self.find(symbol)?;
        let trade = self.core.snapshot(id).trade();
        Ok(trade.map(|trade| records::Trade::new(self.symbol(py, id), &trade)))
    }

    /// The newest accepted quote, the top of the book, or None.
    fn book(&self, py: Python<'_>, symbol: &str) -> PyResult<Option<records::Quote>> {
        let id = self.find(symbol)?;
        let quote = self.core.snapshot(id).quote();
        Ok(quote.map(|quote| records::Quote::new(self.symbol(py, id), &quote)))
    }

    /// Rejected ticks by reason, of one instrument or of everything that came.
    #[pyo3(signature = (symbol=None))]
    fn rejections<'py>(
        &self,
        py: Python<'py>,
        symbol: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        by_reason(py, &self.counters(symbol)?.rejected)
    }

    /// Counts of ticks, of one instrument or of everything that came: received, accepted, rejected,
    /// trades, quotes, depth, duplicates, and rejections and flags by reason. received == accepted +
    /// rejected; duplicates, which a second connection has brought, are none of these.
    #[pyo3(signature = (symbol=None))]
    fn stats<'py>(&self, py: Python<'py>, symbol: Option<&str>) -> PyResult<Bound<'py, PyDict>> {
        counters(py, &self.counters(symbol)?)
    }

    /// Bytes of memory in use: rings (as far as filled), bars, fixed, total.
    fn memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let memory = self.core.memory();
        let dict = PyDict::new(py);
        dict.set_item("rings", memory.rings)?;
        dict.set_item("bars", memory.bars)?;
        dict.set_item("fixed", memory.fixed)?;
        dict.set_item("total", memory.rings + memory.bars + memory.fixed)?;
        Ok(dict)
    }
}

impl PyEngine {
    fn counters(&self, symbol: Option<&str>) -> PyResult<Counters> {
        Ok(match symbol {
            Some(symbol) => self.core.snapshot(self.find(symbol)?).counters(),
            None => self.core.counters(),
        })
    }
}
