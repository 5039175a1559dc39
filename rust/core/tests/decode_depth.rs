//! Depth messages: what their type codes mean, and what of them is announced.

mod decode_support;

use std::collections::BTreeSet;

use decode_support::{CONTRACTS, Call, NAN, Recorder, T, decode_record, depth, event};
use tickwire_core::decode::Decoder;
use tickwire_core::record::{DepthKind, NO_TIME};

#[test]
fn depth_kinds() {
    for (code, kind) in [
        ("1", DepthKind::Ask),
        ("2", DepthKind::Bid),
        ("6", DepthKind::Reset),
        ("0", DepthKind::Other(0)),
        ("3", DepthKind::BestAsk),
        ("4", DepthKind::BestBid),
        ("9", DepthKind::BestBid),
        ("10", DepthKind::BestAsk),
        ("11", DepthKind::Other(11)),
        ("255", DepthKind::Other(255)),
        ("256", DepthKind::Other(0)),
        ("-1", DepthKind::Other(0)),
        ("1.0", DepthKind::Other(0)),
        ("\"1\"", DepthKind::Other(0)),
        ("null", DepthKind::Other(0)),
    ] {
        let data = format!(r#"[{{"type":{code},"price":2100.5,"volume":10}}]"#);
        let expected = [depth(NO_TIME, 2100.5, 10.0, kind)];
        assert_eq!(decode_record(event("GatewayDepth", &data)), expected, "{code}");
    }
}

#[test]
fn only_a_reset_may_come_without_price_and_volume() {
    let data = r#"[{"type":6,"timestamp":"2024-07-21T13:45:00Z"},{"type":6,"price":0,"volume":null},{"type":1,"price":1}]"#;
    let expected = [
        depth(T, NAN, NAN, DepthKind::Reset),
        depth(NO_TIME, 0.0, NAN, DepthKind::Reset),
        Call::Malformed(Some(0)),
    ];
    assert_eq!(decode_record(event("GatewayDepth", data)), expected);
}

#[test]
fn a_depth_message_is_announced_with_its_usable_elements() {
    let good = r#"{"type":1,"price":1,"volume":1}"#;
    let (mut decoder, mut sink) = (Decoder::default(), Recorder::default());
    for (data, contract) in [
        (format!("[{good},null,{good},{{}}]"), CONTRACTS[0]),
        (good.to_owned(), CONTRACTS[1]),
        ("[{}]".to_owned(), CONTRACTS[0]),
        (good.to_owned(), "CON.F.US.GCE.Z25"),
    ] {
        let target = r#"{"type":1,"target":"GatewayDepth","arguments":"#;
        let record = format!("{target}[\"{contract}\",{data}]}}\u{1e}");
        decoder.push(record.as_bytes(), 0, &mut sink);
    }
    assert_eq!(sink.depth_messages, [2, 1]);
    assert_eq!(decoder.fed().map(|id| id.0).collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]));
    decoder.reset();
    assert_eq!(decoder.fed().count(), 0);
}
