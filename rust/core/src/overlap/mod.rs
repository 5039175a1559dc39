//! Two connections that deliver the same ticks: each tick enters the engine once.
//!
//! When a connection must be replaced while it still works, the new one is opened beside it, both
//! deliver for a while, and then the old one is closed. An [`Overlap`] stands between the two feeds
//! and the engine meanwhile.
//!
//! # Contract
//! - The identity of a tick is everything it says: instrument, kind, event time and all values (of a
//!   quote, those of the whole quote that its feed's partial ones add up to). Prints that look alike
//!   are real, so copies are told by counting: the k-th occurrence of an identity on one connection
//!   and the k-th on the other are the same tick. Whichever comes first is applied; the second is
//!   counted as a duplicate, and neither received, accepted nor rejected.
//! - So the engine gets, of each identity, the larger of the two counts, at every moment, however the
//!   connections interleave, lag behind each other, or lose ticks on their own.
//! - What that rule cannot know is reported as uncertain, by instrument and event time.
//! - Memory is bounded by the capacity given, and counted.
//!
//! # Why the larger count is right
//! Let the hub's ticks be one sequence. The old connection delivers it from before the overlap up to
//! where it ends, the new one from where it was subscribed. The overlap begins before the new one is
//! subscribed, so what the new one delivers lies in what the old one delivers from then on, as long
//! as that lives; or, if a server of the hub runs behind another, shortly before: therefore the
//! newest ticks that the engine holds count as delivered by the old one (and what is older than
//! those and comes on the new one is known to be a copy).
//!
//! Of an identity with p occurrences before the point of subscription and q after it, the old
//! connection delivers p + q while it lives, the new one q. The larger count is p + q: right. If the
//! old one ends early, after r of the q, the larger count is max(p + r, q). That is right if p = 0,
//! which is so for every identity whose event time is past that of the subscription, and wrong
//! otherwise only if r < q. So everything is right once the old connection has got past the point of
//! subscription, and that can be seen: see [`Overlap::has_contact`]. Afterwards a tick that either
//! loses comes from the other.
//!
//! Contact is made by a tick that the new connection delivered after all of its subscriptions were
//! confirmed ([`Overlap::ready`]), and that the old one delivered too. Its event time has to be past
//! that of the first such tick, or it might be taken for an identical print at the same time that came
//! before it. Late ticks do not count, nor the first quote of an instrument, which may be a snapshot of
//! an old one, nor depth, which begins with a snapshot of the book.
//!
//! # What is uncertain
//! - *No contact*, and the old connection has ended: ticks between its end and the start of the new
//!   one may have been heard by nobody. That concerns all instruments, and only the owner of the
//!   connections knows from when to when.
//! - *Late*: a tick that one connection brought after the other had its bar closed. Where the
//!   connection that lags is the only one that has the tick, the bar lacks it.
//! - *Behind*: ticks that the connection that was ended had delivered and the survivor may still
//!   deliver, which then count twice. [`Overlap::unsettled`] says how many; the owner ends the overlap
//!   when there are none, or after some time.
//! - *Shed*: more than `capacity` ticks of lead. The oldest are forgotten, and may count twice.
//! - *Start*: the old connection is seen to have lost ticks of a stream, and the first tick of the new
//!   one was matched. Here the old one may have lost one print and delivered an identical one.
//! - Ticks without event time: by their values alone a copy cannot be told for certain.
//!
//! # The order book
//! Depth deltas are counted once, like other ticks, but a book is put together from one connection's: the
//! levels of one that lags would take back those of one that leads. The engine's book goes on with what
//! the old connection brings. The new one, which begins with a snapshot, puts together a book of its own,
//! and that takes the other's place when the overlap ends in its favour.
//!
//! # What it does not do
//! It does not order what two connections bring: a tick that only the lagging one has comes when it
//! comes, as any late tick. Records that cannot be read, and ticks of instruments that are not the
//! engine's, have no identity and are counted on both connections.

mod matching;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};

use self::matching::Identity;
pub use self::matching::Leg;
use self::state::State;
use crate::decode::Sink;
use crate::engine::{Engine, Receipt, Session};
use crate::reason::Reason;
use crate::record::{Depth, InstrumentId, Quote, Trade};

/// Identities in which one connection may be ahead of the other, unless the caller says otherwise.
pub const DEFAULT_CAPACITY: usize = 1 << 17;

/// See the module documentation.
#[derive(Debug)]
pub struct Overlap {
    state: Mutex<State>,
}

/// An interval of event time in which an instrument may lack ticks or hold some twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncertain {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// First event time concerned, ns UTC.
    pub start_ns: i64,
    /// First event time no longer concerned, ns UTC.
    pub end_ns: i64,
}

/// What came of an overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether the old connection got past the start of the new one. Without it, and if the new one
    /// goes on alone, there may be a gap between the two.
    pub contact: bool,
    /// Ticks that came a second time.
    pub duplicates: u64,
    /// Ticks that the new connection passed over and the old one had.
    pub only_old: u64,
    /// Ticks that the old connection passed over and the new one had.
    pub only_new: u64,
    /// Ticks whose copies would not have been recognised for lack of memory.
    pub shed: u64,
    /// Where something may be wrong, at most one interval for each instrument.
    pub uncertain: Vec<Uncertain>,
}

impl Overlap {
    /// An overlap into `engine` that remembers up to `capacity` identities. The feeds
    /// [join](crate::feed::Feed::join) it before the new connection subscribes to anything.
    #[must_use]
    pub fn new(engine: &Engine, capacity: usize) -> Self {
        Self { state: Mutex::new(State::new(engine.ids().count(), capacity)) }
    }

    /// Says that all subscriptions of the new connection have been confirmed.
    pub fn ready(&self) {
        self.lock().is_ready = true;
    }

    /// Whether the old connection has got past the point from which the new one delivers everything;
    /// from here on nothing is lost by closing it.
    #[must_use]
    pub fn has_contact(&self) -> bool {
        self.lock().contact.is_made
    }

    /// Ticks that came a second time so far.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.lock().duplicates
    }

    /// Ticks that the other connection has delivered and `survivor` may still deliver. While there are
    /// any, ending the overlap in its favour could count them twice.
    #[must_use]
    pub fn unsettled(&self, survivor: Leg) -> u64 {
        self.lock().unsettled(survivor)
    }

    /// Identities remembered, in which one connection is ahead.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.lock().matching.len()
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.lock().memory_bytes()
    }

    /// What came of it, if from now on only `survivor` delivers and is no longer compared.
    #[must_use]
    pub fn report(&self, survivor: Leg) -> Report {
        self.lock().report(survivor)
    }

    /// Counts the newest ticks that the engine holds as delivered by the old connection.
    pub(crate) fn remember(&self, engine: &Engine) {
        self.lock().remember(engine);
    }

    /// One of the two begins anew, on another connection.
    pub(crate) fn restart(&self, leg: Leg) {
        self.lock().restart(leg);
    }

    /// The new connection goes on alone: its books take the place of the engine's.
    pub(crate) fn hand_over(&self, engine: &Engine) {
        let books = std::mem::take(&mut self.lock().books);
        let mut session = engine.session();
        for (id, book) in books {
            session.replace_book(id, book);
        }
    }

    /// What passes the ticks of one connection on to `session`, once each. It keeps the other one
    /// waiting, so that the order in which ticks are compared is that in which they are applied.
    pub(crate) fn filter<'a>(&'a self, session: Session<'a>, leg: Leg) -> Filter<'a> {
        Filter { state: self.lock(), session, leg }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // As with the writer of an instrument: a panic has been reported, and one lost tick is less
        // than a lost session.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes on what comes for the first time.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    state: MutexGuard<'a, State>,
    session: Session<'a>,
    leg: Leg,
}

impl Filter<'_> {
    pub(crate) fn finish(self) -> Receipt {
        self.session.finish()
    }

    fn pass(
        &mut self,
        identity: Identity,
        ts_recv: i64,
        apply: impl FnOnce(&mut Session<'_>) -> Result<(), Reason>,
    ) {
        if self.state.is_first(self.leg, identity, ts_recv) {
            let applied = apply(&mut self.session);
            self.state.applied(self.leg, &identity, applied);
        } else {
            self.session.duplicate(identity.instrument);
        }
    }
}

impl Sink for Filter<'_> {
    fn resolve(&mut self, contract_id: &str) -> Option<InstrumentId> {
        self.session.resolve(contract_id)
    }

    fn trade(&mut self, instrument: Option<InstrumentId>, trade: &Trade) {
        match instrument {
            Some(id) => {
                self.pass(Identity::of_trade(id, trade), trade.ts_recv, |session| {
                    session.push_trade(id, trade)
                });
            }
            None => self.session.trade(None, trade),
        }
    }

    fn quote(&mut self, instrument: Option<InstrumentId>, quote: &Quote) {
        match instrument {
            Some(id) => {
                self.pass(Identity::of_quote(id, quote), quote.ts_recv, |session| {
                    session.push_quote(id, quote)
                });
            }
            None => self.session.quote(None, quote),
        }
    }

    fn depths(&mut self, instrument: InstrumentId, message: &[Depth]) {
        match self.leg {
            Leg::Old => self.session.depths(instrument, message),
            Leg::New => self.state.new_book(instrument, &self.session).snapshot(message),
        }
    }

    fn depth(&mut self, instrument: Option<InstrumentId>, depth: &Depth) {
        match instrument {
            Some(id) => {
                self.pass(Identity::of_depth(id, depth), depth.ts_recv, |session| {
                    session.count_depth(id, depth)
                });
                let Self { state, session, leg } = self;
                let book = (*leg == Leg::New).then(|| state.new_book(id, session));
                session.follow_depth(id, depth, book);
            }
            None => self.session.depth(None, depth),
        }
    }

    fn malformed(&mut self, instrument: Option<InstrumentId>) {
        self.session.malformed(instrument);
    }

    fn oversize(&mut self) {
        self.session.oversize();
    }

    fn control(&mut self, record: &[u8]) {
        self.session.control(record);
    }
}
