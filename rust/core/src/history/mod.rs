//! Bars that come ready made: history, backfill, and the marking of gaps.
//!
//! # Contract
//! - The bars of one call are checked first; then all of them are applied, in all timeframes that
//!   are rolled up from theirs, and readers see all of it at once.
//! - A bar that is already closed is kept, or with `replace` superseded by a revision of it. A bar
//!   for which ticks are still being collected is never touched: the live bar is the newer truth.
//! - A larger bar is worked out anew only if it holds what the smaller bars at hand hold. One that
//!   came ready made, or of whose smaller bars retention has dropped some, knows more than they do.
//! - The bars of a call are all there are from the first to the last of them, or in the span that is
//!   given with them: where there is none, nothing was traded. Gaps in it are filled with that, in
//!   their timeframe and in those that are rolled up from it. A larger bar is complete once all of
//!   its parts are and no gap is left in it.
//! - Bars that are cut by their ticks are made of ticks alone: history leaves them as they are, and a
//!   gap in one stays.
//! - History that ends after everything known so far moves the watermark to its end.

mod check;

use crate::bars::bar::OpenBar;
use crate::bars::{Bar, Buckets, Source, Timeframe, parent};
use crate::engine::Session;
use crate::instrument::{Shared, Stream, Writer};
use crate::record::{InstrumentId, NO_TIME};
use crate::store::Series;

pub use check::HistoryError;
use check::check;

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

/// Closed bars that a call has changed, each once, with their timeframes; smaller timeframes first.
pub type Revised = Vec<(Timeframe, Bar)>;

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
        bars: Vec<Bar>,
        replace: bool,
    ) -> Result<History, HistoryError> {
        self.push_history(id, source, level, bars, replace, None).map(|(history, _)| history)
    }

    /// The same, for bars that are all there are in `span`, ns UTC; there may be none. Returns also
    /// the closed bars that changed.
    ///
    /// # Errors
    /// As for [`push_bars`](Self::push_bars).
    pub fn push_history(
        &mut self,
        id: InstrumentId,
        source: Source,
        level: usize,
        mut bars: Vec<Bar>,
        replace: bool,
        span: Option<(i64, i64)>,
    ) -> Result<(History, Revised), HistoryError> {
        // What this session has changed so far must stand in the series.
        self.leave();
        let (writer, shared) = self.enter(id);
        let Some(buckets) = shared.buckets.get(level) else {
            return Err(HistoryError::NotTime(shared.kinds[level]));
        };
        bars.sort_by_key(|bar| bar.ts);
        for (row, bar) in bars.iter_mut().enumerate() {
            check(row, bar, buckets)?;
            bar.ts_end = buckets.bucket(bar.ts).1;
        }
        if let Some(row) = (1..bars.len()).find(|&row| bars[row].ts == bars[row - 1].ts) {
            return Err(HistoryError::Twice { row, ts: bars[row].ts });
        }
        let span = known(span, &bars, buckets);
        writer.busy = true;
        let outcome = writer.history(shared, source, level, &bars, replace, span);
        writer.busy = false;
        // What this session does next builds on the series as readers see them.
        self.leave();
        outcome
    }

    /// Says that an instrument's data is missing in `[start, end)`, ns UTC, or before `end` where
    /// the feed has only just been joined (since it was joined before, where it was). Bars that
    /// overlap a gap are not complete, nor is a book that was whole only before it.
    ///
    /// # Errors
    /// None that is known; Arrow checks what it is given.
    pub fn mark_gap(
        &mut self,
        id: InstrumentId,
        start: Option<i64>,
        end: i64,
    ) -> Result<(), HistoryError> {
        self.leave();
        let outcome = self.update(id, |writer, shared| {
            if start.is_some() {
                writer.lose_book(start);
            }
            writer.mark_gap(shared, start, end)
        });
        self.leave();
        outcome
    }
}

/// The whole bars of a span, and all that were given.
fn known(span: Option<(i64, i64)>, bars: &[Bar], buckets: &Buckets) -> (i64, i64) {
    let inside = |(start, end): (i64, i64)| {
        let first = buckets.bucket(start);
        (if first.0 < start { first.1 } else { start }, buckets.bucket(end).0)
    };
    let given = bars.first().zip(bars.last()).map(|(first, last)| (first.ts, last.ts_end));
    match (span.map(inside), given) {
        (Some(span), Some(given)) => (span.0.min(given.0), span.1.max(given.1)),
        (span, given) => span.or(given).unwrap_or_default(),
    }
}

/// Whether bars of `larger` are made of bars of `smaller`, directly or through others.
fn rolls_up(levels: &[Buckets], smaller: usize, larger: usize) -> bool {
    let mut level = larger;
    while let Some(parent) = parent(levels, level) {
        if parent == smaller {
            return true;
        }
        level = parent;
    }
    false
}

/// The buckets that bars in order of time fall into, each once.
fn touched(bars: &[Bar], buckets: &Buckets) -> Vec<(i64, i64)> {
    let mut touched: Vec<(i64, i64)> = bars.iter().map(|bar| buckets.bucket(bar.ts)).collect();
    touched.dedup();
    touched
}

/// The buckets of closed bars that a gap has cut, but for those in `known` (ascending).
fn cut_bars(
    series: &Series,
    buckets: &Buckets,
    (start, end): (i64, i64),
    known: &[(i64, i64)],
) -> Vec<(i64, i64)> {
    let bars = series.range(buckets.bucket(start).0, end).into_iter();
    let cut = bars.filter(|bar| !bar.complete).map(|bar| (bar.ts, bar.ts_end));
    cut.filter(|bucket| known.binary_search(bucket).is_err()).collect()
}

/// Bars of one bucket as one; where bars without ticks are filled, those say nothing beside others.
fn combine(bars: &[Bar], bucket: (i64, i64), fills: bool) -> Option<OpenBar> {
    let part = |bar: &Bar| OpenBar::of_closed(bar, fills);
    bars.iter().map(part).fold(None, |whole, part| match whole {
        Some(mut whole) => {
            OpenBar::merge(&mut whole, &part);
            Some(whole)
        }
        None => Some(part.within(bucket)),
    })
}

/// Whether a bar holds what its known smaller bars hold. Where it does not, it knows more than they
/// do: it came ready made, or retention has dropped some of them.
fn made_of(bar: &Bar, smaller: Option<OpenBar>) -> bool {
    smaller.is_some_and(|smaller| {
        let sum = smaller.close();
        [bar.open, bar.high, bar.low, bar.close] == [sum.open, sum.high, sum.low, sum.close]
            && bar.trades == sum.trades
            // The same sizes, added in another order.
            && (bar.volume - sum.volume).abs() <= bar.volume.max(sum.volume) * 1e-9
    })
}

impl Stream {
    /// Has the levels that ticks enter go on filling from the last of ready bars, where that says what
    /// their last price was. Where it only says that time has passed, they know none any more.
    fn tell_flats(&mut self, levels: &[Buckets], (position, level): (usize, usize), last: &Bar) {
        let closing_time = self.watermark.closing_time();
        for (other, track) in self.tracks.iter_mut().enumerate() {
            for root in 0..levels.len() {
                let concerned = root == level || rolls_up(levels, root, level);
                let close = (other == position && concerned).then_some(last.close);
                if close.is_some() || last.ts_end > closing_time {
                    track.ladder.told(root, last.ts_end, close, closing_time);
                }
            }
        }
    }
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
        span: (i64, i64),
    ) -> Result<(History, Revised), HistoryError> {
        if self.is_stopped() {
            return Err(HistoryError::Stopped { symbol: shared.spec.symbol.clone() });
        }
        let stream = self.stream_of(source);
        let Some(position) = stream.tracks.iter().position(|track| track.source == source) else {
            let symbol = shared.spec.symbol.clone();
            return Err(HistoryError::NoSource { symbol, source_name: source.name() });
        };
        let levels = &shared.buckets;
        let track = &stream.tracks[position];
        let mut outcome = History { received: bars.len() as u64, ..History::default() };

        // From here on ticks are being collected.
        let pending = (0..=level)
            .filter(|&smaller| smaller == level || rolls_up(levels, smaller, level))
            .filter_map(|smaller| track.ladder.open(smaller).first())
            .map(|bar| levels[level].bucket(bar.start).0)
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
        // Larger bars that end by then close with the ticks they have, and are revised below.
        let newest = applied.last().map_or(NO_TIME, |bar| bar.ts_end);
        if let Some(last) = applied.last() {
            stream.tell_flats(levels, (position, level), last);
        }
        let closing_time = stream.watermark.advance(newest);
        stream.close(closing_time, &shared.view);
        let track = &mut stream.tracks[position];
        // Of what is not closed, ticks will tell.
        let end = span.1.min(pending).min(closing_time);
        let filled: Vec<bool> = (0..levels.len())
            .map(|larger| larger == level || rolls_up(levels, level, larger))
            .enumerate()
            .map(|(larger, concerned)| concerned && track.ladder.fill(larger, span.0, end))
            .collect();
        if let Some(revisions) = &mut track.revisions {
            applied.iter().for_each(|bar| revisions.settle(bar.ts, bar.ts_end));
            if replace {
                revisions.settle(span.0, end);
            }
        }
        if applied.is_empty() && !filled.contains(&true) {
            return Ok((outcome, Vec::new()));
        }

        let view = shared.view.load_full();
        let series = |level: usize| &view.series[track.series[level].index()];
        let combine = |bars: &[Bar], bucket| combine(bars, bucket, track.ladder.fills());
        let mut changed: Vec<(usize, Series)> = Vec::new();
        let mut parts: Vec<(usize, Option<OpenBar>)> = Vec::new();
        // Of each timeframe dealt with: all its closed bars as they will be, and the new among them.
        let mut done: Vec<Option<(Series, Vec<Bar>)>> = levels.iter().map(|_| None).collect();
        for larger in level..levels.len() {
            let news = if larger == level {
                std::mem::take(&mut applied)
            } else {
                let Some(parent) = parent(levels, larger) else { continue };
                let Some((members, news)) = &done[parent] else { continue };
                let mut rolled: Vec<Bar> = Vec::new();
                let renewed = touched(news, &levels[larger]);
                // Bars of which no part is new may have become whole all the same.
                let cut = if filled[larger] {
                    cut_bars(series(larger), &levels[larger], (span.0, end), &renewed)
                } else {
                    Vec::new()
                };
                for bucket in renewed.iter().chain(&cut).copied() {
                    let before = combine(&series(parent).range(bucket.0, bucket.1), bucket);
                    let after = combine(&members.range(bucket.0, bucket.1), bucket);
                    if bucket.1 <= closing_time {
                        let old = series(larger).range(bucket.0, bucket.1).first().copied();
                        let Some(after) =
                            after.filter(|_| old.is_none_or(|old| made_of(&old, before)))
                        else {
                            continue;
                        };
                        let mut bar = after.close();
                        bar.complete &= !track.ladder.in_gap(larger, bucket.0, bucket.1);
                        if !bar.complete && cut.contains(&bucket) {
                            continue;
                        }
                        if let Some(old) = old {
                            bar.revision = old.revision + 1;
                            revised.push((larger, bar));
                        }
                        rolled.push(bar);
                    } else {
                        let held =
                            track.ladder.open(larger).iter().find(|bar| bar.start == bucket.0);
                        if held.is_none_or(|held| made_of(&held.close(), before)) {
                            parts.push((larger, after));
                        }
                    }
                }
                rolled.sort_by_key(|bar| bar.ts);
                rolled
            };
            let writer = &track.series[larger];
            let whole = series(larger).with_bars(&news, writer.retain())?;
            changed.push((writer.index(), whole.retained(writer.retain())));
            done[larger] = Some((whole, news));
        }

        for (level, bar) in parts {
            track.ladder.set_parts(level, bar);
        }
        for (level, bar) in &revised {
            track.series[*level].announce(bar);
        }
        track.touch();
        self.install(changed);
        let timeframe = |(level, bar): (usize, Bar)| (levels[level].timeframe(), bar);
        Ok((outcome, revised.into_iter().map(timeframe).collect()))
    }

    fn mark_gap(
        &mut self,
        shared: &Shared,
        start: Option<i64>,
        end: i64,
    ) -> Result<(), HistoryError> {
        if self.is_stopped() {
            return Ok(());
        }
        let view = shared.view.load_full();
        let mut changed = Vec::new();
        for stream in [&mut self.trades, &mut self.quotes] {
            for track in &mut stream.tracks {
                track.measured.iter_mut().for_each(|measured| measured.mark_gap(end));
                // Joining says nothing of bars that closed before: those are history.
                let Some(start) = track.ladder.mark_gap(start, end) else { continue };
                for writer in &mut track.series {
                    let series = &view.series[writer.index()];
                    let (row, mut spanned) = match &series.buckets {
                        Some(buckets) => series.between(buckets.bucket(start).0, end),
                        None => series.across(start, end),
                    };
                    let mut marked = false;
                    for bar in spanned.iter_mut().filter(|bar| bar.complete) {
                        bar.complete = false;
                        bar.revision += 1;
                        writer.announce(bar);
                        marked = true;
                    }
                    if marked {
                        let marked = series.with_rows(row, &spanned, writer.retain())?;
                        changed.push((writer.index(), marked));
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
