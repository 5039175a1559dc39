//! The market events of the ProjectX gateway: its field names, and what they become here.
//!
//! An event's arguments are `[contractId, data]`. Trades and depth deltas come as one object or as
//! an array of them, quotes as one object. Within an array each element stands alone: one that
//! cannot be used is counted and its neighbours live. Nothing here reaches a sink: elements are
//! collected until the whole record has proved to be well-formed.

use super::merge::QuoteUpdate;
use super::scan::{Malformed, Number, Scanner, Text};
use super::timestamp::{self, MinuteMemo};
use crate::record::{Depth, DepthKind, NO_TIME, Side, Trade};

/// Open containers inside the data of an event: the record, its arguments, perhaps an array.
const OBJECT_DEPTH: u32 = 3;
const ELEMENT_DEPTH: u32 = 4;

/// The events that carry market data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Trade,
    Quote,
    Depth,
}

impl Event {
    /// The event with this target. Targets are case-sensitive by specification.
    pub(super) fn from_target(target: &[u8]) -> Option<Self> {
        match target {
            b"GatewayTrade" => Some(Self::Trade),
            b"GatewayQuote" => Some(Self::Quote),
            b"GatewayDepth" => Some(Self::Depth),
            _ => None,
        }
    }
}

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

/// The elements of one event in order, the unusable ones as runs between the usable.
#[derive(Clone, Debug)]
pub(super) struct Elements<T> {
    usable: Vec<T>,
    /// (how many usable ones come before, how many unusable ones there are)
    unusable: Vec<(usize, usize)>,
}

impl<T> Default for Elements<T> {
    fn default() -> Self {
        Self { usable: Vec::new(), unusable: Vec::new() }
    }
}

impl<T> Elements<T> {
    #[inline]
    fn clear(&mut self) {
        self.usable.clear();
        self.unusable.clear();
    }

    #[cold]
    fn push_unusable(&mut self) {
        // Runs, because the shortest unusable element is two bytes long: a hostile record must not
        // be worth a multiple of its size in memory.
        match self.unusable.last_mut() {
            Some((before, count)) if *before == self.usable.len() => *count += 1,
            _ => self.unusable.push((self.usable.len(), 1)),
        }
    }

    /// The usable elements.
    pub(super) fn usable(&self) -> impl Iterator<Item = &T> {
        self.usable.iter()
    }

    /// Calls back for each element, with `None` for an unusable one.
    #[inline]
    pub(super) fn for_each(&self, mut emit: impl FnMut(Option<&T>)) {
        let mut done = 0;
        for (before, count) in &self.unusable {
            self.usable[done..*before].iter().for_each(|element| emit(Some(element)));
            (0..*count).for_each(|_| emit(None));
            done = *before;
        }
        self.usable[done..].iter().for_each(|element| emit(Some(element)));
    }
}

/// Reads the members of an object from behind its opening brace.
///
/// Every member is named once, in the order in which the gateway writes them. First the names are
/// looked for in that order, each by one comparison of bytes, and a name that is not next is passed
/// over; from the first surprise on (another order, whitespace, an unknown or escaped name) members
/// are read one by one and found by name. A repeated member overwrites the earlier one.
macro_rules! read_members {
    ($scanner:ident, $depth:expr; $($name:literal => $read:expr,)*) => {
        'object: {
            if $scanner.object_is_empty() {
                break 'object;
            }
            $(
                if $scanner.eat(concat!("\"", $name, "\":").as_bytes()) {
                    $read;
                    if $scanner.object_ends()? {
                        break 'object;
                    }
                }
            )*
            loop {
                let name = $scanner.name()?.decoded();
                match std::str::from_utf8(&name) {
                    $(Ok($name) => { $read; })*
                    _ => $scanner.skip($depth)?,
                }
                if $scanner.object_ends()? {
                    break;
                }
            }
        }
    };
}

/// One element of a trade or depth event.
trait Element: Sized {
    /// Reads the members from behind the opening brace and adds what they make to `elements`.
    fn read(
        elements: &mut Elements<Self>,
        scanner: &mut Scanner,
        minutes: &mut MinuteMemo,
        ts_recv: i64,
        depth: u32,
    ) -> Result<(), Malformed>;
}

impl Element for Trade {
    fn read(
        elements: &mut Elements<Self>,
        scanner: &mut Scanner,
        minutes: &mut MinuteMemo,
        ts_recv: i64,
        depth: u32,
    ) -> Result<(), Malformed> {
        let (mut price, mut volume) = (Number::Absent, Number::Absent);
        let (mut ts_event, mut code) = (None, None);
        read_members! { scanner, depth;
            "symbolId" => scanner.skip(depth)?,
            "price" => price = scanner.number(depth)?,
            "timestamp" => ts_event = time(scanner, minutes, depth)?,
            "type" => code = scanner.integer(depth)?,
            "volume" => volume = scanner.number(depth)?,
        }
        let (Number::Is(price), Number::Is(size)) = (price, volume) else {
            elements.push_unusable();
            return Ok(());
        };
        let side = match code {
            Some(0) => Side::Buy,
            Some(1) => Side::Sell,
            _ => Side::None,
        };
        let ts_event = ts_event.unwrap_or(NO_TIME);
        elements.usable.push(Self { ts_event, ts_recv, price, size, side });
        Ok(())
    }
}

impl Element for Depth {
    fn read(
        elements: &mut Elements<Self>,
        scanner: &mut Scanner,
        minutes: &mut MinuteMemo,
        ts_recv: i64,
        depth: u32,
    ) -> Result<(), Malformed> {
        let (mut price, mut volume) = (Number::Absent, Number::Absent);
        let (mut ts_event, mut code) = (None, None);
        read_members! { scanner, depth;
            "timestamp" => ts_event = time(scanner, minutes, depth)?,
            "type" => code = scanner.integer(depth)?,
            "price" => price = scanner.number(depth)?,
            "volume" => volume = scanner.number(depth)?,
            "currentVolume" => scanner.skip(depth)?,
        }
        let kind = match code {
            Some(1) => DepthKind::Ask,
            Some(2) => DepthKind::Bid,
            Some(6) => DepthKind::Reset,
            // A code beyond a byte, and none at all, become the vendor's own "unknown", zero.
            code => DepthKind::Other(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0)),
        };
        let (price, size) = match (price, volume) {
            (Number::Is(price), Number::Is(size)) => (price, size),
            (price, volume) if kind == DepthKind::Reset => (or_nan(price), or_nan(volume)),
            _ => {
                elements.push_unusable();
                return Ok(());
            }
        };
        let ts_event = ts_event.unwrap_or(NO_TIME);
        elements.usable.push(Self { ts_event, ts_recv, price, size, kind });
        Ok(())
    }
}

fn or_nan(number: Number) -> f64 {
    if let Number::Is(value) = number { value } else { f64::NAN }
}

/// Reads a timestamp: `None` for null, [`NO_TIME`] for what is not one.
#[inline(always)]
fn time(
    scanner: &mut Scanner,
    minutes: &mut MinuteMemo,
    depth: u32,
) -> Result<Option<i64>, Malformed> {
    if let [b'"', text @ ..] = scanner.rest {
        let (instant, len) = minutes.read(text);
        if let [b'"', rest @ ..] = &text[len..]
            && len > 0
        {
            scanner.rest = rest;
            return Ok(Some(instant));
        }
    }
    uncommon_time(scanner, depth)
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

/// Reads events and holds the last one.
#[derive(Clone, Debug, Default)]
pub(super) struct EventReader {
    minutes: MinuteMemo,
    pub(super) trades: Elements<Trade>,
    pub(super) depths: Elements<Depth>,
    pub(super) quote: QuoteUpdate,
}

impl EventReader {
    /// Reads an event's arguments from their opening bracket to behind the closing one, and gives
    /// the contract. What they hold is then in the field that belongs to `event`.
    pub(super) fn read_arguments<'a>(
        &mut self,
        event: Event,
        scanner: &mut Scanner<'a>,
        ts_recv: i64,
    ) -> Result<Text<'a>, Unusable<'a>> {
        let contract = read_contract(scanner)?;
        read_comma(scanner)
            .and_then(|()| self.read_data(event, scanner, ts_recv))
            .and_then(|()| read_further_arguments(scanner))
            .map_err(|Malformed| Unusable { contract: Some(contract) })?;
        Ok(contract)
    }

    #[inline]
    fn read_data(
        &mut self,
        event: Event,
        scanner: &mut Scanner,
        ts_recv: i64,
    ) -> Result<(), Malformed> {
        match event {
            Event::Trade => read_elements(&mut self.trades, scanner, &mut self.minutes, ts_recv),
            Event::Depth => read_elements(&mut self.depths, scanner, &mut self.minutes, ts_recv),
            Event::Quote => {
                self.quote = read_quote(scanner, &mut self.minutes)?;
                if self.quote.is_unusable() { Err(Malformed) } else { Ok(()) }
            }
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

fn read_elements<T: Element>(
    elements: &mut Elements<T>,
    scanner: &mut Scanner,
    minutes: &mut MinuteMemo,
    ts_recv: i64,
) -> Result<(), Malformed> {
    elements.clear();
    scanner.skip_whitespace();
    if scanner.eat(b"{") {
        return T::read(elements, scanner, minutes, ts_recv, OBJECT_DEPTH);
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
            T::read(elements, scanner, minutes, ts_recv, ELEMENT_DEPTH)?;
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

fn read_quote(scanner: &mut Scanner, minutes: &mut MinuteMemo) -> Result<QuoteUpdate, Malformed> {
    let depth = OBJECT_DEPTH;
    let mut quote = QuoteUpdate::default();
    let (mut bid_size, mut ask_size) = (Number::Absent, Number::Absent);
    let mut last_updated = None;
    scanner.skip_whitespace();
    if !scanner.eat(b"{") {
        return Err(Malformed);
    }
    read_members! { scanner, depth;
        "symbol" => scanner.skip(depth)?,
        "symbolName" => scanner.skip(depth)?,
        "lastPrice" => quote.last = scanner.number(depth)?,
        "bestBid" => quote.bid = scanner.number(depth)?,
        "bestBidSize" => quote.bid_size = scanner.number(depth)?,
        "bestAsk" => quote.ask = scanner.number(depth)?,
        "bestAskSize" => quote.ask_size = scanner.number(depth)?,
        "bidSize" => bid_size = scanner.number(depth)?,
        "askSize" => ask_size = scanner.number(depth)?,
        "change" => scanner.skip(depth)?,
        "changePercent" => scanner.skip(depth)?,
        "open" => scanner.skip(depth)?,
        "high" => scanner.skip(depth)?,
        "low" => scanner.skip(depth)?,
        "volume" => quote.volume = scanner.number(depth)?,
        "lastUpdated" => last_updated = time(scanner, minutes, depth)?,
        "timestamp" => quote.ts_event = time(scanner, minutes, depth)?,
    }
    if quote.bid_size == Number::Absent {
        quote.bid_size = bid_size;
    }
    if quote.ask_size == Number::Absent {
        quote.ask_size = ask_size;
    }
    quote.ts_event = quote.ts_event.or(last_updated);
    Ok(quote)
}
