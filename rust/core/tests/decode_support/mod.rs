//! What the decoder tests share: a sink that writes down every call, and streams of varied records.

// Each test crate compiles its own copy and none uses all of it.
#![allow(dead_code)]

pub(crate) mod messages;
pub(crate) mod model;

use std::fmt;

use tickwire_core::decode::{Decoder, Protocol, Sink};
use tickwire_core::record::{Depth, DepthKind, InstrumentId, Quote, Side, Trade};

/// The contract ids that the tests' sink knows; an instrument is the index here.
pub(crate) const CONTRACTS: [&str; 3] = ["CON.F.US.EP.U25", "CON.F.US.ENQ.U25", "Zürich \"1\" 😀"];

/// Arrival time that tests use where it does not matter.
pub(crate) const ARRIVAL: i64 = 1_721_569_500_500_000_000;

/// A double compared by its bits, so that NaN equals itself and minus zero is not zero.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Bits(u64);

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        f64::from_bits(self.0).fmt(formatter)
    }
}

/// One call of the sink.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    Trade {
        instrument: Option<u32>,
        ts_event: i64,
        ts_recv: i64,
        fields: [Bits; 2],
        side: Side,
    },
    Quote {
        instrument: Option<u32>,
        ts_event: i64,
        ts_recv: i64,
        fields: [Bits; 5],
    },
    Depth {
        instrument: Option<u32>,
        ts_event: i64,
        ts_recv: i64,
        fields: [Bits; 2],
        kind: DepthKind,
    },
    Malformed(Option<u32>),
    Oversize,
    Control(Vec<u8>),
}

impl Call {
    pub(crate) fn of_trade(instrument: Option<u32>, trade: &Trade) -> Self {
        Self::Trade {
            instrument,
            ts_event: trade.ts_event,
            ts_recv: trade.ts_recv,
            fields: [trade.price.into(), trade.size.into()],
            side: trade.side,
        }
    }

    pub(crate) fn of_quote(instrument: Option<u32>, quote: &Quote) -> Self {
        let Quote { bid, ask, bid_size, ask_size, last, .. } = *quote;
        Self::Quote {
            instrument,
            ts_event: quote.ts_event,
            ts_recv: quote.ts_recv,
            fields: [bid, ask, bid_size, ask_size, last].map(Bits::from),
        }
    }

    pub(crate) fn of_depth(instrument: Option<u32>, depth: &Depth) -> Self {
        Self::Depth {
            instrument,
            ts_event: depth.ts_event,
            ts_recv: depth.ts_recv,
            fields: [depth.price.into(), depth.size.into()],
            kind: depth.kind,
        }
    }
}

/// The instrument of a contract id.
pub(crate) fn resolve(contract_id: &str) -> Option<u32> {
    CONTRACTS.iter().position(|known| *known == contract_id).map(|index| index as u32)
}

/// Writes down every call but `resolve`, which is a question.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) calls: Vec<Call>,
    pub(crate) knows_no_contract: bool,
    /// Usable elements of each depth message of a contract that is known.
    pub(crate) depth_messages: Vec<usize>,
}

impl Sink for Recorder {
    fn resolve(&mut self, contract_id: &str) -> Option<InstrumentId> {
        resolve(contract_id).filter(|_| !self.knows_no_contract).map(InstrumentId)
    }

    fn trade(&mut self, instrument: Option<InstrumentId>, trade: &Trade) {
        self.calls.push(Call::of_trade(instrument.map(|id| id.0), trade));
    }

    fn quote(&mut self, instrument: Option<InstrumentId>, quote: &Quote) {
        self.calls.push(Call::of_quote(instrument.map(|id| id.0), quote));
    }

    fn depths(&mut self, _: InstrumentId, message: &[Depth]) {
        self.depth_messages.push(message.len());
    }

    fn depth(&mut self, instrument: Option<InstrumentId>, depth: &Depth) {
        self.calls.push(Call::of_depth(instrument.map(|id| id.0), depth));
    }

    fn malformed(&mut self, instrument: Option<InstrumentId>) {
        self.calls.push(Call::Malformed(instrument.map(|id| id.0)));
    }

    fn oversize(&mut self) {
        self.calls.push(Call::Oversize);
    }

    fn control(&mut self, record: &[u8]) {
        self.calls.push(Call::Control(record.to_vec()));
    }
}

/// Every call that `parts`, pushed one after the other into a new JSON decoder, lead to.
pub(crate) fn decode_parts<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Vec<Call> {
    decode_parts_of(Protocol::Json, parts, limit)
}

/// Every call that `parts`, pushed one after the other into a new decoder, lead to.
pub(crate) fn decode_parts_of<'a>(
    protocol: Protocol,
    parts: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Vec<Call> {
    let (mut decoder, mut sink) = (Decoder::new(protocol, limit), Recorder::default());
    for part in parts {
        decoder.push(part, ARRIVAL, &mut sink);
        assert!(decoder.carried_bytes() <= limit);
    }
    sink.calls
}

/// Every call that one record, given without its terminator, leads to.
pub(crate) fn decode_record(record: impl AsRef<[u8]>) -> Vec<Call> {
    decode_parts([record.as_ref(), b"\x1e"], 1 << 20)
}

/// 2024-07-21T13:45:00Z
pub(crate) const T: i64 = 1_721_569_500_000_000_000;
/// What a quote does not say.
pub(crate) const NAN: f64 = f64::NAN;

/// A trade of the first contract.
pub(crate) fn trade(ts_event: i64, price: f64, size: f64, side: Side) -> Call {
    let fields = [price.into(), size.into()];
    Call::Trade { instrument: Some(0), ts_event, ts_recv: ARRIVAL, fields, side }
}

/// A quote of the first contract: bid, ask, bid size, ask size, last.
pub(crate) fn quote(ts_event: i64, fields: [f64; 5]) -> Call {
    let fields = fields.map(Into::into);
    Call::Quote { instrument: Some(0), ts_event, ts_recv: ARRIVAL, fields }
}

/// A depth delta of the first contract.
pub(crate) fn depth(ts_event: i64, price: f64, size: f64, kind: DepthKind) -> Call {
    let fields = [price.into(), size.into()];
    Call::Depth { instrument: Some(0), ts_event, ts_recv: ARRIVAL, fields, kind }
}

/// Every call that some records, each without its terminator, lead to.
pub(crate) fn decode_all(records: &[&str]) -> Vec<Call> {
    let stream: String = records.iter().map(|record| format!("{record}\x1e")).collect();
    decode_parts([stream.as_bytes()], 1 << 20)
}

/// A record that calls `target` with the first contract and `data`.
pub(crate) fn event(target: &str, data: &str) -> String {
    format!(r#"{{"type":1,"target":"{target}","arguments":["{}",{data}]}}"#, CONTRACTS[0])
}

/// Length limit under which [`varied_records`] holds records that are too long.
pub(crate) const SMALL_LIMIT: usize = 320;

/// Sixty records of every shape, good and bad, some of them beyond [`SMALL_LIMIT`].
pub(crate) fn varied_records() -> Vec<Vec<u8>> {
    let trade = r#"{"symbolId":"F.US.EP","price":2100.25,"timestamp":"2024-07-21T13:45:00.123Z","type":0,"volume":2}"#;
    let sell =
        r#"{"price":2208.100000000,"timestamp":"2024-07-21T13:45:01+00:00","type":1,"volume":0}"#;
    let depth = r#"{"timestamp":"2024-07-21T13:45:00.1234567Z","type":1,"price":2100.5,"volume":10,"currentVolume":5}"#;
    let quote = r#"{"symbol":"F.US.EP","lastPrice":2100.25,"bestBid":2100.00,"bestAsk":2100.50,"lastUpdated":"2024-07-21T13:45:00Z","timestamp":"2024-07-21T13:45:00Z"}"#;
    let mut records: Vec<Vec<u8>> = [
        event("GatewayTrade", &format!("[{trade}]")),
        event("GatewayTrade", trade),
        event("GatewayTrade", &format!("[{trade},{sell},null,{trade}]")),
        event("GatewayTrade", &format!("[{trade},7,{{}},{sell},\"x\",null,{{\"price\":1}}]")),
        event("GatewayTrade", "[]"),
        event("GatewayTrade", "null"),
        event("GatewayTrade", "7"),
        event("GatewayTrade", &format!("[{trade},{sell}")),
        event("GatewayDepth", &format!("[{depth},{depth}]")),
        event("GatewayDepth", r#"[{"type":6},{"type":2,"price":1,"volume":1},{"type":3,"price":1}]"#),
        event("GatewayDepth", r#"{"type":77,"price":-1.5e2,"volume":3,"extra":{"a":[1,{}]}}"#),
        event("GatewayQuote", quote),
        event("GatewayQuote", r#"{"bestBid":2100.25,"timestamp":"2024-07-21T13:45:02Z"}"#),
        event("GatewayQuote", r#"{"bestAsk":null,"bestBidSize":4,"askSize":6}"#),
        event("GatewayQuote", r#"{"lastPrice":2101,"lastUpdated":"2024-07-21T13:45:03Z"}"#),
        event("GatewayQuote", r#"{"bestBid":2100.5,"timestamp":"2024-02-30T13:45:03Z"}"#),
        event("GatewayQuote", r#"{"bestBid":"high"}"#),
        event("GatewayQuote", &format!("[{quote}]")),
        event("GatewayQuote", "{}"),
        event("gatewaytrade", trade),
        event("GatewayUserTrade", r#"{"id":1}"#),
        format!(r#"{{"arguments":["{}",{trade}],"target":"GatewayTrade","type":1}}"#, CONTRACTS[1]),
        format!(r#" {{ "type" : 1 , "target" : "GatewayTrade" , "arguments" : [ "{}" , [ {trade} , null ] ] }} "#, CONTRACTS[1]),
        format!(r#"{{"type":1,"headers":{{"a":"b"}},"target":"GatewayQuote","arguments":["{}",{quote}],"streamIds":[]}}"#, CONTRACTS[1]),
        format!(r#"{{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.GCE.Z25",{trade}]}}"#),
        r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.GCE.Z25",{"bestBid":1}]}"#.into(),
        format!(r#"{{"type":1,"target":"GatewayTrade","arguments":["Z\u00fcrich \"1\" \ud83d\ude00",{trade}]}}"#),
        format!(r#"{{"type":1,"target":"GatewayTrade","arguments":["Zürich \"1\" 😀",{trade}]}}"#),
        format!(r#"{{"type":1,"target":"Gateway\u0054rade","arguments":["{}",{trade},5,[[]]]}}"#, CONTRACTS[0]),
        event("GatewayTrade", r#"{"pr\u0069ce":1e2,"volume":1.0,"timestamp":"2024\u002d07-21 13:45:00","type":9}"#),
        event("GatewayTrade", r#"{"price":1,"volume":2,"price":3,"name":"ÄÖÜ ✓","type":1,"type":null}"#),
        r#"{"type":1,"target":"GatewayTrade","arguments":[5,{}]}"#.into(),
        r#"{"type":1,"target":"GatewayTrade","arguments":{}}"#.into(),
        r#"{"type":1,"target":"GatewayTrade"}"#.into(),
        r#"{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.EP.U25"]}"#.into(),
        r#"{"type":3,"invocationId":"1","result":null}"#.into(),
        r#"{"type":6}"#.into(),
        r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#.into(),
        r#"{"type":99,"über":"\ud83d\ude00"}"#.into(),
        r#"{"type":"1"}"#.into(),
        r#"{"type":1.0,"target":"GatewayTrade"}"#.into(),
        "{}".into(),
        "[]".into(),
        String::new(),
        " ".into(),
        "{\"type\":6".into(),
        "{\"type\":6}x".into(),
        r#"{"type":6,"text":"\ud83d"}"#.into(),
        "{\"type\":6,\"text\":\"\t\"}".into(),
        r#"{"type":6,"number":01}"#.into(),
        "nonsense".into(),
        event("GatewayTrade", &format!("[{}]", [trade; 5].join(","))),
        format!(r#"{{"type":6,"padding":"{}"}}"#, "x".repeat(SMALL_LIMIT)),
    ]
    .map(String::into_bytes)
    .into();
    records.push(b"{\"type\":6,\"text\":\"\xff\"}".to_vec());
    records.push(b"\xef\xbb\xbf{\"type\":6}".to_vec());
    let tail = (0..5).map(|index| {
        event(
            "GatewayTrade",
            &format!(r#"{{"price":{index},"volume":1,"timestamp":"2024-07-21T13:46:0{index}"}}"#),
        )
    });
    records.extend(tail.map(String::into_bytes));
    assert_eq!(records.len(), 60);
    records
}

/// The records as one stream of bytes.
pub(crate) fn stream(records: &[Vec<u8>]) -> Vec<u8> {
    records.iter().flat_map(|record| record.iter().copied().chain([0x1e])).collect()
}
