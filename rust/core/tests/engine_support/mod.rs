//! What the tests of the engine share: short ways to make one, and its frames as rows.
// Every test file takes what it needs.
#![allow(dead_code)]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use tickwire_core::Spec;
use tickwire_core::bars::{Bar, Kind, Source, Timeframe};
use tickwire_core::engine::Engine;
use tickwire_core::record::{InstrumentId, NO_TIME, Quote, Side, Trade};
use tickwire_core::snapshot::Snapshot;
use tickwire_core::validate::{Action, Rules};

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// 2024-02-26T00:00:00Z, a Monday; the Thursday is a leap day.
pub(crate) const MONDAY: i64 = 1_708_905_600 * SECOND;
pub(crate) const ID: InstrumentId = InstrumentId(0);

pub(crate) fn timeframe(text: &str) -> Timeframe {
    text.parse().unwrap()
}

pub(crate) fn kind(text: &str) -> Kind {
    text.parse().unwrap()
}

/// An instrument on a quarter-point grid without a band.
pub(crate) fn spec(symbol: &str) -> Spec {
    Spec {
        rules: Rules { band: Action::Off, skew: Action::Off, ..Rules::default() },
        capacity: 1 << 12,
        ..Spec::new(symbol, 0.25)
    }
}

pub(crate) fn engine_of(specs: Vec<Spec>, timeframes: &[&str], retain: usize) -> Arc<Engine> {
    let timeframes: Vec<_> = timeframes.iter().map(|text| (kind(text), retain)).collect();
    Arc::new(Engine::new(specs, &timeframes))
}

/// One instrument, and room for everything.
pub(crate) fn engine(timeframes: &[&str]) -> Arc<Engine> {
    engine_of(vec![spec("ES")], timeframes, 1_000_000)
}

/// A trade without arrival time.
pub(crate) fn trade(ts_event: i64, price: f64, size: f64) -> Trade {
    Trade { ts_event, ts_recv: NO_TIME, price, size, side: Side::None }
}

/// A trade that came as it was made, so that its time is believed at once.
pub(crate) fn live(ts_event: i64, price: f64, size: f64) -> Trade {
    Trade { ts_recv: ts_event, ..trade(ts_event, price, size) }
}

/// A quote that came as it was made.
pub(crate) fn quote(ts_event: i64, bid: f64, ask: f64) -> Quote {
    Quote {
        ts_event,
        ts_recv: ts_event,
        bid,
        ask,
        bid_size: f64::NAN,
        ask_size: f64::NAN,
        last: f64::NAN,
    }
}

pub(crate) fn push(engine: &Engine, trades: impl IntoIterator<Item = Trade>) {
    let mut session = engine.session();
    for trade in trades {
        session.push_trade(ID, &trade).unwrap();
    }
}

pub(crate) fn advance(engine: &Engine, now_ns: i64) {
    engine.session().advance(now_ns);
}

/// A bar as frames show it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) ts: i64,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
    pub(crate) vwap: Option<f64>,
    pub(crate) trades: i64,
    pub(crate) complete: bool,
}

impl Row {
    /// The bar as one would give it to `push_bars`; its end is worked out there.
    pub(crate) fn to_bar(&self) -> Bar {
        Bar {
            ts: self.ts,
            ts_end: self.ts,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
            vwap: self.vwap.unwrap_or(f64::NAN),
            trades: self.trades as u64,
            complete: self.complete,
            revision: 0,
        }
    }
}

impl From<&Bar> for Row {
    fn from(bar: &Bar) -> Self {
        Self {
            ts: bar.ts,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            vwap: (!bar.vwap.is_nan()).then_some(bar.vwap),
            trades: bar.trades as i64,
            complete: bar.complete,
        }
    }
}

pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let number = |column: usize| batch.column(column).as_primitive::<Float64Type>();
        let ts = batch.column(0).as_primitive::<TimestampNanosecondType>();
        let vwap = number(6);
        let trades = batch.column(7).as_primitive::<Int64Type>();
        let complete = batch.column(8).as_boolean();
        rows.extend((0..batch.num_rows()).map(|row| Row {
            ts: ts.value(row),
            open: number(1).value(row),
            high: number(2).value(row),
            low: number(3).value(row),
            close: number(4).value(row),
            volume: number(5).value(row),
            vwap: vwap.is_valid(row).then(|| vwap.value(row)),
            trades: trades.value(row),
            complete: complete.value(row),
        }));
    }
    rows
}

/// All closed trade bars of a timeframe.
pub(crate) fn closed(snapshot: &Snapshot, level: usize) -> Vec<Row> {
    rows(&snapshot.batches(Source::Trade, level, None, None, false).unwrap())
}

/// All open trade bars of a timeframe.
pub(crate) fn open(snapshot: &Snapshot, level: usize) -> Vec<Row> {
    snapshot.open_bars(Source::Trade, level).iter().map(Row::from).collect()
}

/// Labels of all closed trade bars of a timeframe.
pub(crate) fn labels(engine: &Engine, level: usize) -> Vec<i64> {
    closed(&engine.snapshot(ID), level).iter().map(|row| row.ts).collect()
}
