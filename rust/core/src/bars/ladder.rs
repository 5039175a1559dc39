//! All timeframes of one price series, built together.
//!
//! Only the smallest timeframe is touched by a tick. When one of its bars closes, the bar is merged
//! into the next larger timeframe it nests in, and so on: the cost of a tick does not grow with the
//! number of timeframes. Timeframes that do not nest (2m beside 3m) are each fed by the ticks.
//!
//! A ladder has no idea of time but the closing time it is told: a bar closes when that reaches the
//! bar's end. Several bars of the smallest timeframe may be open at once, because ticks may be
//! allowed to come late, and because one with a stamp from the future must not close anything.

use super::bar::{OpenBar, Print};
use super::buckets::{Buckets, parent};
use super::flats::{Empty, Flats};
use super::gaps::Gaps;
use crate::record::NO_TIME;

/// Takes closed bars: the level's index and the bar.
pub(crate) trait Closed {
    fn closed(&mut self, level: usize, bar: &OpenBar);
}

#[derive(Debug)]
struct Level {
    buckets: Buckets,
    /// The larger timeframes that bars of this one are merged into.
    children: Vec<usize>,
    /// Bars not closed yet, oldest first. Where the level is rolled up, at most one, holding the
    /// closed parts so far.
    open: Vec<OpenBar>,
    /// What is missing; a bar that overlaps it is not complete. Each level has its own, because
    /// history may fill a gap of some timeframes only.
    gaps: Gaps,
    /// Where bars without ticks are filled, and ticks enter the level.
    flats: Option<Flats>,
}

impl Level {
    /// Returns whether the tick entered the newest bar, as nearly every one does.
    #[inline]
    fn add(&mut self, ts: i64, price: f64, size: f64) -> bool {
        if let Some(bar) = self.open.last_mut()
            && bar.holds(ts)
        {
            bar.add(ts, price, size);
            return true;
        }
        self.add_elsewhere(ts, price, size);
        false
    }

    /// See [`Ladder::add_run`].
    #[inline]
    fn add_run(&mut self, ts: &[i64], price: &[f64], size: &[f64]) -> (usize, bool) {
        let (Some(&first), Some(&last)) = (ts.first(), ts.last()) else { return (0, true) };
        let until = |end: i64| {
            if last < end { ts.len() } else { ts.partition_point(|&ts| ts < end) }
        };
        if let Some(bar) = self.open.last_mut()
            && first < bar.end
        {
            if first < bar.close_ts {
                return (0, true);
            }
            let count = until(bar.end);
            bar.add_run(&ts[..count], &price[..count], &size[..count]);
            return (count, true);
        }
        let bucket = self.buckets.bucket(first);
        let count = until(bucket.1);
        let mut bar = OpenBar::of_tick(bucket, first, price[0], size[0]);
        bar.add_run(&ts[1..count], &price[1..count], &size[1..count]);
        self.open.push(bar);
        (count, false)
    }

    /// The next bar that is to be filled without ticks, and its price.
    #[inline]
    fn flat_due(&self) -> Option<((i64, i64), f64)> {
        self.flats.as_ref()?.due(&self.buckets)
    }

    #[cold]
    fn add_elsewhere(&mut self, ts: i64, price: f64, size: f64) {
        let bucket = self.buckets.bucket(ts);
        match self.open.binary_search_by_key(&bucket.0, |bar| bar.start) {
            Ok(index) => self.open[index].add(ts, price, size),
            Err(index) => self.open.insert(index, OpenBar::of_tick(bucket, ts, price, size)),
        }
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// From the smallest timeframe to the largest.
    levels: Vec<Level>,
    /// Indices of the levels that ticks enter.
    roots: Vec<usize>,
    /// No bar of a level that is rolled up ends before this, ns.
    earliest_end: i64,
    /// When the feed was joined, the last time that it was.
    joined: Option<i64>,
}

impl Ladder {
    /// A ladder over timeframes in ascending order.
    pub(crate) fn new(buckets: &[Buckets], empty: &Empty) -> Self {
        let mut levels: Vec<Level> = buckets
            .iter()
            .map(|buckets| Level {
                buckets: buckets.clone(),
                children: Vec::new(),
                open: Vec::new(),
                gaps: Gaps::default(),
                flats: None,
            })
            .collect();
        let mut roots = Vec::new();
        for index in 0..levels.len() {
            match parent(buckets, index) {
                Some(parent) => levels[parent].children.push(index),
                None => {
                    levels[index].flats = Flats::new(empty);
                    roots.push(index);
                }
            }
        }
        Self { levels, roots, earliest_end: i64::MAX, joined: None }
    }

    /// Given a closing time, the event time below which a tick is late, because a bar that it would
    /// enter is closed; and the next closing time at which that moves. No bar of any timeframe ends
    /// in between.
    pub(crate) fn limits(&self, closing_time: i64) -> (i64, i64) {
        let (mut closed_until, mut next_close) = (NO_TIME, i64::MAX);
        for &root in &self.roots {
            let level = &self.levels[root];
            let (start, end) = match level.open.first() {
                Some(bar) if bar.holds(closing_time) => (bar.start, bar.end),
                _ => level.buckets.bucket(closing_time),
            };
            closed_until = closed_until.max(start);
            next_close = next_close.min(end);
        }
        (closed_until, next_close)
    }

    /// Bars of a level that are not closed, oldest first: ticks where the level is a root, closed
    /// parts where it is rolled up.
    pub(crate) fn open(&self, level: usize) -> &[OpenBar] {
        &self.levels[level].open
    }

    /// The largest number of open bars that any level has; where it is rolled up, it has one at most.
    pub(crate) fn most_open(&self) -> usize {
        self.roots.iter().map(|&root| self.levels[root].open.len()).fold(1, usize::max)
    }

    /// The levels that ticks enter directly.
    pub(crate) fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// Adds a tick that is not late. Returns whether nothing but the newest open bar of each root
    /// changed.
    #[inline]
    pub(crate) fn add(&mut self, ts: i64, price: f64, size: f64) -> bool {
        // The smallest timeframe is always a root, and nearly always the only one.
        let Some((smallest, larger)) = self.levels.split_first_mut() else { return true };
        let mut newest = smallest.add(ts, price, size);
        for &root in &self.roots[1..] {
            newest &= larger[root - 1].add(ts, price, size);
        }
        newest
    }

    /// Adds the ticks from the first on that enter one bar, the newest of the only root or a new one
    /// after it (all, where there is no timeframe), of ticks of which none is earlier than the one before. Returns how many those are,
    /// and whether nothing but the newest open bar changed.
    #[inline]
    pub(crate) fn add_run(&mut self, ts: &[i64], price: &[f64], size: &[f64]) -> (usize, bool) {
        match (self.roots.as_slice(), self.levels.first_mut()) {
            ([_], Some(level)) => level.add_run(ts, price, size),
            // No timeframe at all.
            (_, None) => (ts.len(), true),
            _ => (0, true),
        }
    }

    /// Closes every bar that ends at or before `closing_time`, in order of time, smaller timeframes
    /// first, and moves the limit for late ticks.
    pub(crate) fn close(&mut self, closing_time: i64, out: &mut impl Closed) {
        for position in 0..self.roots.len() {
            self.close_level(self.roots[position], closing_time, out);
        }
        // Most of the time only the smallest timeframe has anything to close.
        if closing_time >= self.earliest_end {
            self.earliest_end = i64::MAX;
            for index in 0..self.levels.len() {
                self.close_level(index, closing_time, out);
                if let Some(bar) = self.levels[index].open.first()
                    && !self.roots.contains(&index)
                {
                    self.earliest_end = self.earliest_end.min(bar.end);
                }
            }
        }
    }

    #[inline]
    fn close_level(&mut self, index: usize, closing_time: i64, out: &mut impl Closed) {
        let due = |bar: &&OpenBar| bar.end <= closing_time;
        let count = self.levels[index].open.iter().take_while(due).count();
        if count > 0 {
            for position in 0..count {
                let mut bar = self.levels[index].open[position];
                self.fill_flats(index, bar.start, out);
                self.emit(index, &mut bar, out);
                if let Some(flats) = &mut self.levels[index].flats {
                    flats.closed(bar.end, bar.close);
                }
            }
            self.levels[index].open.drain(..count);
        }
        self.fill_flats(index, closing_time, out);
    }

    /// Closes the bars without ticks that end by then, where those are filled.
    #[inline]
    fn fill_flats(&mut self, index: usize, until: i64, out: &mut impl Closed) {
        while let Some((bucket, close)) = self.levels[index].flat_due() {
            // The last bucket of all ends where time does.
            if bucket.1 > until || bucket.1 == i64::MAX {
                return;
            }
            let missing = self.in_gap(index, bucket.0, bucket.1);
            if let Some(flats) = self.flats_mut(index) {
                if missing { flats.unknown() } else { flats.filled(bucket.1) }
            }
            if !missing {
                self.emit(index, &mut OpenBar::flat(bucket, close), out);
            }
        }
    }

    fn emit(&mut self, index: usize, bar: &mut OpenBar, out: &mut impl Closed) {
        bar.complete &= !self.in_gap(index, bar.start, bar.end);
        out.closed(index, bar);
        for position in 0..self.levels[index].children.len() {
            let child = self.levels[index].children[position];
            self.roll_up(child, bar, out);
        }
    }

    /// Merges a closed bar into a larger timeframe.
    fn roll_up(&mut self, child: usize, part: &OpenBar, out: &mut impl Closed) {
        let level = &mut self.levels[child];
        match level.open.first_mut() {
            // Parts come in order of time.
            Some(bar) if part.start < bar.end => bar.merge(part),
            Some(bar) => {
                let next = part.within(level.buckets.bucket(part.start));
                self.earliest_end = self.earliest_end.min(next.end);
                let mut finished = std::mem::replace(bar, next);
                self.emit(child, &mut finished, out);
            }
            None => {
                let first = part.within(level.buckets.bucket(part.start));
                self.earliest_end = self.earliest_end.min(first.end);
                level.open.push(first);
            }
        }
    }

    /// Says that data is missing in `[start, end)`, or since the feed was last joined and, the first
    /// time, since ever. Returns the start, where there is one and anything is missing.
    pub(crate) fn mark_gap(&mut self, start: Option<i64>, end: i64) -> Option<i64> {
        let start = start.or_else(|| {
            let before = self.joined;
            self.joined = before.max(Some(end));
            before
        });
        for level in &mut self.levels {
            level.gaps.add(start.unwrap_or(i64::MIN), end);
        }
        start.filter(|&start| start < end)
    }

    /// Says that there are ready bars, the last of which ends at `end`; `close` is its own, if it is of
    /// this level or of one rolled up from it. Matters to levels that ticks enter.
    pub(crate) fn told(&mut self, root: usize, end: i64, close: Option<f64>, closing_time: i64) {
        let closed_until = self.bucket(root, closing_time).0;
        if let Some(flats) = self.flats_mut(root) {
            match close {
                Some(close) => flats.told(end, close, closed_until),
                None => flats.unknown(),
            }
        }
    }

    /// Whether bars without ticks are filled.
    pub(crate) fn fills(&self) -> bool {
        self.roots.first().is_some_and(|&root| self.levels[root].flats.is_some())
    }

    /// How far a level that ticks enter is filled, where it is.
    pub(crate) fn flats_mut(&mut self, root: usize) -> Option<&mut Flats> {
        self.levels[root].flats.as_mut()
    }

    /// The bucket of a level that holds a time.
    pub(crate) fn bucket(&self, level: usize, ts: i64) -> (i64, i64) {
        self.levels[level].buckets.bucket(ts)
    }

    /// The larger levels that bars of this one are merged into.
    pub(crate) fn children(&self, level: usize) -> &[usize] {
        &self.levels[level].children
    }

    /// Adds a tick to one of the levels that ticks enter.
    pub(crate) fn add_to(&mut self, root: usize, tick: &Print) {
        self.levels[root].add(tick.ts, tick.price, tick.size);
    }

    /// The closed parts that a rolled-up level holds of a bucket, none of which may be there yet: then
    /// they are made of this tick, which is the only one.
    pub(crate) fn parts_or(
        &mut self,
        level: usize,
        bucket: (i64, i64),
        tick: &Print,
    ) -> Option<&mut OpenBar> {
        debug_assert!(!self.roots.contains(&level), "ticks of a root would be lost");
        if self.levels[level].open.is_empty() {
            let only = OpenBar::of_tick(bucket, tick.ts, tick.price, tick.size);
            self.set_parts(level, Some(only));
            return None;
        }
        self.levels[level].open.first_mut()
    }

    /// The closed parts that a rolled-up level holds.
    pub(crate) fn parts_mut(&mut self, level: usize) -> Option<&mut OpenBar> {
        self.levels[level].open.first_mut()
    }

    /// Says that all of `[start, end)` is known at a level; whether anything of it was missing.
    pub(crate) fn fill(&mut self, level: usize, start: i64, end: i64) -> bool {
        self.levels[level].gaps.remove(start, end)
    }

    /// Whether anything of `[start, end)` is missing at a level.
    pub(crate) fn in_gap(&self, level: usize, start: i64, end: i64) -> bool {
        self.levels[level].gaps.overlaps(start, end)
    }

    /// Replaces the closed parts that a rolled-up level holds.
    pub(crate) fn set_parts(&mut self, level: usize, parts: Option<OpenBar>) {
        debug_assert!(!self.roots.contains(&level), "ticks of a root would be lost");
        self.earliest_end = parts.map_or(self.earliest_end, |bar| self.earliest_end.min(bar.end));
        self.levels[level].open.clear();
        self.levels[level].open.extend(parts);
    }
}
