//! The outer object of a hub record: `type`, `target` and `arguments`, in any order.

use super::scan::Scanner;
use crate::decode::Malformed;
use crate::decode::event::Event;

/// Open containers at the members of the record.
const DEPTH: u32 = 1;

/// The invocation, `type` 1: a call of the server's on a method of the client.
const INVOCATION: i128 = 1;

/// What a well-formed record is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Envelope<'a> {
    /// A market event, with the text of its arguments if it has any.
    Market(Event, Option<&'a [u8]>),
    /// Any other message of the protocol.
    Control,
}

/// The event and the rest of the record from its arguments on, where the record starts exactly as
/// the gateway's servers write it. Says nothing about what follows.
#[inline]
pub(super) fn usual_start(record: &[u8]) -> Option<(Event, Scanner<'_>)> {
    let mut scanner = Scanner::new(record);
    if !scanner.eat(br#"{"type":1,"target":"Gateway"#) {
        return None;
    }
    let event = if scanner.eat(br#"Trade","arguments":"#) {
        Event::Trade
    } else if scanner.eat(br#"Quote","arguments":"#) {
        Event::Quote
    } else if scanner.eat(br#"Depth","arguments":"#) {
        Event::Depth
    } else {
        return None;
    };
    Some((event, scanner))
}

/// Reads a record whatever it looks like. All of it is checked, the arguments included.
///
/// A record without a whole-number `type` is not a message of the protocol and so malformed.
pub(super) fn read(record: &[u8]) -> Result<Envelope<'_>, Malformed> {
    let mut scanner = Scanner::new(record);
    let (mut kind, mut event, mut arguments) = (None, None, None);
    scanner.skip_whitespace();
    if !scanner.eat(b"{") {
        return Err(Malformed);
    }
    if !scanner.object_is_empty() {
        loop {
            match &*scanner.name()?.decoded() {
                b"type" => kind = scanner.integer(DEPTH)?,
                b"target" if scanner.eat(b"\"") => {
                    event = Event::from_target(&scanner.string_tail()?.decoded());
                }
                b"target" => {
                    event = None;
                    scanner.skip(DEPTH)?;
                }
                b"arguments" => {
                    let text = scanner.rest;
                    scanner.skip(DEPTH)?;
                    arguments = Some(&text[..text.len() - scanner.rest.len()]);
                }
                _ => scanner.skip(DEPTH)?,
            }
            if scanner.object_ends()? {
                break;
            }
        }
    }
    if !scanner.at_end() {
        return Err(Malformed);
    }
    match (kind.ok_or(Malformed)?, event) {
        (INVOCATION, Some(event)) => Ok(Envelope::Market(event, arguments)),
        _ => Ok(Envelope::Control),
    }
}
