//! One instrument: what its one writer changes, and what any number of readers see.
//!
//! Every tick, whatever path it came by, goes through [`Writer::trade`], [`Writer::quote`] or
//! [`Writer::depth`]: it is checked first, and after that nothing can fail. Readers see the outcome
//! after [`Writer::publish`], all of it at once.

use crate::bars::bar::OpenBar;
use crate::bars::ladder::{Closed, Ladder, parents};
use crate::bars::watermark::JUMP_NS;
use crate::bars::{Source, Timeframe, Watermark};
use crate::cell::{Cell, Update};
use crate::columns::{BLOCK, Block, TradeColumns};
use crate::layout::{self, Layout};
use crate::reason::{REASONS, Reason};
use crate::record::{Depth, NO_TIME, Quote, Side, Trade};
use crate::ring::{self, Ring};
use crate::signal::Watchers;
use crate::store::{Series, SeriesWriter, View};
use crate::validate::{Flags, Rules, Validator};
use arc_swap::ArcSwap;
use arrow_schema::ArrowError;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// What an engine is told about an instrument.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The full contract id.
    pub symbol: String,
    /// Smallest price step.
    pub tick_size: f64,
    /// What the prices, sizes and times must obey.
    pub rules: Rules,
    /// Which prices bars are made of.
    pub sources: Vec<Source>,
    /// How long a bar waits for late ticks, ns.
    pub lateness_ns: i64,
    /// Whether a tick without event time is stamped with its arrival time.
    pub stamp_arrival: bool,
    /// Number of ticks each ring holds.
    pub capacity: usize,
}

pub(crate) type TradeRing = Ring<{ Trade::WORDS }>;
pub(crate) type QuoteRing = Ring<{ Quote::WORDS }>;

/// The part that readers use, without locks.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) spec: Spec,
    /// Ascending.
    pub(crate) timeframes: Arc<[Timeframe]>,
    pub(crate) view: ArcSwap<View>,
    /// Made when the first trade comes.
    pub(crate) trades: OnceLock<Arc<TradeRing>>,
    pub(crate) quotes: OnceLock<Arc<QuoteRing>>,
    pub(crate) watchers: Watchers,
    /// Bars to retain, per timeframe.
    pub(crate) retain: Arc<[usize]>,
}

impl Shared {
    /// Copies the small parts of a series into large ones, where that is worthwhile. Readers do it
    /// before an export, because they profit from it and a tick must not wait for it.
    pub(crate) fn compact(&self, index: usize) -> Result<(), ArrowError> {
        let view = self.view.load_full();
        let original = &view.series[index];
        if let Some(compacted) = original.compacted(self.retain[index % self.retain.len()])? {
            self.view.rcu(|view| match view.series[index].adopt(original, &compacted) {
                Some(series) => Arc::new(view.with_series(index, series)),
                None => Arc::clone(view),
            });
        }
        Ok(())
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) shared: Shared,
    writer: Mutex<Writer>,
}

/// The ladder of one source, and the series its closed bars go to.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) source: Source,
    /// Position among all tracks of the instrument.
    pub(crate) index: usize,
    pub(crate) ladder: Ladder,
    pub(crate) series: Vec<SeriesWriter>,
    dirty: Dirty,
}

/// How much of a track readers have not been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    /// At most the newest open bar of each root, if ticks came.
    Newest,
    /// Open bars of the roots.
    Roots,
    /// Bars closed, too, or were changed otherwise.
    All,
}

/// Trades, or quotes: a watermark, and the tracks that it closes.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) watermark: Watermark,
    pub(crate) tracks: Vec<Track>,
    /// The event time below which a tick is late. A stream without bars has no late ticks.
    closed_until: i64,
    /// The closing time at which that moves and bars may close.
    next_close: i64,
}

/// The state behind the writer-side lock.
#[derive(Debug)]
pub(crate) struct Writer {
    rejected: [u64; REASONS],
    rejected_total: u64,
    flagged: [u64; REASONS],
    depth_count: u64,
    duplicates: u64,
    trade_checks: Validator,
    quote_checks: Validator,
    pub(crate) trades: Stream,
    pub(crate) quotes: Stream,
    trade_ring: Option<ring::Writer<{ Trade::WORDS }>>,
    quote_ring: Option<ring::Writer<{ Quote::WORDS }>>,
    cell: Arc<Cell>,
    layout: Layout,
    /// Whether anything happened that readers have not been shown, and whether a tick was rejected
    /// or flagged.
    dirty: bool,
    judged: bool,
    /// Series changed other than by appending. They become visible together with a new cell, so
    /// that no reader can combine either with its predecessor.
    install: Option<Vec<(usize, Series)>>,
}

/// What a publication showed to readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) ticks: bool,
    pub(crate) bars: bool,
}

impl Instrument {
    pub(crate) fn new(spec: Spec, timeframes: Arc<[Timeframe]>, retain: Arc<[usize]>) -> Self {
        let roots: Vec<bool> = parents(&timeframes).iter().map(Option::is_none).collect();
        let layout = Layout::new(spec.sources.len(), &roots, 2);
        let cell = Arc::new(Cell::new(layout.len()));
        let levels = || timeframes.iter().zip(retain.iter());
        let series: Box<[Series]> = spec
            .sources
            .iter()
            .flat_map(|_| levels().map(|(&timeframe, &retain)| Series::new(timeframe, retain)))
            .collect();
        let track = |index: usize, source| {
            let first = index * timeframes.len();
            let series = levels()
                .enumerate()
                .map(|(level, (_, &retain))| {
                    SeriesWriter::new(first + level, &series[first + level], retain)
                })
                .collect();
            Track { source, index, ladder: Ladder::new(&timeframes), series, dirty: Dirty::All }
        };
        let stream = |wanted: fn(Source) -> bool| Stream {
            watermark: Watermark::new(spec.lateness_ns),
            tracks: spec
                .sources
                .iter()
                .enumerate()
                .filter(|(_, source)| wanted(**source))
                .map(|(index, &source)| track(index, source))
                .collect(),
            closed_until: NO_TIME,
            next_close: NO_TIME + 1,
        };
        let mut writer = Writer {
            rejected: [0; REASONS],
            rejected_total: 0,
            flagged: [0; REASONS],
            depth_count: 0,
            duplicates: 0,
            trade_checks: Validator::new(spec.rules.clone(), spec.tick_size),
            quote_checks: Validator::new(spec.rules.clone(), spec.tick_size),
            trades: stream(|source| source == Source::Trade),
            quotes: stream(|source| source != Source::Trade),
            trade_ring: None,
            quote_ring: None,
            cell: Arc::clone(&cell),
            layout: layout.clone(),
            dirty: true,
            judged: false,
            install: None,
        };
        let shared = Shared {
            spec,
            timeframes: Arc::clone(&timeframes),
            view: ArcSwap::from_pointee(View { series, cell, layout }),
            trades: OnceLock::new(),
            quotes: OnceLock::new(),
            watchers: Watchers::default(),
            retain,
        };
        writer.publish(&shared);
        Self { shared, writer: Mutex::new(writer) }
    }

    /// The writer, if no other thread is writing.
    pub(crate) fn try_write(&self) -> Option<MutexGuard<'_, Writer>> {
        match self.writer.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The writer, once no other thread is writing.
    pub(crate) fn write(&self) -> MutexGuard<'_, Writer> {
        // A panic under this lock is a defect of this crate, and the panicking call has already
        // reported it; refusing every later tick would turn one lost tick into a lost session.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// Closes what the closing time has passed.
    #[inline]
    pub(crate) fn close(&mut self, closing_time: i64, view: &ArcSwap<View>) {
        if closing_time >= self.next_close {
            self.close_now(closing_time, view);
        }
    }

    #[cold]
    fn close_now(&mut self, closing_time: i64, view: &ArcSwap<View>) {
        self.next_close = i64::MAX;
        for track in &mut self.tracks {
            track.dirty = Dirty::All;
            track.ladder.close(closing_time, &mut Appender { series: &mut track.series, view });
            // The same for all, because the timeframes are.
            (self.closed_until, self.next_close) = track.ladder.limits(closing_time);
        }
    }
}

impl Track {
    #[inline]
    fn add(&mut self, ts: i64, price: f64, size: f64) {
        if !self.ladder.add(ts, price, size) {
            self.dirty = self.dirty.max(Dirty::Roots);
        }
    }

    pub(crate) fn touch(&mut self) {
        self.dirty = Dirty::All;
    }

    /// Writes what readers have not been shown into the cell.
    fn publish(&mut self, ticks: bool, layout: &Layout, update: &mut Update<'_>) {
        let dirty = std::mem::replace(&mut self.dirty, Dirty::Newest);
        let show = |level: usize| {
            let at = layout.level(self.index, level);
            let open = self.ladder.open(level);
            let unchanged = if dirty == Dirty::Newest { open.len().saturating_sub(1) } else { 0 };
            update.set(at, self.series[level].appended());
            update.set(at + 1, open.len() as u64);
            for (slot, bar) in open.iter().enumerate().skip(unchanged) {
                update.set_all(at + Layout::open_bar(slot), &bar.to_words());
            }
        };
        match dirty {
            Dirty::Newest if !ticks => {}
            Dirty::Newest | Dirty::Roots => self.ladder.roots().iter().copied().for_each(show),
            Dirty::All => (0..self.series.len()).for_each(show),
        }
    }
}

/// Appends closed bars to their series.
struct Appender<'a> {
    series: &'a mut [SeriesWriter],
    view: &'a ArcSwap<View>,
}

impl Closed for Appender<'_> {
    fn closed(&mut self, level: usize, bar: &OpenBar) {
        self.series[level].append(&bar.close(), self.view);
    }
}

impl Writer {
    /// Checks a trade and applies it.
    #[inline]
    pub(crate) fn trade(&mut self, shared: &Shared, trade: &Trade) -> Result<(), Reason> {
        if trade.ts_event == NO_TIME {
            return self.undated_trade(shared, trade);
        }
        self.dated_trade(shared, trade)
    }

    /// Checks and applies columns of trades; the same as [`trade`](Self::trade) for every row.
    pub(crate) fn trades(
        &mut self,
        shared: &Shared,
        columns: &TradeColumns<'_>,
        rows: Range<usize>,
    ) {
        for first in rows.clone().step_by(BLOCK) {
            match columns.block(first, rows.end) {
                Some(block) if self.accepts(&block) => self.block(shared, &block),
                _ => {
                    for row in first..rows.end.min(first + BLOCK) {
                        let _ = self.trade(shared, &columns.row(row));
                    }
                }
            }
        }
    }

    /// Whether every trade of the block is ordinary; if so, the checks have taken note of it.
    #[inline]
    fn accepts(&mut self, block: &Block<'_>) -> bool {
        let first = block.ts_event[0];
        block.is_steady(JUMP_NS)
            && first >= self.trades.closed_until
            && self.trades.watermark.follows(first)
            && self.trade_ring.is_some()
            && self.trade_checks.block(block)
    }

    /// Applies a block that was accepted.
    #[inline]
    fn block(&mut self, shared: &Shared, block: &Block<'_>) {
        self.dirty = true;
        if let Some(ring) = &mut self.trade_ring {
            for row in 0..BLOCK {
                let trade = Trade {
                    ts_event: block.ts_event[row],
                    ts_recv: NO_TIME,
                    price: block.price[row],
                    size: block.size[row],
                    side: block.side.map_or(Side::None, |column| Side::from_sign(column[row])),
                };
                ring.push(trade.to_words());
            }
        }
        let mut row = 0;
        while row < BLOCK {
            let (ts, price, size) =
                (&block.ts_event[row..], &block.price[row..], &block.size[row..]);
            let mut count = 0;
            if let [track] = self.trades.tracks.as_mut_slice() {
                count = track.ladder.add_run(ts, price, size);
            }
            if count == 0 {
                for track in &mut self.trades.tracks {
                    track.add(ts[0], price[0], size[0]);
                }
                count = 1;
            }
            row += count;
            let closing_time = self.trades.watermark.observe(block.ts_event[row - 1], NO_TIME);
            self.trades.close(closing_time, &shared.view);
        }
    }

    // Apart, because only here the trade has to be copied.
    #[cold]
    fn undated_trade(&mut self, shared: &Shared, trade: &Trade) -> Result<(), Reason> {
        let ts_event = if shared.spec.stamp_arrival { trade.ts_recv } else { NO_TIME };
        self.dated_trade(shared, &Trade { ts_event, ..*trade })
    }

    #[inline]
    fn dated_trade(&mut self, shared: &Shared, trade: &Trade) -> Result<(), Reason> {
        self.dirty = true;
        let checked = self.trade_checks.trade(trade, self.trades.closed_until);
        self.judge(checked)?;

        let ring = self.trade_ring.get_or_insert_with(|| {
            let ring = ring::ring(shared.spec.capacity);
            let _ = shared.trades.set(ring.reader());
            ring
        });
        ring.push(trade.to_words());
        for track in &mut self.trades.tracks {
            track.add(trade.ts_event, trade.price, trade.size);
        }
        // After the tick is in: one that confirms a jump may itself lie before the new closing time.
        let closing_time = self.trades.watermark.observe(trade.ts_event, trade.ts_recv);
        self.trades.close(closing_time, &shared.view);
        Ok(())
    }

    /// Checks a quote and applies it.
    #[inline]
    pub(crate) fn quote(&mut self, shared: &Shared, quote: &Quote) -> Result<(), Reason> {
        if quote.ts_event == NO_TIME {
            return self.undated_quote(shared, quote);
        }
        self.dated_quote(shared, quote)
    }

    #[cold]
    fn undated_quote(&mut self, shared: &Shared, quote: &Quote) -> Result<(), Reason> {
        let ts_event = if shared.spec.stamp_arrival { quote.ts_recv } else { NO_TIME };
        self.dated_quote(shared, &Quote { ts_event, ..*quote })
    }

    #[inline]
    fn dated_quote(&mut self, shared: &Shared, quote: &Quote) -> Result<(), Reason> {
        self.dirty = true;
        let checked = self.quote_checks.quote(quote, self.quotes.closed_until);
        self.judge(checked)?;

        let ring = self.quote_ring.get_or_insert_with(|| {
            let ring = ring::ring(shared.spec.capacity);
            let _ = shared.quotes.set(ring.reader());
            ring
        });
        ring.push(quote.to_words());
        for track in &mut self.quotes.tracks {
            let price = track.source.of_quote(quote);
            if !price.is_nan() {
                track.add(quote.ts_event, price, 0.0);
            }
        }
        let closing_time = self.quotes.watermark.observe(quote.ts_event, quote.ts_recv);
        self.quotes.close(closing_time, &shared.view);
        Ok(())
    }

    /// Checks and counts a depth delta. There is no book yet that it could go to.
    pub(crate) fn depth(&mut self, shared: &Shared, depth: &Depth) -> Result<(), Reason> {
        let mut depth = *depth;
        if depth.ts_event == NO_TIME && shared.spec.stamp_arrival {
            depth.ts_event = depth.ts_recv;
        }
        self.dirty = true;
        let checked = self.quote_checks.depth(&depth);
        self.judge(checked)?;
        self.depth_count += 1;
        Ok(())
    }

    /// Counts a tick that could not be read.
    pub(crate) fn refuse(&mut self, reason: Reason) {
        self.dirty = true;
        self.reject(reason);
    }

    /// Counts a tick that another connection has brought before.
    pub(crate) fn duplicate(&mut self) {
        self.dirty = true;
        self.duplicates += 1;
    }

    /// Ticks applied and ticks refused so far. Every tick that was applied is in a ring, or a counted
    /// depth delta.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let trades = self.trade_ring.as_ref().map_or(0, ring::Writer::next);
        let quotes = self.quote_ring.as_ref().map_or(0, ring::Writer::next);
        (trades + quotes + self.depth_count, self.rejected_total)
    }

    #[inline]
    fn judge(&mut self, checked: Result<Flags, Reason>) -> Result<(), Reason> {
        match checked {
            Ok(flags) => {
                if !flags.is_empty() {
                    self.judged = true;
                    flags.iter().for_each(|reason| self.flagged[reason as usize] += 1);
                }
                Ok(())
            }
            Err(reason) => {
                self.reject(reason);
                Err(reason)
            }
        }
    }

    #[cold]
    fn reject(&mut self, reason: Reason) {
        self.judged = true;
        self.rejected[reason as usize] += 1;
        self.rejected_total += 1;
    }

    fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.trades.tracks.iter().chain(&self.quotes.tracks)
    }

    /// Closes every bar that ends at or before `now_ns`, in both streams.
    pub(crate) fn advance(&mut self, shared: &Shared, now_ns: i64) {
        for stream in [&mut self.trades, &mut self.quotes] {
            let closing_time = stream.watermark.advance(now_ns);
            stream.close(closing_time, &shared.view);
        }
        self.dirty = true;
    }

    /// Shows readers everything since the last publication, at once.
    pub(crate) fn publish(&mut self, shared: &Shared) -> Activity {
        let mut activity = Activity::default();
        if !std::mem::take(&mut self.dirty) {
            return activity;
        }
        if !self
            .tracks()
            .all(|track| track.dirty < Dirty::Roots || self.layout.holds(&track.ladder))
        {
            self.grow(shared);
        }
        // A new cell knows nothing yet.
        let anew = self.install.is_some();
        if anew {
            self.cell = Arc::new(Cell::new(self.layout.len()));
            self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks).for_each(Track::touch);
        }
        // The rings first: a cut that shows n trades must find them in the ring.
        let trades = self.trade_ring.as_mut().is_some_and(ring::Writer::publish);
        let quotes = self.quote_ring.as_mut().is_some_and(ring::Writer::publish);
        activity.ticks = trades || quotes;
        for track in self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks) {
            if track.dirty == Dirty::All {
                track.series.iter_mut().for_each(SeriesWriter::publish);
                activity.bars = true;
            }
        }
        let mut update = self.cell.update();
        let (accepted, rejected) = self.counts();
        update.set(layout::RECEIVED, accepted + rejected);
        update.set(layout::ACCEPTED, accepted);
        update.set(layout::DEPTH_COUNT, self.depth_count);
        update.set(layout::DUPLICATES, self.duplicates);
        update.set(layout::CLOSING_TIMES, self.trades.watermark.closing_time() as u64);
        update.set(layout::CLOSING_TIMES + 1, self.quotes.watermark.closing_time() as u64);
        if std::mem::take(&mut self.judged) || anew {
            update.set_all(layout::REJECTED, &self.rejected);
            update.set_all(layout::FLAGGED, &self.flagged);
        }
        if (trades || anew)
            && let Some((count, words)) = self.trade_ring.as_ref().and_then(ring::Writer::newest)
        {
            update.set(layout::TRADE_COUNT, count);
            update.set_all(layout::TRADE, &words);
        }
        if (quotes || anew)
            && let Some((count, words)) = self.quote_ring.as_ref().and_then(ring::Writer::newest)
        {
            update.set(layout::QUOTE_COUNT, count);
            update.set_all(layout::QUOTE, &words);
        }
        for (stream, ticks) in [(&mut self.trades, trades), (&mut self.quotes, quotes)] {
            for track in &mut stream.tracks {
                track.publish(ticks, &self.layout, &mut update);
            }
        }
        drop(update);
        if let Some(changed) = self.install.take() {
            shared.view.rcu(|view| {
                let mut view = View::clone(view);
                for (index, series) in &changed {
                    view.series[*index] = series.clone();
                }
                view.cell = Arc::clone(&self.cell);
                view.layout = self.layout.clone();
                view
            });
        }
        if activity.bars {
            for track in self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks) {
                track.series.iter_mut().for_each(|series| series.drop_oldest(&shared.view));
            }
        }
        activity
    }

    /// Makes room for more open bars than the cell was made for.
    #[cold]
    fn grow(&mut self, shared: &Shared) {
        let most = self.tracks().map(|track| track.ladder.most_open()).fold(1, usize::max);
        let roots: Vec<bool> = parents(&shared.timeframes).iter().map(Option::is_none).collect();
        self.layout = Layout::new(self.tracks().count(), &roots, most.next_power_of_two());
        self.install.get_or_insert_default();
    }

    /// Replaces series at the next publication.
    pub(crate) fn install(&mut self, changed: Vec<(usize, Series)>) {
        for track in self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks) {
            for writer in &mut track.series {
                if let Some((_, series)) =
                    changed.iter().find(|(index, _)| *index == writer.index())
                {
                    writer.adopt(series);
                }
            }
        }
        self.install.get_or_insert_default().extend(changed);
        self.dirty = true;
    }
}
