//! MessagePack messages, put together by `rmpv`.

use rmpv::Value;
use tickwire_core::decode::Protocol;

use super::{CONTRACTS, Call, decode_parts_of, varied_records};

/// A value as bytes.
pub(crate) fn packed(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).expect("memory takes all of it");
    bytes
}

/// A length as the protocol writes it.
pub(crate) fn prefix(length: usize) -> Vec<u8> {
    let (mut bytes, mut left) = (Vec::new(), length);
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// Messages as one stream of bytes.
pub(crate) fn stream_of(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| [prefix(message.len()), message.clone()].concat()).collect()
}

/// A map of these members.
pub(crate) fn map(members: &[(&str, Value)]) -> Value {
    Value::Map(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

/// The invocation of `target` with `arguments`.
pub(crate) fn invocation(target: &str, arguments: Vec<Value>) -> Value {
    let (headers, ids) = (Value::Map(Vec::new()), Value::Array(Vec::new()));
    Value::Array(vec![1.into(), headers, Value::Nil, target.into(), Value::Array(arguments), ids])
}

/// The message that calls `target` with the first contract and `data`.
pub(crate) fn event_message(target: &str, data: Value) -> Vec<u8> {
    packed(&invocation(target, vec![CONTRACTS[0].into(), data]))
}

/// A timestamp extension of 32, 64 or 96 bits.
pub(crate) fn timestamp_extension(bits: u32, seconds: i64, nanos: u32) -> Value {
    let bytes = match bits {
        32 => (seconds as u32).to_be_bytes().to_vec(),
        64 => (u64::from(nanos) << 34 | seconds as u64).to_be_bytes().to_vec(),
        _ => [&nanos.to_be_bytes()[..], &seconds.to_be_bytes()].concat(),
    };
    Value::Ext(-1, bytes)
}

/// Every call that messages, each given without its length, lead to.
pub(crate) fn decode_messages(messages: &[Vec<u8>]) -> Vec<Call> {
    decode_parts_of(Protocol::MessagePack, [&stream_of(messages)[..]], 1 << 20)
}

/// Every call that a message leads to.
pub(crate) fn decode_message(message: impl Into<Vec<u8>>) -> Vec<Call> {
    decode_messages(&[message.into()])
}

/// A JSON record as the message that says the same: one with the same mistake if the mistake is one of
/// JSON text, and the same values in every other case.
pub(crate) fn as_message(record: &[u8]) -> Vec<u8> {
    let Ok(Value::Map(members)) = serde_json::from_slice(record) else {
        return Vec::new();
    };
    // What nests too deep for serde_json, or is no JSON for another reason, has gone above. Names that
    // are repeated count where they stand last.
    let get = |wanted: &str| {
        let found = members.iter().rev().find(|(name, _)| name.as_str() == Some(wanted));
        found.map(|(_, value)| value.clone())
    };
    let kind = get("type").unwrap_or(Value::Nil);
    let mut items = vec![kind.clone()];
    if kind.as_u64() == Some(1) {
        items.push(get("headers").unwrap_or(Value::Map(Vec::new())));
        items.push(get("invocationId").unwrap_or(Value::Nil));
        items.push(get("target").unwrap_or(Value::Nil));
        items.extend(get("arguments"));
        items.extend(get("streamIds"));
    } else {
        let others = members.iter().filter(|(name, _)| name.as_str() != Some("type"));
        items.extend(others.map(|(_, value)| value.clone()));
    }
    packed(&Value::Array(items))
}

/// [`varied_records`] as messages, with some that only MessagePack can say in the place of those that
/// are no JSON.
pub(crate) fn varied_messages() -> Vec<Vec<u8>> {
    let trade = |price: Value| {
        map(&[
            ("Symbol", "F.US.EP".into()),
            ("Price", price),
            ("Timestamp", timestamp_extension(64, 1_721_569_500, 123_456_700)),
            ("Type", "Sell".into()),
            ("Volume", 300.into()),
        ])
    };
    let mut special = [
        event_message("GatewayTrade", trade("2100.250000000".into())),
        event_message("GatewayTrade", Value::Array(vec![trade(2100.5f32.into()), Value::Nil])),
        event_message("GatewayTrade", Value::Array(vec![trade(f64::NAN.into()), trade(7.into())])),
        event_message("GatewayDepth", map(&[("Type", "Reset".into())])),
        event_message("GatewayQuote", map(&[("bestBid", Value::Binary(vec![1, 2]))])),
        packed(&Value::Array(vec![Value::from(6)])),
        vec![0xc1],
        vec![0x95, 0x01],
        vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0x06],
        vec![0x91, 0x06, 0xc0],
        packed(&Value::Array(vec![Value::from(200)])),
        packed(&Value::from("text")),
    ]
    .into_iter();
    varied_records()
        .iter()
        .map(|record| as_message(record))
        .map(|message| if message.is_empty() { special.next().unwrap_or(message) } else { message })
        .collect()
}
