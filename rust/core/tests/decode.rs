//! The hub decoder, shape by shape.

mod decode_support;

use decode_support::model::Model;
use decode_support::{
    CONTRACTS, Call, NAN, T, decode_all, decode_record, depth, event, quote, trade,
};
use tickwire_core::decode::timestamp;
use tickwire_core::record::{DepthKind, NO_TIME, Side};

#[test]
fn a_trade_as_array_and_as_object() {
    let data = r#"{"symbolId":"F.US.EP","price":2100.25,"timestamp":"2024-07-21T13:45:00.123Z","type":0,"volume":2}"#;
    let expected = vec![trade(T + 123_000_000, 2100.25, 2.0, Side::Buy)];
    assert_eq!(decode_record(event("GatewayTrade", &format!("[{data}]"))), expected);
    assert_eq!(decode_record(event("GatewayTrade", data)), expected);
}

#[test]
fn every_element_of_an_array_counts_and_null_is_nothing() {
    let data = r#"[null,{"price":1,"volume":1,"type":1},null,{"price":2,"volume":0},{"price":2,"volume":0}]"#;
    let zero = trade(NO_TIME, 2.0, 0.0, Side::None);
    let expected = vec![trade(NO_TIME, 1.0, 1.0, Side::Sell), zero.clone(), zero];
    assert_eq!(decode_record(event("GatewayTrade", data)), expected);
    assert_eq!(decode_record(event("GatewayTrade", "[]")), []);
}

#[test]
fn a_bad_element_does_not_harm_its_neighbours() {
    let good = r#"{"price":1,"volume":1}"#;
    for bad in [
        "7",
        "\"x\"",
        "[]",
        "true",
        "{}",
        r#"{"price":1}"#,
        r#"{"volume":1}"#,
        r#"{"price":"1","volume":1}"#,
        r#"{"price":null,"volume":1}"#,
        r#"{"price":1,"volume":1,"price":"1"}"#,
    ] {
        let data = format!("[{good},{bad},{bad},{good},{bad}]");
        let (good, bad) = (trade(NO_TIME, 1.0, 1.0, Side::None), Call::Malformed(Some(0)));
        let expected = vec![good.clone(), bad.clone(), bad.clone(), good, bad];
        assert_eq!(decode_record(event("GatewayTrade", &data)), expected, "{data}");
    }
}

#[test]
fn a_cut_array_gives_nothing_but_one_malformed() {
    let data = r#"[{"price":1,"volume":1},{"price":1,"volume":"#;
    assert_eq!(decode_record(event("GatewayTrade", data)), [Call::Malformed(None)]);
}

#[test]
fn members_in_any_order_with_strangers_between_them() {
    let plain = decode_record(event("GatewayTrade", r#"{"price":1.5,"volume":2,"type":1}"#));
    for record in [
        r#"{"target":"GatewayTrade","arguments":["CON.F.US.EP.U25",{"type":1,"volume":2,"price":1.5}],"type":1}"#,
        r#"{"arguments":["CON.F.US.EP.U25",[{"volume":2,"a":{"price":9},"price":1.5,"b":[[{}]],"type":1}]],"type":1,"target":"GatewayTrade"}"#,
        r#"{"type":1,"x":[{"type":3}],"target":"GatewayTrade","arguments":["CON.F.US.EP.U25",{"price":1.5,"volume":2,"type":1}],"y":null}"#,
        r#"{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.EP.U25",{"price":1.5,"volume":2,"type":1},{},3]}"#,
        r#"{"type":6,"target":"x","arguments":[],"arguments":["CON.F.US.EP.U25",{"price":7,"price":1.5,"volume":2,"type":1}],"target":"GatewayTrade","type":1}"#,
        "\r\n{\t\"type\" : 1 ,\n\"target\" : \"GatewayTrade\" , \"arguments\" : [ \"CON.F.US.EP.U25\" , { \"price\" : 1.5 , \"volume\" : 2 , \"type\" : 1 } ] }\n",
        r#"{"t\u0079pe":1,"target":"Gateway\u0054rade","arguments":["CON\u002eF.US.EP.U25",{"pr\u0069ce":1.5,"volume":2,"type":1}]}"#,
    ] {
        assert_eq!(decode_record(record), plain, "{record}");
    }
}

#[test]
fn the_last_of_repeated_arguments_counts_even_behind_the_usual_start() {
    let record = r#"{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.EP.U25",{"price":1,"volume":1}],"type":6}"#;
    assert_eq!(decode_record(record), [Call::Control(record.into())]);
}

#[test]
fn partial_quotes_are_merged_by_contract() {
    let other =
        r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.ENQ.U25",{"bestBid":7}]}"#;
    let calls = decode_all(&[
        &event(
            "GatewayQuote",
            r#"{"symbol":"F.US.EP","lastPrice":3,"bestBid":1,"bestAsk":2,"timestamp":"2024-07-21T13:45:00Z"}"#,
        ),
        other,
        &event("GatewayQuote", r#"{"bestBid":1.5,"bestAsk":null,"bestBidSize":10}"#),
        &event("GatewayQuote", r#"{"askSize":20,"lastUpdated":"2024-07-21T13:45:01Z"}"#),
    ]);
    assert_eq!(calls[0], quote(T, [1.0, 2.0, NAN, NAN, 3.0]));
    assert!(matches!(calls[1], Call::Quote { instrument: Some(1), ts_event: NO_TIME, .. }));
    assert_eq!(calls[2], quote(T, [1.5, 2.0, 10.0, NAN, 3.0]));
    assert_eq!(calls[3], quote(T + 1_000_000_000, [1.5, 2.0, 10.0, 20.0, 3.0]));
}

#[test]
fn the_time_of_a_quote() {
    let at = |data: &str| match &decode_record(event("GatewayQuote", data))[..] {
        [Call::Quote { ts_event, .. }] => *ts_event,
        other => panic!("{data}: {other:?}"),
    };
    let (first, second) = (r#""2024-07-21T13:45:00Z""#, r#""2024-07-21T13:45:01Z""#);
    assert_eq!(at(&format!(r#"{{"lastUpdated":{second},"timestamp":{first}}}"#)), T);
    assert_eq!(at(&format!(r#"{{"timestamp":{first},"lastUpdated":{second}}}"#)), T);
    assert_eq!(at(&format!(r#"{{"timestamp":null,"lastUpdated":{first}}}"#)), T);
    // A time that is there but cannot be read is not replaced by a guess.
    assert_eq!(at(&format!(r#"{{"timestamp":"soon","lastUpdated":{first}}}"#)), NO_TIME);
    assert_eq!(at("{}"), NO_TIME);
}

#[test]
fn an_unreadable_time_belongs_to_its_own_quote_only() {
    let calls = decode_all(&[
        &event("GatewayQuote", r#"{"bestBid":1,"timestamp":"2024-07-21T13:45:00Z"}"#),
        &event("GatewayQuote", r#"{"bestBid":2,"timestamp":17}"#),
        &event("GatewayQuote", r#"{"bestAsk":3}"#),
    ]);
    let expected = [
        quote(T, [1.0, NAN, NAN, NAN, NAN]),
        quote(NO_TIME, [2.0, NAN, NAN, NAN, NAN]),
        quote(T, [2.0, 3.0, NAN, NAN, NAN]),
    ];
    assert_eq!(calls, expected);
}

#[test]
fn a_malformed_quote_leaves_what_stood() {
    let good = event("GatewayQuote", r#"{"bestBid":1,"bestAsk":2}"#);
    for bad in [r#"{"bestBid":9,"bestAsk":"2"}"#, r#"[{"bestBid":9}]"#, "null", "9"] {
        let calls = decode_all(&[&good, &event("GatewayQuote", bad), &event("GatewayQuote", "{}")]);
        let stands = quote(NO_TIME, [1.0, 2.0, NAN, NAN, NAN]);
        assert_eq!(calls, [stands.clone(), Call::Malformed(Some(0)), stands], "{bad}");
    }
    let cut = event("GatewayQuote", r#"{"bestBid":9}"#).replace("}]}", "}]");
    assert_eq!(decode_all(&[&good, &cut, &good])[2], quote(NO_TIME, [1.0, 2.0, NAN, NAN, NAN]));
}

#[test]
fn quotes_of_unknown_contracts_pass_through_unmerged() {
    let of = |data: &str| {
        format!(r#"{{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.GCE.Z25",{data}]}}"#)
    };
    let calls = decode_all(&[&of(r#"{"bestBid":1}"#), &of(r#"{"bestAsk":2}"#)]);
    let Call::Quote { instrument: None, fields, .. } = calls[1] else { panic!("{calls:?}") };
    assert_eq!(fields, [NAN, 2.0, NAN, NAN, NAN].map(Into::into));
}

#[test]
fn all_that_is_no_market_event_is_control_text() {
    for record in [
        r#"{"type":3,"invocationId":"1","result":null}"#,
        r#"{"type":6}"#,
        r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#,
        r#"{"type":-99}"#,
        r#"{"type":18446744073709551615}"#,
        r#" {"type":1} "#,
        r#"{"type":1,"target":"GatewayLogout","arguments":["x"]}"#,
        r#"{"type":1,"target":"gatewaytrade","arguments":["CON.F.US.EP.U25",{}]}"#,
        r#"{"type":1,"target":"GatewayUserOrder","arguments":[{"id":1}]}"#,
        r#"{"type":1,"target":5}"#,
        r#"{"type":2,"target":"GatewayTrade","arguments":["CON.F.US.EP.U25",{"price":1,"volume":1}]}"#,
    ] {
        assert_eq!(decode_record(record), [Call::Control(record.into())]);
    }
}

#[test]
fn malformed_records() {
    for (record, instrument) in [
        ("", None),
        ("   ", None),
        ("{}", None),
        ("[]", None),
        ("17", None),
        (r#"{"type":null}"#, None),
        (r#"{"type":"1"}"#, None),
        (r#"{"type":1.0}"#, None),
        (r#"{"type":-0}"#, None),
        (r#"{"type":18446744073709551616}"#, None),
        (r#"{"type":6}}"#, None),
        (r#"{"type":6,}"#, None),
        (r#"{"type":6} {"type":6}"#, None),
        (r#"{type:6}"#, None),
        (r#"{"type":6,"a":"\u12"}"#, None),
        (r#"{"type":6,"a":"\udc00"}"#, None),
        (r#"{"type":6,"a":"\ud800\u0041"}"#, None),
        (r#"{"type":6,"a":"\x"}"#, None),
        (r#"{"type":6,"a":1e999}"#, None),
        (r#"{"type":6,"a":nul}"#, None),
        (r#"{"type":1,"target":"GatewayTrade"}"#, None),
        (r#"{"type":1,"target":"GatewayTrade","arguments":null}"#, None),
        (r#"{"type":1,"target":"GatewayTrade","arguments":[]}"#, None),
        (r#"{"type":1,"target":"GatewayTrade","arguments":[7,{}]}"#, None),
        (r#"{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.EP.U25"]}"#, Some(0)),
        (r#"{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.EP.U25",7]}"#, Some(0)),
        (r#"{"type":1,"target":"GatewayDepth","arguments":["CON.F.US.ENQ.U25","x"]}"#, Some(1)),
        (r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.EP.U25",[]]}"#, Some(0)),
        (r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.GCE.Z25",[]]}"#, None),
    ] {
        assert_eq!(decode_record(record), [Call::Malformed(instrument)], "{record}");
    }
    assert_eq!(decode_record(b"{\"type\":6,\"a\":\"\xc3\"}"), [Call::Malformed(None)]);
}

#[test]
fn good_records_survive_between_bad_ones() {
    let good = event("GatewayTrade", r#"{"price":1,"volume":1}"#);
    let bad =
        ["", "{", "\"", "]", r#"{"type":"#, r#"{"type":1,"target":"GatewayTrade","arguments":["#];
    for bad in bad {
        let calls = decode_all(&[&good, bad, &good]);
        let trade = trade(NO_TIME, 1.0, 1.0, Side::None);
        assert_eq!(calls, [trade.clone(), Call::Malformed(None), trade], "{bad}");
    }
}

#[test]
fn nesting_is_limited_to_127_levels() {
    // serde_json is asked too: its limit is the one that counts.
    let decode_record = |record: String| {
        let calls = decode_record(&record);
        assert_eq!(calls, Model::default().decode(format!("{record}\x1e").as_bytes()));
        calls
    };
    // Four containers are open around the unknown member of an array's element, three around that
    // of a single one and around the elements of an array, two around an argument, one around a member of the record itself.
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let element = |levels| {
        event("GatewayTrade", &format!(r#"{{"price":1,"volume":1,"a":{}}}"#, nested(levels)))
    };
    assert_eq!(decode_record(element(124)), [trade(NO_TIME, 1.0, 1.0, Side::None)]);
    assert_eq!(decode_record(element(125)), [Call::Malformed(None)]);
    let in_array = |levels| {
        let data = format!(r#"[{{"price":1,"volume":1,"a":{}}}]"#, nested(levels));
        event("GatewayTrade", &data)
    };
    assert_eq!(decode_record(in_array(123)), [trade(NO_TIME, 1.0, 1.0, Side::None)]);
    assert_eq!(decode_record(in_array(124)), [Call::Malformed(None)]);
    let control = |levels| format!(r#"{{"type":6,"a":{}}}"#, nested(levels));
    assert_eq!(decode_record(control(126)), [Call::Control(control(126).into())]);
    assert_eq!(decode_record(control(127)), [Call::Malformed(None)]);
    let good = r#"{"price":1,"volume":1}"#;
    let array = |levels| event("GatewayTrade", &format!("[{good},{}]", nested(levels)));
    let expected = [trade(NO_TIME, 1.0, 1.0, Side::None), Call::Malformed(Some(0))];
    assert_eq!(decode_record(array(124)), expected);
    assert_eq!(decode_record(array(125)), [Call::Malformed(None)]);
    let further = |levels| event("GatewayTrade", &format!("{good},{}", nested(levels)));
    assert_eq!(decode_record(further(125)), [trade(NO_TIME, 1.0, 1.0, Side::None)]);
    assert_eq!(decode_record(further(126)), [Call::Malformed(None)]);
}

#[test]
fn timestamps() {
    for (text, expected) in [
        ("2024-07-21T13:45:00Z", T),
        ("2024-07-21T13:45:00", T),
        ("2024-07-21t13:45:00z", T),
        ("2024-07-21 13:45:00", T),
        ("2024-07-21T13:45:00.1Z", T + 100_000_000),
        ("2024-07-21T13:45:00.1234567+00:00", T + 123_456_700),
        ("2024-07-21T13:45:00.123456789", T + 123_456_789),
        ("2024-07-21T15:45:00+02:00", T),
        ("2024-07-21T08:15:00.000-05:30", T),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000_000),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2023-02-29T00:00:00Z", NO_TIME),
        ("2024-02-30T00:00:00Z", NO_TIME),
        ("2024-00-10T00:00:00Z", NO_TIME),
        ("2024-13-10T00:00:00Z", NO_TIME),
        ("2024-01-00T00:00:00Z", NO_TIME),
        ("2024-04-31T00:00:00Z", NO_TIME),
        ("2024-07-21T24:00:00Z", NO_TIME),
        ("2024-07-21T13:60:00Z", NO_TIME),
        ("2024-07-21T13:45:60Z", NO_TIME),
        ("2024-07-21T13:45:00.Z", NO_TIME),
        ("2024-07-21T13:45:00.1234567891Z", NO_TIME),
        ("2024-07-21T13:45:00,5Z", NO_TIME),
        ("2024-07-21T13:45:00+0200", NO_TIME),
        ("2024-07-21T13:45:00+02", NO_TIME),
        ("2024-07-21T13:45:00+24:00", NO_TIME),
        ("2024-07-21T13:45:00+02:60", NO_TIME),
        ("2024-07-21T13:45:00ZZ", NO_TIME),
        ("2024-07-21T13:45:00 Z", NO_TIME),
        (" 2024-07-21T13:45:00Z", NO_TIME),
        ("2024-07-21T13:45Z", NO_TIME),
        ("2024-07-21", NO_TIME),
        ("24-07-21T13:45:00Z", NO_TIME),
        ("+2024-07-21T13:45:00Z", NO_TIME),
        ("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0:00Z", NO_TIME),
        ("1721569500", NO_TIME),
        ("", NO_TIME),
    ] {
        assert_eq!(timestamp::parse(text.as_bytes()), expected, "{text}");
        let text = text.replace('\0', "\\u0000");
        let data = format!(r#"{{"price":1,"volume":1,"timestamp":"{text}"}}"#);
        let expected = [trade(expected, 1.0, 1.0, Side::None)];
        assert_eq!(decode_record(event("GatewayTrade", &data)), expected, "{text}");
    }
}

#[test]
fn prices_are_the_nearest_double() {
    for text in [
        "2208.100000000",
        "-37.63",
        "0.1",
        "1.1e3",
        "1E-7",
        "9007199254740993",
        "-0",
        "0.30000000000000004",
    ] {
        let data = format!(r#"{{"price":{text},"volume":{text}}}"#);
        let value: f64 = text.parse().expect("a number");
        let expected = [trade(NO_TIME, value, value, Side::None)];
        assert_eq!(decode_record(event("GatewayTrade", &data)), expected, "{text}");
    }
}

#[test]
fn recorded_gateway_messages() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/projectx/stream_event_samples.market_only.json"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recorded gateway messages beside the repository");
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&text).expect("the file is JSON");
    let call = |kind: &str, target: &str| {
        let sample = recorded["samples"].as_array().expect("a list");
        let sample = sample
            .iter()
            .find(|sample| sample["event_type"] == kind)
            .expect("a sample of each kind");
        let arguments = [CONTRACTS[0].into(), sample["raw_payload"]["payload"].clone()];
        let record = serde_json::json!({"type": 1, "target": target, "arguments": arguments});
        decode_record(record.to_string())
    };
    let day = timestamp::parse(b"2026-08-19T20:51:00Z");
    assert_eq!(
        call("market_trade", "GatewayTrade"),
        [trade(day + 30_052_000_000, 7730.5, 1.0, Side::Sell)]
    );
    assert_eq!(
        call("depth", "GatewayDepth"),
        [depth(day + 31_417_369_300, 29547.0, 2.0, DepthKind::BestBid)]
    );
    assert_eq!(
        call("quote", "GatewayQuote"),
        [quote(day + 31_348_000_000, [29547.0, 29547.5, NAN, NAN, NAN])]
    );
}
