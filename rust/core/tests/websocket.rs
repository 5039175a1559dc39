//! The WebSocket connection against frames built by hand, and against tungstenite in the server's
//! role where masks must be undone.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use proptest::prelude::*;
use tickwire_core::websocket::{Close, Received, WebSocket, WebSocketError};
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocketContext};

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FIN: u8 = 0x80;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(len as u8),
        len @ 126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

fn socket(limit: usize) -> WebSocket {
    WebSocket::new(NonZeroUsize::new(limit).unwrap())
}

/// What a server understands of the client's bytes: tungstenite undoes the masks and fails on any
/// frame that is not masked.
fn as_server(bytes: &[u8]) -> Vec<Message> {
    struct Input<'a>(&'a [u8]);
    impl Read for Input<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                self.0.read(buffer)
            }
        }
    }
    impl Write for Input<'_> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut server = WebSocketContext::new(Role::Server, None);
    let mut input = Input(bytes);
    let mut messages = Vec::new();
    loop {
        match server.read(&mut input) {
            Ok(message) => messages.push(message),
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                break;
            }
            Err(tungstenite::Error::ConnectionClosed) => break,
            Err(error) => panic!("the server refused what the client wrote: {error}"),
        }
    }
    messages
}

fn sent(socket: &mut WebSocket) -> Vec<Message> {
    as_server(&socket.take_output())
}

/// Everything two reads found, as if it had been one.
fn joined(mut first: Received, second: Received) -> Received {
    first.payload.extend(second.payload);
    first.messages += second.messages;
    first.pings += second.pings;
    first.pongs.extend(second.pongs);
    first.close = first.close.or(second.close);
    first.violation = first.violation.or(second.violation);
    first
}

#[test]
fn payloads_of_one_read_come_joined_and_counted() {
    let mut ws = socket(1024);
    let data = [
        frame(FIN | TEXT, b"{\"type\":6}\x1e"),
        frame(FIN | BINARY, b"{}\x1e"),
        frame(FIN | TEXT, b""),
        frame(FIN | PONG, b"7"),
    ]
    .concat();
    let received = ws.receive(&data).unwrap();
    assert_eq!(received.payload, b"{\"type\":6}\x1e{}\x1e");
    assert_eq!(received.messages, 3);
    assert_eq!(received.pongs, vec![b"7".to_vec()]);
    assert_eq!((received.close, received.violation), (None, None));
    assert!(!ws.has_output());
}

#[test]
fn every_ping_is_answered_with_its_payload_also_between_fragments() {
    let mut ws = socket(1024);
    let data = [
        frame(TEXT, b"one "),
        frame(FIN | PING, b"hb-1"),
        frame(CONTINUATION, b"mess"),
        frame(FIN | PING, b""),
        frame(FIN | CONTINUATION, b"age"),
    ]
    .concat();
    let received = ws.receive(&data).unwrap();
    assert_eq!(received.payload, b"one message");
    assert_eq!((received.messages, received.pings), (1, 2));
    assert_eq!(sent(&mut ws), [Message::Pong("hb-1".into()), Message::Pong("".into())]);
}

#[test]
fn a_close_is_echoed_and_ends_the_connection() {
    let mut ws = socket(1024);
    let data =
        [frame(FIN | TEXT, b"last"), close_frame(1001, "going away"), frame(FIN | TEXT, b"late")]
            .concat();
    let received = ws.receive(&data).unwrap();
    assert_eq!(received.payload, b"last");
    assert_eq!(received.close, Some(Close { code: 1001, reason: "going away".into() }));
    assert_eq!(received.violation, None);
    let output = ws.take_output();
    match as_server(&output).as_slice() {
        [Message::Close(Some(echo))] => assert_eq!(u16::from(echo.code), 1001),
        other => panic!("expected the echo of the close, the client sent {other:?}"),
    }
    assert!(!ws.is_open());
    assert_eq!(ws.send_text("x"), Err(WebSocketError::Closed));
    assert_eq!(ws.receive(b"").unwrap_err(), WebSocketError::Closed);
    assert!(!ws.has_output());
}

#[test]
fn a_close_without_a_code_reads_as_1005() {
    let received = socket(16).receive(&frame(FIN | CLOSE, b"")).unwrap();
    assert_eq!(received.close, Some(Close { code: 1005, reason: String::new() }));
}

#[test]
fn own_close_lets_messages_under_way_arrive_and_takes_the_echo() {
    let mut ws = socket(1024);
    ws.close(1000, "done").unwrap();
    ws.close(1000, "again").unwrap();
    match sent(&mut ws).as_slice() {
        [Message::Close(Some(frame))] => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "done"));
        }
        other => panic!("expected one close frame, the client sent {other:?}"),
    }
    assert_eq!(ws.send_text("x"), Err(WebSocketError::Closed));
    let received =
        ws.receive(&[frame(FIN | TEXT, b"under way"), close_frame(1000, "done")].concat()).unwrap();
    assert_eq!(received.payload, b"under way");
    assert_eq!(received.close.unwrap().code, 1000);
    assert!(!ws.has_output(), "an echo is not echoed");
}

#[test]
fn what_is_sent_is_masked_and_whole() {
    let mut ws = socket(1024);
    let long = "x".repeat(70_000);
    ws.send_text("{\"protocol\":\"json\",\"version\":1}\u{1e}").unwrap();
    ws.send_binary(&[0, 255, 1]).unwrap();
    ws.ping(b"1").unwrap();
    ws.send_text(&long).unwrap();
    let output = ws.take_output();
    assert!(!output.windows(8).any(|w| w == b"protocol"), "the text is visible: not masked");
    assert_eq!(
        as_server(&output),
        [
            Message::text("{\"protocol\":\"json\",\"version\":1}\u{1e}"),
            Message::binary(vec![0u8, 255, 1]),
            Message::Ping("1".into()),
            Message::text(long),
        ]
    );
}

#[test]
fn violations_end_the_connection_after_what_came_before_them() {
    let compressed = frame(FIN | 0x40 | TEXT, b"x");
    let masked = [&[FIN | TEXT, 0x81, 1, 2, 3, 4], &b"x"[..]].concat();
    let cases: [(&str, Vec<u8>, u16, &str); 11] = [
        ("reserved bit", compressed, 1002, "reserved bits are set"),
        ("masked frame", masked, 1002, "masked"),
        ("unknown data opcode", frame(FIN | 0x3, b""), 1002, "invalid opcode: 3"),
        ("unknown control opcode", frame(FIN | 0xB, b""), 1002, "invalid opcode: 11"),
        ("fragmented ping", frame(PING, b"x"), 1002, "Fragmented control"),
        ("long ping", frame(FIN | PING, &[0; 126]), 1002, "Control frame too big"),
        ("continuation of nothing", frame(FIN | CONTINUATION, b"x"), 1002, "nothing to continue"),
        (
            "text inside a message",
            [frame(TEXT, b"x"), frame(FIN | TEXT, b"y")].concat(),
            1002,
            "waiting for more fragments",
        ),
        ("one byte of close code", frame(FIN | CLOSE, b"\x03"), 1002, "Invalid close"),
        ("not UTF-8", frame(FIN | TEXT, b"\xff\xfe"), 1007, "not UTF-8"),
        (
            "too long",
            frame(FIN | TEXT, &[b'x'; 2001]),
            1009,
            "2001 bytes or more, the limit is 2000",
        ),
    ];
    for (name, bytes, code, words) in cases {
        let mut ws = socket(2000);
        let received = ws.receive(&[frame(FIN | TEXT, b"good"), bytes].concat()).unwrap();
        assert_eq!(received.payload, b"good", "{name}");
        let violation = received.violation.unwrap_or_else(|| panic!("{name}: no violation found"));
        assert!(violation.to_string().contains(words), "{name}: {violation}");
        match sent(&mut ws).as_slice() {
            [Message::Close(Some(frame))] => assert_eq!(u16::from(frame.code), code, "{name}"),
            other => panic!("{name}: expected a close frame, the client sent {other:?}"),
        }
        assert_eq!(ws.receive(&frame(FIN | TEXT, b"more")).unwrap_err(), violation, "{name}");
        assert_eq!(ws.send_text("x").unwrap_err(), violation, "{name}");
        assert!(!ws.is_open(), "{name}");
    }
}

#[test]
fn the_size_limit_counts_the_fragments_of_a_message_together() {
    let mut ws = socket(200);
    assert_eq!(ws.receive(&frame(FIN | TEXT, &[b'x'; 200])).unwrap().payload.len(), 200);
    let first = ws.receive(&frame(TEXT, &[b'x'; 150])).unwrap();
    assert_eq!((first.messages, first.violation), (0, None));
    let second = ws.receive(&frame(FIN | CONTINUATION, &[b'x'; 51])).unwrap();
    assert_eq!(second.violation, Some(WebSocketError::MessageTooLong { size: 201, limit: 200 }));
}

#[test]
fn a_limit_smaller_than_a_control_frame_still_lets_pings_through() {
    let mut ws = socket(1);
    let received = ws.receive(&frame(FIN | PING, &[b'p'; 125])).unwrap();
    assert_eq!((received.pings, received.violation), (1, None));
}

#[test]
fn an_absurd_length_is_refused_from_its_header_alone() {
    let mut ws = socket(1 << 20);
    let received =
        ws.receive(&[&[FIN | TEXT, 127][..], &(1u64 << 62).to_be_bytes()].concat()).unwrap();
    assert!(matches!(received.violation, Some(WebSocketError::MessageTooLong { .. })));
}

#[test]
fn a_message_of_16_megabytes_arrives_whole_from_small_reads() {
    let body: Vec<u8> = (0..16 << 20).map(|i| b'a' + (i % 26) as u8).collect();
    let bytes = frame(FIN | TEXT, &body);
    let mut ws = socket(16 << 20);
    let mut payload = Vec::new();
    for chunk in bytes.chunks(100_003) {
        let received = ws.receive(chunk).unwrap();
        assert_eq!(received.violation, None);
        payload.extend(received.payload);
    }
    assert!(payload == body);
}

#[test]
fn arguments_that_no_frame_can_carry_are_refused_and_queue_nothing() {
    let mut ws = socket(16);
    let long = "r".repeat(124);
    assert_eq!(
        ws.close(1000, &long).unwrap_err().to_string(),
        "a close reason takes at most 123 bytes, got 124"
    );
    assert_eq!(
        ws.ping(&[0; 126]).unwrap_err().to_string(),
        "a ping payload takes at most 125 bytes, got 126"
    );
    assert_eq!(ws.close(1006, "").unwrap_err(), WebSocketError::CloseCode(1006));
    assert!(!ws.has_output() && ws.is_open());
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let text = "[ -~äß\u{1e}]{0,300}";
    let message = prop_oneof![
        text.prop_map(|s| frame(FIN | TEXT, s.as_bytes())),
        text.prop_map(|s| frame(FIN | BINARY, s.as_bytes())),
        proptest::collection::vec(any::<u8>(), 0..=125).prop_map(|p| frame(FIN | PING, &p)),
        proptest::collection::vec(any::<u8>(), 0..=125).prop_map(|p| frame(FIN | PONG, &p)),
        // A fragmented message, cut anywhere (also inside a character), with a ping in between.
        (text, any::<prop::sample::Index>()).prop_map(|(s, cut)| {
            let at = cut.index(s.len() + 1);
            [
                frame(TEXT, &s.as_bytes()[..at]),
                frame(FIN | PING, b"mid"),
                frame(FIN | CONTINUATION, &s.as_bytes()[at..]),
            ]
            .concat()
        }),
        Just(close_frame(1000, "bye")),
        // Mostly a violation of some kind.
        proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(message, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_gives_the_same_as_whole(
        stream in any_stream(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut whole = socket(4096);
        let expected = whole.receive(&stream).unwrap();

        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let mut parts = socket(4096);
        let mut found = Received::default();
        for pair in at.windows(2) {
            match parts.receive(&stream[pair[0]..pair[1]]) {
                Ok(received) => found = joined(found, received),
                // The end was reported by an earlier part.
                Err(error) => {
                    let end = found.violation.clone().unwrap_or(WebSocketError::Closed);
                    prop_assert_eq!(error, end);
                }
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert_eq!(sent(&mut parts), sent(&mut whole));
    }
}
