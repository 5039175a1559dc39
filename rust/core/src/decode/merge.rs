//! Partial quotes made whole.
//!
//! A hub sends all of a contract's quote once and from then on only what changed. What is absent or
//! null stands as it was. Only instruments that the engine knows are remembered, so a feed cannot
//! make this grow beyond them.

use rustc_hash::FxHashMap;

use super::Malformed;
use super::event::Number;
use crate::record::{InstrumentId, NO_TIME, Quote};

/// One quote message, as sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QuoteUpdate {
    pub(super) bid: Number,
    pub(super) ask: Number,
    pub(super) bid_size: Number,
    pub(super) ask_size: Number,
    pub(super) last: Number,
    /// Of the day so far. No part of a quote: it makes none unusable.
    pub(super) volume: Number,
    /// [`NO_TIME`] where a time was sent that cannot be read.
    pub(super) ts_event: Option<i64>,
}

/// The members of a quote message: an update, and other names for some of what it says, which count
/// where the first ones are absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QuoteFields {
    pub(super) update: QuoteUpdate,
    pub(super) bid_size: Number,
    pub(super) ask_size: Number,
    pub(super) last_updated: Option<i64>,
}

impl QuoteFields {
    /// The update that the fields make, unless one that should be a number is something else.
    #[inline(always)]
    pub(super) fn update(self) -> Result<QuoteUpdate, Malformed> {
        let mut update = self.update;
        if update.bid_size == Number::Absent {
            update.bid_size = self.bid_size;
        }
        if update.ask_size == Number::Absent {
            update.ask_size = self.ask_size;
        }
        update.ts_event = update.ts_event.or(self.last_updated);
        let numbers = [update.bid, update.ask, update.bid_size, update.ask_size, update.last];
        if numbers.contains(&Number::Wrong) { Err(Malformed) } else { Ok(update) }
    }
}

impl QuoteUpdate {
    /// The update laid over what was known.
    fn over(&self, known: &Quote, ts_recv: i64) -> Quote {
        let field = |update, known| {
            if let Number::Is(value) = update { value } else { known }
        };
        Quote {
            ts_event: self.ts_event.unwrap_or(known.ts_event),
            ts_recv,
            bid: field(self.bid, known.bid),
            ask: field(self.ask, known.ask),
            bid_size: field(self.bid_size, known.bid_size),
            ask_size: field(self.ask_size, known.ask_size),
            last: field(self.last, known.last),
        }
    }
}

const UNKNOWN: Quote = Quote {
    ts_event: NO_TIME,
    ts_recv: NO_TIME,
    bid: f64::NAN,
    ask: f64::NAN,
    bid_size: f64::NAN,
    ask_size: f64::NAN,
    last: f64::NAN,
};

/// What each contract's quotes of one feed left standing.
#[derive(Clone, Debug, Default)]
pub(super) struct StandingQuotes {
    by_instrument: FxHashMap<InstrumentId, Quote>,
}

impl StandingQuotes {
    /// The whole quote that `update` makes, which from now on stands.
    ///
    /// A time that cannot be read belongs to this quote only: the last good one stays known.
    pub(super) fn merge(
        &mut self,
        instrument: Option<InstrumentId>,
        update: &QuoteUpdate,
        ts_recv: i64,
    ) -> Quote {
        let Some(instrument) = instrument else {
            return update.over(&UNKNOWN, ts_recv);
        };
        let known = self.by_instrument.entry(instrument).or_insert(UNKNOWN);
        let whole = update.over(known, ts_recv);
        let ts_event = if whole.ts_event == NO_TIME { known.ts_event } else { whole.ts_event };
        *known = Quote { ts_event, ..whole };
        whole
    }

    pub(super) fn clear(&mut self) {
        self.by_instrument.clear();
    }
}
