//! What a depth delta costs on its way into the book, beside one that is validated and counted only.
//!
//! `counted` are deltas that say nothing of a level: checked, counted, and applied to no side. `near` is the
//! usual mix: two thirds of the changes within two ticks of the best price, one in five takes a level out,
//! one in ten is a *best*. `far` spreads the same over a thousand levels. Each is pushed in sessions of
//! eight deltas, after which readers are shown the book, as after a payload of a hub; `json` is `near` from
//! bytes. The levels are compared with those of two plain maps before anything is timed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickwire_core::Spec;
use tickwire_core::decode::Decoder;
use tickwire_core::engine::Engine;
use tickwire_core::feed::Feed;
use tickwire_core::record::{Depth, DepthKind, InstrumentId, NO_TIME};

const ID: InstrumentId = InstrumentId(0);
const DELTAS: usize = 1 << 14;
const PER_SESSION: usize = 8;
const START: i64 = 1_721_569_500_000_000_000;
const SHOWN: usize = 10;

/// A small generator of numbers, so that the benchmark needs no other.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Changes around 25,000 ticks; `away` says how far from the best price each is.
fn deltas(mut away: impl FnMut(&mut Numbers) -> i64) -> Vec<Depth> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let delta = |number: usize| {
        let is_bid = numbers.below(2) == 0;
        let away = away(&mut numbers);
        let is_best = away == 0 && numbers.below(4) == 0;
        let kind = match (is_bid, is_best) {
            (true, false) => DepthKind::Bid,
            (true, true) => DepthKind::BestBid,
            (false, false) => DepthKind::Ask,
            (false, true) => DepthKind::BestAsk,
        };
        let ticks = if is_bid { 25_000 - away } else { 25_001 + away };
        let size = if !is_best && numbers.below(5) == 0 { 0 } else { 1 + numbers.below(200) };
        let ts_event = START + number as i64 * 1_000_000;
        Depth { ts_event, ts_recv: ts_event, price: ticks as f64 * 0.25, size: size as f64, kind }
    };
    (0..DELTAS).map(delta).collect()
}

fn near() -> Vec<Depth> {
    deltas(|numbers| {
        let share = numbers.below(1 << 20) as f64 / f64::from(1 << 20);
        (share.powi(3) * 20.0) as i64
    })
}

fn far() -> Vec<Depth> {
    deltas(|numbers| numbers.below(1_000) as i64)
}

fn engine() -> Arc<Engine> {
    let spec = Spec { book_levels: SHOWN, ..Spec::new("CON.F.US.EP.U25", 0.25) };
    Arc::new(Engine::new(vec![spec], &[]))
}

fn push(engine: &Engine, deltas: &[Depth]) {
    for part in deltas.chunks(PER_SESSION) {
        let mut session = engine.session();
        for delta in part {
            let _ = black_box(session.push_depth(ID, delta));
        }
    }
}

fn payloads(deltas: &[Depth]) -> Vec<Vec<u8>> {
    let element = |delta: &Depth| {
        let code = match delta.kind {
            DepthKind::Ask => 1,
            DepthKind::Bid => 2,
            DepthKind::BestAsk => 3,
            _ => 4,
        };
        format!(
            r#"{{"timestamp":"2024-07-21T13:45:00.1234567Z","type":{code},"price":{},"volume":{},"currentVolume":0}}"#,
            delta.price, delta.size
        )
    };
    let record = |part: &[Depth]| {
        let data = part.iter().map(element).collect::<Vec<_>>().join(",");
        format!(
            "{{\"type\":1,\"target\":\"GatewayDepth\",\"arguments\":[\"CON.F.US.EP.U25\",[{data}]]}}\u{1e}"
        )
        .into_bytes()
    };
    deltas.chunks(PER_SESSION).map(record).collect()
}

/// Levels of a side by their prices in ticks.
type Levels = BTreeMap<i64, f64>;

/// The best levels as two plain maps have them; these deltas never cross.
fn plain(deltas: &[Depth]) -> [Vec<(f64, f64)>; 2] {
    let (mut bids, mut asks) = (Levels::new(), Levels::new());
    for delta in deltas {
        let ticks = (delta.price * 4.0) as i64;
        let side = match delta.kind {
            DepthKind::Bid | DepthKind::BestBid => &mut bids,
            _ => &mut asks,
        };
        side.insert(ticks, delta.size);
        side.retain(|_, size| *size > 0.0);
        match delta.kind {
            DepthKind::BestBid => bids.retain(|&other, _| other <= ticks),
            DepthKind::BestAsk => asks.retain(|&other, _| other >= ticks),
            _ => {}
        }
    }
    let level = |(ticks, size): (&i64, &f64)| (*ticks as f64 * 0.25, *size);
    [
        bids.iter().rev().take(SHOWN).map(level).collect(),
        asks.iter().take(SHOWN).map(level).collect(),
    ]
}

fn check(engine: &Engine, deltas: &[Depth]) {
    let book = engine.snapshot(ID).book().expect("a book");
    let [bids, asks] = plain(deltas);
    for (shown, expected) in [(book.bids, bids), (book.asks, asks)] {
        let shown: Vec<_> = shown.iter().map(|level| (level.price, level.size)).collect();
        assert_eq!(shown, expected);
    }
}

fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("book");
    group.throughput(Throughput::Elements(DELTAS as u64));
    let near = near();
    let counted: Vec<_> =
        near.iter().map(|delta| Depth { kind: DepthKind::Other(5), ..*delta }).collect();
    for (name, deltas) in [("counted", &counted), ("near", &near), ("far", &far())] {
        let engine = engine();
        push(&engine, deltas);
        if name != "counted" {
            check(&engine, deltas);
        }
        group.bench_function(name, |bencher| bencher.iter(|| push(&engine, deltas)));
    }
    for (name, deltas) in [("json counted", &counted), ("json", &near)] {
        let engine = engine();
        let mut feed = Feed::new(Arc::clone(&engine), Decoder::default());
        let mut payloads = payloads(deltas);
        if name == "json counted" {
            for payload in &mut payloads {
                let text = String::from_utf8(std::mem::take(payload)).expect("text");
                *payload = text.replace("\"type\":4", "\"type\":5").into_bytes();
            }
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for payload in &payloads {
                    black_box(feed.push(payload, NO_TIME));
                }
            });
        });
    }
    let engine = engine();
    push(&engine, &near);
    group.throughput(Throughput::Elements(1));
    group.bench_function("read", |bencher| bencher.iter(|| black_box(engine.snapshot(ID).book())));
    group.finish();
}

criterion_group!(benches, run);
criterion_main!(benches);
