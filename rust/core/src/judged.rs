//! How an engine judges ticks: the rules, which may change while it runs, and the newest ticks that
//! broke one, with the reason.
//!
//! Of each instrument there are two small rings, of ticks that were rejected and of ticks that were
//! flagged and kept, so that what is flagged often does not push out what was rejected.
//! What could not be read, or names no instrument of the engine, is counted and not kept: there is no
//! tick to keep.

use crate::engine::{Engine, Session};
use crate::reason::Reason;
use crate::record::{Depth, InstrumentId, Quote, Tick, Trade};
use crate::ring::{self, Ring};
use crate::validate::Rules;
use arrow_array::{ArrayRef, Int8Array, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use std::sync::{Arc, OnceLock};

/// How many ticks each ring holds.
pub const KEPT: usize = 256;

/// A tick and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The tick, as it was judged.
    pub tick: Tick,
    /// The rule that it broke.
    pub reason: Reason,
}

/// Which of the two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Ticks that were refused.
    Rejected,
    /// Ticks that were applied though they broke a rule, once for each such rule.
    Flagged,
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl Judged {
    /// Number of words of [`to_words`](Self::to_words).
    const WORDS: usize = 1 + larger(larger(Trade::WORDS, Quote::WORDS), 5);

    fn to_words(self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        let [head, body @ ..] = &mut words;
        let kind = match self.tick {
            Tick::Trade(trade) => {
                body[..Trade::WORDS].copy_from_slice(&trade.to_words());
                0
            }
            Tick::Quote(quote) => {
                body[..Quote::WORDS].copy_from_slice(&quote.to_words());
                1
            }
            Tick::Depth(depth) => {
                body[..Depth::WORDS].copy_from_slice(&depth.to_words());
                2
            }
        };
        *head = kind << 8 | self.reason as u64;
        words
    }

    fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let [head, body @ ..] = words;
        let tick = match head >> 8 {
            0 => Tick::Trade(Trade::from_words(body)),
            1 => Tick::Quote(Quote::from_words(body)),
            _ => Tick::Depth(Depth::from_words(body)),
        };
        Self { tick, reason: Reason::ALL[(head & 0xff) as usize] }
    }
}

/// The readers' end of one ring, made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Shown(OnceLock<Arc<Ring<{ Judged::WORDS }>>>);

/// The writer's end of one ring.
#[derive(Debug, Default)]
pub(crate) struct Keep(Option<ring::Writer<{ Judged::WORDS }>>);

impl Keep {
    #[cold]
    pub(crate) fn push(&mut self, shown: &Shown, tick: Tick, reason: Reason) {
        let ring = self.0.get_or_insert_with(|| {
            let ring = ring::ring(KEPT);
            let _ = shown.0.set(ring.reader());
            ring
        });
        ring.push(Judged { tick, reason }.to_words());
    }

    pub(crate) fn publish(&mut self) {
        if let Some(ring) = &mut self.0 {
            ring.publish();
        }
    }
}

impl Shown {
    fn newest(&self, last: usize) -> Vec<Judged> {
        let Some(ring) = self.0.get() else { return Vec::new() };
        let mut words = Vec::new();
        ring.read(ring.head().saturating_sub(last as u64), last, &mut words);
        words.iter().map(Judged::from_words).collect()
    }

    pub(crate) fn touched_bytes(&self) -> usize {
        self.0.get().map_or(0, |ring| ring.touched_bytes())
    }
}

impl Session<'_> {
    /// Judges all later ticks of an instrument by other rules. What was learned of its market stays.
    pub fn set_rules(&mut self, id: InstrumentId, rules: &Rules) {
        self.enter(id).0.set_rules(rules);
    }
}

impl Engine {
    /// The newest ticks of an instrument that were rejected or flagged, oldest first, at most `last` of
    /// the [`KEPT`] there are.
    #[must_use]
    pub fn judged(&self, id: InstrumentId, fate: Fate, last: usize) -> Vec<Judged> {
        let shared = self.shared(id);
        match fate {
            Fate::Rejected => shared.rejected.newest(last),
            Fate::Flagged => shared.flagged.newest(last),
        }
    }

    /// The same of several instruments, one after another, as a table: symbol, kind, reason, ts_event,
    /// ts_recv, price, size, side, bid, ask, bid_size, ask_size, last. What a tick does not have is null.
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn judged_batch(
        &self,
        ids: &[InstrumentId],
        fate: Fate,
        last: usize,
    ) -> Result<RecordBatch, ArrowError> {
        let rows: Vec<(InstrumentId, Judged)> = ids
            .iter()
            .flat_map(|&id| self.judged(id, fate, last).into_iter().map(move |row| (id, row)))
            .collect();
        table(&rows, |id| self.spec(id).symbol.as_str())
    }
}

fn table<'a>(
    rows: &[(InstrumentId, Judged)],
    symbol: impl Fn(InstrumentId) -> &'a str,
) -> Result<RecordBatch, ArrowError> {
    use crate::store::ticks::{numbers, times};
    let ticks = || rows.iter().map(|(_, judged)| judged.tick);
    let trade = |field: fn(&Trade) -> f64, depth: fn(&Depth) -> f64| {
        numbers(ticks().map(move |tick| match tick {
            Tick::Trade(trade) => field(&trade),
            Tick::Depth(delta) => depth(&delta),
            Tick::Quote(_) => f64::NAN,
        }))
    };
    let quote = |field: fn(&Quote) -> f64| {
        numbers(ticks().map(move |tick| match tick {
            Tick::Quote(quote) => field(&quote),
            Tick::Trade(_) | Tick::Depth(_) => f64::NAN,
        }))
    };
    let texts = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let side: ArrayRef = Arc::new(Int8Array::from_iter(ticks().map(|tick| match tick {
        Tick::Trade(trade) => Some(trade.side as i8),
        Tick::Quote(_) | Tick::Depth(_) => None,
    })));
    RecordBatch::try_from_iter_with_nullable([
        ("symbol", texts(rows.iter().map(|(id, _)| symbol(*id)).collect()), false),
        ("kind", texts(ticks().map(|tick| tick.kind()).collect()), false),
        ("reason", texts(rows.iter().map(|(_, judged)| judged.reason.name()).collect()), false),
        ("ts_event", times(ticks().map(|tick| tick.times().0)), true),
        ("ts_recv", times(ticks().map(|tick| tick.times().1)), true),
        ("price", trade(|trade| trade.price, |depth| depth.price), true),
        ("size", trade(|trade| trade.size, |depth| depth.size), true),
        ("side", side, true),
        ("bid", quote(|quote| quote.bid), true),
        ("ask", quote(|quote| quote.ask), true),
        ("bid_size", quote(|quote| quote.bid_size), true),
        ("ask_size", quote(|quote| quote.ask_size), true),
        ("last", quote(|quote| quote.last), true),
    ])
}
