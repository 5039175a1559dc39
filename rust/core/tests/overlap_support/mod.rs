//! What the tests of overlaps share: ticks as a hub sends them, pairs of feeds, and the ticks that an
//! engine holds.
// Every test file takes what it needs.
#![allow(dead_code)]

pub(crate) mod scene;

use std::collections::BTreeMap;
use std::sync::Arc;

use tickwire_core::Spec;
use tickwire_core::decode::Decoder;
use tickwire_core::engine::Engine;
use tickwire_core::feed::Feed;
use tickwire_core::overlap::{Leg, Overlap, Report};
use tickwire_core::record::InstrumentId;
use tickwire_core::validate::{Action, Rules};

pub(crate) const SYMBOLS: [&str; 2] = ["CON.F.US.EP.U25", "CON.F.US.ENQ.U25"];
/// 2024-07-21T13:45:00Z
pub(crate) const BASE: i64 = 1_721_569_500_000_000_000;
pub(crate) const MS: i64 = 1_000_000;

/// One tick. Few numbers, so that many ticks are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick {
    /// 0 trade, 1 quote, 2 depth.
    pub(crate) kind: u8,
    pub(crate) instrument: u32,
    /// Milliseconds after [`BASE`].
    pub(crate) at: i64,
    pub(crate) value: u32,
}

impl From<(u8, u32, i64, u32)> for Tick {
    fn from((kind, instrument, at, value): (u8, u32, i64, u32)) -> Self {
        Self { kind, instrument, at, value }
    }
}

impl Tick {
    pub(crate) fn ts(&self) -> i64 {
        BASE + self.at * MS
    }

    pub(crate) fn stream(&self) -> (u8, u32) {
        (self.kind, self.instrument)
    }

    /// The tick as a record.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let (second, ms) = (self.at.div_euclid(1_000), self.at.rem_euclid(1_000));
        let when = format!("2024-07-21T13:{:02}:{:02}.{ms:03}Z", 45 + second / 60, second % 60);
        let price = 2_000 + self.value;
        let (target, data) = match self.kind {
            0 => (
                "GatewayTrade",
                format!(r#"{{"price":{price},"timestamp":"{when}","type":0,"volume":2}}"#),
            ),
            1 => (
                "GatewayQuote",
                format!(r#"{{"bestBid":{price},"bestAsk":{},"timestamp":"{when}"}}"#, price + 1),
            ),
            _ => (
                "GatewayDepth",
                format!(r#"{{"timestamp":"{when}","type":1,"price":{price},"volume":3}}"#),
            ),
        };
        let symbol = SYMBOLS[self.instrument as usize];
        format!("{{\"type\":1,\"target\":\"{target}\",\"arguments\":[\"{symbol}\",{data}]}}\x1e")
            .into_bytes()
    }
}

pub(crate) fn spec(symbol: &str) -> Spec {
    Spec {
        rules: Rules { band: Action::Off, ..Rules::default() },
        capacity: 1 << 12,
        ..Spec::new(symbol, 0.25)
    }
}

/// Both instruments, no bars: nothing is late.
pub(crate) fn engine() -> Arc<Engine> {
    engine_with(&[])
}

pub(crate) fn engine_with(timeframes: &[&str]) -> Arc<Engine> {
    let timeframes: Vec<_> = timeframes.iter().map(|text| (text.parse().unwrap(), 1_000)).collect();
    Arc::new(Engine::new(SYMBOLS.map(spec).into(), &timeframes))
}

/// Two feeds that know nothing of each other.
pub(crate) fn apart(engine: &Arc<Engine>) -> (Feed, Feed) {
    let feed = || Feed::new(Arc::clone(engine), Decoder::default());
    (feed(), feed())
}

pub(crate) fn join(
    engine: &Engine,
    old: &mut Feed,
    new: &mut Feed,
    capacity: usize,
) -> Arc<Overlap> {
    let overlap = Arc::new(Overlap::new(engine, capacity));
    new.join(&overlap, Leg::New).unwrap();
    old.join(&overlap, Leg::Old).unwrap();
    overlap
}

/// An overlap, its old feed and its new one.
pub(crate) fn feeds(engine: &Arc<Engine>, capacity: usize) -> (Arc<Overlap>, Feed, Feed) {
    let (mut old, mut new) = apart(engine);
    (join(engine, &mut old, &mut new, capacity), old, new)
}

/// The trades and quotes that the engine holds, by stream.
pub(crate) fn stream(engine: &Engine) -> Vec<Tick> {
    let mut ticks = Vec::new();
    for id in engine.ids() {
        let at = |ts: i64| (ts - BASE) / MS;
        let trades = engine.trades(id, usize::MAX).1;
        ticks.extend(
            trades
                .iter()
                .map(|trade| Tick::from((0, id.0, at(trade.ts_event), trade.price as u32 - 2_000))),
        );
        let quotes = engine.quotes(id, usize::MAX).1;
        ticks.extend(
            quotes
                .iter()
                .map(|quote| Tick::from((1, id.0, at(quote.ts_event), quote.bid as u32 - 2_000))),
        );
    }
    ticks
}

pub(crate) fn counts(ticks: &[Tick]) -> BTreeMap<Tick, i64> {
    let mut counts = BTreeMap::new();
    for tick in ticks {
        *counts.entry(*tick).or_default() += 1;
    }
    counts
}

/// How many of each tick are too many, or too few.
pub(crate) fn differences(found: &[Tick], wanted: &[Tick]) -> Vec<(Tick, i64)> {
    let mut counts = counts(found);
    for tick in wanted {
        *counts.entry(*tick).or_default() -= 1;
    }
    counts.into_iter().filter(|(_, count)| *count != 0).collect()
}

/// Whether a report names the tick's instrument and time.
pub(crate) fn in_uncertain(report: &Report, tick: &Tick) -> bool {
    report.uncertain.iter().any(|span| {
        span.instrument == InstrumentId(tick.instrument)
            && (span.start_ns..span.end_ns).contains(&tick.ts())
    })
}

/// Merges two runs in the order that `choice` says; what is left over comes at the end.
pub(crate) fn merge<T: Copy>(
    old: &[T],
    new: &[T],
    choice: impl IntoIterator<Item = bool>,
) -> Vec<(Leg, T)> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut merged = Vec::new();
    for is_old in choice.into_iter().chain(std::iter::repeat(true)) {
        let next = if is_old { old.next() } else { new.next() };
        let leg = if is_old { Leg::Old } else { Leg::New };
        match next {
            Some(tick) => merged.push((leg, *tick)),
            None if is_old => {
                merged.extend(new.map(|tick| (Leg::New, *tick)));
                return merged;
            }
            None => {}
        }
    }
    unreachable!("the choice has no end")
}
