//! The hub decoder in MessagePack, shape by shape. What both protocols share is tested in
//! `decode.rs` and, against JSON and a model, in `prop_decode_messagepack.rs`.

mod decode_support;

use decode_support::messages::{
    decode_message, decode_messages, event_message, invocation, map, packed, prefix,
    timestamp_extension,
};
use decode_support::{CONTRACTS, Call, NAN, T, decode_parts_of, depth, quote, trade};
use rmpv::Value;
use tickwire_core::decode::Protocol;
use tickwire_core::record::{DepthKind, NO_TIME, Side};

/// Price and volume 1, and `more`.
fn trade_data(more: &[(&str, Value)]) -> Value {
    map(&[&[("price", 1.into()), ("volume", 1.into())], more].concat())
}

fn decode_trade(more: &[(&str, Value)]) -> Vec<Call> {
    decode_message(event_message("GatewayTrade", trade_data(more)))
}

/// A well-formed value that is none of the things that an event needs.
fn strangers() -> Vec<Value> {
    vec![
        true.into(),
        Value::Binary(vec![1, 2, 3]),
        Value::Ext(5, vec![1, 2]),
        Value::Array(vec![Value::Array(vec![7.into()])]),
        Value::Map(vec![(Value::Map(Vec::new()), Value::Nil)]),
        f64::INFINITY.into(),
        f32::NAN.into(),
        "1,5".into(),
        " 1".into(),
        "".into(),
    ]
}

#[test]
fn protocols_go_by_their_names_in_the_handshake() {
    for protocol in Protocol::ALL {
        assert_eq!(protocol.name().parse(), Ok(protocol));
    }
    let refused = "msgpack".parse::<Protocol>().expect_err("no such name").to_string();
    assert_eq!(refused, r#"protocol: got "msgpack", expected "json" or "messagepack""#);
}

#[test]
fn a_trade_as_map_and_in_an_array() {
    let data = map(&[
        ("symbolId", "F.US.EP".into()),
        ("price", 2100.25.into()),
        ("timestamp", "2024-07-21T13:45:00.123Z".into()),
        ("type", 0.into()),
        ("volume", 2.into()),
    ]);
    let expected = trade(T + 123_000_000, 2100.25, 2.0, Side::Buy);
    let single = decode_message(event_message("GatewayTrade", data.clone()));
    assert_eq!(single, std::slice::from_ref(&expected));
    let array = Value::Array(vec![data.clone(), Value::Nil, data]);
    let calls = decode_message(event_message("GatewayTrade", array));
    assert_eq!(calls, [expected.clone(), expected]);
    assert_eq!(decode_message(event_message("GatewayTrade", Value::Array(Vec::new()))), []);
}

#[test]
fn every_encoding_of_a_number_is_the_number() {
    let of = |bytes: &[u8]| {
        // Written by hand, because an encoder takes the shortest way.
        let start = packed(&invocation("GatewayTrade", vec![CONTRACTS[0].into()]));
        let start = &start[..start.len() - 1];
        let arguments = start.len() - 1 - CONTRACTS[0].len() - 1;
        let mut message = start.to_vec();
        message[arguments] = 0x92;
        message.extend(b"\x82\xa5price");
        message.extend(bytes);
        message.extend(b"\xa6volume\x01\x90");
        match decode_message(message)[..] {
            [Call::Trade { fields: [price, _], .. }] => Some(price),
            [Call::Malformed(Some(0))] => None,
            ref other => panic!("{other:?}"),
        }
    };
    for (bytes, value) in [
        (&b"\x07"[..], 7.0),
        (b"\xe0", -32.0),
        (b"\xcc\xff", 255.0),
        (b"\xcd\x12\x34", 4660.0),
        (b"\xce\xff\xff\xff\xff", 4_294_967_295.0),
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 18_446_744_073_709_551_615.0),
        (b"\xcf\x00\x20\x00\x00\x00\x00\x00\x01", 9_007_199_254_740_993.0),
        (b"\xd0\x80", -128.0),
        (b"\xd1\x80\x00", -32768.0),
        (b"\xd2\x80\x00\x00\x00", -2_147_483_648.0),
        (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", -9_223_372_036_854_775_808.0),
        (b"\xca\x45\x03\x44\x00", 2100.25),
        (b"\xcb\x40\xa0\x68\x80\x00\x00\x00\x00", 2100.25),
        (b"\xaa2208.10000", 2208.1),
        (b"\xd9\x052.5e1", 25.0),
        (b"\xda\x00\x04-0.5", -0.5),
        (b"\xdb\x00\x00\x00\x010", 0.0),
    ] {
        assert_eq!(of(bytes), Some(value.into()), "{bytes:02x?}");
    }
    for bytes in [
        &b"\xc0"[..],
        b"\xc3",
        b"\xca\x7f\x80\x00\x00",
        b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
        b"\xa1x",
        b"\xa31,5",
        b"\xa2 1",
        b"\xa2+1",
        b"\xa51e400",
        b"\xa0",
        b"\xc4\x011",
        b"\x91\x01",
        b"\xd4\x01\x01",
    ] {
        assert_eq!(of(bytes), None, "{bytes:02x?}");
    }
}

#[test]
fn times_as_text_and_as_extension() {
    for (value, expected) in [
        ("2024-07-21T13:45:00Z".into(), T),
        ("2024-07-21T15:45:00.1234567+02:00".into(), T + 123_456_700),
        (format!("2024-07-21T13:45:00.123456789{}", "Z").into(), T + 123_456_789),
        (timestamp_extension(32, 1_721_569_500, 0), T),
        (timestamp_extension(64, 1_721_569_500, 999_999_999), T + 999_999_999),
        (timestamp_extension(96, 1_721_569_500, 5), T + 5),
        (timestamp_extension(32, 0, 0), 0),
        (timestamp_extension(32, 4_294_967_295, 0), 4_294_967_295_000_000_000),
        (timestamp_extension(96, -1, 999_999_999), -1),
        (timestamp_extension(96, -9_223_372_036, 0), -9_223_372_036_000_000_000),
        (timestamp_extension(96, 9_223_372_036, 854_775_807), i64::MAX),
        (timestamp_extension(96, 9_223_372_036, 854_775_808), NO_TIME),
        (timestamp_extension(96, i64::MIN, 0), NO_TIME),
        (timestamp_extension(96, i64::MAX, 0), NO_TIME),
        (timestamp_extension(64, 1 << 33, 0), 8_589_934_592_000_000_000),
        (timestamp_extension(64, 1_721_569_500, 1_000_000_000), NO_TIME),
        (Value::Ext(-1, vec![0; 5]), NO_TIME),
        (Value::Ext(-1, Vec::new()), NO_TIME),
        (Value::Ext(1, vec![0; 4]), NO_TIME),
        ("2024-07-21T13:45:00Z ".into(), NO_TIME),
        ("".into(), NO_TIME),
        (1_721_569_500.into(), NO_TIME),
        (Value::Array(vec![timestamp_extension(32, 1_721_569_500, 0), 0.into()]), NO_TIME),
        (Value::Nil, NO_TIME),
    ] {
        let expected = [trade(expected, 1.0, 1.0, Side::None)];
        assert_eq!(decode_trade(&[("timestamp", value.clone())]), expected, "{value}");
    }
}

#[test]
fn an_absent_time_and_an_unreadable_one_are_not_the_same_for_a_quote() {
    let first =
        map(&[("bestBid", 1.into()), ("timestamp", timestamp_extension(32, 1_721_569_500, 0))]);
    let nil = map(&[("bestBid", 2.into()), ("timestamp", Value::Nil)]);
    let wrong = map(&[("bestBid", 3.into()), ("timestamp", 17.into())]);
    let updated = map(&[("timestamp", Value::Nil), ("lastUpdated", "2024-07-21T13:45:01Z".into())]);
    let messages = [first, nil, wrong, updated].map(|data| event_message("GatewayQuote", data));
    let bid = |ts_event, bid| quote(ts_event, [bid, NAN, NAN, NAN, NAN]);
    let expected = [bid(T, 1.0), bid(T, 2.0), bid(NO_TIME, 3.0), bid(T + 1_000_000_000, 3.0)];
    assert_eq!(decode_messages(&messages), expected);
}

#[test]
fn codes_as_numbers_and_as_names() {
    let sides: [(Value, Side); 8] = [
        (0.into(), Side::Buy),
        (1.into(), Side::Sell),
        ("Buy".into(), Side::Buy),
        ("Sell".into(), Side::Sell),
        ("sell".into(), Side::None),
        (1.0.into(), Side::None),
        (256.into(), Side::None),
        (Value::Nil, Side::None),
    ];
    for (code, side) in sides {
        let calls = decode_trade(&[("type", code.clone())]);
        assert_eq!(calls, [trade(NO_TIME, 1.0, 1.0, side)], "{code}");
    }
    let kinds: [(Value, DepthKind); 9] = [
        (1.into(), DepthKind::Ask),
        ("Ask".into(), DepthKind::Ask),
        ("Bid".into(), DepthKind::Bid),
        ("Reset".into(), DepthKind::Reset),
        ("BestAsk".into(), DepthKind::BestAsk),
        ("Fill".into(), DepthKind::Other(11)),
        (255.into(), DepthKind::Other(255)),
        ((-1).into(), DepthKind::Other(0)),
        ("Buy".into(), DepthKind::Other(0)),
    ];
    for (code, kind) in kinds {
        let calls =
            decode_message(event_message("GatewayDepth", trade_data(&[("type", code.clone())])));
        assert_eq!(calls, [depth(NO_TIME, 1.0, 1.0, kind)], "{code}");
    }
}

#[test]
fn names_with_a_capital_mean_the_same() {
    let data = map(&[
        ("LastPrice", 3.into()),
        ("BestBid", 1.into()),
        ("BestAsk", 2.into()),
        ("BestBidSize", 4.into()),
        ("AskSize", 5.into()),
        ("Timestamp", timestamp_extension(32, 1_721_569_500, 0)),
    ]);
    let expected = [quote(T, [1.0, 2.0, 4.0, 5.0, 3.0])];
    assert_eq!(decode_message(event_message("GatewayQuote", data)), expected);
    let price = |name| map(&[(name, 7.into()), ("volume", 1.into())]);
    for name in ["PRICE", "pRice", "\u{10}rice", "0rice", "pric", "prices", ""] {
        let calls = decode_message(event_message("GatewayTrade", price(name)));
        assert_eq!(calls, [Call::Malformed(Some(0))], "{name}");
    }
}

#[test]
fn strangers_are_skipped_wherever_they_stand() {
    let expected = decode_trade(&[]);
    for stranger in strangers() {
        let plain = trade_data(&[]);
        let Value::Map(members) = plain.clone() else { panic!("a map") };
        let known = |name: &str| (Value::from(name), stranger.clone());
        let named = |name: Value| (name, 5.into());
        for extra in [known("symbolId"), known("other"), named(stranger.clone())] {
            for at in 0..=members.len() {
                let mut members = members.clone();
                members.insert(at, extra.clone());
                let message = event_message("GatewayTrade", Value::Map(members));
                assert_eq!(decode_message(message), expected, "{extra:?} at {at}");
            }
        }
        let further =
            invocation("GatewayTrade", vec![CONTRACTS[0].into(), plain.clone(), stranger.clone()]);
        assert_eq!(decode_message(packed(&further)), expected);
        for item in [1, 2, 5] {
            let Value::Array(mut items) =
                invocation("GatewayTrade", vec![CONTRACTS[0].into(), plain.clone()])
            else {
                panic!("an array")
            };
            items[item] = stranger.clone();
            items.push(stranger.clone());
            assert_eq!(decode_message(packed(&Value::Array(items))), expected, "{item} {stranger}");
        }
    }
}

#[test]
fn an_invocation_without_stream_ids_is_an_older_one() {
    let Value::Array(mut items) =
        invocation("GatewayTrade", vec![CONTRACTS[0].into(), trade_data(&[])])
    else {
        panic!("an array")
    };
    items.truncate(5);
    assert_eq!(decode_message(packed(&Value::Array(items))), decode_trade(&[]));
}

#[test]
fn a_bad_element_does_not_harm_its_neighbours() {
    let good = trade_data(&[]);
    for bad in strangers() {
        let data = Value::Array(vec![good.clone(), bad.clone(), bad.clone(), good.clone()]);
        let calls = decode_message(event_message("GatewayTrade", data));
        let good = trade(NO_TIME, 1.0, 1.0, Side::None);
        let malformed = Call::Malformed(Some(0));
        // Maps and arrays are strangers, too, but for these: a map is an element without a price.
        assert_eq!(calls, [good.clone(), malformed.clone(), malformed, good], "{bad}");
    }
}

#[test]
fn what_is_no_market_event_comes_back_as_its_bytes() {
    let text = |items: Vec<Value>| packed(&Value::Array(items));
    for message in [
        vec![0x91, 0x06],
        vec![0x91, 0xcc, 0x06],
        vec![0x91, 0xff],
        vec![0x91, 0x01],
        text(vec![3.into(), Value::Map(Vec::new()), "1".into(), 2.into()]),
        text(vec![7.into(), Value::Nil, true.into()]),
        text(vec![8.into(), 17.into()]),
        text(vec![200.into()]),
        packed(&invocation("GatewayLogout", vec!["x".into()])),
        packed(&invocation("gatewaytrade", vec![CONTRACTS[0].into(), trade_data(&[])])),
        packed(&invocation("GatewayUserOrder", vec![map(&[("id", 1.into())])])),
        text(vec![1.into(), Value::Map(Vec::new()), Value::Nil, 7.into(), Value::Nil]),
        text(vec![2.into(), Value::Nil, Value::Nil, "GatewayTrade".into(), Value::Nil]),
    ] {
        assert_eq!(decode_message(message.clone()), [Call::Control(message)]);
    }
}

#[test]
fn malformed_messages() {
    let of = |target: &str, arguments: Value| {
        let Value::Array(mut items) = invocation(target, Vec::new()) else { panic!("an array") };
        items[4] = arguments;
        packed(&Value::Array(items))
    };
    let contract = Value::from(CONTRACTS[0]);
    let mut no_text = of("GatewayTrade", Value::Array(vec![contract.clone(), trade_data(&[])]));
    let at = no_text.windows(3).position(|bytes| bytes == b"CON").expect("the contract");
    no_text[at] = 0xff;
    let whole = of("GatewayTrade", Value::Array(vec![contract.clone(), trade_data(&[])]));
    for (message, instrument) in [
        (Vec::new(), None),
        (vec![0xc0], None),
        (vec![0x90], None),
        (vec![0xc1], None),
        (vec![0x91, 0xc1], None),
        (vec![0x91, 0xc0], None),
        (vec![0x91, 0xca, 0x40, 0xc0, 0x00, 0x00], None),
        (vec![0x91, 0xa1, 0x36], None),
        (vec![0x81, 0x06, 0x06], None),
        (vec![0x91, 0x06, 0x06], None),
        (vec![0x92, 0x06], None),
        (vec![0xdc, 0xff, 0xff, 0x06], None),
        (vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0x06], None),
        (vec![0x92, 0x06, 0xdf, 0xff, 0xff, 0xff, 0xff], None),
        (vec![0x92, 0x06, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x00], None),
        (vec![0x92, 0x06, 0xc9, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00], None),
        (of("GatewayTrade", Value::Nil), None),
        (of("GatewayTrade", Value::Array(Vec::new())), None),
        (of("GatewayTrade", Value::Array(vec![7.into(), trade_data(&[])])), None),
        (of("GatewayTrade", Value::Array(vec![contract.clone()])), Some(0)),
        (of("GatewayTrade", Value::Array(vec![contract.clone(), 7.into()])), Some(0)),
        (of("GatewayDepth", Value::Array(vec![CONTRACTS[1].into(), Value::Nil])), Some(1)),
        (
            of("GatewayQuote", Value::Array(vec![contract.clone(), Value::Array(Vec::new())])),
            Some(0),
        ),
        (
            of(
                "GatewayQuote",
                Value::Array(vec![contract.clone(), map(&[("bestBid", "x".into())])]),
            ),
            Some(0),
        ),
        (of("GatewayQuote", Value::Array(vec!["CON.F.US.GCE.Z25".into(), Value::Nil])), None),
        (no_text, None),
        ([&whole[..], b"\xc0"].concat(), None),
    ] {
        assert_eq!(
            decode_message(message.clone()),
            [Call::Malformed(instrument)],
            "{message:02x?}"
        );
    }
    for length in 0..whole.len() {
        assert_eq!(decode_message(&whole[..length]), [Call::Malformed(None)], "{length}");
    }
}

#[test]
fn nesting_of_any_depth_is_skipped() {
    // One byte a level; a reader that called itself would run out of stack.
    let deep = 1 << 20;
    let mut message = vec![0x92, 0x06];
    message.resize(deep, 0x91);
    message.push(0xc0);
    let limit = 2 << 20;
    let stream = [prefix(message.len()), message.clone()].concat();
    let calls = decode_parts_of(Protocol::MessagePack, [&stream[..]], limit);
    assert_eq!(calls, [Call::Control(message.clone())]);
    message.pop();
    let stream = [prefix(message.len()), message].concat();
    let calls = decode_parts_of(Protocol::MessagePack, [&stream[..]], limit);
    assert_eq!(calls, [Call::Malformed(None)]);
}
