//! One consistent cut through an instrument: counters, newest tick, top of the book, open and closed
//! bars of all timeframes, as they were after some one publication.
//!
//! Taking a snapshot copies a few hundred words and delays nobody.

use crate::bars::bar::OpenBar;
use crate::bars::{Bar, Buckets, Kind, Source, still_open};
use crate::book::BookView;
use crate::instrument::Shared;
use crate::layout::{self, Layout};
use crate::reason::{REASONS, Reason};
use crate::record::{NO_TIME, Quote, Side, Trade};
use crate::store::{Series, View};
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use std::sync::Arc;

/// See the module documentation.
#[derive(Debug)]
pub struct Snapshot {
    view: Arc<View>,
    words: Vec<u64>,
    kinds: Arc<[Kind]>,
    buckets: Arc<[Buckets]>,
    sources: Vec<Source>,
}

/// Counts of ticks. `received == accepted + rejected` at every moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Ticks that came.
    pub received: u64,
    /// Ticks that were applied.
    pub accepted: u64,
    /// Ticks that were refused, by reason.
    pub rejected: [u64; REASONS],
    /// Ticks that were applied though they broke a rule, by reason.
    pub flagged: [u64; REASONS],
    /// Trades among the accepted.
    pub trades: u64,
    /// Quotes among the accepted.
    pub quotes: u64,
    /// Depth deltas among the accepted.
    pub depth: u64,
    /// Second copies, of ticks that two overlapping connections have brought. None of the above.
    pub duplicates: u64,
    /// Lasting differences between the best prices of the order book and those of the quotes.
    pub book_disagreements: u64,
    /// Late ticks among the accepted, which have changed closed bars.
    pub revised: u64,
}

impl Counters {
    /// Ticks that were refused, for any reason.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Adds another instrument's counts.
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.accepted += other.accepted;
        self.trades += other.trades;
        self.quotes += other.quotes;
        self.depth += other.depth;
        self.duplicates += other.duplicates;
        self.book_disagreements += other.book_disagreements;
        self.revised += other.revised;
        for reason in Reason::ALL {
            self.rejected[*reason as usize] += other.rejected[*reason as usize];
            self.flagged[*reason as usize] += other.flagged[*reason as usize];
        }
    }
}

impl Snapshot {
    pub(crate) fn take(shared: &Shared) -> Self {
        let mut words = Vec::new();
        loop {
            let view = shared.view.load_full();
            view.cell.read(&mut words);
            // Bars are appended before the cell says so, and dropped after: a view that stood before
            // and after the words were read holds all bars that they speak of.
            if !Arc::ptr_eq(&view, &shared.view.load_full()) {
                continue;
            }
            return Self {
                view,
                words,
                kinds: Arc::clone(&shared.kinds),
                buckets: Arc::clone(&shared.buckets),
                sources: shared.spec.sources.clone(),
            };
        }
    }

    /// The kinds of bars, in order: lengths of time first, ascending.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The buckets of each length of time, ascending.
    #[must_use]
    pub fn buckets(&self) -> &[Buckets] {
        &self.buckets
    }

    /// The sources that have bars.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The counters of the instrument.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let by_reason = |at: usize| std::array::from_fn(|reason| self.words[at + reason]);
        Counters {
            received: self.words[layout::RECEIVED],
            accepted: self.words[layout::ACCEPTED],
            rejected: by_reason(layout::REJECTED),
            flagged: by_reason(layout::FLAGGED),
            trades: self.trade_count(),
            quotes: self.quote_count(),
            depth: self.words[layout::DEPTH_COUNT],
            duplicates: self.words[layout::DUPLICATES],
            book_disagreements: self
                .book_words()
                .map_or(0, |(_, words)| BookView::counts_in(words).disagreements),
            revised: self.words[layout::REVISED],
        }
    }

    /// Number of trades accepted so far; one past the sequence number of the newest.
    #[must_use]
    pub fn trade_count(&self) -> u64 {
        self.words[layout::TRADE_COUNT]
    }

    /// Number of quotes accepted so far; one past the sequence number of the newest.
    #[must_use]
    pub fn quote_count(&self) -> u64 {
        self.words[layout::QUOTE_COUNT]
    }

    /// The newest trade, in order of arrival.
    #[must_use]
    pub fn trade(&self) -> Option<Trade> {
        (self.trade_count() > 0).then(|| Trade::from_words(&self.words[layout::TRADE..]))
    }

    /// The newest quote, in order of arrival: the top of the book as the quotes have it.
    #[must_use]
    pub fn quote(&self) -> Option<Quote> {
        (self.quote_count() > 0).then(|| Quote::from_words(&self.words[layout::QUOTE..]))
    }

    /// The order book, if depth has come.
    #[must_use]
    pub fn book(&self) -> Option<BookView> {
        let (shown, words) = self.book_words()?;
        let last_side = self.trade().map_or(Side::None, |trade| trade.side);
        Some(BookView::from_words(words, shown, last_side))
    }

    fn book_words(&self) -> Option<(usize, &[u64])> {
        let (shown, at) = self.view.layout.book()?;
        Some((shown, &self.words[at..]))
    }

    /// The time up to which a source's bars are closed, ns UTC.
    #[must_use]
    pub fn closing_time(&self, source: Source) -> Option<i64> {
        let stream = usize::from(source != Source::Trade);
        let time = self.words[layout::CLOSING_TIMES + stream] as i64;
        (time != NO_TIME).then_some(time)
    }

    /// How far the clock of this machine is ahead of the venue's, ns, as far as arrivals can tell: by
    /// those of trades, or else of quotes.
    #[must_use]
    pub fn clock_offset_ns(&self) -> Option<i64> {
        let offset = self.words[layout::CLOCK_OFFSET] as i64;
        (offset != NO_TIME).then_some(offset)
    }

    fn track(&self, source: Source) -> Option<usize> {
        self.sources.iter().position(|known| *known == source)
    }

    fn series(&self, track: usize, level: usize) -> &Series {
        &self.view.series[track * self.kinds.len() + level]
    }

    fn appended(&self, track: usize, level: usize) -> u64 {
        self.words[self.view.layout.level(track, level)]
    }

    /// The newest closed bar.
    #[must_use]
    pub fn closed_bar(&self, source: Source, level: usize) -> Option<Bar> {
        let track = self.track(source)?;
        self.series(track, level).last(self.appended(track, level))
    }

    /// The bars of a timeframe that are still open, oldest first: usually one.
    #[must_use]
    pub fn open_bars(&self, source: Source, level: usize) -> Vec<Bar> {
        let Some(track) = self.track(source) else { return Vec::new() };
        let open = if level < self.buckets.len() {
            still_open(&self.buckets, level, |held| self.held(track, held))
        } else {
            self.held(track, level).collect()
        };
        open.iter().map(OpenBar::so_far).collect()
    }

    /// What a level holds itself.
    fn held(&self, track: usize, level: usize) -> impl Iterator<Item = OpenBar> {
        let at = self.view.layout.level(track, level);
        let open = self.words[at + 1] as usize;
        (0..open).map(move |slot| OpenBar::from_words(&self.words[at + Layout::open_bar(slot)..]))
    }

    /// Bars as Arrow batches, at least one: those from `since` (ns UTC) on, at most the `last` of them; `partial`
    /// adds the open ones.
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn batches(
        &self,
        source: Source,
        level: usize,
        last: Option<usize>,
        since: Option<i64>,
        partial: bool,
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        let Some(track) = self.track(source) else { return Ok(Vec::new()) };
        let mut extra = if partial { self.open_bars(source, level) } else { Vec::new() };
        extra.retain(|bar| since.is_none_or(|since| bar.ts >= since));
        self.series(track, level).batches(self.appended(track, level), last, since, &extra)
    }
}
