//! Copies of recent ticks in Arrow form.

use crate::engine::Engine;
use crate::record::{InstrumentId, NO_TIME, Quote, Trade};
use arrow_array::{ArrayRef, Float64Array, Int8Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::ArrowError;
use std::sync::Arc;

pub(crate) fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    let known = values.map(|time| (time != NO_TIME).then_some(time));
    Arc::new(TimestampNanosecondArray::from_iter(known).with_timezone("UTC"))
}

pub(crate) fn numbers(values: impl Iterator<Item = f64>) -> ArrayRef {
    // Absent sides and sizes are null in a frame: NaN would poison the user's arithmetic.
    Arc::new(Float64Array::from_iter(values.map(|value| (!value.is_nan()).then_some(value))))
}

impl Engine {
    /// The newest accepted trades, at most `last`: ts_event, ts_recv, price, size, side.
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn trade_batch(&self, id: InstrumentId, last: usize) -> Result<RecordBatch, ArrowError> {
        let (_, trades) = self.trades(id, last);
        let number = |value: fn(&Trade) -> f64| numbers(trades.iter().map(value));
        let side: ArrayRef =
            Arc::new(Int8Array::from_iter_values(trades.iter().map(|trade| trade.side as i8)));
        RecordBatch::try_from_iter_with_nullable([
            ("ts_event", times(trades.iter().map(|trade| trade.ts_event)), false),
            ("ts_recv", times(trades.iter().map(|trade| trade.ts_recv)), true),
            ("price", number(|trade| trade.price), false),
            ("size", number(|trade| trade.size), false),
            ("side", side, false),
        ])
    }

    /// The newest accepted quotes, at most `last`: ts_event, ts_recv, bid, ask, bid_size, ask_size,
    /// last.
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn quote_batch(&self, id: InstrumentId, last: usize) -> Result<RecordBatch, ArrowError> {
        let (_, quotes) = self.quotes(id, last);
        let number = |value: fn(&Quote) -> f64| numbers(quotes.iter().map(value));
        RecordBatch::try_from_iter_with_nullable([
            ("ts_event", times(quotes.iter().map(|quote| quote.ts_event)), false),
            ("ts_recv", times(quotes.iter().map(|quote| quote.ts_recv)), true),
            ("bid", number(|quote| quote.bid), true),
            ("ask", number(|quote| quote.ask), true),
            ("bid_size", number(|quote| quote.bid_size), true),
            ("ask_size", number(|quote| quote.ask_size), true),
            ("last", number(|quote| quote.last), true),
        ])
    }
}
