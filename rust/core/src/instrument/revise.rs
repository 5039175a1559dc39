//! Late ticks as revisions of closed bars.
//!
//! # Contract
//! - A late tick enters the bars it belongs to in every timeframe of every source of its stream, or
//!   in none: [`Track::takes`] is asked of all tracks first.
//! - It is taken if the bars that ticks enter directly ended less than the horizon before the closing
//!   time, if retention still has the bars, and if history has not spoken of that time: what history
//!   says holds all trades already.
//! - Open and close stay those of the first and last tick in (event time, arrival) order. Where there
//!   was no bar, there is one then; flat bars that follow are moved to the new close.
//! - Every tick is one revision of each closed bar that it changes. Readers and subscribers see the
//!   newest of them at the next publication, subscribers each bar once.
//!
//! Of a larger bar nothing need be remembered: a tick opens or closes it if its smaller bar is the
//! first or the last in it that has ticks.

use super::fault;
use super::tracks::{Dirty, Track};
use crate::bars::bar::{OpenBar, Print};
use crate::bars::gaps::Gaps;
use crate::bars::ladder::Ladder;
use crate::bars::late::{Edge, Edges};
use crate::bars::{Bar, Late};
use crate::store::{Series, View};
use std::collections::BTreeMap;

/// What one track remembers so that its closed bars can be changed.
#[derive(Debug)]
pub(crate) struct Revisions {
    horizon_ns: i64,
    /// For each level that ticks enter.
    edges: Box<[Option<Edges>]>,
    /// Times that history has spoken of.
    settled: Gaps,
    /// Closed bars changed since the last publication, by their start, for each level.
    changed: Box<[BTreeMap<i64, Bar>]>,
}

impl Revisions {
    pub(super) fn new(late: Late, ladder: &Ladder, levels: usize) -> Option<Self> {
        let Late::Revise { horizon_ns } = late else { return None };
        let edges = |level| ladder.roots().contains(&level).then(Edges::default);
        Some(Self {
            horizon_ns,
            edges: (0..levels).map(edges).collect(),
            settled: Gaps::default(),
            changed: (0..levels).map(|_| BTreeMap::new()).collect(),
        })
    }

    /// Remembers what must be known of a bar that closes.
    pub(super) fn remember(&mut self, level: usize, bar: &OpenBar) {
        if let Some(edges) = &mut self.edges[level]
            && !bar.flat
        {
            let &OpenBar { start, open_ts, close_ts, .. } = bar;
            edges.add(Edge { start, open_ts, close_ts });
        }
    }

    /// Says that history has all trades of `[start, end)`.
    pub(crate) fn settle(&mut self, start: i64, end: i64) {
        self.settled.add(start, end);
    }
}

impl Track {
    /// Forgets bars that are too old to be changed.
    pub(super) fn forget(&mut self, closing_time: i64) {
        let Some(revisions) = &mut self.revisions else { return };
        let oldest = closing_time.saturating_sub(revisions.horizon_ns);
        for (level, edges) in revisions.edges.iter_mut().enumerate() {
            if let Some(edges) = edges {
                edges.forget(self.ladder.bucket(level, oldest).0);
            }
        }
    }

    /// Whether a tick of this time, which is late, can enter the closed bars it belongs to.
    pub(super) fn takes(&self, ts: i64, closing_time: i64, view: &View) -> bool {
        let Some(revisions) = &self.revisions else { return false };
        let oldest = closing_time.saturating_sub(revisions.horizon_ns);
        !revisions.settled.overlaps(ts, ts.saturating_add(1))
            && self.ladder.roots().iter().all(|&root| {
                let bucket = self.ladder.bucket(root, ts);
                bucket.1 > closing_time
                    || bucket.1 > oldest
                        && revisions.edges[root]
                            .as_ref()
                            .is_some_and(|edges| edges.reaches(bucket.0))
                        && self.retains(root, ts, closing_time, view)
            })
    }

    /// Whether retention has dropped none of the closed bars above a level that hold a time.
    fn retains(&self, level: usize, ts: i64, closing_time: i64, view: &View) -> bool {
        let bucket = self.ladder.bucket(level, ts);
        bucket.1 > closing_time
            || !self.stored(level, view).may_have_dropped(bucket.0)
                && self
                    .ladder
                    .children(level)
                    .iter()
                    .all(|&child| self.retains(child, ts, closing_time, view))
    }

    /// Puts a late tick that [`takes`](Self::takes) has let pass into the bars it belongs to.
    pub(super) fn revise(&mut self, tick: &Print, closing_time: i64, view: &View) {
        self.dirty = Dirty::All;
        for position in 0..self.ladder.roots().len() {
            let root = self.ladder.roots()[position];
            let bucket = self.ladder.bucket(root, tick.ts);
            if bucket.1 > closing_time {
                self.ladder.add_to(root, tick);
                continue;
            }
            let edges =
                self.revisions.as_mut().and_then(|revisions| revisions.edges[root].as_mut());
            let (first, last) = edges.map_or((true, true), |edges| edges.amend(bucket.0, tick.ts));
            let ends = (first.then_some(tick.price), last.then_some(tick.price));
            let bar = self.amend(root, bucket, tick, ends, view);
            let followers = self.refill_after(root, &bar, view);
            let newest = !self.is_ticked(root, bar.ts_end, i64::MAX, view);
            let closed_until = self.ladder.bucket(root, closing_time).0;
            // Beyond a gap its close is as unknown as any.
            let known = !self.ladder.in_gap(root, bar.ts_end, closed_until);
            if newest && let Some(flats) = self.ladder.flats_mut(root) {
                if known {
                    flats.revised(bar.close, followers, closed_until);
                } else {
                    flats.unknown();
                }
            }
            fault::point("revision");
            self.revise_above(root, &bar, tick, closing_time, view);
        }
    }

    /// Puts a tick that has changed a closed bar into the larger ones it is a part of.
    fn revise_above(
        &mut self,
        level: usize,
        part: &Bar,
        tick: &Print,
        closing_time: i64,
        view: &View,
    ) {
        for position in 0..self.ladder.children(level).len() {
            let child = self.ladder.children(level)[position];
            let bucket = self.ladder.bucket(child, part.ts);
            let open = (!self.is_ticked(level, bucket.0, part.ts, view)).then_some(part.open);
            let close = (!self.is_ticked(level, part.ts_end, bucket.1, view)).then_some(part.close);
            if bucket.1 > closing_time {
                if let Some(parts) = self.ladder.parts_or(child, bucket, tick) {
                    parts.amend(tick, open, close);
                }
                continue;
            }
            let bar = self.amend(child, bucket, tick, (open, close), view);
            self.refill_after(child, &bar, view);
            self.revise_above(child, &bar, tick, closing_time, view);
        }
    }

    /// Puts a tick into a closed bar, which may not be there yet.
    fn amend(
        &mut self,
        level: usize,
        bucket: (i64, i64),
        tick: &Print,
        (open, close): (Option<f64>, Option<f64>),
        view: &View,
    ) -> Bar {
        let bar = match self.closed(level, bucket.0, bucket.1, view).first() {
            None => {
                let mut bar = OpenBar::of_tick(bucket, tick.ts, tick.price, tick.size).close();
                bar.complete = !self.ladder.in_gap(level, bucket.0, bucket.1);
                bar
            }
            Some(&bar) => {
                let mut bar = bar;
                if self.ladder.fills() && bar.looks_flat() {
                    bar.first_tick(tick);
                } else {
                    bar.amend(tick, open, close);
                }
                bar
            }
        };
        self.change(level, bar);
        bar
    }

    /// Moves the flat bars that follow a changed one to its close; how many those are.
    fn refill_after(&mut self, level: usize, bar: &Bar, view: &View) -> u32 {
        if !self.ladder.fills() {
            return 0;
        }
        let mut count = 0;
        for mut next in self.closed(level, bar.ts_end, i64::MAX, view) {
            let settled = self
                .revisions
                .as_ref()
                .is_some_and(|revisions| revisions.settled.overlaps(next.ts, next.ts_end));
            if !next.looks_flat() || settled {
                return count;
            }
            count += 1;
            if next.close != bar.close {
                next.refill(bar.close);
                self.change(level, next);
            }
        }
        // What is closed of a larger bar that is not may be flat, too.
        let rolled_up = !self.ladder.roots().contains(&level);
        if rolled_up
            && let Some(parts) = self.ladder.parts_mut(level)
            && parts.flat
        {
            parts.refill(bar.close);
        }
        count
    }

    fn change(&mut self, level: usize, bar: Bar) {
        if let Some(revisions) = &mut self.revisions {
            revisions.changed[level].insert(bar.ts, bar);
        }
    }

    fn stored<'a>(&self, level: usize, view: &'a View) -> &'a Series {
        &view.series[self.series[level].index()]
    }

    /// The closed bars of a level with `from <= ts < to`, as they are now.
    fn closed(&self, level: usize, from: i64, to: i64, view: &View) -> Vec<Bar> {
        let mut bars = self.stored(level, view).range(from, to);
        let changed =
            self.revisions.as_ref().map(|revisions| revisions.changed[level].range(from..to));
        for (start, bar) in changed.into_iter().flatten() {
            match bars.binary_search_by_key(start, |bar| bar.ts) {
                Ok(row) => bars[row] = *bar,
                Err(row) => bars.insert(row, *bar),
            }
        }
        bars
    }

    /// Whether any closed bar of a level with `from <= ts < to` has ticks.
    fn is_ticked(&self, level: usize, from: i64, to: i64, view: &View) -> bool {
        let fills = self.ladder.fills();
        let ticked = |bar: &Bar| !(fills && bar.looks_flat());
        let changed = self.revisions.as_ref().map(|revisions| &revisions.changed[level]);
        // What was flat when it was published may have been changed since, and never the other way.
        changed.is_some_and(|bars| bars.range(from..to).any(|(_, bar)| ticked(bar)))
            || self.stored(level, view).any(from, to, ticked)
    }

    /// The series with the bars changed since the last publication, which subscribers are told of.
    pub(super) fn publish_revisions(&mut self, view: &View) -> Vec<(usize, Series)> {
        let Some(revisions) = &mut self.revisions else { return Vec::new() };
        let levels = self.series.iter_mut().zip(&mut revisions.changed);
        levels
            .filter(|(_, changed)| !changed.is_empty())
            .map(|(writer, changed)| {
                let bars: Vec<Bar> = std::mem::take(changed).into_values().collect();
                bars.iter().for_each(|bar| writer.announce(bar));
                (writer.index(), view.series[writer.index()].revised(&bars))
            })
            .collect()
    }
}
