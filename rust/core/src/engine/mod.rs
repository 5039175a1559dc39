//! Many instruments, fed by many writers.
//!
//! # Contract
//! - Writers work in a [`Session`]. Ticks of one instrument are applied one after another in the
//!   order of the calls, whatever threads they come from; different instruments do not wait for
//!   each other.
//! - When a session ends, readers see everything it did, and whoever waits for it has been woken. Of
//!   a long session they see parts before, each of them consistent in itself.
//! - Every tick that came is either accepted or rejected with a reason, and counted as such. The copy
//!   of a tick that a second connection brings is no other tick, and counted by itself.
//!
//! It has no clock: what depends on now is told by [`Session::advance`].

mod sink;

use crate::bars::{Buckets, Kind, Source, Timeframe, parent};
use crate::book::Book;
use crate::columns::TradeColumns;
use crate::instrument::{Instrument, Shared, Spec, Writer};
use crate::reason::{REASONS, Reason};
use crate::record::{InstrumentId, Quote, Trade};
use crate::snapshot::{Counters, Snapshot};
use crate::sync::{AtomicU64, Ordering};
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use rustc_hash::FxHashMap;
use std::sync::{Arc, MutexGuard};

/// See the module documentation.
#[derive(Debug)]
pub struct Engine {
    index: FxHashMap<Box<str>, InstrumentId>,
    pub(crate) instruments: Box<[Instrument]>,
    kinds: Arc<[Kind]>,
    timeframes: Box<[Timeframe]>,
    /// Ticks rejected that belong to no instrument, by reason.
    elsewhere: [AtomicU64; REASONS],
}

/// What came of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Ticks that came: each element of a trade or depth array, each quote, each malformed record.
    pub received: u64,
    /// Ticks that were applied.
    pub accepted: u64,
    /// Ticks that were refused.
    pub rejected: u64,
    /// Second copies, of ticks that two overlapping connections have brought; not among the received.
    pub duplicates: u64,
    /// Records that are no market events, as their raw bytes.
    pub control: Vec<Box<[u8]>>,
}

/// Bytes of memory in use, by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Rings of ticks, as far as they have been filled.
    pub rings: usize,
    /// Closed bars.
    pub bars: usize,
    /// Order books, of the instruments whose depth has come.
    pub books: usize,
    /// Everything that is made with the engine and does not grow.
    pub fixed: usize,
}

impl Engine {
    /// An engine for these instruments and kinds of bars, each with the number of closed bars kept.
    /// Kinds are sorted. Those that need sizes stay empty where bars are made of quotes, see
    /// [`Spec::check`].
    #[must_use]
    pub fn new(instruments: Vec<Spec>, kinds: &[(Kind, usize)]) -> Self {
        let mut kinds = kinds.to_vec();
        kinds.sort_by_key(|(kind, _)| kind.order());
        kinds.dedup_by_key(|(kind, _)| *kind);
        let retain: Arc<[usize]> = kinds.iter().map(|&(_, retain)| retain).collect();
        let kinds: Arc<[Kind]> = kinds.iter().map(|&(kind, _)| kind).collect();
        let timeframes = kinds.iter().filter_map(|kind| kind.timeframe()).collect();
        let index = instruments
            .iter()
            .enumerate()
            .map(|(id, spec)| (spec.symbol.as_str().into(), InstrumentId(id as u32)))
            .collect();
        let instruments = instruments
            .into_iter()
            .map(|spec| Instrument::new(spec, Arc::clone(&kinds), Arc::clone(&retain)))
            .collect();
        Self { index, instruments, kinds, timeframes, elsewhere: Default::default() }
    }

    /// The instrument with this symbol.
    #[inline]
    #[must_use]
    pub fn find(&self, symbol: &str) -> Option<InstrumentId> {
        self.index.get(symbol).copied()
    }

    /// What the engine was told about an instrument.
    #[must_use]
    pub fn spec(&self, id: InstrumentId) -> &Spec {
        &self.shared(id).spec
    }

    /// All instruments.
    pub fn ids(&self) -> impl Iterator<Item = InstrumentId> + use<> {
        (0..self.instruments.len() as u32).map(InstrumentId)
    }

    /// The buckets of an instrument's timeframes, ascending.
    #[must_use]
    pub fn buckets(&self, id: InstrumentId) -> &[Buckets] {
        &self.shared(id).buckets
    }

    /// For each timeframe, the smaller one whose bars an instrument's bars are put together from; none
    /// where they are made of ticks.
    #[must_use]
    pub fn parents(&self, id: InstrumentId) -> Vec<Option<usize>> {
        let buckets = self.buckets(id);
        (0..buckets.len()).map(|level| parent(buckets, level)).collect()
    }

    /// The kinds of bars, in order: lengths of time first, ascending.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Those of the kinds that are lengths of time.
    #[must_use]
    pub fn timeframes(&self) -> &[Timeframe] {
        &self.timeframes
    }

    pub(crate) fn shared(&self, id: InstrumentId) -> &Shared {
        &self.instruments[id.0 as usize].shared
    }

    /// Begins writing.
    #[must_use]
    pub fn session(&self) -> Session<'_> {
        Session { engine: self, current: None, receipt: Receipt::default() }
    }

    /// Begins writing to this instrument, unless another thread is writing to it.
    #[inline]
    #[must_use]
    pub fn try_session(&self, id: InstrumentId) -> Option<Session<'_>> {
        let instrument = &self.instruments[id.0 as usize];
        let current = Some(Current::new(id, &instrument.shared, instrument.try_write()?));
        Some(Session { engine: self, current, receipt: Receipt::default() })
    }

    /// A consistent cut through an instrument.
    #[must_use]
    pub fn snapshot(&self, id: InstrumentId) -> Snapshot {
        Snapshot::take(self.shared(id))
    }

    /// Bars of one series as Arrow batches; see [`Snapshot::batches`].
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn bars(
        &self,
        id: InstrumentId,
        source: Source,
        level: usize,
        last: Option<usize>,
        since: Option<i64>,
        partial: bool,
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        let shared = self.shared(id);
        if let Some(track) = shared.spec.sources.iter().position(|known| *known == source) {
            shared.compact(track * self.kinds.len() + level)?;
        }
        self.snapshot(id).batches(source, level, last, since, partial)
    }

    /// The newest accepted trades, oldest first, at most `last` of those the ring still holds, and
    /// the sequence number of the first.
    #[must_use]
    pub fn trades(&self, id: InstrumentId, last: usize) -> (u64, Vec<Trade>) {
        let Some(ring) = self.shared(id).trades.get() else { return (0, Vec::new()) };
        let mut words = Vec::new();
        let first = ring.read(ring.head().saturating_sub(last as u64), last, &mut words);
        (first, words.iter().map(|words| Trade::from_words(words)).collect())
    }

    /// The newest accepted quotes; see [`trades`](Self::trades).
    #[must_use]
    pub fn quotes(&self, id: InstrumentId, last: usize) -> (u64, Vec<Quote>) {
        let Some(ring) = self.shared(id).quotes.get() else { return (0, Vec::new()) };
        let mut words = Vec::new();
        let first = ring.read(ring.head().saturating_sub(last as u64), last, &mut words);
        (first, words.iter().map(|words| Quote::from_words(words)).collect())
    }

    /// Counts over all instruments, and of ticks that belong to none.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut total = Counters::default();
        for (count, elsewhere) in total.rejected.iter_mut().zip(&self.elsewhere) {
            *count = elsewhere.load(Ordering::Relaxed);
        }
        total.received = total.rejected_total();
        for id in self.ids() {
            total.merge(&self.snapshot(id).counters());
        }
        total
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for Instrument { shared, .. } in &self.instruments {
            let view = shared.view.load();
            memory.rings += shared.trades.get().map_or(0, |ring| ring.touched_bytes());
            memory.rings += shared.quotes.get().map_or(0, |ring| ring.touched_bytes());
            memory.rings += shared.rejected.touched_bytes() + shared.flagged.touched_bytes();
            memory.bars += view.series.iter().map(crate::store::Series::bytes).sum::<usize>();
            memory.books += if view.layout.book().is_some() { Book::bytes() } else { 0 };
            memory.fixed += size_of::<Instrument>() + view.cell.len() * size_of::<u64>();
        }
        memory
    }
}

/// Ticks after which a session publishes what it has done so far: readers follow a long batch rather
/// than being lapped by it, and other writers of the instrument get their turn.
const PUBLISH_EVERY: u32 = 4_096;

/// A run of writes. Ending it publishes.
#[derive(Debug)]
pub struct Session<'a> {
    pub(crate) engine: &'a Engine,
    current: Option<Current<'a>>,
    receipt: Receipt,
}

/// The instrument written last, whose lock is still held.
#[derive(Debug)]
struct Current<'a> {
    id: InstrumentId,
    shared: &'a Shared,
    writer: MutexGuard<'a, Writer>,
    /// Its counts when the lock was taken.
    counts: (u64, u64),
    /// Ticks to go before readers are shown the outcome.
    left: u32,
}

impl<'a> Current<'a> {
    #[inline]
    fn new(id: InstrumentId, shared: &'a Shared, writer: MutexGuard<'a, Writer>) -> Self {
        let counts = writer.counts();
        Self { id, shared, writer, counts, left: PUBLISH_EVERY }
    }

    #[cold]
    fn wait(engine: &'a Engine, id: InstrumentId) -> Self {
        let instrument = &engine.instruments[id.0 as usize];
        Self::new(id, &instrument.shared, instrument.write())
    }
}

impl<'a> Session<'a> {
    /// Ends the session and says what came of it.
    #[must_use]
    pub fn finish(mut self) -> Receipt {
        self.leave();
        let Receipt { accepted, rejected, .. } = self.receipt;
        Receipt { received: accepted + rejected, ..std::mem::take(&mut self.receipt) }
    }

    /// The writer of an instrument. The lock of the one before is given back first: a session never
    /// holds two, so sessions cannot wait for each other in a circle.
    #[inline]
    pub(crate) fn enter(&mut self, id: InstrumentId) -> (&mut Writer, &'a Shared) {
        if self.current.as_ref().is_some_and(|current| current.id != id || current.left == 0) {
            self.leave();
        }
        let engine = self.engine;
        let current = self.current.get_or_insert_with(|| Current::wait(engine, id));
        current.left -= 1;
        (&mut current.writer, current.shared)
    }

    /// Does something to an instrument. Should it panic, half of it was done: see
    /// [`Instrument::recover`].
    #[inline]
    pub(crate) fn update<T>(
        &mut self,
        id: InstrumentId,
        work: impl FnOnce(&mut Writer, &'a Shared) -> T,
    ) -> T {
        let (writer, shared) = self.enter(id);
        writer.busy = true;
        let outcome = work(writer, shared);
        writer.busy = false;
        outcome
    }

    /// Shows readers what was done, and wakes those who wait for it.
    pub(crate) fn leave(&mut self) {
        if let Some(Current { shared, mut writer, counts, .. }) = self.current.take() {
            // A panic has come in the middle: what is half done is not for readers.
            if writer.busy {
                return;
            }
            writer.busy = true;
            let (accepted, rejected) = writer.counts();
            self.receipt.accepted += accepted - counts.0;
            self.receipt.rejected += rejected - counts.1;
            let activity = writer.publish(shared);
            writer.busy = false;
            drop(writer);
            shared.watchers.raise(activity.ticks, activity.bars);
        }
    }

    /// Applies a trade.
    ///
    /// # Errors
    /// Why it was rejected.
    #[inline]
    pub fn push_trade(&mut self, id: InstrumentId, trade: &Trade) -> Result<(), Reason> {
        self.update(id, |writer, shared| writer.trade(shared, trade))
    }

    /// Applies columns of trades; the same as [`push_trade`](Self::push_trade) for each row.
    pub fn push_trades(&mut self, id: InstrumentId, columns: &TradeColumns<'_>) {
        let mut first = 0;
        while first < columns.len() {
            let end = columns.len().min(first + PUBLISH_EVERY as usize);
            self.update(id, |writer, shared| writer.trades(shared, columns, first..end));
            if let Some(current) = &mut self.current {
                current.left = current.left.saturating_sub((end - first - 1) as u32);
            }
            first = end;
        }
    }

    /// Applies a quote.
    ///
    /// # Errors
    /// Why it was rejected.
    #[inline]
    pub fn push_quote(&mut self, id: InstrumentId, quote: &Quote) -> Result<(), Reason> {
        self.update(id, |writer, shared| writer.quote(shared, quote))
    }

    /// Counts a tick that cannot be applied, for an instrument or for none.
    #[cold]
    pub fn refuse(&mut self, id: Option<InstrumentId>, reason: Reason) {
        match id {
            Some(id) => self.enter(id).0.refuse(reason),
            None => {
                self.engine.elsewhere[reason as usize].fetch_add(1, Ordering::Relaxed);
                self.receipt.rejected += 1;
            }
        }
    }

    /// Whether a trade that its feed has given this number is the first of it; if it is not, it is
    /// counted as a second copy. See [`ids`](crate::ids).
    pub fn is_new_trade(&mut self, id: InstrumentId, number: i64) -> bool {
        let is_new = self.enter(id).0.trade_ids.is_new(number);
        if !is_new {
            self.duplicate(id);
        }
        is_new
    }

    /// The same of a quote.
    pub fn is_new_quote(&mut self, id: InstrumentId, number: i64) -> bool {
        let is_new = self.enter(id).0.quote_ids.is_new(number);
        if !is_new {
            self.duplicate(id);
        }
        is_new
    }

    /// Counts a second copy of a tick.
    pub(crate) fn duplicate(&mut self, id: InstrumentId) {
        self.enter(id).0.duplicate();
        self.receipt.duplicates += 1;
    }

    /// Closes, for all instruments, every bar that ends at or before `now_ns`.
    pub fn advance(&mut self, now_ns: i64) {
        for id in self.engine.ids() {
            self.update(id, |writer, shared| writer.advance(shared, now_ns));
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
