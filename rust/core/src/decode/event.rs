//! The market events of the ProjectX gateway, whatever protocol they come in: what their members
//! mean, what they become here, and what one feed remembers of them.
//!
//! Nothing here reaches a sink before the whole record has proved to be well-formed: a reader
//! collects an event in [`Events`], and [`Events::emit`] hands it on.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use super::Sink;
use super::merge::{QuoteUpdate, StandingQuotes};
use super::timestamp::MinuteMemo;
use super::volume::{Ledger, Volumes};
use crate::record::{Depth, DepthKind, InstrumentId, NO_TIME, Side, Trade};

/// The events that carry market data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Trade,
    Quote,
    Depth,
}

impl Event {
    /// The event with this target. Targets are case-sensitive by specification.
    pub(super) fn from_target(target: &[u8]) -> Option<Self> {
        match target {
            b"GatewayTrade" => Some(Self::Trade),
            b"GatewayQuote" => Some(Self::Quote),
            b"GatewayDepth" => Some(Self::Depth),
            _ => None,
        }
    }
}

/// A numeric member.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Number {
    /// Not there, or null.
    #[default]
    Absent,
    /// There, and a number.
    Is(f64),
    /// There, and something else.
    Wrong,
}

impl Number {
    fn or_nan(self) -> f64 {
        if let Self::Is(value) = self { value } else { f64::NAN }
    }
}

/// One element of a trade or depth event, as sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ElementFields {
    pub(super) price: Number,
    pub(super) volume: Number,
    /// [`NO_TIME`] where a time was sent that cannot be read.
    pub(super) ts_event: Option<i64>,
    /// The vendor's `type`, where it is a whole number of one byte.
    pub(super) code: Option<u8>,
}

/// What an element becomes.
pub(super) trait Element: Sized {
    /// The element that `fields` make, if they have what it takes.
    fn from_fields(fields: &ElementFields, ts_recv: i64) -> Option<Self>;
}

impl Element for Trade {
    #[inline(always)]
    fn from_fields(fields: &ElementFields, ts_recv: i64) -> Option<Self> {
        let (Number::Is(price), Number::Is(size)) = (fields.price, fields.volume) else {
            return None;
        };
        let side = match fields.code {
            Some(0) => Side::Buy,
            Some(1) => Side::Sell,
            _ => Side::None,
        };
        let ts_event = fields.ts_event.unwrap_or(NO_TIME);
        Some(Self { ts_event, ts_recv, price, size, side })
    }
}

impl Element for Depth {
    #[inline(always)]
    fn from_fields(fields: &ElementFields, ts_recv: i64) -> Option<Self> {
        let kind = match fields.code {
            Some(1) => DepthKind::Ask,
            Some(2) => DepthKind::Bid,
            Some(3 | 10) => DepthKind::BestAsk,
            Some(4 | 9) => DepthKind::BestBid,
            Some(6) => DepthKind::Reset,
            // A code beyond a byte, and none at all, become the vendor's own "unknown", zero.
            code => DepthKind::Other(code.unwrap_or(0)),
        };
        let (price, size) = match (fields.price, fields.volume) {
            (Number::Is(price), Number::Is(size)) => (price, size),
            (price, volume) if kind == DepthKind::Reset => (price.or_nan(), volume.or_nan()),
            _ => return None,
        };
        let ts_event = fields.ts_event.unwrap_or(NO_TIME);
        Some(Self { ts_event, ts_recv, price, size, kind })
    }
}

/// The elements of one event in order, the unusable ones as runs between the usable.
#[derive(Clone, Debug)]
pub(super) struct Elements<T> {
    usable: Vec<T>,
    /// (how many usable ones come before, how many unusable ones there are)
    unusable: Vec<(usize, usize)>,
}

impl<T> Default for Elements<T> {
    fn default() -> Self {
        Self { usable: Vec::new(), unusable: Vec::new() }
    }
}

impl<T: Element> Elements<T> {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.usable.clear();
        self.unusable.clear();
    }

    #[inline(always)]
    pub(super) fn push(&mut self, fields: &ElementFields, ts_recv: i64) {
        match T::from_fields(fields, ts_recv) {
            Some(element) => self.usable.push(element),
            None => self.push_unusable(),
        }
    }

    #[cold]
    pub(super) fn push_unusable(&mut self) {
        // Runs, because the shortest unusable element is a byte or two long: a hostile record must
        // not be worth a multiple of its size in memory.
        match self.unusable.last_mut() {
            Some((before, count)) if *before == self.usable.len() => *count += 1,
            _ => self.unusable.push((self.usable.len(), 1)),
        }
    }

    /// Calls back for each element, with `None` for an unusable one.
    #[inline]
    fn for_each(&self, mut emit: impl FnMut(Option<&T>)) {
        let mut done = 0;
        for (before, count) in &self.unusable {
            self.usable[done..*before].iter().for_each(|element| emit(Some(element)));
            (0..*count).for_each(|_| emit(None));
            done = *before;
        }
        self.usable[done..].iter().for_each(|element| emit(Some(element)));
    }
}

/// The event that was read last, and what earlier ones of the feed left behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    pub(super) minutes: MinuteMemo,
    pub(super) trades: Elements<Trade>,
    pub(super) depths: Elements<Depth>,
    pub(super) quote: QuoteUpdate,
    standing: StandingQuotes,
    ledger: Ledger,
    contract: ResolvedContract,
    /// The instruments whose depth the feed has brought.
    fed: FxHashSet<InstrumentId>,
}

impl Events {
    /// The instrument of a contract id, given as it stands in the record; `decoded` is what that means,
    /// valid UTF-8, and is asked for only if the id is another one than the last.
    #[inline]
    pub(super) fn instrument<'a, S: Sink>(
        &mut self,
        raw: &[u8],
        decoded: impl FnOnce() -> Cow<'a, [u8]>,
        sink: &mut S,
    ) -> Option<InstrumentId> {
        self.contract.resolve(raw, decoded, sink)
    }

    /// Hands on the event that was read last.
    #[inline]
    pub(super) fn emit<S: Sink>(
        &mut self,
        event: Event,
        instrument: Option<InstrumentId>,
        ts_recv: i64,
        sink: &mut S,
    ) {
        match event {
            Event::Trade => {
                if let Some(instrument) = instrument {
                    self.ledger.trades(instrument, &self.trades.usable);
                }
                self.trades.for_each(|trade| match trade {
                    Some(trade) => sink.trade(instrument, trade),
                    None => sink.malformed(instrument),
                });
            }
            Event::Depth => {
                if let (Some(instrument), false) = (instrument, self.depths.usable.is_empty()) {
                    self.fed.insert(instrument);
                    sink.depths(instrument, &self.depths.usable);
                }
                self.depths.for_each(|depth| match depth {
                    Some(depth) => sink.depth(instrument, depth),
                    None => sink.malformed(instrument),
                });
            }
            Event::Quote => {
                let quote = self.standing.merge(instrument, &self.quote, ts_recv);
                if let (Some(instrument), Number::Is(total)) = (instrument, self.quote.volume) {
                    let ts = if quote.ts_event == NO_TIME { ts_recv } else { quote.ts_event };
                    self.ledger.publish(instrument, total, ts);
                }
                sink.quote(instrument, &quote);
            }
        }
    }

    /// Asks the sink anew for every contract id: what one means may have changed.
    pub(super) fn forget_contract(&mut self) {
        self.contract.is_set = false;
    }

    /// What the feed says of each instrument's volume.
    pub(super) fn volumes(&self) -> impl Iterator<Item = (InstrumentId, Volumes)> {
        self.ledger.iter()
    }

    /// The instruments whose depth the feed has brought since the last reset.
    pub(super) fn fed(&self) -> impl Iterator<Item = InstrumentId> {
        self.fed.iter().copied()
    }

    /// Forgets whose depth the feed has brought.
    pub(super) fn forget_fed(&mut self) {
        self.fed.clear();
    }

    /// Forgets what the feed's quotes left standing and whose depth it brought, and counts volumes anew.
    pub(super) fn reset(&mut self) {
        self.standing.clear();
        self.ledger.reset();
        self.forget_fed();
    }
}

/// The last contract id and what the sink made of it.
#[derive(Clone, Debug, Default)]
struct ResolvedContract {
    is_set: bool,
    raw: Vec<u8>,
    instrument: Option<InstrumentId>,
}

impl ResolvedContract {
    #[inline]
    fn resolve<'a, S: Sink>(
        &mut self,
        raw: &[u8],
        decoded: impl FnOnce() -> Cow<'a, [u8]>,
        sink: &mut S,
    ) -> Option<InstrumentId> {
        if !self.is_set || self.raw != raw {
            self.raw.clear();
            self.raw.extend_from_slice(raw);
            // The reader has proved it to be UTF-8.
            self.instrument = std::str::from_utf8(&decoded()).ok().and_then(|id| sink.resolve(id));
            self.is_set = true;
        }
        self.instrument
    }
}
