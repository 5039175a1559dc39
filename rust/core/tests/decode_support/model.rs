//! The decoder's contract written a second time, over the values of `serde_json` and `rmpv` and without
//! any haste.

use std::collections::HashMap;

use rmpv::Value as Packed;
use serde_json::{Map, Value};
use tickwire_core::record::{Depth, DepthKind, NO_TIME, Quote, Side, Trade};

use super::{ARRIVAL, Call, resolve};

const TARGETS: [&str; 3] = ["GatewayTrade", "GatewayQuote", "GatewayDepth"];
const TRADE_TYPES: [&str; 2] = ["Buy", "Sell"];
const DEPTH_TYPES: [&str; 12] = [
    "Unknown",
    "Ask",
    "Bid",
    "BestAsk",
    "BestBid",
    "Trade",
    "Reset",
    "Low",
    "High",
    "NewBestBid",
    "NewBestAsk",
    "Fill",
];

/// The state of one feed.
#[derive(Default)]
pub(crate) struct Model {
    standing: HashMap<u32, Quote>,
}

/// The data of an event, or an element of it.
enum Shape<'a> {
    Null,
    Object(Box<dyn Data + 'a>),
    Array(Vec<Shape<'a>>),
    Other,
}

/// An object whose members are asked for by name.
trait Data {
    /// A number; `Some(None)` is something else.
    fn number(&self, name: &str) -> Option<Option<f64>>;
    fn code(&self, names: &[&str]) -> Option<u64>;
    fn time(&self, name: &str) -> Option<i64>;
}

impl Model {
    /// What a stream of complete JSON records leads to.
    pub(crate) fn decode(&mut self, stream: &[u8]) -> Vec<Call> {
        let records = stream.strip_suffix(b"\x1e").expect("the last record is complete");
        records.split(|byte| *byte == 0x1e).flat_map(|record| self.record(record)).collect()
    }

    /// What MessagePack messages, each without its length, lead to.
    pub(crate) fn decode_messages(&mut self, messages: &[Vec<u8>]) -> Vec<Call> {
        messages.iter().flat_map(|message| self.message(message)).collect()
    }

    fn record(&mut self, record: &[u8]) -> Vec<Call> {
        let Ok(Value::Object(message)) = serde_json::from_slice(record) else {
            return vec![Call::Malformed(None)];
        };
        let Some(kind) = message.get("type").filter(|kind| kind.is_i64() || kind.is_u64()) else {
            return vec![Call::Malformed(None)];
        };
        let target = message.get("target").and_then(Value::as_str).unwrap_or_default();
        if kind.as_u64() != Some(1) || !TARGETS.contains(&target) {
            return vec![Call::Control(record.to_vec())];
        }
        let arguments = message.get("arguments").and_then(Value::as_array);
        let argument = |index: usize| arguments.and_then(|arguments| arguments.get(index));
        let data = argument(1).map_or(Shape::Other, json_shape);
        self.event(target, argument(0).and_then(Value::as_str), data)
    }

    fn message(&mut self, message: &[u8]) -> Vec<Call> {
        let mut rest = message;
        let items = match rmpv::decode::read_value(&mut rest) {
            Ok(Packed::Array(items)) if rest.is_empty() => items,
            _ => return vec![Call::Malformed(None)],
        };
        let Some(Packed::Integer(kind)) = items.first() else {
            return vec![Call::Malformed(None)];
        };
        let target = items.get(3).and_then(Packed::as_str).unwrap_or_default();
        if kind.as_u64() != Some(1) || !TARGETS.contains(&target) {
            return vec![Call::Control(message.to_vec())];
        }
        let arguments = items.get(4).and_then(Packed::as_array);
        let argument = |index: usize| arguments.and_then(|arguments| arguments.get(index));
        let data = argument(1).map_or(Shape::Other, packed_shape);
        self.event(target, argument(0).and_then(Packed::as_str), data)
    }

    fn event(&mut self, target: &str, contract: Option<&str>, data: Shape) -> Vec<Call> {
        let Some(contract) = contract else {
            return vec![Call::Malformed(None)];
        };
        let instrument = resolve(contract);
        let refused = vec![Call::Malformed(instrument)];
        match (target, data) {
            ("GatewayQuote", Shape::Object(data)) => {
                self.quote(instrument, &*data).map_or(refused, |call| vec![call])
            }
            ("GatewayQuote", _) => refused,
            (_, Shape::Object(data)) => vec![element(target, instrument, &*data)],
            (_, Shape::Array(elements)) => elements
                .iter()
                .filter_map(|shape| match shape {
                    Shape::Null => None,
                    Shape::Object(data) => Some(element(target, instrument, &**data)),
                    _ => Some(Call::Malformed(instrument)),
                })
                .collect(),
            _ => refused,
        }
    }

    fn quote(&mut self, instrument: Option<u32>, data: &dyn Data) -> Option<Call> {
        let nan = f64::NAN;
        let known = instrument.and_then(|id| self.standing.get(&id).copied()).unwrap_or(Quote {
            ts_event: NO_TIME,
            ts_recv: NO_TIME,
            bid: nan,
            ask: nan,
            bid_size: nan,
            ask_size: nan,
            last: nan,
        });
        // Of two names for one size only the one that is used has to make sense.
        let field = |names: &[&str], known: f64| -> Option<f64> {
            names.iter().find_map(|name| data.number(name)).unwrap_or(Some(known))
        };
        let time = data.time("timestamp").or(data.time("lastUpdated"));
        let quote = Quote {
            ts_event: time.unwrap_or(known.ts_event),
            ts_recv: ARRIVAL,
            bid: field(&["bestBid"], known.bid)?,
            ask: field(&["bestAsk"], known.ask)?,
            bid_size: field(&["bestBidSize", "bidSize"], known.bid_size)?,
            ask_size: field(&["bestAskSize", "askSize"], known.ask_size)?,
            last: field(&["lastPrice"], known.last)?,
        };
        if let Some(id) = instrument {
            let ts_event = time.filter(|time| *time != NO_TIME).unwrap_or(known.ts_event);
            self.standing.insert(id, Quote { ts_event, ..quote });
        }
        Some(Call::of_quote(instrument, &quote))
    }
}

fn element(target: &str, instrument: Option<u32>, data: &dyn Data) -> Call {
    let number = |name: &str| data.number(name).flatten();
    let ts_event = data.time("timestamp").unwrap_or(NO_TIME);
    let (price, size) = (number("price"), number("volume"));
    if target == "GatewayTrade" {
        let (Some(price), Some(size)) = (price, size) else {
            return Call::Malformed(instrument);
        };
        let side = match data.code(&TRADE_TYPES) {
            Some(0) => Side::Buy,
            Some(1) => Side::Sell,
            _ => Side::None,
        };
        let trade = Trade { ts_event, ts_recv: ARRIVAL, price, size, side };
        return Call::of_trade(instrument, &trade);
    }
    let kind = match data.code(&DEPTH_TYPES) {
        Some(1) => DepthKind::Ask,
        Some(2) => DepthKind::Bid,
        Some(3 | 10) => DepthKind::BestAsk,
        Some(4 | 9) => DepthKind::BestBid,
        Some(6) => DepthKind::Reset,
        Some(code @ 0..=255) => DepthKind::Other(code as u8),
        _ => DepthKind::Other(0),
    };
    if kind != DepthKind::Reset && (price.is_none() || size.is_none()) {
        return Call::Malformed(instrument);
    }
    let (price, size) = (price.unwrap_or(f64::NAN), size.unwrap_or(f64::NAN));
    Call::of_depth(instrument, &Depth { ts_event, ts_recv: ARRIVAL, price, size, kind })
}

fn json_shape(value: &Value) -> Shape<'_> {
    match value {
        Value::Null => Shape::Null,
        Value::Object(data) => Shape::Object(Box::new(data)),
        Value::Array(elements) => Shape::Array(elements.iter().map(json_shape).collect()),
        _ => Shape::Other,
    }
}

impl Data for &Map<String, Value> {
    fn number(&self, name: &str) -> Option<Option<f64>> {
        self.get(name).filter(|value| !value.is_null()).map(Value::as_f64)
    }

    fn code(&self, _: &[&str]) -> Option<u64> {
        self.get("type").and_then(Value::as_u64)
    }

    fn time(&self, name: &str) -> Option<i64> {
        let value = self.get(name).filter(|value| !value.is_null())?;
        Some(value.as_str().and_then(instant).unwrap_or(NO_TIME))
    }
}

fn packed_shape(value: &Packed) -> Shape<'_> {
    match value {
        Packed::Nil => Shape::Null,
        Packed::Map(members) => Shape::Object(Box::new(PackedData(members))),
        Packed::Array(elements) => Shape::Array(elements.iter().map(packed_shape).collect()),
        _ => Shape::Other,
    }
}

struct PackedData<'a>(&'a [(Packed, Packed)]);

impl PackedData<'_> {
    /// The last of the members with this name, written small or with a capital.
    fn get(&self, name: &str) -> Option<&Packed> {
        let capital = name[..1].to_uppercase() + &name[1..];
        let is_it = |key: &Packed| key.as_str().is_some_and(|key| key == name || key == capital);
        self.0.iter().rev().find(|(key, _)| is_it(key)).map(|(_, value)| value)
    }

    fn present(&self, name: &str) -> Option<&Packed> {
        self.get(name).filter(|value| !value.is_nil())
    }
}

impl Data for PackedData<'_> {
    fn number(&self, name: &str) -> Option<Option<f64>> {
        Some(match self.present(name)? {
            Packed::F32(value) => Some(f64::from(*value)).filter(|value| value.is_finite()),
            Packed::F64(value) => Some(*value).filter(|value| value.is_finite()),
            Packed::Integer(value) => value.as_f64(),
            Packed::String(text) => text
                .as_str()
                .filter(|text| text.trim() == *text)
                .and_then(|text| serde_json::from_str::<serde_json::Number>(text).ok())
                .and_then(|number| number.as_f64()),
            _ => None,
        })
    }

    fn code(&self, names: &[&str]) -> Option<u64> {
        match self.present("type")? {
            Packed::String(name) => {
                names.iter().position(|known| Some(*known) == name.as_str()).map(|at| at as u64)
            }
            value => value.as_u64(),
        }
    }

    fn time(&self, name: &str) -> Option<i64> {
        let instant = match self.present(name)? {
            Packed::String(text) => text.as_str().and_then(instant),
            Packed::Ext(-1, bytes) => extension_instant(bytes),
            _ => None,
        };
        Some(instant.unwrap_or(NO_TIME))
    }
}

/// The instant of a timestamp extension, in arithmetic that nothing overflows.
fn extension_instant(bytes: &[u8]) -> Option<i64> {
    let number = bytes.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    let (seconds, nanos) = match bytes.len() {
        4 => (number as i128, 0),
        8 => ((number % (1 << 34)) as i128, number >> 34),
        12 => (i128::from(number as u64 as i64), number >> 64),
        _ => return None,
    };
    let instant = seconds * 1_000_000_000 + nanos as i128;
    i64::try_from(instant).ok().filter(|_| nanos < 1_000_000_000)
}

/// The instant a timestamp names, by counting years and months one by one.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut number = |digits: usize, then: &[char]| -> Option<i64> {
        let (head, tail) = rest.split_at_checked(digits)?;
        rest = if then.is_empty() { tail } else { tail.strip_prefix(then)? };
        head.bytes().all(|byte| byte.is_ascii_digit()).then(|| head.parse().ok()).flatten()
    };
    let (year, month, day) = (number(4, &['-'])?, number(2, &['-'])?, number(2, &['T', 't', ' '])?);
    let (hour, minute, second) = (number(2, &[':'])?, number(2, &[':'])?, number(2, &[])?);
    let mut nanos: i64 = 0;
    if let Some(tail) = rest.strip_prefix('.') {
        let end = tail.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(tail.len());
        if !(1..=9).contains(&end) {
            return None;
        }
        nanos = format!("{:0<9}", &tail[..end]).parse().ok()?;
        rest = &tail[end..];
    }
    let offset_minutes = match rest {
        "" | "Z" | "z" => 0,
        _ if rest.len() == 6 && rest.is_ascii() && &rest[3..4] == ":" => {
            let sign = match &rest[..1] {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let digits = rest[1..3].to_owned() + &rest[4..];
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let (hours, minutes): (i64, i64) =
                (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
        _ => return None,
    };
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = |year: i64, month: i64| match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days_in = |year: i64| 365 + i64::from(is_leap(year));
    let years = if year >= 1970 {
        (1970..year).map(days_in).sum::<i64>()
    } else {
        -(year..1970).map(days_in).sum::<i64>()
    };
    let days = years + (1..month).map(|month| days_of(year, month)).sum::<i64>() + day - 1;
    let minutes = (days * 24 + hour) * 60 + minute - offset_minutes;
    let nanoseconds = i128::from(minutes * 60 + second) * 1_000_000_000 + i128::from(nanos);
    i64::try_from(nanoseconds).ok()
}
