//! The MessagePack decoder against a model over `rmpv` values, against JSON, and against itself with
//! the stream cut.

mod decode_support;

use decode_support::messages::{
    as_message, decode_messages, event_message, invocation, map, packed, stream_of,
    timestamp_extension, varied_messages,
};
use decode_support::model::Model;
use decode_support::{
    CONTRACTS, Call, SMALL_LIMIT, decode_parts, decode_parts_of, stream, varied_records,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rmpv::Value;
use tickwire_core::decode::Protocol;

fn any_number() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => (-400_000i32..400_000).prop_map(|ticks| (f64::from(ticks) * 0.25).into()),
        2 => any::<f64>().prop_map(Value::from),
        1 => any::<f32>().prop_map(Value::from),
        2 => (0u64..300).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        2 => r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?".prop_map(Value::from),
        1 => r"[-+ .0-9e]{0,6}".prop_map(Value::from),
    ]
    .boxed()
}

fn any_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        4 => any_number(),
        2 => Just(Value::Nil),
        1 => any::<bool>().prop_map(Value::from),
        2 => ".{0,12}".prop_map(Value::from),
        1 => ".{30,300}".prop_map(Value::from),
        1 => vec(any::<u8>(), 0..300).prop_map(Value::Binary),
        1 => (any::<i8>(), vec(any::<u8>(), 0..40)).prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
    .boxed()
}

fn any_time() -> BoxedStrategy<Value> {
    let bits = || select(&[32u32, 64, 96][..]);
    prop_oneof![
        4 => r"2024-0[1-9]-[0-2][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])?"
            .prop_map(Value::from),
        4 => (bits(), 0i64..1 << 34, 0u32..1_000_000_000)
            .prop_map(|(bits, seconds, nanos)| timestamp_extension(bits, seconds, nanos)),
        1 => (-10_000_000_000i64..10_000_000_000, any::<u32>())
            .prop_map(|(seconds, nanos)| timestamp_extension(96, seconds, nanos)),
        1 => vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Ext(-1, bytes)),
        1 => any_value(),
    ]
    .boxed()
}

fn any_code() -> BoxedStrategy<Value> {
    prop_oneof![
        6 => (0u8..12).prop_map(Value::from),
        2 => select(&["Buy", "Sell", "Ask", "Bid", "Reset", "Fill", "buy", ""][..]).prop_map(Value::from),
        1 => any_value(),
    ]
    .boxed()
}

fn member(name: &'static str, value: BoxedStrategy<Value>) -> BoxedStrategy<(Value, Value)> {
    let capital: String = name[..1].to_uppercase() + &name[1..];
    let name = prop_oneof![8 => Just(name.to_owned()), 2 => Just(capital)];
    (name.prop_map(Value::from), value).boxed()
}

/// A data object with its members in any order, some of them twice and some of them strangers.
fn data_object() -> BoxedStrategy<Value> {
    let any_member = prop_oneof![
        3 => member("price", any_number()),
        3 => member("volume", any_number()),
        2 => member("type", any_code()),
        2 => member("timestamp", any_time()),
        1 => member("lastUpdated", any_time()),
        1 => member("bestBid", any_number()),
        1 => member("bestAsk", any_number()),
        1 => member("lastPrice", any_number()),
        1 => member("bestBidSize", any_number()),
        1 => member("bidSize", any_number()),
        1 => member("askSize", any_number()),
        1 => member("price", any_value()),
        1 => (any_value(), any_value()).boxed(),
    ];
    vec(any_member, 0..20).prop_map(Value::Map).boxed()
}

/// A trade just as the gateway writes it, but for a member left out here and there.
fn usual_trade() -> BoxedStrategy<Value> {
    let members = (
        member("symbolId", Just(Value::from("F.US.EP")).boxed()),
        member("price", any_number()),
        member("timestamp", any_time()),
        member("type", any_code()),
        member("volume", any_number()),
    );
    (members, vec(prop::bool::weighted(0.9), 5))
        .prop_map(|((a, b, c, d, e), kept)| {
            let members = [a, b, c, d, e].into_iter().zip(kept);
            Value::Map(members.filter_map(|(member, kept)| kept.then_some(member)).collect())
        })
        .boxed()
}

fn data() -> BoxedStrategy<Value> {
    let object = || prop_oneof![data_object(), usual_trade()];
    let element = prop_oneof![8 => object(), 1 => Just(Value::Nil), 1 => any_value()];
    prop_oneof![4 => object(), 4 => vec(element, 0..20).prop_map(Value::Array), 1 => any_value()]
        .boxed()
}

fn contract() -> BoxedStrategy<Value> {
    prop_oneof![
        6 => select(&CONTRACTS[..]).prop_map(Value::from),
        1 => Just(Value::from("CON.F.US.GCE.Z25")),
        1 => any_value(),
    ]
    .boxed()
}

fn target() -> BoxedStrategy<Value> {
    let known = ["GatewayTrade", "GatewayQuote", "GatewayDepth"];
    prop_oneof![
        8 => select(known.to_vec()).prop_map(Value::from),
        1 => Just(Value::from("gatewaytrade")),
        1 => any_value(),
    ]
    .boxed()
}

fn arguments() -> BoxedStrategy<Value> {
    let two = (contract(), data()).prop_map(|(contract, data)| vec![contract, data]);
    let more = (contract(), data(), any_value()).prop_map(|(a, b, c)| vec![a, b, c]);
    let usual = prop_oneof![8 => two, 1 => more].prop_map(Value::Array);
    prop_oneof![9 => usual, 1 => any_value()].boxed()
}

/// A message, of which the first some items are there.
fn message() -> BoxedStrategy<Vec<u8>> {
    let kind = prop_oneof![8 => Just(Value::from(1)), 1 => (0u8..10).prop_map(Value::from), 1 => any_value()];
    let headers = prop_oneof![8 => Just(Value::Map(Vec::new())), 1 => any_value()];
    let id = prop_oneof![8 => Just(Value::Nil), 1 => any_value()];
    let tail = vec(any_value(), 0..2);
    let items = (kind, headers, id, target(), arguments(), tail).prop_map(
        |(kind, headers, id, target, arguments, tail)| {
            [vec![kind, headers, id, target, arguments], tail].concat()
        },
    );
    let cut = (items.clone(), 0usize..6).prop_map(|(mut items, length)| {
        items.truncate(length);
        items
    });
    let items = prop_oneof![8 => items, 1 => cut].prop_map(Value::Array);
    prop_oneof![12 => items, 1 => any_value()].prop_map(|value| packed(&value)).boxed()
}

/// One way in which a message is damaged.
#[derive(Clone, Debug)]
enum Damage {
    CutAt(Index),
    Set(Index, u8),
    Delete(Index),
    Insert(Index, u8),
    Repeat(Index, Index),
}

impl Damage {
    fn any() -> BoxedStrategy<Self> {
        // Every kind of marker, so that lengths and types are hit.
        let byte = || prop_oneof![3 => 0x80u8..=0xff, 1 => any::<u8>()];
        prop_oneof![
            any::<Index>().prop_map(Self::CutAt),
            (any::<Index>(), byte()).prop_map(|(at, byte)| Self::Set(at, byte)),
            any::<Index>().prop_map(Self::Delete),
            (any::<Index>(), byte()).prop_map(|(at, byte)| Self::Insert(at, byte)),
            (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Repeat(from, to)),
        ]
        .boxed()
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::CutAt(at) => bytes.truncate(at.index(length)),
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Delete(at) => {
                bytes.remove(at.index(length));
            }
            Self::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from..from, piece);
            }
        }
    }
}

/// Messages with good ones behind each, so that harm done to a neighbour would show.
fn with_neighbours(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let trade = map(&[("price", 2100.25.into()), ("volume", 2.into())]);
    let good = event_message("GatewayTrade", Value::Array(vec![trade]));
    let quote = event_message("GatewayQuote", map(&[("bestAskSize", 3.into())]));
    messages.iter().flat_map(|message| [message.clone(), good.clone(), quote.clone()]).collect()
}

fn assert_same_as_model(messages: &[Vec<u8>]) -> Result<(), TestCaseError> {
    // The one marker without a meaning, which rmpv takes for nil; tests of shapes have it.
    let known = |message: &Vec<u8>| {
        message.iter().map(|byte| if *byte == 0xc1 { 0xc0 } else { *byte }).collect::<Vec<_>>()
    };
    let messages: Vec<_> = with_neighbours(messages).iter().map(known).collect();
    let decoded = decode_messages(&messages);
    prop_assert_eq!(decoded, Model::default().decode_messages(&messages), "{:02x?}", messages);
    Ok(())
}

/// `PROPTEST_CASES` asks for more.
fn at_least(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(cases), ..config }
}

/// Calls without the bytes of control records, which are not those of the other protocol.
fn without_controls(calls: Vec<Call>) -> Vec<Call> {
    let bare = |call| if let Call::Control(_) = call { Call::Control(Vec::new()) } else { call };
    calls.into_iter().map(bare).collect()
}

#[test]
fn varied_records_lead_to_the_same_calls_in_both_protocols() {
    let records = varied_records();
    let messages: Vec<_> = records.iter().map(|record| as_message(record)).collect();
    let json = decode_parts([&stream(&records)[..]], 1 << 20);
    assert_eq!(without_controls(decode_messages(&messages)), without_controls(json));
}

#[test]
fn every_damage_of_one_byte_is_classified_as_the_model_does() {
    for message in varied_messages().iter().filter(|message| message.len() < SMALL_LIMIT) {
        for at in 0..message.len() {
            for byte in (0x7f..=0xff).step_by(3).chain([0x00, 0x80, 0x90, 0xa0, 0xc0, 0xcb, 0xdf]) {
                let mut damaged = message.clone();
                damaged[at] = byte;
                assert_same_as_model(&[damaged]).expect("the same");
            }
        }
    }
}

proptest! {
    #![proptest_config(at_least(1_000))]

    #[test]
    fn same_as_the_model(messages in vec(message(), 1..4)) {
        assert_same_as_model(&messages)?;
    }

    #[test]
    fn same_as_the_model_when_damaged(message in message(), damages in vec(Damage::any(), 1..4)) {
        let mut message = message;
        damages.iter().for_each(|damage| damage.apply(&mut message));
        assert_same_as_model(&[message])?;
    }

    #[test]
    fn same_as_the_model_on_noise(noise in vec(any::<u8>(), 0..64)) {
        assert_same_as_model(&[noise])?;
    }

    #[test]
    fn any_bytes_are_survived_in_any_pieces(noise in vec(any::<u8>(), 0..400), piece in 1usize..50) {
        let calls = decode_parts_of(Protocol::MessagePack, noise.chunks(piece), 64);
        prop_assert_eq!(calls, decode_parts_of(Protocol::MessagePack, [&noise[..]], 64));
    }

    #[test]
    fn any_split_gives_the_same_calls(messages in vec(message(), 1..5), limit in 20usize..400, cuts in vec(any::<Index>(), 0..8)) {
        let stream = stream_of(&[messages, varied_messages()].concat());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        let decode = |parts: Vec<&[u8]>| decode_parts_of(Protocol::MessagePack, parts, limit);
        prop_assert_eq!(decode(parts.collect()), decode(vec![&stream[..]]));
    }

    #[test]
    fn a_trade_reads_back_as_it_was_packed(price in any::<f64>(), size in any::<u32>(), seconds in 0u32.., nanos in 0u32..1_000_000_000) {
        prop_assume!(price.is_finite());
        let trade = map(&[
            ("price", price.into()),
            ("volume", size.into()),
            ("timestamp", timestamp_extension(96, i64::from(seconds), nanos)),
        ]);
        let calls = decode_messages(&[packed(&invocation("GatewayTrade", vec![CONTRACTS[1].into(), trade]))]);
        let [Call::Trade { instrument: Some(1), ts_event, fields, .. }] = calls[..] else {
            return Err(TestCaseError::fail(format!("{calls:?}")));
        };
        prop_assert_eq!(ts_event, i64::from(seconds) * 1_000_000_000 + i64::from(nanos));
        prop_assert_eq!(fields, [price.into(), f64::from(size).into()]);
    }
}
