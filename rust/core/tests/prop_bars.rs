//! The engine against a model that keeps every tick and works everything out anew each time, over
//! random ticks (late, early, doubtful), gaps and closing times, with timeframes that nest and that
//! do not, and looked at after every step.

#![allow(clippy::unwrap_used)]

mod clock_support;
mod engine_support;

use std::collections::BTreeMap;

use clock_support::NaiveClock;
use engine_support::*;
use proptest::prelude::*;
use tickwire_core::bars::{Bar, Source};
use tickwire_core::engine::{Engine, Session};
use tickwire_core::reason::Reason;
use tickwire_core::record::{NO_TIME, Trade};
use tickwire_core::subscription::{Interest, Item, Subscription};

const SETS: &[&[&str]] = &[
    &["1s"],
    &["1s", "5s", "15s", "1m"],
    &["2m", "3m"],
    &["2s", "3s", "4s", "6s", "1m"],
    &["7s", "1m", "1h"],
    &["45m", "1h", "1d"],
    &["1h", "1d", "1w", "1mo"],
    &["1w", "1mo"],
    &["1d", "1w", "2w", "1mo", "3mo", "12mo"],
    &["5d", "1mo", "2mo", "5mo"],
];

/// The bucket by counting days, one year after another.
fn naive_bucket(text: &str, ts: i64) -> (i64, i64) {
    let (count, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap());
    let count: i64 = count.parse().unwrap();
    if unit == "mo" {
        let mut starts = vec![(0, 0)];
        let (mut day, mut month) = (0, 0);
        while ts < day * DAY {
            month -= 1;
            day -= days_in(month);
            starts.push((month, day));
        }
        (day, month) = (0, 0);
        while day * DAY <= ts {
            day += days_in(month);
            month += 1;
        }
        let start_of = |wanted: i64| -> i64 {
            if wanted >= 0 {
                (0..wanted).map(days_in).sum::<i64>() * DAY
            } else {
                -(wanted..0).map(days_in).sum::<i64>() * DAY
            }
        };
        let holding = if ts >= 0 { month - 1 } else { starts.last().unwrap().0 };
        let first = holding - holding.rem_euclid(count);
        return (start_of(first), start_of(first + count));
    }
    let length = count
        * match unit {
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            _ => unreachable!(),
        };
    let anchor = if unit == "w" { 4 * DAY } else { 0 };
    let start = anchor + (ts - anchor).div_euclid(length) * length;
    (start, start + length)
}

/// Days of a month counted from January 1970.
fn days_in(month: i64) -> i64 {
    let year = 1970 + month.div_euclid(12);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        [month.rem_euclid(12) as usize]
}

#[derive(Clone, Debug)]
enum Step {
    Trade(Trade),
    Advance(i64),
    Gap(Option<i64>, i64),
}

/// Believes the newest stamp that is not ahead of its arrival, or that the next one confirms.
#[derive(Default)]
struct NaiveWatermark {
    believed: Option<i64>,
    waiting: Vec<i64>,
    clock: NaiveClock,
}

impl NaiveWatermark {
    const JUMP: i64 = HOUR;

    fn observe(&mut self, ts: i64, recv: i64) {
        if self.believed.is_some_and(|believed| ts <= believed) {
            self.waiting.clear();
            return;
        }
        let jump = self.believed.is_none_or(|believed| ts - believed > Self::JUMP);
        if recv != NO_TIME {
            if ts <= recv - self.clock.offset().min(0) {
                self.believed = Some(ts);
                self.waiting.clear();
            }
        } else if !jump {
            self.believed = Some(ts);
            self.waiting.clear();
        } else {
            self.waiting.push(ts);
            self.waiting.sort();
            if let [.., second, largest] = self.waiting[..] {
                let near = largest - second <= Self::JUMP;
                self.believed = Some(if near { largest } else { second });
                self.waiting.retain(|&waiting| !near && waiting == largest);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct ModelBar {
    ticks: Vec<(i64, f64, f64)>,
    /// Once closed.
    closed: Option<(bool, u32)>,
}

/// Keeps everything.
struct Model {
    timeframes: Vec<String>,
    lateness_ns: i64,
    watermark: NaiveWatermark,
    advanced: i64,
    gaps: Vec<(i64, i64)>,
    joined: Option<i64>,
    bars: Vec<BTreeMap<i64, ModelBar>>,
    accepted: u64,
    late: u64,
    events: Vec<Vec<(i64, bool, u32)>>,
}

impl Model {
    fn new(timeframes: &[&str], lateness_ns: i64) -> Self {
        Self {
            timeframes: timeframes.iter().map(|text| (*text).to_owned()).collect(),
            lateness_ns,
            watermark: NaiveWatermark::default(),
            advanced: i64::MIN,
            gaps: Vec::new(),
            joined: None,
            bars: vec![BTreeMap::new(); timeframes.len()],
            accepted: 0,
            late: 0,
            events: vec![Vec::new(); timeframes.len()],
        }
    }

    fn closing_time(&self) -> i64 {
        let believed = self.watermark.believed.map_or(i64::MIN, |ts| ts - self.lateness_ns);
        believed.max(self.advanced)
    }

    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Trade(trade) => {
                self.watermark.clock.arrive(trade.ts_event, trade.ts_recv);
                let closing_time = self.closing_time();
                let ends = self.timeframes.iter().map(|text| naive_bucket(text, trade.ts_event).1);
                if ends.min().unwrap() <= closing_time {
                    self.late += 1;
                    return false;
                }
                self.accepted += 1;
                for (text, bars) in self.timeframes.iter().zip(&mut self.bars) {
                    let (start, _) = naive_bucket(text, trade.ts_event);
                    let empty = || ModelBar { ticks: Vec::new(), closed: None };
                    let bar = bars.entry(start).or_insert_with(empty);
                    bar.ticks.push((trade.ts_event, trade.price, trade.size));
                }
                self.watermark.observe(trade.ts_event, trade.ts_recv);
            }
            Step::Advance(now) => self.advanced = self.advanced.max(*now),
            Step::Gap(start, end) => {
                let from = start.or(self.joined);
                if start.is_none() {
                    self.joined = self.joined.max(Some(*end));
                }
                if from.is_some_and(|from| from >= *end) {
                    return true;
                }
                self.gaps.push((from.unwrap_or(i64::MIN), *end));
                let Some(start) = from else { return true };
                for (level, bars) in self.bars.iter_mut().enumerate() {
                    for (&ts, bar) in bars {
                        let spans =
                            naive_bucket(&self.timeframes[level], ts).1 > start && ts < *end;
                        if let Some((complete, revision)) = &mut bar.closed
                            && spans
                            && *complete
                        {
                            *complete = false;
                            *revision += 1;
                            self.events[level].push((ts, false, *revision));
                        }
                    }
                }
            }
        }
        let closing_time = self.closing_time();
        for (level, bars) in self.bars.iter_mut().enumerate() {
            for (&ts, bar) in bars {
                let end = naive_bucket(&self.timeframes[level], ts).1;
                if bar.closed.is_none() && end <= closing_time {
                    let complete = !self.gaps.iter().any(|gap| gap.0 < end && gap.1 > ts);
                    bar.closed = Some((complete, 0));
                    self.events[level].push((ts, complete, 0));
                }
            }
        }
        true
    }

    fn rows(&self, level: usize, closed: bool) -> Vec<Row> {
        let bars = self.bars[level].iter().filter(|(_, bar)| bar.closed.is_some() == closed);
        bars.map(|(&ts, bar)| {
            let mut ticks = bar.ticks.clone();
            ticks.sort_by_key(|tick| tick.0);
            let prices = || ticks.iter().map(|tick| tick.1);
            let volume: f64 = ticks.iter().map(|tick| tick.2).sum();
            let notional: f64 = ticks.iter().map(|tick| tick.1 * tick.2).sum();
            Row {
                ts,
                open: ticks[0].1,
                high: prices().fold(f64::NEG_INFINITY, f64::max),
                low: prices().fold(f64::INFINITY, f64::min),
                close: ticks[ticks.len() - 1].1,
                volume,
                vwap: (volume != 0.0).then(|| notional / volume),
                trades: ticks.len() as i64,
                complete: bar.closed.is_some_and(|(complete, _)| complete),
            }
        })
        .collect()
    }

    fn check(&self, engine: &Engine) {
        let snapshot = engine.snapshot(ID);
        for (level, text) in self.timeframes.iter().enumerate() {
            assert_eq!(closed(&snapshot, level), self.rows(level, true), "closed {text}");
            assert_eq!(open(&snapshot, level), self.rows(level, false), "open {text}");
            let last = snapshot.closed_bar(Source::Trade, level);
            assert_eq!(last.as_ref().map(Row::from), self.rows(level, true).pop());
        }
        let counters = snapshot.counters();
        assert_eq!(counters.accepted, self.accepted);
        assert_eq!(counters.rejected[Reason::Late as usize], self.late);
        assert_eq!(counters.received, self.accepted + self.late);
        let closing_time = Some(self.closing_time()).filter(|&time| time != i64::MIN);
        assert_eq!(snapshot.closing_time(Source::Trade), closing_time);
    }
}

/// A set of timeframes, the allowed lateness and what happens.
fn cases() -> impl Strategy<Value = (usize, i64, Vec<Step>)> {
    let unit = |set: usize| {
        let (start, end) = naive_bucket(SETS[set][0], MONDAY);
        end - start
    };
    (0..SETS.len()).prop_flat_map(move |set| {
        let unit = unit(set);
        let start = prop_oneof![
            Just(MONDAY),
            Just(MONDAY + 3 * DAY - unit / 2),
            Just(0),
            Just(-70 * DAY),
            (-3_000 * DAY..20_000 * DAY)
        ];
        let lateness = prop_oneof![Just(0), Just(unit / 3), Just(unit), Just(5 * unit)];
        let move_by = prop_oneof![
            20 => 0..unit,
            3 => 0..4 * unit,
            3 => -unit..0,
            1 => -7 * unit..0,
            1 => 0..40 * unit,
            1 => Just(0),
        ];
        // One stamp from the future that the next steps forget.
        let stray = prop_oneof![30 => Just(0), 1 => 0..3 * HOUR, 1 => 0..100 * unit];
        let recv = prop_oneof![
            4 => Just(None),
            4 => (0..unit).prop_map(Some),
            1 => (-unit..0).prop_map(Some)
        ];
        let what = prop_oneof![20 => Just(0), 1 => Just(1), 1 => Just(2), 1 => Just(3)];
        let step = (what, move_by, stray, recv, 0..40_i64, 0..5_u8);
        (Just(set), lateness, start, prop::collection::vec(step, 1..80)).prop_map(
            move |(set, lateness, start, steps)| {
                let mut now = start;
                let steps = steps.into_iter().map(|(what, move_by, stray, recv, price, size)| {
                    now += move_by;
                    let ts = now + stray;
                    match what {
                        0 => Step::Trade(Trade {
                            ts_recv: recv.map_or(NO_TIME, |ahead| ts + ahead),
                            ..trade(ts, 100.0 + price as f64 * 0.25, f64::from(size))
                        }),
                        1 => Step::Advance(now),
                        2 => Step::Gap(None, now),
                        _ => Step::Gap(Some(now), now + 1 + unit * price / 10),
                    }
                });
                (set, lateness, steps.collect())
            },
        )
    })
}

fn apply(session: &mut Session<'_>, step: &Step) -> bool {
    match step {
        Step::Trade(trade) => session.push_trade(ID, trade).is_ok(),
        Step::Advance(now) => {
            session.advance(*now);
            true
        }
        Step::Gap(start, end) => {
            session.mark_gap(ID, *start, *end).unwrap();
            true
        }
    }
}

fn make(set: usize, lateness_ns: i64) -> std::sync::Arc<Engine> {
    let spec = tickwire_core::Spec { lateness_ns, ..spec("ES") };
    engine_of(vec![spec], SETS[set], 1_000_000)
}

proptest! {
    #[test]
    fn every_prefix_shows_what_the_ticks_so_far_make((set, lateness, steps) in cases()) {
        let engine = make(set, lateness);
        let mut model = Model::new(SETS[set], lateness);
        let interest = Interest {
            instruments: vec![ID],
            levels: (0..SETS[set].len()).collect(),
            source: Source::Trade,
            trades: false,
            quotes: false,
            capacity: 1 << 16,
            hours: vec![],
        };
        let mut subscription = Subscription::new(&engine, &interest);
        let mut events: Vec<Vec<Bar>> = vec![Vec::new(); SETS[set].len()];
        for step in &steps {
            prop_assert_eq!(apply(&mut engine.session(), step), model.step(step));
            model.check(&engine);
            for item in subscription.poll() {
                let Item::Bar(_, timeframe, _, bar) = item else { panic!("{item:?}") };
                prop_assert_eq!(bar.ts_end, naive_bucket(&timeframe.to_string(), bar.ts).1);
                let level = engine.kinds().iter().position(|known| *known == timeframe);
                events[level.unwrap()].push(bar);
            }
        }
        for (level, events) in events.iter().enumerate() {
            let told: Vec<_> = events.iter().map(|bar| (bar.ts, bar.complete, bar.revision)).collect();
            prop_assert_eq!(&told, &model.events[level]);
        }
    }

    #[test]
    fn how_steps_are_grouped_into_sessions_changes_nothing(
        (set, lateness, steps) in cases(),
        cuts in prop::collection::vec(1_usize..20, 80),
    ) {
        let engine = make(set, lateness);
        let mut model = Model::new(SETS[set], lateness);
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
