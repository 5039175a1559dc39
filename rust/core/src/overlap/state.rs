//! What an overlap knows of its two connections, beside the ticks in which one is ahead.

use super::matching::{Identity, Kind, Leg, Matching, Outcome, Outstanding};
use super::{Report, Uncertain};
use crate::book::Book;
use crate::engine::{Engine, Session};
use crate::reason::Reason;
use crate::record::{InstrumentId, NO_TIME};
use rustc_hash::FxHashMap;

/// Ticks of each ring that count as delivered when the overlap begins.
const REMEMBERED: usize = 1024;

/// So many ticks of a stream are enough to say that it had come to a certain event time: a few with
/// nonsensical times do not matter.
const BELIEVED: usize = 16;

/// How far two ticks that one connection delivers one after the other may be apart in event time, if the
/// second is earlier. It matters where nothing else tells how far a connection has come. Of one
/// instrument and kind, both connections are taken to deliver the same sequence, in whatever order its
/// event times are.
const DISORDER_NS: i64 = 1_000_000_000;

/// Trades, quotes or depth of one instrument, on both connections.
#[derive(Clone, Copy, Debug)]
struct Stream {
    /// Event time before which the old connection had delivered everything when the overlap began.
    reach: i64,
    /// Event time of the new connection's first tick.
    first_new: Option<i64>,
    /// Whether a tick of just that time has come on both.
    first_is_matched: bool,
    /// The largest event time so far on either connection.
    largest: [i64; 2],
    /// How far either has come in what the other has delivered before: up to the lead that began then,
    /// if it is of before that event time.
    passed: [(u64, i64); 2],
}

impl Stream {
    const UNHEARD: Self = Self {
        reach: NO_TIME,
        first_new: None,
        first_is_matched: false,
        largest: [NO_TIME; 2],
        passed: [(0, NO_TIME); 2],
    };

    /// Both connections have delivered a tick of this time: `leg` just now, the other one in the lead
    /// that began at `since`. What each had delivered before it, the other has passed. (The tick itself
    /// may have been taken for an identical one, hence the time.)
    fn meet(&mut self, leg: Leg, since: u64, now: u64, ts_event: i64) {
        for (leg, until) in [(leg, since), (leg.other(), now)] {
            let passed = &mut self.passed[leg as usize];
            if ts_event >= passed.1 {
                *passed = (until.max(passed.0), ts_event);
            }
        }
    }
}

/// Whether the old connection has got past the start of the new one; see the module above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contact {
    /// How far the new connection had come, in event time, with its first tick that might show it.
    start: Option<i64>,
    pub(super) is_made: bool,
}

impl Contact {
    /// Both have delivered a tick that might show it.
    fn note(&mut self, ts_event: i64) {
        self.is_made |= self.start.is_some_and(|start| ts_event > start);
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct State {
    pub(super) matching: Matching,
    pub(super) is_ready: bool,
    pub(super) contact: Contact,
    pub(super) duplicates: u64,
    streams: Box<[[Stream; Kind::COUNT]]>,
    /// Event time of the last tick on either connection, and the largest so far.
    last: [i64; 2],
    largest: [i64; 2],
    shed: u64,
    /// First and last event time of what is uncertain, by instrument.
    uncertain: Box<[Option<(i64, i64)>]>,
    /// What the new connection's depth makes.
    pub(super) books: FxHashMap<InstrumentId, Book>,
}

impl State {
    pub(super) fn new(instruments: usize, capacity: usize) -> Self {
        Self {
            matching: Matching::new(capacity),
            is_ready: false,
            contact: Contact::default(),
            duplicates: 0,
            streams: vec![[Stream::UNHEARD; Kind::COUNT]; instruments].into(),
            last: [NO_TIME; 2],
            largest: [NO_TIME; 2],
            shed: 0,
            uncertain: vec![None; instruments].into(),
            books: FxHashMap::default(),
        }
    }

    /// The new connection's book of an instrument.
    pub(super) fn new_book(&mut self, id: InstrumentId, session: &Session<'_>) -> &mut Book {
        self.books.entry(id).or_insert_with(|| session.new_book(id))
    }

    /// Counts the newest ticks that the engine holds as delivered by the old connection.
    pub(super) fn remember(&mut self, engine: &Engine) {
        // What has been stamped on arrival does not have the times that the hub sends.
        for id in engine.ids().filter(|&id| !engine.spec(id).stamp_arrival) {
            let (first, trades) = engine.trades(id, REMEMBERED);
            let trades = trades.iter().map(|trade| Identity::of_trade(id, trade));
            self.remember_stream(first, trades);
            let (first, quotes) = engine.quotes(id, REMEMBERED);
            let quotes = quotes.iter().map(|quote| Identity::of_quote(id, quote));
            self.remember_stream(first, quotes);
        }
    }

    fn remember_stream(&mut self, first: u64, ticks: impl ExactSizeIterator<Item = Identity>) {
        let count = ticks.len();
        let mut oldest = i64::MAX;
        for identity in ticks {
            oldest = oldest.min(identity.ts_event);
            self.matching.remember(identity);
            let stream = &mut self.streams[identity.instrument.0 as usize][identity.kind as usize];
            let largest = &mut stream.largest[Leg::Old as usize];
            *largest = identity.ts_event.max(*largest);
            // Where nothing came before these ticks, they are all there is to compare with.
            if first > 0 && count >= BELIEVED {
                stream.reach = oldest;
            }
        }
    }

    /// A connection of its own begins on this side: it has passed nothing yet, and contact has to be
    /// made anew.
    pub(super) fn restart(&mut self, leg: Leg) {
        self.is_ready = false;
        self.contact = Contact::default();
        if leg == Leg::New {
            self.books.clear();
        }
        self.last[leg as usize] = NO_TIME;
        self.largest[leg as usize] = NO_TIME;
        for stream in self.streams.iter_mut().flatten() {
            stream.largest[leg as usize] = NO_TIME;
            stream.passed[leg as usize] = (0, NO_TIME);
            if leg == Leg::New {
                stream.first_new = None;
                stream.first_is_matched = false;
            }
        }
    }

    /// Whether the other connection has not delivered this tick. Otherwise it is counted here.
    pub(super) fn is_first(&mut self, leg: Leg, identity: Identity, ts_recv: i64) -> bool {
        if self.matching.is_full() {
            self.make_room();
        }
        let Identity { instrument, kind, ts_event, .. } = identity;
        if ts_event == NO_TIME && ts_recv != NO_TIME {
            self.doubt(instrument, ts_recv);
        }
        let stream = &mut self.streams[instrument.0 as usize][kind as usize];
        let mut shows_contact = false;
        if leg == Leg::New {
            let is_start = stream.first_new.is_none();
            if ts_event != NO_TIME {
                stream.first_new.get_or_insert(ts_event);
            }
            shows_contact = self.is_ready
                && ts_event != NO_TIME
                && ts_event >= stream.largest[leg as usize]
                && match kind {
                    Kind::Trade => true,
                    Kind::Quote => !is_start,
                    Kind::Depth => false,
                };
            if ts_event != NO_TIME && ts_event < stream.reach && !self.contact.is_made {
                self.duplicates += 1;
                return false;
            }
            if shows_contact {
                self.contact.start.get_or_insert(ts_event.max(self.largest[leg as usize]));
            }
        }
        let position = ts_event.max(stream.largest[leg as usize]);
        let outcome = self.matching.observe(leg, identity, position, shows_contact);
        let Outcome::Repeat(seen) = outcome else { return true };
        self.duplicates += 1;
        // The time of a tick that was refused says nothing.
        if seen.refused || ts_event == NO_TIME {
            return false;
        }
        stream.meet(leg, seen.since, self.matching.begun(), ts_event);
        stream.first_is_matched |= stream.first_new == Some(ts_event);
        // What the old connection delivered before shows nothing of where the new one stands.
        if (shows_contact && !seen.remembered) || seen.marked {
            self.contact.note(ts_event);
        }
        self.heard(leg, &identity);
        false
    }

    /// What the engine made of a tick that had come for the first time.
    pub(super) fn applied(&mut self, leg: Leg, identity: &Identity, applied: Result<(), Reason>) {
        let Err(reason) = applied else {
            if identity.ts_event != NO_TIME {
                self.heard(leg, identity);
            }
            return;
        };
        self.matching.refused(identity);
        if reason == Reason::Late && identity.ts_event != NO_TIME {
            self.doubt(identity.instrument, identity.ts_event);
        }
    }

    fn heard(&mut self, leg: Leg, Identity { instrument, kind, ts_event, .. }: &Identity) {
        let stream = &mut self.streams[instrument.0 as usize][*kind as usize];
        stream.largest[leg as usize] = stream.largest[leg as usize].max(*ts_event);
        self.last[leg as usize] = *ts_event;
        self.largest[leg as usize] = self.largest[leg as usize].max(*ts_event);
    }

    #[cold]
    fn make_room(&mut self) {
        let Self { matching, streams, last, shed, uncertain, .. } = self;
        matching.shed(
            |lead| is_passed(streams, *last, lead),
            |lead| {
                *shed += lead.count;
                let id = lead.identity.instrument;
                widen(&mut uncertain[id.0 as usize], lead.identity.ts_event);
            },
        );
    }

    fn doubt(&mut self, instrument: InstrumentId, ts: i64) {
        widen(&mut self.uncertain[instrument.0 as usize], ts);
    }

    /// Whether the connection that is behind will not deliver the tick any more.
    fn is_settled(&self, lead: &Outstanding<'_>) -> bool {
        lead.count == 0 || is_passed(&self.streams, self.last, lead)
    }

    pub(super) fn unsettled(&self, survivor: Leg) -> u64 {
        let behind = |lead: &Outstanding<'_>| lead.leg != survivor && !self.is_settled(lead);
        self.matching.iter().filter(behind).map(|lead| lead.count).sum()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let books = self.books.len() * Book::bytes();
        let streams = size_of_val(&*self.streams) + size_of_val(&*self.uncertain);
        self.matching.memory_bytes() + streams + books
    }

    pub(super) fn report(&self, survivor: Leg) -> Report {
        let mut report = Report {
            contact: self.contact.is_made,
            duplicates: self.duplicates,
            shed: self.shed,
            ..Report::default()
        };
        let mut uncertain = self.uncertain.clone();
        for lead in self.matching.iter() {
            let Identity { instrument, kind, ts_event, .. } = *lead.identity;
            let span = &mut uncertain[instrument.0 as usize];
            let stream = &self.streams[instrument.0 as usize][kind as usize];
            if !self.is_settled(&lead) {
                if lead.leg != survivor {
                    widen(span, ts_event);
                }
            } else if lead.leg == Leg::New {
                report.only_new += lead.count;
                if let Some(first) = stream.first_new
                    && stream.first_is_matched
                {
                    widen(span, first);
                }
            } else if stream.first_new.is_some_and(|first| ts_event > first) {
                report.only_old += lead.count;
            }
        }
        report.uncertain = uncertain
            .iter()
            .enumerate()
            .filter_map(|(index, span)| {
                let (start_ns, last) = (*span)?;
                let instrument = InstrumentId(index as u32);
                Some(Uncertain { instrument, start_ns, end_ns: last.saturating_add(1) })
            })
            .collect();
        report
    }
}

/// Whether the connection that is behind has come further than the tick.
fn is_passed(streams: &[[Stream; Kind::COUNT]], last: [i64; 2], lead: &Outstanding<'_>) -> bool {
    let Identity { instrument, kind, ts_event, .. } = *lead.identity;
    let behind = lead.leg.other() as usize;
    let stream = &streams[instrument.0 as usize][kind as usize];
    // A tick without time is uncertain anyway.
    ts_event == NO_TIME
        || (lead.since <= stream.passed[behind].0 && lead.position < stream.passed[behind].1)
        || last[behind].saturating_sub(DISORDER_NS) > lead.position
}

fn widen(span: &mut Option<(i64, i64)>, ts: i64) {
    let (first, last) = span.unwrap_or((ts, ts));
    *span = Some((first.min(ts), last.max(ts)));
}
