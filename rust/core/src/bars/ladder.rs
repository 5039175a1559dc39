//! All timeframes of one price series, built together.
//!
//! Only the smallest timeframe is touched by a tick. When one of its bars closes, the bar is merged
//! into the next larger timeframe it nests in, and so on: the cost of a tick does not grow with the
//! number of timeframes. Timeframes that do not nest (2m beside 3m) are each fed by the ticks.
//!
//! A ladder has no idea of time but the closing time it is told: a bar closes when that reaches the
//! bar's end. Several bars of the smallest timeframe may be open at once, because ticks may be
//! allowed to come late, and because one with a stamp from the future must not close anything.

use super::bar::OpenBar;
use super::timeframe::Timeframe;

/// Takes closed bars: the level's index and the bar.
pub(crate) trait Closed {
    fn closed(&mut self, level: usize, bar: &OpenBar);
}

#[derive(Debug)]
struct Level {
    timeframe: Timeframe,
    /// The larger timeframes that bars of this one are merged into.
    children: Vec<usize>,
    /// Bars not closed yet, oldest first. Where the level is rolled up, at most one, holding the
    /// closed parts so far.
    open: Vec<OpenBar>,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// From the smallest timeframe to the largest.
    levels: Vec<Level>,
    /// Indices of the levels that ticks enter.
    roots: Vec<usize>,
    /// The closing time at which a bar closes or the limit for late ticks moves.
    next_close: i64,
    /// Ticks below this belong to a closed bar.
    closed_until: i64,
    /// Spans without data, `[start, end)`; a bar that overlaps one is not complete.
    gaps: Vec<(i64, i64)>,
}

/// For each timeframe (ascending), the largest smaller one that nests in it.
pub(crate) fn parents(timeframes: &[Timeframe]) -> Vec<Option<usize>> {
    timeframes
        .iter()
        .enumerate()
        .map(|(index, larger)| {
            (0..index).rev().find(|&smaller| timeframes[smaller].nests_in(*larger))
        })
        .collect()
}

impl Ladder {
    /// A ladder over timeframes in ascending order.
    pub(crate) fn new(timeframes: &[Timeframe]) -> Self {
        let mut levels: Vec<Level> = timeframes
            .iter()
            .map(|&timeframe| Level { timeframe, children: Vec::new(), open: Vec::new() })
            .collect();
        let mut roots = Vec::new();
        for (index, parent) in parents(timeframes).into_iter().enumerate() {
            match parent {
                Some(parent) => levels[parent].children.push(index),
                None => roots.push(index),
            }
        }
        Self { levels, roots, next_close: i64::MIN + 1, closed_until: i64::MIN, gaps: Vec::new() }
    }

    /// The event time below which a tick is late.
    #[inline]
    pub(crate) fn closed_until(&self) -> i64 {
        self.closed_until
    }

    /// Whether a closing time would close anything.
    #[inline]
    pub(crate) fn due(&self, closing_time: i64) -> bool {
        closing_time >= self.next_close
    }

    /// Bars of a level that are not closed, oldest first: ticks where the level is a root, closed
    /// parts where it is rolled up.
    pub(crate) fn open(&self, level: usize) -> &[OpenBar] {
        &self.levels[level].open
    }

    /// Whether ticks enter the level directly.
    pub(crate) fn is_root(&self, level: usize) -> bool {
        self.roots.contains(&level)
    }

    /// Adds a tick that is not late.
    #[inline]
    pub(crate) fn add(&mut self, ts: i64, price: f64, size: f64) {
        if let [root] = self.roots[..] {
            // Nearly every tick enters the newest bar of the only root.
            if let Some(bar) = self.levels[root].open.last_mut()
                && ts >= bar.start
                && ts < bar.end
            {
                bar.add(ts, price, size);
                return;
            }
        }
        self.add_slow(ts, price, size);
    }

    #[cold]
    fn add_slow(&mut self, ts: i64, price: f64, size: f64) {
        for &root in &self.roots {
            let level = &mut self.levels[root];
            let bucket = level.timeframe.bucket(ts);
            match level.open.binary_search_by_key(&bucket.0, |bar| bar.start) {
                Ok(index) => level.open[index].add(ts, price, size),
                Err(index) => {
                    level.open.insert(index, OpenBar::of_tick(bucket, ts, price, size));
                    self.next_close = self.next_close.min(bucket.1);
                }
            }
        }
    }

    /// Closes every bar that ends at or before `closing_time`, in order of time, smaller timeframes
    /// first, and moves the limit for late ticks.
    pub(crate) fn close(&mut self, closing_time: i64, out: &mut impl Closed) {
        for index in 0..self.levels.len() {
            let open = &mut self.levels[index].open;
            match open.partition_point(|bar| bar.end <= closing_time) {
                0 => {}
                1 => {
                    let bar = open.remove(0);
                    self.emit(index, bar, out);
                }
                // After a long lateness many close at once; taking them one by one would move the
                // rest of the list each time.
                due => {
                    let bars: Vec<OpenBar> = open.drain(..due).collect();
                    for bar in bars {
                        self.emit(index, bar, out);
                    }
                }
            }
        }
        self.forbid_before(closing_time);
    }

    /// Makes ticks late whose bar, in any root timeframe, ends at or before `closing_time`.
    pub(crate) fn forbid_before(&mut self, closing_time: i64) {
        let buckets = |index: usize| self.levels[index].timeframe.bucket(closing_time);
        let until = self.roots.iter().map(|&root| buckets(root).0).max().unwrap_or(i64::MIN);
        // Also where no bar is open, the limit moves with every bucket that time leaves behind.
        let boundary = self.roots.iter().map(|&root| buckets(root).1).min().unwrap_or(i64::MAX);
        let oldest = (0..self.levels.len()).map(|index| buckets(index).0).min();
        self.closed_until = self.closed_until.max(until);
        self.next_close = self
            .levels
            .iter()
            .filter_map(|level| level.open.first())
            .map(|bar| bar.end)
            .fold(boundary, i64::min);
        self.gaps.retain(|gap| Some(gap.1) > oldest);
    }

    fn emit(&mut self, index: usize, mut bar: OpenBar, out: &mut impl Closed) {
        bar.complete &= !self.in_gap(bar.start, bar.end);
        out.closed(index, &bar);
        for position in 0..self.levels[index].children.len() {
            let child = self.levels[index].children[position];
            self.roll_up(child, &bar, out);
        }
    }

    /// Merges a closed bar into a larger timeframe.
    fn roll_up(&mut self, child: usize, part: &OpenBar, out: &mut impl Closed) {
        let level = &mut self.levels[child];
        let bucket = level.timeframe.bucket(part.start);
        match level.open.first_mut() {
            Some(bar) if bar.start == bucket.0 => bar.merge(part),
            Some(_) => {
                // Parts come in order of time, so the bar before this bucket is finished.
                let finished = std::mem::replace(&mut level.open[0], part.within(bucket));
                self.emit(child, finished, out);
            }
            None => level.open.push(part.within(bucket)),
        }
    }

    /// Says that data is missing in `[start, end)`.
    pub(crate) fn mark_gap(&mut self, start: i64, end: i64) {
        self.gaps.push((start, end));
    }

    pub(crate) fn in_gap(&self, start: i64, end: i64) -> bool {
        self.gaps.iter().any(|gap| gap.0 < end && gap.1 > start)
    }

    /// Replaces the closed parts that a rolled-up level holds.
    pub(crate) fn set_parts(&mut self, level: usize, parts: Option<OpenBar>) {
        debug_assert!(!self.is_root(level), "ticks of a root would be lost");
        self.levels[level].open.clear();
        if let Some(bar) = parts {
            self.next_close = self.next_close.min(bar.end);
            self.levels[level].open.push(bar);
        }
    }
}
