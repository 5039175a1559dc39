//! Late ticks as revisions, and flat bars, against a model that keeps every tick and works all bars out
//! anew after each step.

#![allow(clippy::unwrap_used)]

mod engine_support;

use std::collections::{BTreeMap, BTreeSet};

use engine_support::*;
use proptest::prelude::*;
use tickwire_core::Spec;
use tickwire_core::bars::{Bar, Empty, Late, Source};
use tickwire_core::engine::Engine;
use tickwire_core::subscription::{Interest, Item, Subscription};

/// Lengths in seconds, each with the smaller one that it is rolled up from.
const SETS: &[&[(i64, Option<usize>)]] = &[
    &[(1, None)],
    &[(1, None), (5, Some(0)), (15, Some(1)), (60, Some(2))],
    &[(2, None), (3, None), (6, Some(1))],
    &[(2, None), (7, None), (14, Some(1)), (60, Some(0))],
];

#[derive(Clone, Debug)]
enum Step {
    Trade(i64, f64, f64),
    Advance(i64),
    Gap(i64, i64),
}

/// What is remembered of a closed bar: everything else follows from the ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Closed {
    complete: bool,
    revision: u32,
}

/// What fills one timeframe that ticks enter.
#[derive(Clone, Copy, Default)]
struct Filling {
    known: bool,
    made: u32,
}

struct Model {
    levels: Vec<(i64, Option<usize>)>,
    horizon: Option<i64>,
    limit: Option<u32>,
    ticks: Vec<(i64, f64, f64)>,
    closing: i64,
    gaps: Vec<(i64, i64)>,
    filling: Vec<Filling>,
    flats: Vec<BTreeSet<i64>>,
    closed: Vec<BTreeMap<i64, Closed>>,
    events: Vec<Vec<(i64, u32)>>,
    late: u64,
    revised: u64,
}

impl Model {
    fn new(set: usize, horizon: Option<i64>, limit: Option<u32>) -> Self {
        let levels: Vec<_> =
            SETS[set].iter().map(|&(length, parent)| (length * SECOND, parent)).collect();
        let count = levels.len();
        Self {
            levels,
            horizon,
            limit,
            ticks: Vec::new(),
            closing: MONDAY - 2 * MINUTE,
            gaps: Vec::new(),
            filling: vec![Filling::default(); count],
            flats: vec![BTreeSet::new(); count],
            closed: vec![BTreeMap::new(); count],
            events: vec![Vec::new(); count],
            late: 0,
            revised: 0,
        }
    }

    fn start(&self, level: usize, ts: i64) -> i64 {
        ts - ts.rem_euclid(self.levels[level].0)
    }

    fn end(&self, level: usize, ts: i64) -> i64 {
        self.start(level, ts) + self.levels[level].0
    }

    fn roots(&self) -> Vec<usize> {
        (0..self.levels.len()).filter(|&level| self.levels[level].1.is_none()).collect()
    }

    fn missing(&self, from: i64, to: i64) -> bool {
        self.gaps.iter().any(|gap| gap.0 < to && gap.1 > from)
    }

    /// Starts of the buckets of a level with ticks.
    fn ticked(&self, level: usize) -> BTreeSet<i64> {
        self.ticks.iter().map(|tick| self.start(level, tick.0)).collect()
    }

    /// All bars of a level as the ticks make them: the closed ones first, then the open.
    fn rows(&self, level: usize) -> (Vec<Row>, Vec<Row>) {
        let mut root = level;
        while let Some(parent) = self.levels[root].1 {
            root = parent;
        }
        let filled = self.flats[root].iter().map(|&ts| self.start(level, ts));
        let ticked = self.ticked(level);
        let all: BTreeSet<i64> = filled.chain(ticked.iter().copied()).collect();
        let row = |start: i64| {
            let end = start + self.levels[level].0;
            let mut ticks: Vec<_> =
                self.ticks.iter().filter(|tick| start <= tick.0 && tick.0 < end).copied().collect();
            ticks.sort_by_key(|tick| tick.0);
            let count = ticks.len() as i64;
            if count == 0 {
                let mut before: Vec<_> = self.ticks.iter().filter(|tick| tick.0 < start).collect();
                before.sort_by_key(|tick| tick.0);
                ticks.push((start, before.last().unwrap().1, 0.0));
            }
            let prices = || ticks.iter().map(|tick| tick.1);
            let volume: f64 = ticks.iter().map(|tick| tick.2).sum();
            let notional: f64 = ticks.iter().map(|tick| tick.1 * tick.2).sum();
            Row {
                ts: start,
                open: ticks[0].1,
                high: prices().fold(f64::NEG_INFINITY, f64::max),
                low: prices().fold(f64::INFINITY, f64::min),
                close: ticks[ticks.len() - 1].1,
                volume,
                vwap: (volume != 0.0).then(|| notional / volume),
                trades: count,
                complete: self.closed[level].get(&start).is_some_and(|closed| closed.complete),
            }
        };
        let is_closed = |start: &&i64| **start + self.levels[level].0 <= self.closing;
        let closed = all.iter().take_while(is_closed).map(|&start| row(start)).collect();
        (closed, all.iter().skip_while(is_closed).map(|&start| row(start)).collect())
    }

    fn step(&mut self, step: &Step) -> bool {
        let mut told: Vec<BTreeSet<i64>> = vec![BTreeSet::new(); self.levels.len()];
        let mut closing = self.closing;
        match *step {
            Step::Advance(now) => closing = closing.max(now),
            Step::Gap(start, end) => self.gap(start, end),
            Step::Trade(ts, price, size) => {
                let ends: Vec<i64> =
                    self.roots().into_iter().map(|root| self.end(root, ts)).collect();
                let late = ends.iter().any(|&end| end <= self.closing);
                let oldest = self.horizon.map(|horizon| self.closing - horizon);
                if late && oldest.is_none_or(|oldest| ends.iter().any(|&end| end <= oldest)) {
                    self.late += 1;
                    return false;
                }
                if late {
                    self.revised += 1;
                    told = self.revise((ts, price, size));
                } else {
                    self.ticks.push((ts, price, size));
                }
                closing = closing.max(ts);
            }
        }
        let newly: Vec<Vec<i64>> = self.close(closing);
        for (level, (newly, told)) in newly.iter().zip(&told).enumerate() {
            let all = newly.iter().chain(told);
            self.events[level].extend(all.map(|ts| (*ts, self.closed[level][ts].revision)));
        }
        true
    }

    fn gap(&mut self, start: i64, end: i64) {
        self.gaps.push((start, end));
        for (level, bars) in self.closed.iter_mut().enumerate() {
            for (&ts, bar) in bars {
                if ts < end && ts + self.levels[level].0 > start && bar.complete {
                    *bar = Closed { complete: false, revision: bar.revision + 1 };
                    self.events[level].push((ts, bar.revision));
                }
            }
        }
    }

    /// Which closed bars a late tick changes.
    fn revise(&mut self, tick: (i64, f64, f64)) -> Vec<BTreeSet<i64>> {
        let levels = 0..self.levels.len();
        let before: Vec<Vec<Row>> = levels.clone().map(|level| self.rows(level).0).collect();
        self.ticks.push(tick);
        for root in self.roots() {
            let bar = self.start(root, tick.0);
            if self.end(root, tick.0) > self.closing {
                continue;
            }
            self.flats[root].remove(&bar);
            let until = self.start(root, self.closing);
            if !self.ticked(root).range(bar + 1..until).any(|_| true) {
                let known = !self.missing(bar + self.levels[root].0, until);
                let made = self.flats[root].range(bar..).count() as u32;
                self.filling[root] = Filling { known, made };
            }
        }
        let changed = |level: usize| -> BTreeSet<i64> {
            let after = self.rows(level).0.into_iter();
            after.filter(|row| !before[level].contains(row)).map(|row| row.ts).collect()
        };
        // A tick may change nothing but the number of ticks, and that shows, too.
        let changed: Vec<BTreeSet<i64>> = levels.map(changed).collect();
        for (level, starts) in changed.iter().enumerate() {
            for &start in starts {
                let complete = !self.missing(start, start + self.levels[level].0);
                let bar = self.closed[level].get(&start).copied();
                let now = match bar {
                    Some(bar) => Closed { revision: bar.revision + 1, ..bar },
                    None => Closed { complete, revision: 0 },
                };
                self.closed[level].insert(start, now);
            }
        }
        changed
    }

    fn close(&mut self, closing: i64) -> Vec<Vec<i64>> {
        let before = std::mem::replace(&mut self.closing, closing);
        for root in self.roots() {
            let ticked = self.ticked(root);
            let length = self.levels[root].0;
            let mut start = self.start(root, before);
            while start + length <= closing {
                let filling = self.filling[root];
                if ticked.contains(&start) {
                    self.filling[root] = Filling { known: true, made: 0 };
                } else if let Some(limit) = self.limit
                    && filling.known
                    && filling.made < limit
                {
                    if self.missing(start, start + length) {
                        self.filling[root].known = false;
                    } else {
                        self.flats[root].insert(start);
                        self.filling[root].made += 1;
                    }
                }
                start += length;
            }
        }
        let mut newly = Vec::new();
        for level in 0..self.levels.len() {
            let starts: Vec<i64> = self.rows(level).0.iter().map(|row| row.ts).collect();
            let mut closed = Vec::new();
            for start in starts {
                if !self.closed[level].contains_key(&start) {
                    let complete = !self.missing(start, start + self.levels[level].0);
                    self.closed[level].insert(start, Closed { complete, revision: 0 });
                    closed.push(start);
                }
            }
            newly.push(closed);
        }
        newly
    }

    fn check(&self, engine: &Engine) {
        let snapshot = engine.snapshot(ID);
        for level in 0..self.levels.len() {
            let (closed_rows, open_rows) = self.rows(level);
            same(&closed(&snapshot, level), &closed_rows);
            same(&open(&snapshot, level), &open_rows);
            let last = snapshot.closed_bar(Source::Trade, level).map(|bar| (bar.ts, bar.revision));
            let newest = self.closed[level].last_key_value();
            assert_eq!(last, newest.map(|(&ts, bar)| (ts, bar.revision)));
        }
        let counters = snapshot.counters();
        assert_eq!(counters.accepted, self.ticks.len() as u64);
        assert_eq!(counters.received, self.ticks.len() as u64 + self.late);
        assert_eq!(counters.revised, self.revised);
    }
}

/// The same rows, but for the last digits of an average that was revised.
fn same(rows: &[Row], expected: &[Row]) {
    let plain = |rows: &[Row]| -> Vec<Row> {
        rows.iter().map(|row| Row { vwap: None, ..row.clone() }).collect()
    };
    assert_eq!(plain(rows), plain(expected));
    for (row, expected) in rows.iter().zip(expected) {
        match (row.vwap, expected.vwap) {
            (Some(one), Some(other)) => assert!((one - other).abs() <= other * 1e-12, "{row:?}"),
            (one, other) => assert_eq!(one, other, "{row:?}"),
        }
    }
}

fn cases() -> impl Strategy<Value = (usize, Option<i64>, Option<u32>, Vec<Step>)> {
    let move_by = prop_oneof![
        20 => 0..1_500_i64,
        4 => 0..9_000_i64,
        1 => 0..60_000_i64,
    ];
    let back = prop_oneof![6 => Just(0), 4 => 0..6_000_i64, 2 => 0..40_000_i64];
    let what = prop_oneof![20 => Just(0), 2 => Just(1), 1 => Just(2)];
    let step = (what, move_by, back, 0..40_i64, 0..5_u8);
    let horizon =
        prop_oneof![1 => Just(None), 4 => (0..40_i64).prop_map(|seconds| Some(seconds * SECOND))];
    let limit = prop_oneof![2 => Just(None), 3 => (1..12_u32).prop_map(Some)];
    (0..SETS.len(), horizon, limit, prop::collection::vec(step, 1..60)).prop_map(
        |(set, horizon, limit, steps)| {
            let mut now = MONDAY;
            let steps = steps.into_iter().map(|(what, move_by, back, price, size)| {
                // Steps of a quarter of a second, so that equal times happen.
                now += move_by / 250 * 250 * (SECOND / 1_000);
                let ts = now - back / 250 * 250 * (SECOND / 1_000);
                match what {
                    0 => Step::Trade(ts, 100.0 + price as f64 * 0.25, f64::from(size)),
                    1 => Step::Advance(now),
                    _ => Step::Gap(ts, now + 1 + price * SECOND / 8),
                }
            });
            (set, horizon, limit, steps.collect())
        },
    )
}

fn make(set: usize, horizon: Option<i64>, limit: Option<u32>) -> std::sync::Arc<Engine> {
    let texts: Vec<String> = SETS[set].iter().map(|(length, _)| format!("{length}s")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let late = horizon.map_or(Late::Reject, |horizon_ns| Late::Revise { horizon_ns });
    let empty = limit.map_or(Empty::Skip, |limit| Empty::Flat { limit, hours: None });
    engine_of(vec![Spec { late, empty, ..spec("ES") }], &texts, 1_000_000)
}

fn apply(session: &mut tickwire_core::engine::Session<'_>, step: &Step) -> bool {
    match *step {
        Step::Trade(ts, price, size) => session.push_trade(ID, &live(ts, price, size)).is_ok(),
        Step::Advance(now) => {
            session.advance(now);
            true
        }
        Step::Gap(start, end) => {
            session.mark_gap(ID, Some(start), end).unwrap();
            true
        }
    }
}

proptest! {
    #[test]
    fn every_prefix_shows_what_the_ticks_so_far_make((set, horizon, limit, steps) in cases()) {
        let engine = make(set, horizon, limit);
        let mut model = Model::new(set, horizon, limit);
        let interest = Interest {
            instruments: vec![ID],
            levels: (0..SETS[set].len()).collect(),
            source: Source::Trade,
            trades: false,
            quotes: false,
            hours: Vec::new(),
            capacity: 1 << 16,
        };
        let mut subscription = Subscription::new(&engine, &interest);
        let mut events: Vec<Vec<Bar>> = vec![Vec::new(); SETS[set].len()];
        for step in &steps {
            prop_assert_eq!(apply(&mut engine.session(), step), model.step(step), "{:?}", step);
            model.check(&engine);
            for item in subscription.poll() {
                let Item::Bar(_, timeframe, _, bar) = item else { panic!("{item:?}") };
                let level = engine.kinds().iter().position(|known| *known == timeframe);
                events[level.unwrap()].push(bar);
            }
        }
        for (level, events) in events.iter().enumerate() {
            let told: Vec<_> = events.iter().map(|bar| (bar.ts, bar.revision)).collect();
            prop_assert_eq!(&told, &model.events[level]);
        }
    }

    #[test]
    fn how_steps_are_grouped_into_sessions_changes_nothing(
        (set, horizon, limit, steps) in cases(),
        cuts in prop::collection::vec(1_usize..20, 60),
    ) {
        let engine = make(set, horizon, limit);
        let mut model = Model::new(set, horizon, limit);
        let mut rest = &steps[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            let mut session = engine.session();
            for step in now {
                prop_assert_eq!(apply(&mut session, step), model.step(step));
            }
            drop(session);
            model.check(&engine);
        }
    }
}
