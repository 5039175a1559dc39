//! What the hub decoder carries from one payload to the next: cut records, refused ones, quotes.

mod decode_support;

use decode_support::{
    ARRIVAL, Call, NAN, Recorder, SMALL_LIMIT, decode_parts, event, quote, stream, trade,
    varied_records,
};
use tickwire_core::decode::{Decoder, Protocol};
use tickwire_core::record::{NO_TIME, Side};

#[test]
fn a_record_of_exactly_the_limit_is_read_and_a_longer_one_is_refused_once() {
    let record = event("GatewayTrade", r#"{"price":1,"volume":1}"#).into_bytes();
    let expected = vec![trade(NO_TIME, 1.0, 1.0, Side::None)];
    let stream = stream(&[record.clone(), record.clone()]);
    for cut in 0..stream.len() {
        let parts = || [&stream[..cut], &stream[cut..]];
        let fits = decode_parts(parts(), record.len());
        assert_eq!(fits, [expected.clone(), expected.clone()].concat(), "{cut}");
        let refused = decode_parts(parts(), record.len() - 1);
        assert_eq!(refused, [Call::Oversize, Call::Oversize], "{cut}");
    }
}

#[test]
fn an_oversize_record_is_skipped_without_being_kept() {
    let (mut decoder, mut sink) = (Decoder::new(Protocol::Json, 1_000), Recorder::default());
    let good = event("GatewayTrade", r#"{"price":1,"volume":1}"#);
    for _ in 0..100 {
        decoder.push(&[b'x'; 999], ARRIVAL, &mut sink);
        assert!(decoder.carried_bytes() <= 1_000);
    }
    assert_eq!(sink.calls, [Call::Oversize]);
    decoder.push(format!("still too long\x1e{good}\x1e").as_bytes(), ARRIVAL, &mut sink);
    assert_eq!(sink.calls[1..], [trade(NO_TIME, 1.0, 1.0, Side::None)]);
}

#[test]
fn reset_forgets_the_cut_record_the_refused_one_and_the_quotes() {
    let mut decoder = Decoder::new(Protocol::Json, SMALL_LIMIT);
    let push = |decoder: &mut Decoder, payload: &str| {
        let mut sink = Recorder::default();
        decoder.push(payload.as_bytes(), ARRIVAL, &mut sink);
        sink.calls
    };
    let bid = event("GatewayQuote", r#"{"bestBid":1,"timestamp":"2024-07-21T13:45:00Z"}"#) + "\x1e";
    let ask = event("GatewayQuote", r#"{"bestAsk":2}"#) + "\x1e";
    push(&mut decoder, &bid);
    assert_eq!(push(&mut decoder, &bid[..40]), []);
    assert_eq!(decoder.carried_bytes(), 40);
    decoder.reset();
    assert_eq!(decoder.carried_bytes(), 0);
    assert_eq!(push(&mut decoder, &ask), [quote(NO_TIME, [NAN, 2.0, NAN, NAN, NAN])]);
    assert_eq!(push(&mut decoder, &"x".repeat(SMALL_LIMIT + 1)), [Call::Oversize]);
    decoder.reset();
    assert_eq!(push(&mut decoder, &ask), [quote(NO_TIME, [NAN, 2.0, NAN, NAN, NAN])]);
}

#[test]
fn two_decoders_never_mix() {
    let (mut one, mut two) = (Decoder::default(), Decoder::default());
    let (mut sink_one, mut sink_two) = (Recorder::default(), Recorder::default());
    let bid = event("GatewayQuote", r#"{"bestBid":1}"#) + "\x1e";
    let ask = event("GatewayQuote", r#"{"bestAsk":2}"#) + "\x1e";
    one.push(&bid.as_bytes()[..30], ARRIVAL, &mut sink_one);
    two.push(ask.as_bytes(), ARRIVAL, &mut sink_two);
    one.push(&bid.as_bytes()[30..], ARRIVAL, &mut sink_one);
    assert_eq!(sink_one.calls, [quote(NO_TIME, [1.0, NAN, NAN, NAN, NAN])]);
    assert_eq!(sink_two.calls, [quote(NO_TIME, [NAN, 2.0, NAN, NAN, NAN])]);
}

#[test]
fn a_cut_record_arrives_when_its_end_does() {
    let (mut decoder, mut sink) = (Decoder::default(), Recorder::default());
    let record = event("GatewayTrade", r#"{"price":1,"volume":1}"#) + "\x1e";
    decoder.push(&record.as_bytes()[..50], 1, &mut sink);
    decoder.push(&record.as_bytes()[50..], 2, &mut sink);
    assert!(matches!(sink.calls[..], [Call::Trade { ts_recv: 2, .. }]));
}

#[test]
fn an_instrument_may_become_known_between_payloads() {
    let record = event("GatewayTrade", r#"{"price":1,"volume":1}"#) + "\x1e";
    let mut sink = Recorder { knows_no_contract: true, ..Recorder::default() };
    let mut decoder = Decoder::default();
    decoder.push(record.as_bytes(), ARRIVAL, &mut sink);
    sink.knows_no_contract = false;
    decoder.push(record.as_bytes(), ARRIVAL, &mut sink);
    let instruments = sink.calls.iter().map(|call| match call {
        Call::Trade { instrument, .. } => *instrument,
        other => panic!("{other:?}"),
    });
    assert_eq!(instruments.collect::<Vec<_>>(), [None, Some(0)]);
}

#[test]
fn every_split_in_two_gives_the_same_calls() {
    let stream = stream(&varied_records());
    let whole = decode_parts([&stream[..]], SMALL_LIMIT);
    // The stream would prove nothing if it held one kind of record.
    for kind in ["Trade", "Quote", "Depth", "Malformed", "Oversize", "Control"] {
        assert!(whole.iter().any(|call| format!("{call:?}").starts_with(kind)), "{kind}");
    }
    for cut in 0..=stream.len() {
        let parts = decode_parts([&stream[..cut], &stream[cut..]], SMALL_LIMIT);
        assert!(parts == whole, "cut at {cut} of {}", stream.len());
    }
    let bytes = decode_parts(stream.chunks(1), SMALL_LIMIT);
    assert!(bytes == whole, "byte by byte");
}
