//! Decoding hub records in both protocols, one and fifty per payload, beside `serde_json` and
//! `rmp_serde` into typed structs.
//!
//! The structs are as good as those crates allow: exactly the members that are used, strings
//! borrowed, the target taken as known and timestamps left as text, which is less than the decoder
//! does. Before anything is timed all must have read the same values. The records are many and
//! random in what they hold and in how long it is, so that no branch can be learnt by heart.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rmpv::Value;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tickwire_core::decode::{DEFAULT_MAX_RECORD_BYTES, Decoder, Protocol, Sink, timestamp};
use tickwire_core::record::{Depth, DepthKind, InstrumentId, NO_TIME, Quote, Side, Trade};

const CONTRACT: &str = "CON.F.US.EP.U25";
const RECORDS: usize = 2_000;
const PER_PAYLOAD: usize = 50;

/// Keeps what it is given, as an engine would, and finds instruments by a hash of their id.
struct Collect {
    instruments: FxHashMap<Box<str>, InstrumentId>,
    trades: Vec<Trade>,
    quotes: Vec<Quote>,
    depths: Vec<Depth>,
}

impl Collect {
    fn new() -> Self {
        Self {
            instruments: FxHashMap::from_iter([(CONTRACT.into(), InstrumentId(0))]),
            trades: Vec::with_capacity(5 * RECORDS),
            quotes: Vec::with_capacity(RECORDS),
            depths: Vec::with_capacity(RECORDS),
        }
    }

    fn clear(&mut self) {
        self.trades.clear();
        self.quotes.clear();
        self.depths.clear();
    }
}

impl Sink for Collect {
    fn resolve(&mut self, contract_id: &str) -> Option<InstrumentId> {
        self.instruments.get(contract_id).copied()
    }

    fn trade(&mut self, instrument: Option<InstrumentId>, trade: &Trade) {
        assert_eq!(instrument, Some(InstrumentId(0)));
        self.trades.push(*trade);
    }

    fn quote(&mut self, instrument: Option<InstrumentId>, quote: &Quote) {
        assert_eq!(instrument, Some(InstrumentId(0)));
        self.quotes.push(*quote);
    }

    fn depths(&mut self, _: InstrumentId, _: &[Depth]) {}

    fn depth(&mut self, instrument: Option<InstrumentId>, depth: &Depth) {
        assert_eq!(instrument, Some(InstrumentId(0)));
        self.depths.push(*depth);
    }

    fn malformed(&mut self, _: Option<InstrumentId>) {
        panic!("every record of a benchmark is good");
    }

    fn oversize(&mut self) {
        panic!("every record of a benchmark is short");
    }

    fn control(&mut self, _: &[u8]) {
        panic!("every record of a benchmark is a tick");
    }
}

#[derive(Deserialize)]
struct Invocation<'a, T> {
    r#type: u8,
    target: &'a str,
    #[serde(borrow)]
    arguments: (&'a str, T),
}

/// Type, headers, invocation id, target, arguments.
type Message<'a, T> = (u8, IgnoredAny, Option<&'a str>, &'a str, (&'a str, T));

#[derive(Clone, Copy, Deserialize)]
struct TradeData<'a> {
    price: f64,
    timestamp: &'a str,
    r#type: u8,
    volume: f64,
}

#[derive(Clone, Copy, Deserialize)]
struct DepthData<'a> {
    timestamp: &'a str,
    r#type: u8,
    price: f64,
    volume: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuoteData<'a> {
    best_bid: Option<f64>,
    best_ask: Option<f64>,
    last_price: Option<f64>,
    timestamp: &'a str,
}

/// Reads every record of a payload into `out`.
fn typed<'a, T: Deserialize<'a>>(payload: &'a [u8], target: &str, out: &mut Vec<T>) {
    for record in payload[..payload.len() - 1].split(|byte| *byte == 0x1e) {
        let invocation: Invocation<'a, T> = serde_json::from_slice(record).expect("a record");
        assert!(invocation.r#type == 1 && invocation.target == target);
        assert!(invocation.arguments.0 == CONTRACT);
        out.push(invocation.arguments.1);
    }
}

/// Reads a message into `out`.
fn typed_message<'a, T: Deserialize<'a>>(payload: &'a [u8], target: &str, out: &mut Vec<T>) {
    let message: Message<'a, T> = rmp_serde::from_slice(&payload[2..]).expect("a message");
    assert!(message.0 == 1 && message.3 == target && message.4.0 == CONTRACT);
    out.push(message.4.1);
}

/// A JSON record as the message that says the same, members in the same order.
fn message(record: &str) -> Vec<u8> {
    let record = record.trim_end_matches('\u{1e}');
    let mut json: Value = serde_json::from_str(record).expect("a record");
    prices_as_doubles(&mut json);
    let [target, arguments] = ["target", "arguments"].map(|name| json[name].clone());
    let items = vec![1.into(), Value::Map(Vec::new()), Value::Nil, target, arguments];
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, &Value::Array(items)).expect("a message");
    // Two bytes of length for all of them; it may have more than it needs.
    [&[body.len() as u8 | 0x80, (body.len() >> 7) as u8], &body[..]].concat()
}

/// Makes numbers doubles even where they are whole, as a server does; codes and volumes stay integers.
fn prices_as_doubles(value: &mut Value) {
    match value {
        Value::Integer(number) => *value = number.as_f64().expect("a number").into(),
        Value::Array(elements) => elements.iter_mut().for_each(prices_as_doubles),
        Value::Map(members) => members
            .iter_mut()
            .filter(|(name, _)| {
                !["type", "volume", "currentVolume"].contains(&name.as_str().expect("a name"))
            })
            .for_each(|(_, value)| prices_as_doubles(value)),
        _ => {}
    }
}

/// A random walk through values, the same in every run (xorshift).
struct Values {
    state: u64,
    time_ms: u64,
}

impl Values {
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % limit
    }

    fn price(&mut self) -> f64 {
        2100.0 + 0.25 * self.below(400) as f64
    }

    fn time(&mut self) -> String {
        self.time_ms += self.below(100);
        let (second, ms) = (self.time_ms / 1_000, self.time_ms % 1_000);
        format!(
            "2024-07-21T{:02}:{:02}:{:02}.{ms:03}Z",
            13 + second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }

    fn trade(&mut self) -> String {
        format!(
            r#"{{"symbolId":"F.US.EP","price":{},"timestamp":"{}","type":{},"volume":{}}}"#,
            self.price(),
            self.time(),
            self.below(2),
            1 + self.below(4) * self.below(4) * self.below(3),
        )
    }

    fn trades(&mut self, each: usize) -> String {
        let elements: Vec<String> = (0..each).map(|_| self.trade()).collect();
        record("GatewayTrade", &format!("[{}]", elements.join(",")))
    }

    fn depth(&mut self) -> String {
        let data = format!(
            r#"[{{"timestamp":"{}","type":{},"price":{},"volume":{},"currentVolume":{}}}]"#,
            self.time(),
            1 + self.below(2),
            self.price(),
            self.below(90),
            self.below(50),
        );
        record("GatewayDepth", &data)
    }

    fn full_quote(&mut self) -> String {
        let (price, time) = (self.price(), self.time());
        let data = format!(
            concat!(
                r#"{{"symbol":"F.US.EP","symbolName":"/ES","lastPrice":{},"bestBid":{},"#,
                r#""bestAsk":{},"change":{},"changePercent":0.{},"open":2090.00,"high":2110.00,"#,
                r#""low":2080.00,"volume":{},"lastUpdated":"{}","timestamp":"{}"}}"#
            ),
            price,
            price - 0.25,
            price,
            price - 2090.0,
            10 + self.below(80),
            12_000 + self.below(90_000),
            time,
            time,
        );
        record("GatewayQuote", &data)
    }

    /// A bid, an ask or both: what a hub sends of a quote that it has sent before.
    fn partial_quote(&mut self) -> String {
        let mut changed = String::new();
        let sides = 1 + self.below(3);
        if sides & 1 != 0 {
            changed += &format!(r#""bestBid":{},"#, self.price());
        }
        if sides & 2 != 0 {
            changed += &format!(r#""bestAsk":{},"#, self.price());
        }
        let time = self.time();
        let data = format!(
            r#"{{"symbol":"F.US.EP",{changed}"lastUpdated":"{time}","timestamp":"{time}"}}"#
        );
        record("GatewayQuote", &data)
    }
}

fn record(target: &str, data: &str) -> String {
    format!("{{\"type\":1,\"target\":\"{target}\",\"arguments\":[\"{CONTRACT}\",{data}]}}\x1e")
}

/// Times the decoder over `records`, one and fifty per payload.
fn decoder(
    criterion: &mut Criterion,
    name: &str,
    protocol: Protocol,
    records: &[impl AsRef<[u8]>],
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(records.len() as u64));
    let mut decoder = Decoder::new(protocol, DEFAULT_MAX_RECORD_BYTES);
    let mut sink = Collect::new();
    for per_payload in [1, PER_PAYLOAD] {
        let joined = |records: &[_]| records.iter().flat_map(AsRef::as_ref).copied().collect();
        let payloads: Vec<Vec<u8>> = records.chunks(per_payload).map(joined).collect();
        let id = format!("{}, {per_payload} per payload", protocol.name());
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                sink.clear();
                for payload in &payloads {
                    decoder.push(black_box(payload), NO_TIME, &mut sink);
                }
                black_box((&sink.trades, &sink.quotes, &sink.depths));
            });
        });
    }
    group.finish();
}

/// Times the crates over `records` and over the messages that say the same, then the decoder, after
/// `check` has found all of them to agree.
fn compare<'a, T: Deserialize<'a>>(
    criterion: &mut Criterion,
    name: &str,
    target: &str,
    (records, messages): &'a (Vec<String>, Vec<Vec<u8>>),
    check: impl Fn(&[T], &Collect),
) {
    let mut out: Vec<T> = Vec::with_capacity(records.len());
    let mut sinks = [Collect::new(), Collect::new()];
    let mut fresh = Protocol::ALL.map(|protocol| Decoder::new(protocol, DEFAULT_MAX_RECORD_BYTES));
    for (record, message) in records.iter().zip(messages) {
        typed(record.as_bytes(), target, &mut out);
        fresh[0].push(record.as_bytes(), NO_TIME, &mut sinks[0]);
        fresh[1].push(message, NO_TIME, &mut sinks[1]);
    }
    sinks.iter().for_each(|sink| check(&out, sink));
    out.clear();
    messages.iter().for_each(|message| typed_message(message, target, &mut out));
    check(&out, &sinks[1]);

    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("serde_json typed, 1 per payload", |bencher| {
        bencher.iter(|| {
            out.clear();
            for record in records {
                typed(black_box(record.as_bytes()), target, &mut out);
            }
            black_box(&out);
        });
    });
    group.bench_function("rmp_serde typed, 1 per payload", |bencher| {
        bencher.iter(|| {
            out.clear();
            for message in messages {
                typed_message(black_box(message), target, &mut out);
            }
            black_box(&out);
        });
    });
    group.finish();
    decoder(criterion, name, Protocol::Json, records);
    decoder(criterion, name, Protocol::MessagePack, messages);
}

fn same_trades(typed: &[Vec<TradeData>], sink: &Collect) {
    let typed: Vec<Trade> = typed
        .iter()
        .flatten()
        .map(|data| Trade {
            ts_event: timestamp::parse(data.timestamp.as_bytes()),
            ts_recv: NO_TIME,
            price: data.price,
            size: data.volume,
            side: if data.r#type == 0 { Side::Buy } else { Side::Sell },
        })
        .collect();
    assert_eq!(typed, sink.trades);
}

fn same_depths(typed: &[Vec<DepthData>], sink: &Collect) {
    let typed: Vec<Depth> = typed
        .iter()
        .flatten()
        .map(|data| Depth {
            ts_event: timestamp::parse(data.timestamp.as_bytes()),
            ts_recv: NO_TIME,
            price: data.price,
            size: data.volume,
            kind: if data.r#type == 1 { DepthKind::Ask } else { DepthKind::Bid },
        })
        .collect();
    assert_eq!(typed, sink.depths);
}

/// A partial quote says nothing of the fields it leaves out; the decoder's quote keeps them.
fn same_quotes(typed: &[QuoteData], sink: &Collect) {
    assert_eq!(typed.len(), sink.quotes.len());
    let mut standing = [f64::NAN; 3];
    for (typed, quote) in typed.iter().zip(&sink.quotes) {
        let sent = [typed.best_bid, typed.best_ask, typed.last_price];
        for (standing, sent) in standing.iter_mut().zip(sent) {
            *standing = sent.unwrap_or(*standing);
        }
        let bits = |fields: [f64; 3]| fields.map(f64::to_bits);
        assert_eq!(bits(standing), bits([quote.bid, quote.ask, quote.last]));
        assert_eq!(timestamp::parse(typed.timestamp.as_bytes()), quote.ts_event);
    }
}

fn decode(criterion: &mut Criterion) {
    let mut values = Values { state: 88_172_645_463_325_252, time_ms: 0 };
    let mut all = |make: fn(&mut Values) -> String| -> (Vec<String>, Vec<Vec<u8>>) {
        let records: Vec<String> = (0..RECORDS).map(|_| make(&mut values)).collect();
        let messages = records.iter().map(|record| message(record)).collect();
        (records, messages)
    };
    let one = all(|values| values.trades(1));
    let five = all(|values| values.trades(5));
    let full = all(Values::full_quote);
    let partial = all(Values::partial_quote);
    let depths = all(Values::depth);
    compare(criterion, "trade", "GatewayTrade", &one, same_trades);
    compare(criterion, "five trades", "GatewayTrade", &five, same_trades);
    compare(criterion, "full quote", "GatewayQuote", &full, same_quotes);
    compare(criterion, "partial quote", "GatewayQuote", &partial, same_quotes);
    compare(criterion, "depth", "GatewayDepth", &depths, same_depths);
}

criterion_group!(benches, decode);
criterion_main!(benches);
