//! What readers see of a book: the best levels of both sides, and what became of its deltas.

use super::{Book, BookCounts, Level};
use crate::cell::Update;
use crate::record::{NO_TIME, Side};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::ArrowError;
use std::sync::Arc;

/// Words ahead of the levels: complete, event time, levels shown of the bids and of the asks, levels
/// held of either, counts.
const HEADER: usize = 6 + BookCounts::WORDS;

/// A book as it was at one moment, as far as readers are shown it. It does not change.
#[derive(Clone, Debug, PartialEq)]
pub struct BookView {
    /// Event time of the newest delta, ns UTC; none before the first.
    pub ts_event: Option<i64>,
    /// Whether the book began with everything that rests, and nothing was lost since.
    pub complete: bool,
    /// The best bids, best first.
    pub bids: Vec<Level>,
    /// The best asks, best first.
    pub asks: Vec<Level>,
    /// Bids that the book holds, shown or not.
    pub bid_levels: usize,
    /// Asks that the book holds, shown or not.
    pub ask_levels: usize,
    /// Aggressor of the newest trade, from the stream of trades.
    pub last_side: Side,
    /// What became of the deltas.
    pub counts: BookCounts,
}

impl Book {
    /// Number of words that a book takes of which so many levels are shown.
    pub(crate) fn words(shown: usize) -> usize {
        HEADER + 4 * shown
    }

    /// Writes what readers have not been shown, or all of it into a new cell; `at` is the first word.
    #[inline]
    pub(crate) fn show(&mut self, shown: usize, anew: bool, at: usize, update: &mut Update<'_>) {
        if !(std::mem::take(&mut self.is_dirty) || anew) {
            return;
        }
        let of = |held: usize| held.min(shown) as u64;
        let (bids, asks) = (self.bids.len(), self.asks.len());
        let header = [
            u64::from(self.is_complete),
            self.ts_event as u64,
            of(bids),
            of(asks),
            bids as u64,
            asks as u64,
        ];
        update.set_all(at, &header);
        update.set_all(at + header.len(), &self.counts.to_words());
        for (side, first) in [(&mut self.bids, HEADER), (&mut self.asks, HEADER + 2 * shown)] {
            for (place, level) in side.unshown(anew).take_while(|(place, _)| *place < shown) {
                let words = [level.price.to_bits(), level.size.to_bits()];
                update.set_all(at + first + 2 * place, &words);
            }
        }
    }
}

impl BookView {
    /// The view that `words` hold, of a book of which `shown` levels are shown.
    pub(crate) fn from_words(words: &[u64], shown: usize, last_side: Side) -> Self {
        let levels = |first: usize, count: u64| {
            let words = &words[first..first + 2 * count as usize];
            let level = |pair: &[u64]| Level {
                price: f64::from_bits(pair[0]),
                size: f64::from_bits(pair[1]),
            };
            words.chunks_exact(2).map(level).collect()
        };
        let ts_event = words[1] as i64;
        Self {
            ts_event: (ts_event != NO_TIME).then_some(ts_event),
            complete: words[0] != 0,
            bids: levels(HEADER, words[2]),
            asks: levels(HEADER + 2 * shown, words[3]),
            bid_levels: words[4] as usize,
            ask_levels: words[5] as usize,
            last_side,
            counts: Self::counts_in(words),
        }
    }

    /// The counts among the words of a view.
    pub(crate) fn counts_in(words: &[u64]) -> BookCounts {
        BookCounts::from_words(&words[6..HEADER])
    }

    /// The same with at most so many levels of each side.
    #[must_use]
    pub fn truncated(mut self, levels: usize) -> Self {
        self.bids.truncate(levels);
        self.asks.truncate(levels);
        self
    }

    fn tops(&self) -> Option<(Level, Level)> {
        Some((*self.bids.first()?, *self.asks.first()?))
    }

    /// Best ask less best bid; none where a side is empty.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        self.tops().map(|(bid, ask)| ask.price - bid.price)
    }

    /// The middle of the best prices; none where a side is empty.
    #[must_use]
    pub fn mid(&self) -> Option<f64> {
        self.tops().map(|(bid, ask)| bid.price.midpoint(ask.price))
    }

    /// The middle of the best prices, each weighted with the size on the other side:
    /// (bid · ask size + ask · bid size) / (bid size + ask size). None where a side is empty.
    #[must_use]
    pub fn microprice(&self) -> Option<f64> {
        self.tops().map(|(bid, ask)| {
            // As a share of the spread, so that the result lies between the two prices.
            let share = bid.size / (bid.size + ask.size);
            bid.price + (ask.price - bid.price) * share
        })
    }

    /// (B − A) / (B + A), where B and A are the sizes of the first `levels` bids and asks: 1 if only
    /// bids rest, −1 if only asks do. None for an empty book.
    #[must_use]
    pub fn imbalance(&self, levels: usize) -> Option<f64> {
        let size = |side: &[Level]| side.iter().take(levels).map(|level| level.size).sum::<f64>();
        let (bids, asks) = (size(&self.bids), size(&self.asks));
        (bids + asks > 0.0).then(|| (bids - asks) / (bids + asks))
    }

    /// One row: ts_event, then bid_px_00, ask_px_00, bid_sz_00, ask_sz_00, bid_px_01, … for `levels`
    /// levels; null where there is no such level.
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn batch(&self, levels: usize) -> Result<RecordBatch, ArrowError> {
        let time = TimestampNanosecondArray::from_iter([self.ts_event]).with_timezone("UTC");
        let mut columns = vec![("ts_event".to_owned(), Arc::new(time) as ArrayRef, true)];
        for place in 0..levels {
            let sides = [("bid", self.bids.get(place)), ("ask", self.asks.get(place))];
            for (what, value) in [("px", price as fn(&Level) -> f64), ("sz", size)] {
                for (side, level) in sides {
                    let number = Float64Array::from_iter([level.map(value)]);
                    columns.push((format!("{side}_{what}_{place:02}"), Arc::new(number), true));
                }
            }
        }
        RecordBatch::try_from_iter_with_nullable(columns)
    }
}

fn price(level: &Level) -> f64 {
    level.price
}

fn size(level: &Level) -> f64 {
    level.size
}
