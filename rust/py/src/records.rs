//! Trades, quotes, bars and receipts as Python objects: frozen, compared by value.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};
use tickwire_core::record::{self, NO_TIME};
use tickwire_core::{bars, engine};

fn known(time: i64) -> Option<i64> {
    (time != NO_TIME).then_some(time)
}

/// Floats that are equal, or both absent.
fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}

/// Equal strings; nearly always the same object.
fn text(py: Python<'_>, a: &Py<PyString>, b: &Py<PyString>) -> bool {
    a.is(b) || a.bind(py).as_any().eq(b.bind(py)).unwrap_or(false)
}

fn number(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:?}") }
}

fn time(value: Option<i64>) -> String {
    value.map_or_else(|| "None".to_owned(), |value| value.to_string())
}

/// One accepted print. Times are int nanoseconds since the epoch, UTC.
#[pyclass(frozen, get_all, module = "tickwire")]
pub(crate) struct Trade {
    symbol: Py<PyString>,
    /// Venue time, ns UTC.
    ts_event: i64,
    /// Arrival here, ns UTC, or None.
    ts_recv: Option<i64>,
    price: f64,
    size: f64,
    /// Aggressor: 1 buy, -1 sell, 0 not known.
    side: i8,
}

impl Trade {
    pub(crate) fn new(symbol: Py<PyString>, trade: &record::Trade) -> Self {
        Self {
            symbol,
            ts_event: trade.ts_event,
            ts_recv: known(trade.ts_recv),
            price: trade.price,
            size: trade.size,
            side: trade.side as i8,
        }
    }
}

#[pymethods]
impl Trade {
    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            text(py, &self.symbol, &other.symbol)
                && self.ts_event == other.ts_event
                && self.ts_recv == other.ts_recv
                && same(self.price, other.price)
                && same(self.size, other.size)
                && self.side == other.side
        })
    }

    fn __hash__(&self) -> u64 {
        self.ts_event as u64 ^ self.price.to_bits().rotate_left(17)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "Trade(symbol='{}', ts_event={}, ts_recv={}, price={}, size={}, side={})",
            self.symbol.bind(py),
            self.ts_event,
            time(self.ts_recv),
            number(self.price),
            number(self.size),
            self.side
        )
    }
}

/// The top of the book after an accepted quote. A side or size that is absent is NaN.
#[pyclass(frozen, get_all, module = "tickwire")]
pub(crate) struct Quote {
    symbol: Py<PyString>,
    /// Venue time, ns UTC.
    ts_event: i64,
    /// Arrival here, ns UTC, or None.
    ts_recv: Option<i64>,
    bid: f64,
    ask: f64,
    bid_size: f64,
    ask_size: f64,
    /// Last traded price as the quote stream reports it.
    last: f64,
}

impl Quote {
    pub(crate) fn new(symbol: Py<PyString>, quote: &record::Quote) -> Self {
        Self {
            symbol,
            ts_event: quote.ts_event,
            ts_recv: known(quote.ts_recv),
            bid: quote.bid,
            ask: quote.ask,
            bid_size: quote.bid_size,
            ask_size: quote.ask_size,
            last: quote.last,
        }
    }

    fn numbers(&self) -> [f64; 5] {
        [self.bid, self.ask, self.bid_size, self.ask_size, self.last]
    }
}

#[pymethods]
impl Quote {
    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            text(py, &self.symbol, &other.symbol)
                && self.ts_event == other.ts_event
                && self.ts_recv == other.ts_recv
                && self.numbers().into_iter().zip(other.numbers()).all(|(a, b)| same(a, b))
        })
    }

    fn __hash__(&self) -> u64 {
        self.ts_event as u64
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let [bid, ask, bid_size, ask_size, last] = self.numbers().map(number);
        format!(
            "Quote(symbol='{}', ts_event={}, ts_recv={}, bid={bid}, ask={ask}, bid_size={bid_size}, \
             ask_size={ask_size}, last={last})",
            self.symbol.bind(py),
            self.ts_event,
            time(self.ts_recv),
        )
    }
}

/// A bar. One of a length of time covers ts <= ts_event < ts_end, both int ns UTC, and is labelled by its
/// start. Any other begins with the tick at ts and ends with the one at ts_end.
#[pyclass(frozen, get_all, module = "tickwire")]
pub(crate) struct Bar {
    symbol: Py<PyString>,
    timeframe: Py<PyString>,
    /// Which price the bar is made of: trade, bid, ask, mid or last.
    source: Py<PyString>,
    ts: i64,
    ts_end: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    /// Sum of sizes; 0 where the source has none.
    volume: f64,
    /// Volume-weighted average price; NaN without volume.
    vwap: f64,
    /// Number of ticks.
    trades: u64,
    /// Whether the bar is closed and the feed saw all of it.
    complete: bool,
    /// How often the bar was replaced after it closed.
    revision: u32,
}

/// The strings of a bar.
pub(crate) struct BarNames {
    pub(crate) symbol: Py<PyString>,
    pub(crate) timeframe: Py<PyString>,
    pub(crate) source: Py<PyString>,
}

impl Bar {
    pub(crate) fn new(names: BarNames, bar: &bars::Bar) -> Self {
        Self {
            symbol: names.symbol,
            timeframe: names.timeframe,
            source: names.source,
            ts: bar.ts,
            ts_end: bar.ts_end,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            vwap: bar.vwap,
            trades: bar.trades,
            complete: bar.complete,
            revision: bar.revision,
        }
    }

    fn numbers(&self) -> [f64; 6] {
        [self.open, self.high, self.low, self.close, self.volume, self.vwap]
    }
}

#[pymethods]
impl Bar {
    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            text(py, &self.symbol, &other.symbol)
                && text(py, &self.timeframe, &other.timeframe)
                && text(py, &self.source, &other.source)
                && (self.ts, self.ts_end, self.trades, self.complete, self.revision)
                    == (other.ts, other.ts_end, other.trades, other.complete, other.revision)
                && self.numbers().into_iter().zip(other.numbers()).all(|(a, b)| same(a, b))
        })
    }

    fn __hash__(&self) -> u64 {
        self.ts as u64 ^ (self.ts_end as u64).rotate_left(17)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let [open, high, low, close, volume, vwap] = self.numbers().map(number);
        format!(
            "Bar(symbol='{}', timeframe='{}', source='{}', ts={}, ts_end={}, open={open}, high={high}, \
             low={low}, close={close}, volume={volume}, vwap={vwap}, trades={}, complete={}, revision={})",
            self.symbol.bind(py),
            self.timeframe.bind(py),
            self.source.bind(py),
            self.ts,
            self.ts_end,
            self.trades,
            if self.complete { "True" } else { "False" },
            self.revision
        )
    }
}

/// What came of one call: received == accepted + rejected. Duplicates are none of these.
#[pyclass(frozen, get_all, module = "tickwire")]
pub(crate) struct Receipt {
    /// Ticks that came: each element of a trade or depth array, each quote, each malformed record.
    received: u64,
    /// Ticks that were applied.
    accepted: u64,
    /// Ticks that were refused; `Engine.rejections()` says why.
    rejected: u64,
    /// Second copies, of ticks that two overlapping connections have brought.
    duplicates: u64,
    /// Records that are no market events (bytes, without terminator or length), in order.
    control: Py<PyTuple>,
}

/// Receipts of so many ticks, all accepted, and nothing else. Nearly every payload of a live feed
/// gets one of them, and making an object costs as much as decoding a field or two; receipts are
/// frozen, so that one will do for all.
static ALL_ACCEPTED: [PyOnceLock<Py<Receipt>>; 9] = [const { PyOnceLock::new() }; 9];

impl Receipt {
    pub(crate) fn new(py: Python<'_>, receipt: &engine::Receipt) -> PyResult<Py<Self>> {
        let plain = receipt.rejected == 0 && receipt.duplicates == 0 && receipt.control.is_empty();
        match usize::try_from(receipt.accepted).ok().and_then(|count| ALL_ACCEPTED.get(count)) {
            Some(shared) if plain => {
                let made = shared.get_or_try_init(py, || Self::make(py, receipt))?;
                Ok(made.clone_ref(py))
            }
            _ => Self::make(py, receipt),
        }
    }

    fn make(py: Python<'_>, receipt: &engine::Receipt) -> PyResult<Py<Self>> {
        let control = receipt.control.iter().map(|record| PyBytes::new(py, record));
        let made = Self {
            received: receipt.received,
            accepted: receipt.accepted,
            rejected: receipt.rejected,
            duplicates: receipt.duplicates,
            control: PyTuple::new(py, control)?.unbind(),
        };
        Py::new(py, made)
    }
}

#[pymethods]
impl Receipt {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Receipt(received={}, accepted={}, rejected={}, duplicates={}, control={})",
            self.received,
            self.accepted,
            self.rejected,
            self.duplicates,
            self.control.bind(py).repr()?
        ))
    }
}
