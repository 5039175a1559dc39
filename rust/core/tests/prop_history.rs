//! History and backfill against an engine that missed nothing.
//!
//! One engine sees every trade. Another misses some and is given the bars of the first in their
//! place, in pieces and at any time afterwards; or it joins late and is given what came before. In
//! the end both must show the same bars, in all timeframes that are rolled up from those.
#![allow(clippy::unwrap_used)]

mod engine_support;

use std::ops::Range;
use std::sync::Arc;

use engine_support::*;
use proptest::prelude::*;
use tickwire_core::bars::{Bar, Source};
use tickwire_core::engine::Engine;
use tickwire_core::record::Trade;

/// Timeframes, which of them are made of ticks, and how far apart the trades are, ns.
const SETS: &[(&[&str], &[usize], i64)] = &[
    (&["1s", "5s", "15s", "1m"], &[0], 700_000_000),
    (&["1m", "1h", "1d"], &[0], 100 * SECOND),
    (&["2m", "3m", "6m", "12m"], &[0, 1], 50 * SECOND),
    (&["1h", "1d", "1w", "1mo"], &[0], 5 * HOUR),
    (&["1w", "1mo", "3mo"], &[0, 1], 60 * HOUR),
];

fn trades(spacing: i64) -> impl Strategy<Value = Vec<Trade>> {
    let tick = (0..2 * spacing, 0..40_i64, 0..5_u8);
    (0..400 * DAY, prop::collection::vec(tick, 20..250)).prop_map(|(start, ticks)| {
        let mut ts = MONDAY + start;
        let trade = |(step, price, size): (i64, i64, u8)| {
            ts += step;
            live(ts, 100.0 + price as f64 * 0.25, f64::from(size))
        };
        ticks.into_iter().map(trade).collect()
    })
}

fn cases() -> impl Strategy<Value = (usize, Vec<Trade>)> {
    (0..SETS.len()).prop_flat_map(|set| (Just(set), trades(SETS[set].2)))
}

fn ready(engine: &Engine, level: usize, range: Range<i64>) -> Vec<Bar> {
    let rows = closed(&engine.snapshot(ID), level);
    rows.iter().filter(|row| range.contains(&row.ts)).map(Row::to_bar).collect()
}

/// The same bars; averages went through a division and a multiplication more.
fn assert_same(engine: &Engine, whole: &Engine) {
    let (ours, theirs) = (engine.snapshot(ID), whole.snapshot(ID));
    let plain = |row: &Row| Row { vwap: None, complete: true, ..row.clone() };
    for level in 0..whole.timeframes().len() {
        for rows in [closed, open] {
            let (ours, theirs) = (rows(&ours, level), rows(&theirs, level));
            let timeframe = whole.timeframes()[level];
            assert_eq!(
                ours.iter().map(plain).collect::<Vec<_>>(),
                theirs.iter().map(plain).collect::<Vec<_>>(),
                "{timeframe}"
            );
            for (ours, theirs) in ours.iter().zip(&theirs) {
                match (ours.vwap, theirs.vwap) {
                    (Some(ours), Some(theirs)) => {
                        assert!((ours - theirs).abs() <= 1e-12 * theirs, "{timeframe} vwap");
                    }
                    (ours, theirs) => assert_eq!(ours, theirs, "{timeframe} vwap"),
                }
            }
        }
    }
}

fn make(set: usize, retain: usize) -> Arc<Engine> {
    engine_of(vec![spec("ES")], SETS[set].0, retain)
}

/// The start of the smallest bar at or after `ts` that is the start of a bar of every root.
fn common_edge(engine: &Engine, roots: &[usize], ts: i64) -> Option<i64> {
    let bucket = |root: usize, ts: i64| engine.timeframes()[root].bucket(ts);
    let edges = std::iter::successors(Some(bucket(0, ts).0), |&edge| Some(bucket(0, edge).1));
    let is_common = |&edge: &i64| roots.iter().all(|&root| bucket(root, edge).0 == edge);
    edges.skip_while(|&edge| edge < ts).take(1_000).find(is_common)
}

fn put(engine: &Engine, level: usize, bars: Vec<Bar>, replace: bool) {
    engine.session().push_bars(ID, Source::Trade, level, bars, replace).unwrap();
}

proptest! {
    #[test]
    fn a_gap_that_is_filled_was_never_there(
        (set, trades) in cases(),
        cut in (0.0_f64..1.0, 0.0_f64..1.0, 0.0_f64..1.0),
        pieces in prop::collection::vec(1_usize..6, 200),
        backwards: bool,
        aligned: bool,
    ) {
        let roots = SETS[set].1;
        let (whole, engine) = (make(set, 1_000_000), make(set, 1_000_000));
        let at = |part: f64| trades[(part * trades.len() as f64) as usize].ts_event;
        let (mut start, mut end) = (at(cut.0.min(cut.1)), at(cut.0.max(cut.1)) + 1);
        if aligned {
            let edges = [start, end].map(|ts| common_edge(&engine, roots, ts));
            let [Some(first), Some(last)] = edges else { return Ok(()) };
            (start, end) = (first, last.max(first + 1));
        }
        // Filled once a trade has come that closes the last bar of the gap.
        let mut filled = false;
        let due = end + (cut.2 * cut.2 * (trades[trades.len() - 1].ts_event - end) as f64) as i64;
        let fill = || {
            for &root in roots {
                let bucket = |ts| engine.timeframes()[root].bucket(ts);
                let range = bucket(start).0..bucket(end - 1).1;
                let mut bars = ready(&whole, root, range.clone());
                // Each piece speaks of the time up to the next.
                let mut calls = Vec::new();
                let mut from = range.start;
                for &piece in &pieces {
                    let rest = bars.split_off(piece.min(bars.len()));
                    let until = rest.first().map_or(range.end, |bar| bar.ts);
                    calls.push((std::mem::replace(&mut bars, rest), (from, until)));
                    from = until;
                }
                calls.push((bars, (from, range.end)));
                if backwards {
                    calls.reverse();
                }
                for (bars, span) in calls {
                    let mut session = engine.session();
                    session.push_history(ID, Source::Trade, root, bars, true, Some(span)).unwrap();
                }
            }
        };
        let mut marked = false;
        for trade in &trades {
            push(&whole, [*trade]);
            if (start..end).contains(&trade.ts_event) {
                continue;
            }
            if trade.ts_event >= end && !marked {
                engine.session().mark_gap(ID, Some(start), end).unwrap();
                marked = true;
            }
            push(&engine, [*trade]);
            let closes = |&root: &usize| engine.timeframes()[root].bucket(end - 1).1;
            let last = roots.iter().map(closes).max().unwrap();
            if !filled && trade.ts_event >= due.max(last) {
                fill();
                filled = true;
            }
            if filled {
                assert_same(&engine, &whole);
            }
        }
        for engine in [&whole, &engine] {
            advance(engine, trades[trades.len() - 1].ts_event + 400 * DAY);
        }
        fill();
        assert_same(&engine, &whole);
        for level in 0..engine.timeframes().len() {
            let rows = closed(&engine.snapshot(ID), level);
            prop_assert!(rows.iter().all(|row| row.complete), "{}", engine.timeframes()[level]);
        }
    }

    #[test]
    fn an_engine_that_joins_late_catches_up(
        (set, trades) in cases(),
        joined in 0.0_f64..1.0,
        repeated: bool,
    ) {
        let roots = SETS[set].1;
        let (whole, engine) = (make(set, 1_000_000), make(set, 1_000_000));
        let ts = trades[(joined * trades.len() as f64) as usize].ts_event;
        let Some(joined) = common_edge(&engine, roots, ts) else { return Ok(()) };
        let (before, after): (Vec<_>, Vec<_>) =
            trades.iter().partition(|trade| trade.ts_event < joined);
        push(&whole, before);
        advance(&whole, joined);
        for &root in roots {
            put(&engine, root, ready(&whole, root, i64::MIN..joined), false);
        }
        advance(&engine, joined);
        assert_same(&engine, &whole);
        for trade in after {
            push(&whole, [trade]);
            push(&engine, [trade]);
            if repeated {
                // What is known already changes nothing.
                put(&engine, 0, ready(&whole, 0, joined - 10 * DAY..i64::MAX), false);
            }
            assert_same(&engine, &whole);
        }
    }

    /// Where retention has dropped what a larger bar was made of, a backfill may not mend it. It
    /// must not harm it either.
    #[test]
    fn a_backfill_never_takes_anything_away(
        (set, trades) in cases(),
        retain in 1_usize..40,
        fills in prop::collection::vec((0.0_f64..1.0, 1_usize..20), 1..10),
        missing in 2_usize..10,
    ) {
        let (whole, engine) = (make(set, 1_000_000), make(set, retain));
        push(&whole, trades.iter().copied());
        let kept = trades.iter().enumerate().filter(|(index, _)| index % missing != 0);
        push(&engine, kept.map(|(_, trade)| *trade));
        let end = trades[trades.len() - 1].ts_event + 400 * DAY;
        [&whole, &engine].into_iter().for_each(|engine| advance(engine, end));
        let volumes = |level: usize| -> std::collections::BTreeMap<i64, f64> {
            closed(&engine.snapshot(ID), level).iter().map(|row| (row.ts, row.volume)).collect()
        };
        for (from, count) in fills {
            for &root in SETS[set].1 {
                let levels = 0..engine.timeframes().len();
                let before: Vec<_> = levels.map(volumes).collect();
                let bars = ready(&whole, root, i64::MIN..i64::MAX);
                let from = (from * bars.len() as f64) as usize;
                put(&engine, root, bars[from..bars.len().min(from + count)].to_vec(), true);
                for (level, before) in before.iter().enumerate() {
                    let after = volumes(level);
                    prop_assert!(labels(&engine, level).is_sorted_by(|a, b| a < b));
                    let oldest = *after.first_key_value().unwrap().0;
                    for (ts, volume) in before.range(oldest..) {
                        prop_assert!(after[ts] >= *volume, "{} of {volume}", after[ts]);
                    }
                }
            }
        }
    }
}
