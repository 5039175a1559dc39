//! The arguments of a market event in JSON, `[contractId, data]`.
//!
//! Trades and depth deltas come as one object or as an array of them, quotes as one object. Within
//! an array each element stands alone: one that cannot be used is counted and its neighbours live.

use std::borrow::Cow;

use super::scan::{Scanner, Text};
use crate::decode::Malformed;
use crate::decode::event::{Elements, Event, Events, Number};
use crate::decode::market::{self, Members, Readable};
use crate::decode::timestamp::{self, MinuteMemo};
use crate::record::NO_TIME;

/// Open containers inside the data of an event: the record, its arguments, perhaps an array.
const OBJECT_DEPTH: u32 = 3;
const ELEMENT_DEPTH: u32 = 4;

/// Arguments that are not those of a market event, or not JSON at all; with the contract they
/// concern, where that much could be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unusable<'a> {
    pub(super) contract: Option<Text<'a>>,
}

impl From<Malformed> for Unusable<'_> {
    fn from(_: Malformed) -> Self {
        Self { contract: None }
    }
}

/// The members of an object from behind its opening brace.
struct ObjectMembers<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    minutes: &'s mut MinuteMemo,
    /// Open containers at a member.
    depth: u32,
}

impl<'a> Members<'a> for ObjectMembers<'_, 'a> {
    #[inline(always)]
    fn none(&mut self) -> bool {
        self.scanner.object_is_empty()
    }

    #[inline(always)]
    fn next_is(&mut self, _: &str, quoted: &str) -> bool {
        self.scanner.eat(quoted.as_bytes())
    }

    fn name(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        Ok(self.scanner.name()?.decoded())
    }

    fn means(name: &[u8], known: &str) -> bool {
        name == known.as_bytes()
    }

    #[inline(always)]
    fn end(&mut self) -> Result<bool, Malformed> {
        self.scanner.object_ends()
    }

    #[inline(always)]
    fn skip(&mut self) -> Result<(), Malformed> {
        self.scanner.skip(self.depth)
    }

    #[inline(always)]
    fn number(&mut self) -> Result<Number, Malformed> {
        self.scanner.number(self.depth)
    }

    /// The gateway writes codes as numbers.
    #[inline(always)]
    fn code(&mut self, _: &[&str]) -> Result<Option<u8>, Malformed> {
        let code = self.scanner.integer(self.depth)?;
        Ok(code.and_then(|code| u8::try_from(code).ok()))
    }

    #[inline(always)]
    fn time(&mut self) -> Result<Option<i64>, Malformed> {
        if let [b'"', text @ ..] = self.scanner.rest {
            let (instant, len) = self.minutes.read(text);
            if let [b'"', rest @ ..] = &text[len..]
                && len > 0
            {
                self.scanner.rest = rest;
                return Ok(Some(instant));
            }
        }
        uncommon_time(self.scanner, self.depth)
    }
}

#[cold]
fn uncommon_time(scanner: &mut Scanner, depth: u32) -> Result<Option<i64>, Malformed> {
    scanner.skip_whitespace();
    if scanner.eat(b"\"") {
        return Ok(Some(timestamp::parse(&scanner.string_tail()?.decoded())));
    }
    let is_null = scanner.peek() == Some(b'n');
    scanner.skip(depth)?;
    Ok(if is_null { None } else { Some(NO_TIME) })
}

/// Reads an event's arguments from their opening bracket to behind the closing one into `events`, and
/// gives the contract.
#[inline(always)]
pub(super) fn read_arguments<'a>(
    events: &mut Events,
    event: Event,
    scanner: &mut Scanner<'a>,
    ts_recv: i64,
) -> Result<Text<'a>, Unusable<'a>> {
    let contract = read_contract(scanner)?;
    read_comma(scanner)
        .and_then(|()| read_data(events, event, scanner, ts_recv))
        .and_then(|()| read_further_arguments(scanner))
        .map_err(|Malformed| Unusable { contract: Some(contract) })?;
    Ok(contract)
}

#[inline]
fn read_data(
    events: &mut Events,
    event: Event,
    scanner: &mut Scanner,
    ts_recv: i64,
) -> Result<(), Malformed> {
    let minutes = &mut events.minutes;
    match event {
        Event::Trade => read_elements(&mut events.trades, scanner, minutes, ts_recv),
        Event::Depth => read_elements(&mut events.depths, scanner, minutes, ts_recv),
        Event::Quote => {
            scanner.skip_whitespace();
            if !scanner.eat(b"{") {
                return Err(Malformed);
            }
            let mut members = ObjectMembers { scanner, minutes, depth: OBJECT_DEPTH };
            events.quote = market::read_quote(&mut members)?;
            Ok(())
        }
    }
}

#[inline(always)]
fn read_contract<'a>(scanner: &mut Scanner<'a>) -> Result<Text<'a>, Malformed> {
    if !scanner.eat(b"[\"") {
        scanner.skip_whitespace();
        let is_array = scanner.eat(b"[");
        scanner.skip_whitespace();
        if !is_array || !scanner.eat(b"\"") {
            return Err(Malformed);
        }
    }
    scanner.string_tail()
}

/// Behind the contract: data must follow.
#[inline(always)]
fn read_comma(scanner: &mut Scanner) -> Result<(), Malformed> {
    if scanner.array_ends()? { Err(Malformed) } else { Ok(()) }
}

/// Behind the data: skips arguments that a later version of the gateway might add.
#[inline]
fn read_further_arguments(scanner: &mut Scanner) -> Result<(), Malformed> {
    while !scanner.array_ends()? {
        scanner.skip(OBJECT_DEPTH - 1)?;
    }
    Ok(())
}

fn read_elements<T: Readable>(
    elements: &mut Elements<T>,
    scanner: &mut Scanner,
    minutes: &mut MinuteMemo,
    ts_recv: i64,
) -> Result<(), Malformed> {
    elements.clear();
    scanner.skip_whitespace();
    if scanner.eat(b"{") {
        let members = ObjectMembers { scanner, minutes, depth: OBJECT_DEPTH };
        return market::read_element(elements, members, ts_recv);
    }
    if !scanner.eat(b"[") {
        return Err(Malformed);
    }
    scanner.skip_whitespace();
    if scanner.eat(b"]") {
        return Ok(());
    }
    loop {
        scanner.skip_whitespace();
        if scanner.eat(b"{") {
            let members = ObjectMembers { scanner, minutes, depth: ELEMENT_DEPTH };
            market::read_element(elements, members, ts_recv)?;
        } else {
            let is_null = scanner.peek() == Some(b'n');
            scanner.skip(OBJECT_DEPTH)?;
            if !is_null {
                elements.push_unusable();
            }
        }
        if scanner.array_ends()? {
            return Ok(());
        }
    }
}
