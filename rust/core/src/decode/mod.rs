//! From the bytes of a SignalR hub to trades, quotes and depth deltas.
//!
//! A [`Decoder`] is the state of one feed, in one [`Protocol`]. It is given payloads as they arrive,
//! cut anywhere, and calls a [`Sink`] for each record in order:
//!
//! - A record that is cut is carried over to the next payload; one longer than the limit is refused
//!   once and skipped, without being stored, up to its end.
//! - An invocation (`type` 1) of `GatewayTrade`, `GatewayQuote` or `GatewayDepth` becomes ticks. Any
//!   other message with a whole-number `type` is handed on as its bytes, [`Sink::control`].
//! - What is not well-formed, not a message, or a market event without usable arguments is
//!   malformed: one call, and nothing of it becomes a tick. Within the array of a well-formed event
//!   an element that is not an object or has no numeric price and volume is one malformed call, its
//!   neighbours live, and null is nothing.
//! - Names may come in any order, unknown ones are checked and skipped, the last of a repeated one
//!   counts, and letters are compared as written: a lower-case `gatewaytrade` is a control record.
//! - Quotes are partial: what is absent or null stands as the contract's earlier quotes left it.
//! - The day's volume that quotes publish is kept beside the trades' sizes: [`Decoder::volumes`].
//!
//! The protocols differ in where records end and how values are written, and in nothing else: both
//! fill the same fields, which one place turns into ticks.
//!
//! It does not judge what it reads (a tick without a readable time carries
//! [`NO_TIME`](crate::record::NO_TIME)), does not perform the handshake (whose answer `{}` has no
//! type and would count as malformed), and reads no clock.

mod event;
mod json;
mod market;
mod merge;
mod messagepack;
mod number;
pub mod timestamp;
mod volume;

use std::str::FromStr;

use self::event::Events;
use self::json::Records;
use self::messagepack::Messages;
pub use self::volume::Volumes;
use crate::record::{Depth, InstrumentId, Quote, Trade};

/// Record length beyond which a record is refused, unless the caller says otherwise, in bytes.
pub const DEFAULT_MAX_RECORD_BYTES: usize = 8 << 20;

/// How a hub writes its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// JSON objects, each followed by 0x1E.
    #[default]
    Json,
    /// MessagePack arrays, each behind its length.
    MessagePack,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];

    /// The name that the handshake calls it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(name: &str) -> Result<Self, UnknownProtocol> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.name() == name);
        found.ok_or_else(|| UnknownProtocol(name.to_owned()))
    }
}

/// A protocol that is not spoken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("protocol: got {0:?}, expected \"json\" or \"messagepack\"")]
pub struct UnknownProtocol(String);

/// Where decoded records go. `None` for an instrument means: the contract id is not one of ours.
///
/// Each element of a trade or depth message, each quote, each malformed record or element and each
/// record over the limit is one unit for the counters of whoever implements this; control records
/// are none.
pub trait Sink {
    /// The instrument of a contract id, if the sink knows it. Asked at most once for a run of
    /// records with the same contract in one payload.
    fn resolve(&mut self, contract_id: &str) -> Option<InstrumentId>;
    /// One element of a trade message.
    fn trade(&mut self, instrument: Option<InstrumentId>, trade: &Trade);
    /// One quote message, merged with what the contract's earlier quotes of this feed left standing.
    /// A quote of an instrument that is not ours is passed on as sent.
    fn quote(&mut self, instrument: Option<InstrumentId>, quote: &Quote);
    /// A depth message of an instrument of ours begins, with these elements; each of them follows by itself.
    fn depths(&mut self, instrument: InstrumentId, message: &[Depth]);
    /// One element of a depth message.
    fn depth(&mut self, instrument: Option<InstrumentId>, depth: &Depth);
    /// A record, or one element of a record, that cannot be read. The instrument is given where the
    /// record is JSON and names a contract of ours.
    fn malformed(&mut self, instrument: Option<InstrumentId>);
    /// A record longer than the limit.
    fn oversize(&mut self);
    /// Any record that is not a market event, as its raw bytes: without the terminator, or without
    /// the length in front.
    fn control(&mut self, record: &[u8]);
}

/// The text or the message is not well-formed, or not what is expected. Says nothing more, because a
/// record is either used or counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// What the borders between records say.
#[derive(Clone, Copy, Debug)]
enum Frame<'a> {
    /// A record, without what marks its border.
    Record(&'a [u8]),
    /// A record longer than the limit.
    Oversize,
    /// From here on nothing tells where a record begins.
    Lost,
}

/// One protocol: where in its stream the feed stands, and how a record is read.
trait Format {
    /// Calls back for each record that ends in `payload`.
    fn split(&mut self, payload: &[u8], each: impl FnMut(Frame));
    /// Reads one record into the sink.
    fn read<S: Sink>(record: &[u8], events: &mut Events, ts_recv: i64, sink: &mut S);
}

#[derive(Clone, Debug)]
enum Stream {
    Json(Records),
    MessagePack(Messages),
}

/// The state of one feed: carried-over bytes and partial quotes.
///
/// Its memory is bounded by the record limit: what is carried never exceeds it, and the elements of
/// the longest event so far, which are kept for reuse, take a small multiple of that event's bytes.
#[derive(Clone, Debug)]
pub struct Decoder {
    stream: Stream,
    events: Events,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Protocol::default(), DEFAULT_MAX_RECORD_BYTES)
    }
}

impl Decoder {
    /// A decoder that refuses records of more than `max_record_bytes`, terminator or length in front
    /// not counted.
    #[must_use]
    pub fn new(protocol: Protocol, max_record_bytes: usize) -> Self {
        let stream = match protocol {
            Protocol::Json => Stream::Json(Records::new(max_record_bytes)),
            Protocol::MessagePack => Stream::MessagePack(Messages::new(max_record_bytes)),
        };
        Self { stream, events: Events::default() }
    }

    /// Decodes all records that end in `payload` and keeps the start of the one that does not.
    ///
    /// `ts_recv` is the arrival of the payload, ns UTC, or [`NO_TIME`](crate::record::NO_TIME);
    /// a record that was cut gets that of the payload in which it ends.
    pub fn push<S: Sink>(&mut self, payload: &[u8], ts_recv: i64, sink: &mut S) {
        self.events.forget_contract();
        match &mut self.stream {
            Stream::Json(records) => decode(records, &mut self.events, payload, ts_recv, sink),
            Stream::MessagePack(messages) => {
                decode(messages, &mut self.events, payload, ts_recv, sink);
            }
        }
    }

    /// Forgets carried-over bytes and partial quotes, as a new connection requires.
    pub fn reset(&mut self) {
        match &mut self.stream {
            Stream::Json(records) => records.reset(),
            Stream::MessagePack(messages) => messages.reset(),
        }
        self.events.reset();
    }

    /// What the feed's quotes and trades say of each instrument's volume, where quotes publish it.
    pub fn volumes(&self) -> impl Iterator<Item = (InstrumentId, Volumes)> {
        self.events.volumes()
    }

    /// The instruments whose depth the feed has brought since the last reset.
    pub fn fed(&self) -> impl Iterator<Item = InstrumentId> {
        self.events.fed()
    }

    /// Forgets whose depth the feed has brought.
    pub(crate) fn forget_fed(&mut self) {
        self.events.forget_fed();
    }

    /// What the feed speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match &self.stream {
            Stream::Json(_) => Protocol::Json,
            Stream::MessagePack(_) => Protocol::MessagePack,
        }
    }

    /// Bytes of a record that has not ended yet. They never exceed the record limit.
    #[must_use]
    pub fn carried_bytes(&self) -> usize {
        match &self.stream {
            Stream::Json(records) => records.carried_bytes(),
            Stream::MessagePack(messages) => messages.carried_bytes(),
        }
    }

    /// Whether the stream held something in the place of a length, which was one malformed call.
    /// Everything since is lost, up to the next [`reset`](Self::reset). JSON has no such place.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(&self.stream, Stream::MessagePack(messages) if messages.is_lost())
    }
}

#[inline]
fn decode<F: Format, S: Sink>(
    stream: &mut F,
    events: &mut Events,
    payload: &[u8],
    ts_recv: i64,
    sink: &mut S,
) {
    stream.split(payload, |frame| match frame {
        Frame::Record(record) => F::read(record, events, ts_recv, sink),
        Frame::Oversize => sink.oversize(),
        Frame::Lost => sink.malformed(None),
    });
}
