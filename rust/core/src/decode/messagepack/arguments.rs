//! The arguments of a market event in MessagePack, `[contractId, data]`.
//!
//! The shapes are those of JSON, objects being maps. A server of Microsoft's writes, unless told
//! otherwise, the names of members with a capital, enumerations as names, decimals as text and times
//! as the timestamp extension; all that is understood beside the JSON forms.

use std::borrow::Cow;

use super::Unusable;
use super::wire::{self, Reader, Value};
use crate::decode::Malformed;
use crate::decode::event::{Elements, Event, Events, Number};
use crate::decode::market::{self, Members, Readable};
use crate::decode::timestamp::{self, MinuteMemo};
use crate::record::NO_TIME;

/// The extension type of timestamps.
const TIMESTAMP: i8 = -1;

/// The members of a map behind its header.
struct MapMembers<'s, 'a> {
    reader: &'s mut Reader<'a>,
    minutes: &'s mut MinuteMemo,
    /// Members to come, the one at hand included.
    left: u32,
}

impl<'a> Members<'a> for MapMembers<'_, 'a> {
    #[inline(always)]
    fn none(&mut self) -> bool {
        self.left == 0
    }

    #[inline(always)]
    fn next_is(&mut self, name: &str, _: &str) -> bool {
        self.reader.eat_name(name)
    }

    fn name(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        // What is not text is no name, and no name is empty.
        match self.reader.value()? {
            Value::Text(name) => Ok(Cow::Borrowed(name)),
            other => self.reader.skip_parts(&other).map(|()| Cow::Borrowed(&b""[..])),
        }
    }

    fn means(name: &[u8], known: &str) -> bool {
        wire::same_name(name, known)
    }

    #[inline(always)]
    fn end(&mut self) -> Result<bool, Malformed> {
        self.left -= 1;
        Ok(self.left == 0)
    }

    #[inline(always)]
    fn skip(&mut self) -> Result<(), Malformed> {
        self.reader.skip_one()
    }

    #[inline(always)]
    fn number(&mut self) -> Result<Number, Malformed> {
        self.reader.number()
    }

    #[inline(always)]
    fn code(&mut self, names: &[&str]) -> Result<Option<u8>, Malformed> {
        match self.reader.value()? {
            Value::Unsigned(code) => Ok(u8::try_from(code).ok()),
            Value::Text(name) => {
                let index = names.iter().position(|known| known.as_bytes() == name);
                Ok(index.and_then(|index| u8::try_from(index).ok()))
            }
            // A signed encoding of what is not negative is a whole number like any other.
            Value::Signed(code) => Ok(u8::try_from(code).ok()),
            other => self.reader.skip_parts(&other).map(|()| None),
        }
    }

    #[inline(always)]
    fn time(&mut self) -> Result<Option<i64>, Malformed> {
        match self.reader.value()? {
            Value::Text(text) => {
                let (instant, length) = self.minutes.read(text);
                Ok(Some(if length == text.len() { instant } else { NO_TIME }))
            }
            Value::Extension(TIMESTAMP, bytes) => Ok(Some(timestamp_extension(bytes))),
            Value::Nil => Ok(None),
            other => self.reader.skip_parts(&other).map(|()| Some(NO_TIME)),
        }
    }
}

/// The instant of a timestamp extension of 32, 64 or 96 bits, or [`NO_TIME`].
fn timestamp_extension(bytes: &[u8]) -> i64 {
    if let Ok(bytes) = bytes.try_into() {
        return timestamp::from_unix(i64::from(u32::from_be_bytes(bytes)), 0);
    }
    if let Ok(bytes) = bytes.try_into() {
        let both = u64::from_be_bytes(bytes);
        return timestamp::from_unix((both & ((1 << 34) - 1)).cast_signed(), (both >> 34) as u32);
    }
    match bytes.split_first_chunk() {
        Some((nanos, seconds)) if seconds.len() == 8 => {
            let seconds = seconds.iter().fold(0, |value, byte| value << 8 | i64::from(*byte));
            timestamp::from_unix(seconds, u32::from_be_bytes(*nanos))
        }
        _ => NO_TIME,
    }
}

/// Reads an event's arguments into `events`, and gives the contract.
pub(super) fn read_arguments<'a>(
    events: &mut Events,
    event: Event,
    reader: &mut Reader<'a>,
    ts_recv: i64,
) -> Result<&'a [u8], Unusable<'a>> {
    let Value::Array(arguments @ 1..) = reader.value()? else {
        return Err(Unusable { contract: None });
    };
    let contract = match reader.value()? {
        Value::Text(contract) if std::str::from_utf8(contract).is_ok() => contract,
        _ => return Err(Unusable { contract: None }),
    };
    let unusable = |Malformed| Unusable { contract: Some(contract) };
    if arguments == 1 {
        return Err(unusable(Malformed));
    }
    read_data(events, event, reader, ts_recv).map_err(unusable)?;
    // A later version of the gateway might add arguments.
    reader.skip(u64::from(arguments) - 2).map_err(unusable)?;
    Ok(contract)
}

#[inline]
fn read_data(
    events: &mut Events,
    event: Event,
    reader: &mut Reader,
    ts_recv: i64,
) -> Result<(), Malformed> {
    let minutes = &mut events.minutes;
    match event {
        Event::Trade => read_elements(&mut events.trades, reader, minutes, ts_recv),
        Event::Depth => read_elements(&mut events.depths, reader, minutes, ts_recv),
        Event::Quote => {
            let Value::Map(left) = reader.value()? else {
                return Err(Malformed);
            };
            events.quote = market::read_quote(&mut MapMembers { reader, minutes, left })?;
            Ok(())
        }
    }
}

fn read_elements<T: Readable>(
    elements: &mut Elements<T>,
    reader: &mut Reader,
    minutes: &mut MinuteMemo,
    ts_recv: i64,
) -> Result<(), Malformed> {
    elements.clear();
    match reader.value()? {
        Value::Map(left) => {
            market::read_element(elements, MapMembers { reader, minutes, left }, ts_recv)?;
        }
        Value::Array(count) => {
            for _ in 0..count {
                match reader.value()? {
                    Value::Map(left) => {
                        let members = MapMembers { reader, minutes, left };
                        market::read_element(elements, members, ts_recv)?;
                    }
                    Value::Nil => {}
                    other => {
                        reader.skip_parts(&other)?;
                        elements.push_unusable();
                    }
                }
            }
        }
        _ => return Err(Malformed),
    }
    Ok(())
}
