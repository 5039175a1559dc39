//! Bars that come ready made: history, backfill, and the marking of gaps.
//!
//! # Contract
//! - The bars of one call are checked first; then all of them are applied, in all timeframes that
//!   are rolled up from theirs, and readers see all of it at once.
//! - A bar that is already closed is kept, or with `replace` superseded by a revision of it. A bar
//!   for which ticks are still being collected is never touched: the live bar is the newer truth.
//! - History that ends after everything known so far moves the watermark to its end.

use crate::bars::bar::OpenBar;
use crate::bars::{Bar, Source, Timeframe};
use crate::engine::Session;
use crate::instrument::{Shared, Stream, Writer};
use crate::record::InstrumentId;
use crate::store::Series;
use arrow_schema::ArrowError;

/// What came of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Bars given.
    pub received: u64,
    /// Bars put in where there was none.
    pub inserted: u64,
    /// Bars that took the place of a closed one.
    pub replaced: u64,
    /// Bars left out because a closed one stands in their place.
    pub existing: u64,
    /// Bars left out because ticks are still being collected for theirs.
    pub open: u64,
}

/// Why bars were refused. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The engine does not make bars of this source for the instrument.
    #[error("{symbol} has no {source_name} bars; give the instrument that source to keep them")]
    NoSource {
        /// The instrument.
        symbol: String,
        /// The source asked for.
        source_name: &'static str,
    },
    /// A label that is not the start of a bar.
    #[error(
        "row {row}: {ts} ns is not the start of a {timeframe} bar; the bar that holds it starts at {start} ns"
    )]
    Unaligned {
        /// Position in the order of time.
        row: usize,
        /// The label.
        ts: i64,
        /// What the label should have been.
        start: i64,
        /// The timeframe of the table.
        timeframe: Timeframe,
    },
    /// Two bars of the same label.
    #[error("row {row}: a second bar starts at {ts} ns; give each bar once")]
    Twice {
        /// Position in the order of time.
        row: usize,
        /// The label.
        ts: i64,
    },
    /// Prices that no market can have made.
    #[error("row {row}: the bar at {ts} ns has {what}")]
    Impossible {
        /// Position in the order of time.
        row: usize,
        /// The label.
        ts: i64,
        /// What is wrong.
        what: &'static str,
    },
    /// The columns could not be stored.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

fn check(row: usize, bar: &Bar, timeframe: Timeframe) -> Result<(), HistoryError> {
    let (start, _) = timeframe.bucket(bar.ts);
    if start != bar.ts {
        return Err(HistoryError::Unaligned { row, ts: bar.ts, start, timeframe });
    }
    let finite = [bar.open, bar.high, bar.low, bar.close].iter().all(|price| price.is_finite());
    let what = if !finite {
        "a price that is not a finite number"
    } else if bar.low > bar.open.min(bar.close) || bar.high < bar.open.max(bar.close) {
        "an open or close outside of low and high"
    } else if !(bar.volume >= 0.0 && bar.volume.is_finite()) {
        "a volume that is negative or not a finite number"
    } else {
        return Ok(());
    };
    Err(HistoryError::Impossible { row, ts: bar.ts, what })
}

impl Session<'_> {
    /// Puts ready bars of one timeframe in, in any order of rows. The ends of the bars are worked
    /// out here.
    ///
    /// # Errors
    /// The first row that cannot be right, in the order of time; then nothing has changed.
    pub fn push_bars(
        &mut self,
        id: InstrumentId,
        source: Source,
        level: usize,
        mut bars: Vec<Bar>,
        replace: bool,
    ) -> Result<History, HistoryError> {
        let (writer, shared) = self.enter(id);
        let timeframe = shared.timeframes[level];
        bars.sort_by_key(|bar| bar.ts);
        for (row, bar) in bars.iter_mut().enumerate() {
            check(row, bar, timeframe)?;
            bar.ts_end = timeframe.bucket(bar.ts).1;
        }
        if let Some(row) = (1..bars.len()).find(|&row| bars[row].ts == bars[row - 1].ts) {
            return Err(HistoryError::Twice { row, ts: bars[row].ts });
        }
        writer.history(shared, source, level, &bars, replace)
    }

    /// Says that an instrument's data is missing in `[start, end)`, ns UTC, or before `end` where
    /// the feed has only just been joined. Bars that overlap a gap are not complete.
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn mark_gap(
        &mut self,
        id: InstrumentId,
        start: Option<i64>,
        end: i64,
    ) -> Result<(), HistoryError> {
        let (writer, shared) = self.enter(id);
        writer.mark_gap(shared, start, end)
    }
}

/// Whether bars of `larger` are made of bars of `smaller`, directly or through others.
fn rolls_up(timeframes: &[Timeframe], smaller: usize, larger: usize) -> bool {
    let mut level = larger;
    while let Some(parent) = parent(timeframes, level) {
        if parent == smaller {
            return true;
        }
        level = parent;
    }
    false
}

fn parent(timeframes: &[Timeframe], level: usize) -> Option<usize> {
    crate::bars::ladder::parents(timeframes)[level]
}

/// Bars of one bucket as one.
fn combine<'a>(bars: impl Iterator<Item = &'a Bar>, bucket: (i64, i64)) -> Option<OpenBar> {
    bars.map(OpenBar::of_closed).fold(None, |whole, part| match whole {
        Some(mut whole) => {
            OpenBar::merge(&mut whole, &part);
            Some(whole)
        }
        None => Some(part.within(bucket)),
    })
}

impl Writer {
    fn stream_of(&mut self, source: Source) -> &mut Stream {
        if source == Source::Trade { &mut self.trades } else { &mut self.quotes }
    }

    fn history(
        &mut self,
        shared: &Shared,
        source: Source,
        level: usize,
        bars: &[Bar],
        replace: bool,
    ) -> Result<History, HistoryError> {
        let stream = self.stream_of(source);
        let Some(position) = stream.tracks.iter().position(|track| track.source == source) else {
            let symbol = shared.spec.symbol.clone();
            return Err(HistoryError::NoSource { symbol, source_name: source.name() });
        };
        let timeframes = &shared.timeframes;
        let track = &stream.tracks[position];
        let mut outcome = History { received: bars.len() as u64, ..History::default() };

        // From here on ticks are being collected.
        let pending = (0..=level)
            .filter(|&smaller| smaller == level || rolls_up(timeframes, smaller, level))
            .filter_map(|smaller| track.ladder.open(smaller).first())
            .map(|bar| timeframes[level].bucket(bar.start).0)
            .min()
            .unwrap_or(i64::MAX);
        let index = |level: usize| track.series[level].index();
        let mut applied: Vec<Bar> = Vec::with_capacity(bars.len());
        let mut revised = Vec::new();
        let known = bars.first().zip(bars.last()).map_or(Vec::new(), |(first, last)| {
            shared.view.load().series[index(level)].range(first.ts, last.ts_end)
        });
        for bar in bars {
            let old = known.binary_search_by_key(&bar.ts, |bar| bar.ts).ok().map(|row| &known[row]);
            match old {
                _ if bar.ts >= pending => outcome.open += 1,
                Some(old) if replace => {
                    let bar = Bar { revision: old.revision + 1, ..*bar };
                    outcome.replaced += 1;
                    applied.push(bar);
                    revised.push((level, bar));
                }
                Some(_) => outcome.existing += 1,
                None => {
                    outcome.inserted += 1;
                    applied.push(*bar);
                }
            }
        }
        let Some(newest) = applied.last() else { return Ok(outcome) };
        // Larger bars that end by then close with the ticks they have, and are revised below.
        let closing_time = stream.watermark.advance(newest.ts_end);
        stream.close(closing_time, &shared.view);
        let track = &mut stream.tracks[position];
        track.ladder.forbid_before(closing_time);

        let view = shared.view.load_full();
        let series = |level: usize| &view.series[track.series[level].index()];
        let mut changed: Vec<(usize, Series)> = Vec::new();
        let mut parts: Vec<(usize, Option<OpenBar>)> = Vec::new();
        let base = series(level).with_bars(&applied, usize::MAX)?;
        changed.push((
            track.series[level].index(),
            series(level).with_bars(&applied, track.series[level].retain())?,
        ));
        for larger in
            (level + 1..timeframes.len()).filter(|&larger| rolls_up(timeframes, level, larger))
        {
            let timeframe = timeframes[larger];
            let mut rolled: Vec<Bar> = Vec::new();
            let mut done = i64::MIN;
            for bar in &applied {
                let bucket = timeframe.bucket(bar.ts);
                if bucket.1 <= done {
                    continue;
                }
                done = bucket.1;
                let members = base.range(bucket.0, bucket.1);
                if bucket.1 <= closing_time {
                    if let Some(whole) = combine(members.iter(), bucket) {
                        let mut whole = whole.close();
                        if let Some(old) = series(larger).range(bucket.0, bucket.1).first() {
                            whole.revision = old.revision + 1;
                            revised.push((larger, whole));
                        }
                        rolled.push(whole);
                    }
                } else {
                    // Its closed parts are the parent's bars up to the one that is still open.
                    let open_from = parent(timeframes, larger)
                        .map_or(i64::MAX, |parent| timeframes[parent].bucket(closing_time).0);
                    let members = members.iter().filter(|bar| bar.ts < open_from);
                    parts.push((larger, combine(members, bucket)));
                }
            }
            let writer = &track.series[larger];
            changed.push((writer.index(), series(larger).with_bars(&rolled, writer.retain())?));
        }

        for (level, bar) in parts {
            track.ladder.set_parts(level, bar);
        }
        for (level, bar) in &revised {
            track.series[*level].announce(bar);
        }
        track.touch();
        self.install(changed);
        Ok(outcome)
    }

    fn mark_gap(
        &mut self,
        shared: &Shared,
        start: Option<i64>,
        end: i64,
    ) -> Result<(), HistoryError> {
        let view = shared.view.load_full();
        let mut changed = Vec::new();
        for stream in [&mut self.trades, &mut self.quotes] {
            for track in &mut stream.tracks {
                track.ladder.mark_gap(start.unwrap_or(i64::MIN), end);
                // Joining says nothing of bars that closed before: those are history.
                let Some(start) = start else { continue };
                for writer in &mut track.series {
                    let series = &view.series[writer.index()];
                    let first = series.timeframe.bucket(start).0;
                    let mut spanned = series.range(first, end);
                    spanned.retain(|bar| bar.complete);
                    for bar in &mut spanned {
                        bar.complete = false;
                        bar.revision += 1;
                        writer.announce(bar);
                    }
                    if !spanned.is_empty() {
                        changed
                            .push((writer.index(), series.with_bars(&spanned, writer.retain())?));
                    }
                }
                track.touch();
            }
        }
        if !changed.is_empty() {
            self.install(changed);
        }
        Ok(())
    }
}
