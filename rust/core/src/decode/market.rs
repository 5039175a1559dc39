//! The names in the market events of the ProjectX gateway, and which field each one fills.
//!
//! A protocol gives a [`Members`], which reads the members of one object in its own way; what to
//! read, and in what order it usually comes, is said here once for all of them.

use std::borrow::Cow;

use super::Malformed;
use super::event::{Element, ElementFields, Elements, Number};
use super::merge::{QuoteFields, QuoteUpdate};
use crate::record::{Depth, Trade};

/// The names of the codes that a trade's `type` may have, each at its code.
const TRADE_TYPES: &[&str] = &["Buy", "Sell"];

/// The names of the codes that the `type` of a depth delta may have, each at its code.
const DEPTH_TYPES: &[&str] = &[
    "Unknown",
    "Ask",
    "Bid",
    "BestAsk",
    "BestBid",
    "Trade",
    "Reset",
    "Low",
    "High",
    "NewBestBid",
    "NewBestAsk",
    "Fill",
];

/// The members of one object, one after the other: name, value, name, value.
pub(super) trait Members<'a> {
    /// At the start: whether there are none.
    fn none(&mut self) -> bool;
    /// Before a name: moves past it if it is `name`, which JSON writes as `quoted`.
    fn next_is(&mut self, name: &str, quoted: &str) -> bool;
    /// Before a name: moves past it.
    fn name(&mut self) -> Result<Cow<'a, [u8]>, Malformed>;
    /// Whether a name that was read means `known`.
    fn means(name: &[u8], known: &str) -> bool;
    /// Behind a value: whether it was the last. If not, a name follows.
    fn end(&mut self) -> Result<bool, Malformed>;
    /// Skips a value, checking it.
    fn skip(&mut self) -> Result<(), Malformed>;
    /// Reads a value that should be a number.
    fn number(&mut self) -> Result<Number, Malformed>;
    /// Reads a value that should be a code: a whole number of one byte, or perhaps one of `names`.
    fn code(&mut self, names: &[&str]) -> Result<Option<u8>, Malformed>;
    /// Reads a time: `None` for null, [`NO_TIME`](crate::record::NO_TIME) for what is not one.
    fn time(&mut self) -> Result<Option<i64>, Malformed>;
}

/// Reads the members of an object.
///
/// Every member is named once, in the order in which the gateway writes them. First the names are
/// looked for in that order, each by one comparison of bytes, and a name that is not next is passed
/// over; from the first surprise on (another order, an unknown name, in JSON whitespace or an escape)
/// members are read one by one and found by name. A repeated member overwrites the earlier one.
macro_rules! read_members {
    ($reader:ident: $members:ident; $($name:literal => $read:expr,)*) => {
        'object: {
            if $members.none() {
                break 'object;
            }
            $(
                if $members.next_is($name, concat!("\"", $name, "\":")) {
                    $read;
                    if $members.end()? {
                        break 'object;
                    }
                }
            )*
            loop {
                let name = $members.name()?;
                match &*name {
                    $(name if $reader::means(name, $name) => { $read; })*
                    _ => $members.skip()?,
                }
                if $members.end()? {
                    break;
                }
            }
        }
    };
}

/// Reads one element and adds what it makes to `elements`.
#[inline]
pub(super) fn read_element<'a, T: Readable>(
    elements: &mut Elements<T>,
    mut members: impl Members<'a>,
    ts_recv: i64,
) -> Result<(), Malformed> {
    elements.push(&T::read(&mut members)?, ts_recv);
    Ok(())
}

/// An element that can be read.
pub(super) trait Readable: Element {
    fn read<'a, M: Members<'a>>(members: &mut M) -> Result<ElementFields, Malformed>;
}

impl Readable for Trade {
    #[inline(always)]
    fn read<'a, M: Members<'a>>(members: &mut M) -> Result<ElementFields, Malformed> {
        let mut fields = ElementFields::default();
        read_members! { M: members;
            "symbolId" => members.skip()?,
            "price" => fields.price = members.number()?,
            "timestamp" => fields.ts_event = members.time()?,
            "type" => fields.code = members.code(TRADE_TYPES)?,
            "volume" => fields.volume = members.number()?,
        }
        Ok(fields)
    }
}

impl Readable for Depth {
    #[inline(always)]
    fn read<'a, M: Members<'a>>(members: &mut M) -> Result<ElementFields, Malformed> {
        let mut fields = ElementFields::default();
        read_members! { M: members;
            "timestamp" => fields.ts_event = members.time()?,
            "type" => fields.code = members.code(DEPTH_TYPES)?,
            "price" => fields.price = members.number()?,
            "volume" => fields.volume = members.number()?,
            "currentVolume" => members.skip()?,
        }
        Ok(fields)
    }
}

#[inline(always)]
pub(super) fn read_quote<'a, M: Members<'a>>(members: &mut M) -> Result<QuoteUpdate, Malformed> {
    let mut fields = QuoteFields::default();
    read_members! { M: members;
        "symbol" => members.skip()?,
        "symbolName" => members.skip()?,
        "lastPrice" => fields.update.last = members.number()?,
        "bestBid" => fields.update.bid = members.number()?,
        "bestBidSize" => fields.update.bid_size = members.number()?,
        "bestAsk" => fields.update.ask = members.number()?,
        "bestAskSize" => fields.update.ask_size = members.number()?,
        "bidSize" => fields.bid_size = members.number()?,
        "askSize" => fields.ask_size = members.number()?,
        "change" => members.skip()?,
        "changePercent" => members.skip()?,
        "open" => members.skip()?,
        "high" => members.skip()?,
        "low" => members.skip()?,
        "volume" => fields.update.volume = members.number()?,
        "lastUpdated" => fields.last_updated = members.time()?,
        "timestamp" => fields.update.ts_event = members.time()?,
    }
    fields.update()
}
