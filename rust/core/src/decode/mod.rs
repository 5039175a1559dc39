//! From the bytes of a SignalR JSON hub to trades, quotes and depth deltas.
//!
//! A [`Decoder`] is the state of one feed. It is given payloads as they arrive, cut anywhere, and
//! calls a [`Sink`] for each record in order:
//!
//! - Records end in 0x1E. One that is cut is carried over to the next payload; one longer than the
//!   limit is refused once and skipped, without being stored, up to its end.
//! - An invocation (`type` 1) of `GatewayTrade`, `GatewayQuote` or `GatewayDepth` becomes ticks. Any
//!   other JSON object with a whole-number `type` is handed on as text, [`Sink::control`].
//! - What is not strict JSON (exactly what `serde_json` accepts), not a message, or a market event
//!   without usable arguments is malformed: one call, and nothing of it becomes a tick. Within the
//!   array of a well-formed event an element that is not an object or has no numeric price and
//!   volume is one malformed call, its neighbours live, and null is nothing.
//! - Names may come in any order, unknown ones are checked and skipped, the last of a repeated one
//!   counts, and letters are compared as written: a lower-case `gatewaytrade` is control text.
//! - Quotes are partial: what is absent or null stands as the contract's earlier quotes left it.
//! - The day's volume that quotes publish is kept beside the trades' sizes: [`Decoder::volumes`].
//!
//! It does not judge what it reads (a tick without a readable time carries
//! [`NO_TIME`](crate::record::NO_TIME)), does not perform the handshake (whose answer `{}` has no
//! type and would count as malformed), and reads no clock.

mod envelope;
mod market;
mod merge;
mod number;
mod scan;
pub mod timestamp;
mod volume;

use memchr::memchr;

use self::envelope::Envelope;
use self::market::{Event, EventReader, Unusable};
use self::merge::StandingQuotes;
use self::scan::{Malformed, Number, Scanner, Text};
use self::volume::Ledger;
pub use self::volume::Volumes;
use crate::record::{Depth, InstrumentId, NO_TIME, Quote, Trade};

/// Record length beyond which a record is refused, unless the caller says otherwise, in bytes.
pub const DEFAULT_MAX_RECORD_BYTES: usize = 8 << 20;

/// Ends every record. It cannot occur inside of one: JSON has no place for control characters.
const TERMINATOR: u8 = 0x1e;

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
    /// One element of a depth message.
    fn depth(&mut self, instrument: Option<InstrumentId>, depth: &Depth);
    /// A record, or one element of a record, that cannot be read. The instrument is given where the
    /// record is JSON and names a contract of ours.
    fn malformed(&mut self, instrument: Option<InstrumentId>);
    /// A record longer than the limit.
    fn oversize(&mut self);
    /// Any record that is not a market event, as its raw text without the terminator.
    fn control(&mut self, record: &[u8]);
}

/// The state of one feed: carried-over bytes and partial quotes.
///
/// Its memory is bounded by the record limit: what is carried never exceeds it, and the elements of
/// the longest event so far, which are kept for reuse, take a small multiple of that event's text.
#[derive(Clone, Debug)]
pub struct Decoder {
    max_record_bytes: usize,
    /// The start of a record whose end has not arrived.
    carried: Vec<u8>,
    /// Inside a record that was refused for its length.
    skipping: bool,
    standing: StandingQuotes,
    ledger: Ledger,
    reader: EventReader,
    last_contract: ResolvedContract,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_RECORD_BYTES)
    }
}

impl Decoder {
    /// A decoder that refuses records of more than `max_record_bytes`, terminator not counted.
    #[must_use]
    pub fn new(max_record_bytes: usize) -> Self {
        Self {
            max_record_bytes,
            carried: Vec::new(),
            skipping: false,
            standing: StandingQuotes::default(),
            ledger: Ledger::default(),
            reader: EventReader::default(),
            last_contract: ResolvedContract::default(),
        }
    }

    /// Decodes all records that end in `payload` and keeps the start of the one that does not.
    ///
    /// `ts_recv` is the arrival of the payload, ns UTC, or [`NO_TIME`](crate::record::NO_TIME);
    /// a record that was cut gets that of the payload in which it ends.
    pub fn push<S: Sink>(&mut self, payload: &[u8], ts_recv: i64, sink: &mut S) {
        // What an id means is the sink's to say and may have changed since the last payload.
        self.last_contract.forget();
        let mut rest = payload;
        if self.skipping || !self.carried.is_empty() {
            let Some(end) = memchr(TERMINATOR, rest) else {
                return self.carry(rest, sink);
            };
            self.finish_carried(&rest[..end], ts_recv, sink);
            rest = &rest[end + 1..];
        }
        while let Some(end) = memchr(TERMINATOR, rest) {
            let record = &rest[..end];
            if record.len() > self.max_record_bytes {
                sink.oversize();
            } else {
                self.record(record, ts_recv, sink);
            }
            rest = &rest[end + 1..];
        }
        self.carry(rest, sink);
    }

    /// Forgets carried-over bytes and partial quotes, as a new connection requires.
    pub fn reset(&mut self) {
        self.carried = Vec::new();
        self.skipping = false;
        self.standing.clear();
        self.ledger.reset();
    }

    /// What the feed's quotes and trades say of each instrument's volume, where quotes publish it.
    pub fn volumes(&self) -> impl Iterator<Item = (InstrumentId, Volumes)> {
        self.ledger.iter()
    }

    /// Bytes of a record that has not ended yet. They never exceed the record limit.
    #[must_use]
    pub fn carried_bytes(&self) -> usize {
        self.carried.len()
    }

    /// Keeps the start of a record, or refuses it if it is too long already.
    fn carry<S: Sink>(&mut self, start: &[u8], sink: &mut S) {
        if self.skipping || start.is_empty() {
            return;
        }
        if self.carried.len() + start.len() > self.max_record_bytes {
            self.carried.clear();
            self.skipping = true;
            sink.oversize();
        } else {
            self.carried.extend_from_slice(start);
        }
    }

    /// Ends the record that earlier payloads began.
    fn finish_carried<S: Sink>(&mut self, end: &[u8], ts_recv: i64, sink: &mut S) {
        self.carry(end, sink);
        if std::mem::take(&mut self.skipping) {
            return;
        }
        let mut record = std::mem::take(&mut self.carried);
        self.record(&record, ts_recv, sink);
        // The memory is kept for the next one.
        record.clear();
        self.carried = record;
    }

    fn record<S: Sink>(&mut self, record: &[u8], ts_recv: i64, sink: &mut S) {
        if let Some((event, mut scanner)) = envelope::usual_start(record)
            && let Ok(contract) = self.reader.read_arguments(event, &mut scanner, ts_recv)
            && scanner.rest == b"}"
        {
            return self.emit(event, contract, ts_recv, sink);
        }
        self.unusual_record(record, ts_recv, sink);
    }

    /// Any record that does not look exactly as expected, from its start: checked first, read then.
    #[inline(never)]
    fn unusual_record<S: Sink>(&mut self, record: &[u8], ts_recv: i64, sink: &mut S) {
        let (event, arguments) = match envelope::read(record) {
            Ok(Envelope::Market(event, arguments)) => (event, arguments.unwrap_or_default()),
            Ok(Envelope::Control) => return sink.control(record),
            Err(Malformed) => return sink.malformed(None),
        };
        match self.reader.read_arguments(event, &mut Scanner::new(arguments), ts_recv) {
            Ok(contract) => self.emit(event, contract, ts_recv, sink),
            Err(Unusable { contract }) => {
                let instrument =
                    contract.and_then(|contract| self.last_contract.resolve(contract, sink));
                sink.malformed(instrument);
            }
        }
    }

    /// Hands on what the reader holds.
    fn emit<S: Sink>(&mut self, event: Event, contract: Text, ts_recv: i64, sink: &mut S) {
        let instrument = self.last_contract.resolve(contract, sink);
        match event {
            Event::Trade => {
                if let Some(instrument) = instrument {
                    self.ledger.trade(instrument, self.reader.trades.usable());
                }
                self.reader.trades.for_each(|trade| match trade {
                    Some(trade) => sink.trade(instrument, trade),
                    None => sink.malformed(instrument),
                });
            }
            Event::Depth => self.reader.depths.for_each(|depth| match depth {
                Some(depth) => sink.depth(instrument, depth),
                None => sink.malformed(instrument),
            }),
            Event::Quote => {
                let update = &self.reader.quote;
                let quote = self.standing.merge(instrument, update, ts_recv);
                if let (Some(instrument), Number::Is(total)) = (instrument, update.volume) {
                    let ts = if quote.ts_event == NO_TIME { ts_recv } else { quote.ts_event };
                    self.ledger.publish(instrument, total, ts);
                }
                sink.quote(instrument, &quote);
            }
        }
    }
}

/// The last contract id and what the sink made of it.
#[derive(Clone, Debug, Default)]
struct ResolvedContract {
    is_set: bool,
    raw: Vec<u8>,
    instrument: Option<InstrumentId>,
}

impl ResolvedContract {
    fn forget(&mut self) {
        self.is_set = false;
    }

    #[inline]
    fn resolve<S: Sink>(&mut self, contract: Text, sink: &mut S) -> Option<InstrumentId> {
        if !self.is_set || self.raw != contract.raw() {
            self.raw.clear();
            self.raw.extend_from_slice(contract.raw());
            // The scanner has proved it to be UTF-8, so nothing is lost.
            self.instrument = sink.resolve(&String::from_utf8_lossy(&contract.decoded()));
            self.is_set = true;
        }
        self.instrument
    }
}
