//! The decoder's contract written a second time, over `serde_json` values and without any haste.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tickwire_core::record::{Depth, DepthKind, NO_TIME, Quote, Side, Trade};

use super::{ARRIVAL, Call, resolve};

/// The state of one feed.
#[derive(Default)]
pub(crate) struct Model {
    standing: HashMap<u32, Quote>,
}

impl Model {
    /// What a stream of complete records leads to.
    pub(crate) fn decode(&mut self, stream: &[u8]) -> Vec<Call> {
        let records = stream.strip_suffix(b"\x1e").expect("the last record is complete");
        records.split(|byte| *byte == 0x1e).flat_map(|record| self.record(record)).collect()
    }

    fn record(&mut self, record: &[u8]) -> Vec<Call> {
        let Ok(Value::Object(message)) = serde_json::from_slice(record) else {
            return vec![Call::Malformed(None)];
        };
        let Some(kind) = message.get("type").filter(|kind| kind.is_i64() || kind.is_u64()) else {
            return vec![Call::Malformed(None)];
        };
        let target = message.get("target").and_then(Value::as_str).unwrap_or_default();
        if kind.as_u64() != Some(1)
            || !["GatewayTrade", "GatewayQuote", "GatewayDepth"].contains(&target)
        {
            return vec![Call::Control(record.to_vec())];
        }
        let arguments = message.get("arguments").and_then(Value::as_array);
        let argument = |index: usize| arguments.and_then(|arguments| arguments.get(index));
        let Some(contract) = argument(0).and_then(Value::as_str) else {
            return vec![Call::Malformed(None)];
        };
        let instrument = resolve(contract);
        let refused = vec![Call::Malformed(instrument)];
        match (target, argument(1)) {
            ("GatewayQuote", Some(Value::Object(data))) => {
                self.quote(instrument, data).map_or(refused, |call| vec![call])
            }
            ("GatewayQuote", _) => refused,
            (_, Some(Value::Object(data))) => vec![element(target, instrument, data)],
            (_, Some(Value::Array(elements))) => elements
                .iter()
                .filter(|value| !value.is_null())
                .map(|value| match value {
                    Value::Object(data) => element(target, instrument, data),
                    _ => Call::Malformed(instrument),
                })
                .collect(),
            _ => refused,
        }
    }

    fn quote(&mut self, instrument: Option<u32>, data: &Map<String, Value>) -> Option<Call> {
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
        let numeric =
            ["bestBid", "bestAsk", "lastPrice", "bestBidSize", "bestAskSize", "bidSize", "askSize"];
        // Of two names for one size only the one that is used has to make sense.
        let shadowed = |name: &str| match name {
            "bidSize" => present(data, "bestBidSize").is_some(),
            "askSize" => present(data, "bestAskSize").is_some(),
            _ => false,
        };
        let wrong = |name: &&&str| present(data, name).is_some_and(|value| !value.is_number());
        if numeric.iter().filter(|name| !shadowed(name)).any(|name| wrong(&name)) {
            return None;
        }
        let field = |names: &[&str], known: f64| {
            names
                .iter()
                .find_map(|name| present(data, name))
                .and_then(Value::as_f64)
                .unwrap_or(known)
        };
        let time = present(data, "timestamp").or(present(data, "lastUpdated")).map(time);
        let quote = Quote {
            ts_event: time.unwrap_or(known.ts_event),
            ts_recv: ARRIVAL,
            bid: field(&["bestBid"], known.bid),
            ask: field(&["bestAsk"], known.ask),
            bid_size: field(&["bestBidSize", "bidSize"], known.bid_size),
            ask_size: field(&["bestAskSize", "askSize"], known.ask_size),
            last: field(&["lastPrice"], known.last),
        };
        if let Some(id) = instrument {
            let ts_event = time.filter(|time| *time != NO_TIME).unwrap_or(known.ts_event);
            self.standing.insert(id, Quote { ts_event, ..quote });
        }
        Some(Call::of_quote(instrument, &quote))
    }
}

fn present<'a>(data: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    data.get(name).filter(|value| !value.is_null())
}

fn element(target: &str, instrument: Option<u32>, data: &Map<String, Value>) -> Call {
    let number = |name: &str| data.get(name).and_then(Value::as_f64);
    let code = data.get("type").and_then(Value::as_u64);
    let ts_event = present(data, "timestamp").map_or(NO_TIME, time);
    let (price, size) = (number("price"), number("volume"));
    if target == "GatewayTrade" {
        let (Some(price), Some(size)) = (price, size) else {
            return Call::Malformed(instrument);
        };
        let side = match code {
            Some(0) => Side::Buy,
            Some(1) => Side::Sell,
            _ => Side::None,
        };
        let trade = Trade { ts_event, ts_recv: ARRIVAL, price, size, side };
        return Call::of_trade(instrument, &trade);
    }
    let kind = match code {
        Some(1) => DepthKind::Ask,
        Some(2) => DepthKind::Bid,
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

fn time(value: &Value) -> i64 {
    value.as_str().and_then(instant).unwrap_or(NO_TIME)
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
