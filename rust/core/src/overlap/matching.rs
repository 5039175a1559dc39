//! What two connections have delivered, as the difference of two multisets.
//!
//! For each identity of a tick only the difference of the two counts is kept. The k-th occurrence on
//! one connection is new exactly if the other has delivered fewer than k, so a difference of zero
//! needs no memory, and two connections in step need hardly any.

use rustc_hash::FxHashMap;

use crate::record::{Depth, InstrumentId, NO_TIME, Quote, Trade};

/// One of the two connections of an overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The one that flowed before.
    Old,
    /// The one that takes its place.
    New,
}

impl Leg {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }

    /// Which of the two is ahead in a count that is positive where the old one is.
    fn ahead(count: i64) -> Self {
        if count > 0 { Self::Old } else { Self::New }
    }

    fn step(self) -> i64 {
        match self {
            Self::Old => 1,
            Self::New => -1,
        }
    }
}

/// What a tick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Trade,
    Quote,
    Depth,
}

impl Kind {
    pub(super) const COUNT: usize = 3;
}

/// Everything that a tick says, which is all but the time at which it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) instrument: InstrumentId,
    pub(super) kind: Kind,
    pub(super) ts_event: i64,
    values: [u64; 5],
}

impl Identity {
    pub(super) fn of_trade(instrument: InstrumentId, trade: &Trade) -> Self {
        let side = trade.side as i8 as u64;
        let values = [trade.price.to_bits(), trade.size.to_bits(), side, 0, 0];
        Self { instrument, kind: Kind::Trade, ts_event: trade.ts_event, values }
    }

    pub(super) fn of_quote(instrument: InstrumentId, quote: &Quote) -> Self {
        let numbers = [quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.last];
        let values = numbers.map(f64::to_bits);
        Self { instrument, kind: Kind::Quote, ts_event: quote.ts_event, values }
    }

    pub(super) fn of_depth(instrument: InstrumentId, depth: &Depth) -> Self {
        let values = [depth.price.to_bits(), depth.size.to_bits(), depth.kind.to_word(), 0, 0];
        Self { instrument, kind: Kind::Depth, ts_event: depth.ts_event, values }
    }
}

/// By how much one connection is ahead of the other in one identity.
#[derive(Clone, Copy, Debug)]
struct Lead {
    /// Positive: the old one is ahead. Never zero.
    count: i64,
    /// Position in the order in which leads began.
    since: u64,
    /// How far the one ahead had come, in event time.
    position: i64,
    /// How many ticks of the lead are of before the overlap.
    remembered: i64,
    /// Whether every tick of this lead was marked.
    marked: bool,
}

/// What a tick turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An occurrence that the other connection has not delivered.
    First,
    /// One that it has.
    Repeat(Seen),
}

/// What is known of the tick that a copy is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Position in the order in which leads began.
    pub(super) since: u64,
    /// Whether it was marked.
    pub(super) marked: bool,
    /// Whether it may be of before the overlap.
    pub(super) remembered: bool,
    /// Whether the engine refused it.
    pub(super) refused: bool,
}

/// One identity in which a connection is ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outstanding<'a> {
    pub(super) identity: &'a Identity,
    /// The connection that has delivered more of them.
    pub(super) leg: Leg,
    /// Position in the order in which leads began.
    pub(super) since: u64,
    /// How many more, those of before the overlap not counted: the new connection began after them.
    pub(super) count: u64,
    /// How far that connection had come when it delivered the last of them, in event time.
    pub(super) position: i64,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Matching {
    leads: FxHashMap<Identity, Lead>,
    /// Leads that there is room for, and with those that were remembered.
    capacity: usize,
    room: usize,
    begun: u64,
}

impl Matching {
    pub(super) fn new(capacity: usize) -> Self {
        Self { leads: FxHashMap::default(), capacity, room: capacity, begun: 0 }
    }

    /// Takes note of a tick of a connection that has come to `position`. Room must have been made for it
    /// before.
    #[inline]
    pub(super) fn observe(
        &mut self,
        leg: Leg,
        identity: Identity,
        position: i64,
        marked: bool,
    ) -> Outcome {
        let begun = &mut self.begun;
        let lead = self.leads.entry(identity).or_insert_with(|| {
            *begun += 1;
            Lead { count: 0, since: *begun, position, remembered: 0, marked: true }
        });
        let repeat = lead.count * leg.step() < 0;
        let seen = Seen {
            since: lead.since,
            marked: lead.marked,
            remembered: lead.remembered > 0,
            refused: lead.position == NO_TIME,
        };
        lead.count += leg.step();
        if repeat {
            // Which of identical ticks the copy is of cannot be told. This way too many are uncertain.
            lead.remembered = (lead.remembered - 1).max(0);
            if lead.count == 0 {
                self.leads.remove(&identity);
            }
            return Outcome::Repeat(seen);
        }
        lead.position = position;
        lead.marked &= marked;
        Outcome::First
    }

    /// Takes note of a tick that the old connection delivered before the overlap, and makes room for it.
    pub(super) fn remember(&mut self, identity: Identity) {
        self.room += 1;
        self.observe(Leg::Old, identity, identity.ts_event, false);
        if let Some(lead) = self.leads.get_mut(&identity) {
            lead.remembered += 1;
        }
    }

    /// The engine refused the tick: were its copy not recognised, it would only be refused again.
    #[cold]
    pub(super) fn refused(&mut self, identity: &Identity) {
        if let Some(lead) = self.leads.get_mut(identity) {
            lead.position = NO_TIME;
        }
    }

    /// Whether the next tick may need room that is not there.
    pub(super) fn is_full(&self) -> bool {
        self.leads.len() >= self.room
    }

    /// Makes room: everything that is `passed` goes, and if too much is left of what came since, the
    /// older half of that; `lost` is told of each of these. Taking half at a time keeps the cost per
    /// tick constant.
    #[cold]
    pub(super) fn shed(
        &mut self,
        passed: impl Fn(&Outstanding<'_>) -> bool,
        mut lost: impl FnMut(&Outstanding<'_>),
    ) {
        self.leads.retain(|identity, lead| !passed(&lead.of(identity)));
        let recent = self.leads.values().filter(|lead| lead.remembered == 0);
        let mut order: Vec<u64> = recent.map(|lead| lead.since).collect();
        if order.len() <= self.capacity / 2 {
            return;
        }
        let middle = order.len() / 2;
        let limit = *order.select_nth_unstable(middle).1;
        self.leads.retain(|identity, lead| {
            let stays = lead.remembered > 0 || lead.since > limit;
            if !stays {
                lost(&lead.of(identity));
            }
            stays
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Outstanding<'_>> {
        self.leads.iter().map(|(identity, lead)| lead.of(identity))
    }

    /// Identities in which one connection is ahead.
    pub(super) fn len(&self) -> usize {
        self.leads.len()
    }

    /// Position of the lead that began last.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // A byte of control beside each slot, and an eighth of the slots stays free.
        self.leads.capacity() * 8 / 7 * (size_of::<(Identity, Lead)>() + 1)
    }
}

impl Lead {
    fn of<'a>(&self, identity: &'a Identity) -> Outstanding<'a> {
        Outstanding {
            identity,
            leg: Leg::ahead(self.count),
            since: self.since,
            count: self.count.unsigned_abs() - self.remembered.unsigned_abs(),
            position: self.position,
        }
    }
}
