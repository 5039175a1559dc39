//! A reader's place in the streams of an engine.
//!
//! # Contract
//! - A subscription sees what is published after it was made: closed bars (and revisions of them),
//!   accepted trades, accepted quotes.
//! - It holds up to `capacity` items per stream (an instrument's trades, its quotes, or one of its
//!   timeframes). What it does not fetch in time is shed, oldest first, and counted:
//!   `published == delivered + pending + shed`.
//! - With hours given, an item outside of its instrument's hours is not published to the subscription: a
//!   bar by its open, a tick by its event time. It is counted as filtered. One that is lost before
//!   anybody looked at it counts as shed.
//! - Items of one stream come in order. Streams are merged by the time at which their items became
//!   known: event time for ticks, the end for bars; at equal times bars before ticks, in the order of
//!   the engine's kinds.

use crate::bars::{Bar, Kind, Source};
use crate::engine::Engine;
use crate::instrument::{QuoteRing, TradeRing};
use crate::record::{InstrumentId, Quote, Trade};
use crate::ring::{self, Ring};
use crate::sessions::Sessions;
use crate::signal::{Signal, Watch};
use std::sync::Arc;

/// What to subscribe to.
#[derive(Clone, Debug)]
pub struct Interest {
    /// Instruments.
    pub instruments: Vec<InstrumentId>,
    /// Positions among the engine's kinds of bars.
    pub levels: Vec<usize>,
    /// The source of the bars.
    pub source: Source,
    /// Whether to deliver trades.
    pub trades: bool,
    /// Whether to deliver quotes.
    pub quotes: bool,
    /// Items kept per stream.
    pub capacity: usize,
    /// The hours of each of the instruments, in which items have to lie; empty for no such condition.
    pub hours: Vec<Arc<Sessions>>,
}

/// One item of a subscription.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    /// A closed or revised bar, with its kind and source.
    Bar(InstrumentId, Kind, Source, Bar),
    /// An accepted trade.
    Trade(InstrumentId, Trade),
    /// An accepted quote.
    Quote(InstrumentId, Quote),
}

/// What became of everything published since the subscription was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Items published.
    pub published: u64,
    /// Items fetched.
    pub delivered: u64,
    /// Items waiting.
    pub pending: u64,
    /// Items lost because they were not fetched in time.
    pub shed: u64,
    /// Items that were not published, because they lie outside of the hours asked for.
    pub filtered: u64,
}

impl Delivery {
    fn add(&mut self, other: Self) {
        self.published += other.published;
        self.delivered += other.delivered;
        self.pending += other.pending;
        self.shed += other.shed;
        self.filtered += other.filtered;
    }
}

/// Reading place in one ring.
#[derive(Debug)]
struct Cursor<const W: usize> {
    start: u64,
    next: u64,
    shed: u64,
    filtered: u64,
    filter: Option<Filter<W>>,
}

/// The hours that items have to lie in, and which of an item's times has to.
#[derive(Clone, Debug)]
struct Filter<const W: usize> {
    hours: Arc<Sessions>,
    time: fn(&[u64; W]) -> i64,
}

impl<const W: usize> Filter<W> {
    fn holds(&self, words: &[u64; W]) -> bool {
        self.hours.span((self.time)(words)).is_some()
    }
}

impl<const W: usize> Cursor<W> {
    fn new(start: u64, hours: Option<&Arc<Sessions>>, time: fn(&[u64; W]) -> i64) -> Self {
        let filter = hours.map(|hours| Filter { hours: Arc::clone(hours), time });
        Self { start, next: start, shed: 0, filtered: 0, filter }
    }

    /// Fetches everything new, skipping what goes beyond the capacity and what is outside the hours.
    fn fetch(&mut self, ring: &Ring<W>, capacity: u64, out: &mut Vec<[u64; W]>) {
        let head = ring.head();
        let oldest = self.next.max(head.saturating_sub(capacity));
        let first = ring.read(oldest, usize::MAX, out);
        let fetched = out.len() as u64;
        self.shed += first - self.next;
        self.next = first + fetched;
        if let Some(filter) = &self.filter {
            out.retain(|words| filter.holds(words));
            self.filtered += fetched - out.len() as u64;
        }
    }

    /// Everything up to the last fetch.
    fn settled(&self) -> Delivery {
        let Self { shed, filtered, .. } = *self;
        let published = self.next - self.start - filtered;
        Delivery { published, delivered: published - shed, pending: 0, shed, filtered }
    }

    fn delivery(&self, ring: &Ring<W>, capacity: u64) -> Delivery {
        // What is due to be skipped counts as shed at once.
        let head = ring.head().max(self.next);
        let behind = head - self.next;
        let pending = behind.min(capacity.min(ring.capacity()));
        let settled = self.settled();
        if let Some(filter) = &self.filter {
            return settled.and_waiting(self.next, head - pending, ring, filter);
        }
        Delivery {
            published: head - self.start,
            pending,
            shed: self.shed + behind - pending,
            ..settled
        }
    }
}

impl Delivery {
    /// With what waits in a ring from `oldest` on, of a cursor at `next`: which of it lies in the
    /// hours can only be seen by looking at it.
    fn and_waiting<const W: usize>(
        self,
        next: u64,
        oldest: u64,
        ring: &Ring<W>,
        filter: &Filter<W>,
    ) -> Self {
        let mut waiting = Vec::new();
        let first = ring.read(oldest, usize::MAX, &mut waiting);
        let pending = waiting.iter().filter(|words| filter.holds(words)).count() as u64;
        let lost = first - next;
        Self {
            published: self.published + lost + pending,
            pending,
            shed: self.shed + lost,
            filtered: self.filtered + waiting.len() as u64 - pending,
            ..self
        }
    }
}

#[derive(Debug)]
enum Stream {
    Bars {
        instrument: InstrumentId,
        kind: Kind,
        /// Its position among the engine's.
        level: usize,
        source: Source,
        ring: Arc<Ring<{ Bar::WORDS }>>,
        cursor: Cursor<{ Bar::WORDS }>,
    },
    Trades(InstrumentId, Cursor<{ Trade::WORDS }>),
    Quotes(InstrumentId, Cursor<{ Quote::WORDS }>),
}

/// See the module documentation.
#[derive(Debug)]
pub struct Subscription {
    engine: Arc<Engine>,
    streams: Vec<Stream>,
    capacity: u64,
    signal: Arc<Signal>,
}

impl Subscription {
    /// Subscribes. Waits for writers of the instruments, one after another.
    #[must_use]
    pub fn new(engine: &Arc<Engine>, interest: &Interest) -> Self {
        let signal = Arc::new(Signal::default());
        let watch = Watch {
            signal: Arc::downgrade(&signal),
            ticks: interest.trades || interest.quotes,
            bars: !interest.levels.is_empty(),
        };
        let mut streams = Vec::new();
        for (number, &id) in interest.instruments.iter().enumerate() {
            let hours = interest.hours.get(number);
            let mut session = engine.session();
            let (writer, shared) = session.enter(id);
            shared.watchers.add(&watch);
            let tracks = writer.trades.tracks.iter_mut().chain(&mut writer.quotes.tracks);
            for track in tracks.filter(|track| track.source == interest.source) {
                for &level in &interest.levels {
                    let ring = ring::ring(interest.capacity);
                    streams.push(Stream::Bars {
                        instrument: id,
                        kind: engine.kinds()[level],
                        level,
                        source: track.source,
                        ring: ring.reader(),
                        cursor: Cursor::new(0, hours, |words| Bar::from_words(words).ts),
                    });
                    track.series[level].events.push(ring);
                }
            }
            if interest.trades {
                let head = shared.trades.get().map_or(0, |ring| ring.head());
                let cursor = Cursor::new(head, hours, |words| Trade::from_words(words).ts_event);
                streams.push(Stream::Trades(id, cursor));
            }
            if interest.quotes {
                let head = shared.quotes.get().map_or(0, |ring| ring.head());
                let cursor = Cursor::new(head, hours, |words| Quote::from_words(words).ts_event);
                streams.push(Stream::Quotes(id, cursor));
            }
        }
        Self { engine: Arc::clone(engine), streams, capacity: interest.capacity as u64, signal }
    }

    /// What is raised when there is news.
    #[must_use]
    pub fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Fetches everything that is waiting.
    pub fn poll(&mut self) -> Vec<Item> {
        let mut items: Vec<((i64, usize), Item)> = Vec::new();
        let (mut bars, mut trades, mut quotes) = (Vec::new(), Vec::new(), Vec::new());
        for stream in &mut self.streams {
            // The order within a stream is kept by never letting its keys go back.
            let mut latest = i64::MIN;
            let mut key = |time: i64, rank| {
                latest = latest.max(time);
                (latest, rank)
            };
            match stream {
                Stream::Bars { instrument, kind, level, source, ring, cursor } => {
                    bars.clear();
                    cursor.fetch(ring, self.capacity, &mut bars);
                    items.extend(bars.iter().map(|words| {
                        let bar = Bar::from_words(words);
                        (key(bar.ts_end, *level), Item::Bar(*instrument, *kind, *source, bar))
                    }));
                }
                Stream::Trades(id, cursor) => {
                    trades.clear();
                    if let Some(ring) = ring_of_trades(&self.engine, *id) {
                        cursor.fetch(ring, self.capacity, &mut trades);
                    }
                    items.extend(trades.iter().map(|words| {
                        let trade = Trade::from_words(words);
                        (key(trade.ts_event, usize::MAX), Item::Trade(*id, trade))
                    }));
                }
                Stream::Quotes(id, cursor) => {
                    quotes.clear();
                    if let Some(ring) = ring_of_quotes(&self.engine, *id) {
                        cursor.fetch(ring, self.capacity, &mut quotes);
                    }
                    items.extend(quotes.iter().map(|words| {
                        let quote = Quote::from_words(words);
                        (key(quote.ts_event, usize::MAX), Item::Quote(*id, quote))
                    }));
                }
            }
        }
        if self.streams.len() > 1 {
            items.sort_by_key(|(key, _)| *key);
        }
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// Whether anything is waiting.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.delivery().pending > 0
    }

    /// What became of everything published so far.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        let mut total = Delivery::default();
        for stream in &self.streams {
            let one = match stream {
                Stream::Bars { ring, cursor, .. } => cursor.delivery(ring, self.capacity),
                Stream::Trades(id, cursor) => ring_of_trades(&self.engine, *id)
                    .map(|ring| cursor.delivery(ring, self.capacity))
                    .unwrap_or_default(),
                Stream::Quotes(id, cursor) => ring_of_quotes(&self.engine, *id)
                    .map(|ring| cursor.delivery(ring, self.capacity))
                    .unwrap_or_default(),
            };
            total.add(one);
        }
        total
    }

    /// Ends the subscription. Items that were not fetched before count as if they had never been
    /// published; nothing is pending.
    #[must_use]
    pub fn close(self) -> Delivery {
        let mut total = Delivery::default();
        for stream in &self.streams {
            total.add(match stream {
                Stream::Bars { cursor, .. } => cursor.settled(),
                Stream::Trades(_, cursor) => cursor.settled(),
                Stream::Quotes(_, cursor) => cursor.settled(),
            });
        }
        total
    }
}

fn ring_of_trades(engine: &Engine, id: InstrumentId) -> Option<&TradeRing> {
    engine.shared(id).trades.get().map(AsRef::as_ref)
}

fn ring_of_quotes(engine: &Engine, id: InstrumentId) -> Option<&QuoteRing> {
    engine.shared(id).quotes.get().map(AsRef::as_ref)
}
