//! What the hub decoder carries from one payload of MessagePack to the next.

mod decode_support;

use decode_support::messages::{event_message, map, prefix, stream_of, varied_messages};
use decode_support::{ARRIVAL, Call, NAN, Recorder, SMALL_LIMIT, decode_parts_of, quote, trade};
use tickwire_core::decode::{Decoder, Protocol};
use tickwire_core::record::{NO_TIME, Side};

fn decoder(limit: usize) -> Decoder {
    Decoder::new(Protocol::MessagePack, limit)
}

fn trade_message() -> Vec<u8> {
    event_message("GatewayTrade", map(&[("price", 1.into()), ("volume", 1.into())]))
}

fn the_trade() -> Call {
    trade(NO_TIME, 1.0, 1.0, Side::None)
}

fn push(decoder: &mut Decoder, payload: &[u8]) -> Vec<Call> {
    let mut sink = Recorder::default();
    decoder.push(payload, ARRIVAL, &mut sink);
    sink.calls
}

#[test]
fn a_message_of_exactly_the_limit_is_read_and_a_longer_one_is_refused_once() {
    let message = trade_message();
    let stream = stream_of(&[message.clone(), message.clone()]);
    for cut in 0..stream.len() {
        let decode = |limit| {
            let parts = [&stream[..cut], &stream[cut..]];
            decode_parts_of(Protocol::MessagePack, parts, limit)
        };
        assert_eq!(decode(message.len()), [the_trade(), the_trade()], "{cut}");
        assert_eq!(decode(message.len() - 1), [Call::Oversize, Call::Oversize], "{cut}");
    }
}

#[test]
fn an_oversize_message_is_skipped_without_being_kept() {
    let mut decoder = decoder(1_000);
    let length = 100 * 999 + 50;
    assert_eq!(push(&mut decoder, &prefix(length)), [Call::Oversize]);
    for _ in 0..100 {
        assert_eq!(push(&mut decoder, &[0x91; 999]), []);
        assert_eq!(decoder.carried_bytes(), 0);
    }
    let end = [vec![0x06; 50], stream_of(&[trade_message()])].concat();
    assert_eq!(push(&mut decoder, &end), [the_trade()]);
}

#[test]
fn a_length_promises_and_allocates_nothing() {
    // Two gigabytes are announced and a few bytes come: they are all that is kept.
    let mut decoder = decoder(usize::MAX);
    assert_eq!(push(&mut decoder, &prefix(i32::MAX as usize)), []);
    assert_eq!(push(&mut decoder, b"\x91\x06"), []);
    assert_eq!(decoder.carried_bytes(), 2);
    assert!(!decoder.is_lost());
}

#[test]
fn lengths_of_one_to_five_bytes() {
    let mut stream = Vec::new();
    for filler in [&[][..], &[0x80], &[0x80, 0x80], &[0x80, 0x80, 0x80]] {
        // The same length in more bytes than it needs.
        stream.push(if filler.is_empty() { 0x02 } else { 0x82 });
        stream.extend(filler);
        stream.extend(if filler.is_empty() { &b""[..] } else { b"\x00" });
        stream.extend(b"\x91\x06");
    }
    let calls = decode_parts_of(Protocol::MessagePack, [&stream[..]], 100);
    assert_eq!(calls, vec![Call::Control(b"\x91\x06".to_vec()); 4]);
}

#[test]
fn an_empty_message_is_malformed_at_once_and_harms_nothing() {
    let mut decoder = decoder(100);
    assert_eq!(push(&mut decoder, b"\x00"), [Call::Malformed(None)]);
    assert_eq!(push(&mut decoder, b"\x80\x00\x00"), vec![Call::Malformed(None); 2]);
    assert_eq!(push(&mut decoder, &stream_of(&[trade_message()])), [the_trade()]);
}

#[test]
fn what_is_no_length_loses_the_stream_until_the_next_connection() {
    let good = stream_of(&[trade_message()]);
    for bad in [
        &b"\xff\xff\xff\xff\xff\x01"[..],
        b"\x80\x80\x80\x80\x80\x00",
        // One more than what the protocol allows.
        b"\x80\x80\x80\x80\x08",
        b"\xff\xff\xff\xff\x7f",
    ] {
        let mut decoder = decoder(1 << 20);
        let stream = [&good[..], bad, &good].concat();
        assert_eq!(push(&mut decoder, &stream), [the_trade(), Call::Malformed(None)], "{bad:02x?}");
        assert!(decoder.is_lost());
        assert_eq!(push(&mut decoder, &good), []);
        assert_eq!(decoder.carried_bytes(), 0);
        decoder.reset();
        assert!(!decoder.is_lost());
        assert_eq!(push(&mut decoder, &good), [the_trade()]);
    }
    assert!(!Decoder::default().is_lost());
}

#[test]
fn a_bad_message_is_skipped_by_its_length() {
    let good = trade_message();
    for bad in [&b"\xc1"[..], b"\xdd\xff\xff\xff\xff", b"{\"type\":6}\x1e", &good[..40]] {
        let stream = stream_of(&[good.clone(), bad.to_vec(), good.clone()]);
        let calls = decode_parts_of(Protocol::MessagePack, [&stream[..]], 1 << 20);
        assert_eq!(calls, [the_trade(), Call::Malformed(None), the_trade()], "{bad:02x?}");
    }
}

#[test]
fn reset_forgets_the_cut_message_the_cut_length_the_refused_one_and_the_quotes() {
    let mut decoder = decoder(SMALL_LIMIT);
    let bid = stream_of(&[event_message("GatewayQuote", map(&[("bestBid", 1.into())]))]);
    let ask = stream_of(&[event_message("GatewayQuote", map(&[("bestAsk", 2.into())]))]);
    let alone = [quote(NO_TIME, [NAN, 2.0, NAN, NAN, NAN])];
    assert_eq!(push(&mut decoder, &bid), [quote(NO_TIME, [1.0, NAN, NAN, NAN, NAN])]);
    for cut in [&bid[..41], b"\x81", &prefix(SMALL_LIMIT + 1)] {
        push(&mut decoder, cut);
        decoder.reset();
        assert_eq!(decoder.carried_bytes(), 0);
        assert_eq!(push(&mut decoder, &ask), alone, "{cut:02x?}");
    }
    assert_eq!(decoder.protocol(), Protocol::MessagePack);
}

#[test]
fn a_cut_message_arrives_when_its_end_does() {
    let (mut decoder, mut sink) = (decoder(1_000), Recorder::default());
    let stream = stream_of(&[trade_message()]);
    decoder.push(&stream[..50], 1, &mut sink);
    decoder.push(&stream[50..], 2, &mut sink);
    assert!(matches!(sink.calls[..], [Call::Trade { ts_recv: 2, .. }]));
}

#[test]
fn an_instrument_may_become_known_between_payloads() {
    let stream = stream_of(&[trade_message()]);
    let (mut decoder, mut sink) = (decoder(1_000), Recorder::default());
    sink.knows_no_contract = true;
    decoder.push(&stream, ARRIVAL, &mut sink);
    sink.knows_no_contract = false;
    decoder.push(&stream, ARRIVAL, &mut sink);
    assert!(matches!(sink.calls[0], Call::Trade { instrument: None, .. }));
    assert_eq!(sink.calls[1..], [the_trade()]);
}

#[test]
fn every_split_in_two_gives_the_same_calls() {
    let messages = varied_messages();
    assert_eq!(messages.len(), 60);
    let stream = stream_of(&messages);
    let decode = |parts: &[&[u8]]| {
        decode_parts_of(Protocol::MessagePack, parts.iter().copied(), SMALL_LIMIT)
    };
    let whole = decode(&[&stream]);
    // The stream would prove nothing if it held one kind of record.
    for kind in ["Trade", "Quote", "Depth", "Malformed", "Oversize", "Control"] {
        assert!(whole.iter().any(|call| format!("{call:?}").starts_with(kind)), "{kind}");
    }
    for cut in 0..=stream.len() {
        assert!(decode(&[&stream[..cut], &stream[cut..]]) == whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert!(decode(&bytes) == whole, "byte by byte");
}
