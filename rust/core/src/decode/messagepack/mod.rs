//! The MessagePack hub protocol: arrays behind their lengths.
//!
//! A message is `[type, ...]`, an invocation `[1, headers, invocationId, target, arguments, ...]`.
//! Further items are checked and skipped, and so are headers, whatever they are. A message that is
//! not exactly one well-formed array with a whole number in front is malformed.

mod arguments;
mod framing;
mod wire;

use std::borrow::Cow;

pub(super) use self::framing::Messages;
use self::wire::{Reader, Value};
use super::event::{Event, Events};
use super::{Format, Frame, Malformed, Sink};

/// The invocation: a call of the server's on a method of the client.
const INVOCATION: u64 = 1;

/// Items of an invocation before its arguments: headers, invocation id and target.
const BEFORE_ARGUMENTS: u64 = 3;

/// Headers and invocation id as a hub writes them where it has none.
const NO_HEADERS_NO_ID: &[u8] = &[0x80, 0xc0];

/// A message that nothing can be done with, and the contract that it concerns, where that much could
/// be read.
#[derive(Clone, Copy, Debug)]
struct Unusable<'a> {
    contract: Option<&'a [u8]>,
}

impl From<Malformed> for Unusable<'_> {
    fn from(_: Malformed) -> Self {
        Self { contract: None }
    }
}

impl Format for Messages {
    #[inline]
    fn split(&mut self, payload: &[u8], each: impl FnMut(Frame)) {
        self.split(payload, each);
    }

    #[inline]
    fn read<S: Sink>(message: &[u8], events: &mut Events, ts_recv: i64, sink: &mut S) {
        match read(message, events, ts_recv) {
            Ok(Some((event, contract))) => {
                let instrument = events.instrument(contract, || Cow::Borrowed(contract), sink);
                events.emit(event, instrument, ts_recv, sink);
            }
            Ok(None) => sink.control(message),
            Err(Unusable { contract }) => {
                let contract = contract.filter(|_| is_well_formed(message));
                let instrument = contract.and_then(|contract| {
                    events.instrument(contract, || Cow::Borrowed(contract), sink)
                });
                sink.malformed(instrument);
            }
        }
    }
}

/// Reads a message. A market event is then in `events`, and comes with its contract.
fn read<'a>(
    message: &'a [u8],
    events: &mut Events,
    ts_recv: i64,
) -> Result<Option<(Event, &'a [u8])>, Unusable<'a>> {
    let mut reader = Reader::new(message);
    let Value::Array(items @ 1..) = reader.value()? else {
        return Err(Malformed.into());
    };
    let mut left = u64::from(items) - 1;
    let mut found = None;
    match reader.value()? {
        Value::Unsigned(INVOCATION) if left >= BEFORE_ARGUMENTS => {
            left -= BEFORE_ARGUMENTS;
            if let Some(event) = read_target(&mut reader)? {
                left = left.checked_sub(1).ok_or(Malformed)?;
                let contract = arguments::read_arguments(events, event, &mut reader, ts_recv)?;
                found = Some((event, contract));
            }
        }
        Value::Unsigned(_) | Value::Signed(_) => {}
        _ => return Err(Malformed.into()),
    }
    reader.skip(left)?;
    if reader.at_end() { Ok(found) } else { Err(Malformed.into()) }
}

/// Reads an invocation up to its arguments: the event that its target is, if it is one.
#[inline(always)]
fn read_target(reader: &mut Reader) -> Result<Option<Event>, Malformed> {
    if !reader.eat(NO_HEADERS_NO_ID) {
        reader.skip(BEFORE_ARGUMENTS - 1)?;
    }
    match reader.value()? {
        Value::Text(target) => Ok(Event::from_target(target)),
        other => reader.skip_parts(&other).map(|()| None),
    }
}

fn is_well_formed(message: &[u8]) -> bool {
    let mut reader = Reader::new(message);
    reader.skip(1).is_ok() && reader.at_end()
}
