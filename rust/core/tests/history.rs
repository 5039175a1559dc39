//! Bars that come ready made: what they replace, what they leave alone, and what larger bars make of
//! them. Random gaps and backfills are in `prop_history.rs`.
#![allow(clippy::unwrap_used)]

mod engine_support;

use engine_support::*;
use tickwire_core::bars::{Bar, Source};
use tickwire_core::engine::Engine;
use tickwire_core::reason::Reason;
use tickwire_core::subscription::{Interest, Item, Subscription};
use tickwire_core::{History, HistoryError, Revised, Spec};

/// A ready bar of flat price.
fn bar(ts: i64, price: f64, volume: f64) -> Bar {
    Bar {
        ts,
        ts_end: ts,
        open: price,
        high: price,
        low: price,
        close: price,
        volume,
        vwap: price,
        trades: 1,
        complete: true,
        revision: 0,
    }
}

fn minutes(range: std::ops::Range<i64>) -> Vec<Bar> {
    range.map(|minute| bar(MONDAY + minute * MINUTE, 100.0 + minute as f64, 1.0)).collect()
}

fn put(engine: &Engine, level: usize, bars: Vec<Bar>, replace: bool) -> History {
    engine.session().push_bars(ID, Source::Trade, level, bars, replace).unwrap()
}

fn refused(bars: Vec<Bar>) -> String {
    let engine = engine(&["1m", "1h"]);
    let error = engine.session().push_bars(ID, Source::Trade, 0, bars, false).unwrap_err();
    assert!(labels(&engine, 0).is_empty(), "nothing has changed");
    assert_eq!(engine.snapshot(ID).closing_time(Source::Trade), None);
    error.to_string()
}

#[test]
fn history_comes_before_the_first_tick() {
    let engine = engine(&["1m", "5m", "1h"]);
    let outcome = put(&engine, 0, minutes(0..67), false);
    assert_eq!(outcome, History { received: 67, inserted: 67, ..History::default() });
    let snapshot = engine.snapshot(ID);
    assert_eq!(closed(&snapshot, 0).len(), 67);
    let five = closed(&snapshot, 1);
    assert_eq!(five.len(), 13);
    assert_eq!((five[1].open, five[1].close, five[1].volume), (105.0, 109.0, 5.0));
    assert_eq!((five[1].vwap, five[1].trades, five[1].complete), (Some(107.0), 5, true));
    assert_eq!(closed(&snapshot, 2).len(), 1);
    // What was rolled up in part is open, and takes the ticks that follow.
    push(&engine, [live(MONDAY + 67 * MINUTE, 90.0, 3.0)]);
    let hour = &open(&engine.snapshot(ID), 2)[0];
    assert_eq!((hour.ts, hour.open, hour.low, hour.volume), (MONDAY + HOUR, 160.0, 90.0, 10.0));
    let five = &open(&engine.snapshot(ID), 1)[0];
    assert_eq!((five.open, five.close, five.volume), (165.0, 90.0, 5.0));
}

#[test]
fn rows_may_come_in_any_order() {
    let engine = engine(&["1m", "1h"]);
    let mut bars = minutes(0..120);
    bars.reverse();
    bars.swap(7, 80);
    put(&engine, 0, bars, false);
    assert!(labels(&engine, 0).is_sorted());
    assert_eq!(closed(&engine.snapshot(ID), 1)[1].open, 160.0);
}

#[test]
fn nothing_is_a_fine_history() {
    let engine = engine(&["1m"]);
    assert_eq!(put(&engine, 0, vec![], true), History::default());
    assert_eq!(engine.snapshot(ID).closing_time(Source::Trade), None);
}

#[test]
fn rows_that_cannot_be_right_change_nothing() {
    let good = bar(MONDAY, 100.0, 1.0);
    for (bad, what) in [
        (Bar { ts: MONDAY + 1, ..good }, "not the start of a 1m bar"),
        (Bar { ts: i64::MIN, ..good }, "has no time"),
        (Bar { open: f64::NAN, ..good }, "not a finite number"),
        (Bar { high: f64::INFINITY, ..good }, "not a finite number"),
        (Bar { low: 101.0, ..good }, "outside of low and high"),
        (Bar { high: 99.0, ..good }, "outside of low and high"),
        (Bar { close: 100.5, ..good }, "outside of low and high"),
        (Bar { volume: -1.0, ..good }, "volume"),
        (Bar { volume: f64::NAN, ..good }, "volume"),
        (Bar { vwap: f64::NAN, ..good }, "vwap"),
    ] {
        let mut bars = minutes(1..10);
        bars.insert(4, bad);
        let message = refused(bars);
        assert!(message.contains(what) && message.starts_with("row "), "{message}");
    }
    let twice = refused(vec![good, bar(MONDAY + MINUTE, 100.0, 1.0), good]);
    assert!(twice.contains("a second bar starts at"), "{twice}");
}

#[test]
fn a_bar_without_volume_needs_no_vwap() {
    let engine = engine(&["1m", "1h"]);
    put(&engine, 0, vec![Bar { vwap: f64::NAN, ..bar(MONDAY, 100.0, 0.0) }], false);
    put(&engine, 0, minutes(1..60), false);
    assert_eq!(closed(&engine.snapshot(ID), 0)[0].vwap, None);
    assert_eq!(closed(&engine.snapshot(ID), 1)[0].vwap, Some(130.0));
}

#[test]
fn a_source_that_the_instrument_does_not_have() {
    let engine = engine(&["1m"]);
    let error = engine.session().push_bars(ID, Source::Mid, 0, minutes(0..1), false).unwrap_err();
    assert!(matches!(error, HistoryError::NoSource { .. }));
    assert!(error.to_string().contains("ES has no mid bars"), "{error}");
}

#[test]
fn closed_bars_stay_unless_they_are_to_be_replaced() {
    let engine = engine(&["1m", "1h"]);
    put(&engine, 0, minutes(0..60), false);
    let again = vec![bar(MONDAY, 500.0, 9.0), bar(MONDAY + 60 * MINUTE, 500.0, 9.0)];
    let outcome = put(&engine, 0, again.clone(), false);
    assert_eq!(outcome, History { received: 2, inserted: 1, existing: 1, ..History::default() });
    assert_eq!(closed(&engine.snapshot(ID), 0)[0].open, 100.0);

    let outcome = put(&engine, 0, again, true);
    assert_eq!(outcome, History { received: 2, replaced: 2, ..History::default() });
    let snapshot = engine.snapshot(ID);
    assert_eq!(closed(&snapshot, 0)[0].open, 500.0);
    assert_eq!(closed(&snapshot, 0).len(), 61);
    let hour = &closed(&snapshot, 1)[0];
    assert_eq!((hour.open, hour.high, hour.volume), (500.0, 500.0, 68.0));
}

#[test]
fn a_bar_that_is_still_open_is_never_touched() {
    let engine = engine(&["1m", "5m", "1h"]);
    push(&engine, [live(MONDAY + 62 * MINUTE, 100.0, 7.0), live(MONDAY + 63 * MINUTE, 100.0, 7.0)]);
    let outcome = put(&engine, 0, minutes(60..70), true);
    assert_eq!(
        outcome,
        History { received: 10, inserted: 2, replaced: 1, open: 7, ..History::default() }
    );
    let snapshot = engine.snapshot(ID);
    assert_eq!(open(&snapshot, 0)[0].volume, 7.0);
    assert_eq!((open(&snapshot, 1)[0].volume, open(&snapshot, 1)[0].open), (10.0, 160.0));

    // A 5m bar whose minutes are being collected is open, too.
    let outcome = put(&engine, 1, vec![bar(MONDAY + 60 * MINUTE, 100.0, 1.0)], true);
    assert_eq!(outcome, History { received: 1, open: 1, ..History::default() });
    let outcome = put(&engine, 1, vec![bar(MONDAY + 55 * MINUTE, 100.0, 1.0)], true);
    assert_eq!(outcome.inserted, 1);
}

#[test]
fn history_moves_the_watermark_to_its_end() {
    let engine = engine(&["1m"]);
    put(&engine, 0, minutes(0..10), false);
    assert_eq!(engine.snapshot(ID).closing_time(Source::Trade), Some(MONDAY + 10 * MINUTE));
    let at = |ts| engine.session().push_trade(ID, &trade(ts, 100.0, 1.0));
    assert_eq!(at(MONDAY + 10 * MINUTE - 1), Err(Reason::Late));
    assert_eq!(at(MONDAY + 10 * MINUTE), Ok(()));
    put(&engine, 0, vec![bar(MONDAY - MINUTE, 1.0, 1.0)], false);
    assert_eq!(engine.snapshot(ID).closing_time(Source::Trade), Some(MONDAY + 10 * MINUTE));
}

#[test]
fn a_backfill_mends_larger_bars_closed_and_open() {
    let engine = engine(&["1m", "5m", "1h"]);
    let ticks = |range: std::ops::Range<i64>| {
        let at = |minute: i64| live(MONDAY + minute * MINUTE, 100.0 + minute as f64, 1.0);
        push(&engine, range.map(at));
    };
    ticks(0..57);
    engine.session().mark_gap(ID, Some(MONDAY + 57 * MINUTE), MONDAY + 62 * MINUTE).unwrap();
    ticks(62..64);
    let (snapshot, whole) = (engine.snapshot(ID), |row: &Row| (row.volume, row.complete));
    assert_eq!(closed(&snapshot, 2).iter().map(whole).collect::<Vec<_>>(), [(57.0, false)]);
    assert_eq!(open(&snapshot, 2)[0].volume, 2.0);

    let outcome = put(&engine, 0, minutes(57..62), false);
    assert_eq!((outcome.inserted, outcome.open), (5, 0));
    let snapshot = engine.snapshot(ID);
    assert_eq!(
        labels(&engine, 0),
        (0..63).map(|minute| MONDAY + minute * MINUTE).collect::<Vec<_>>()
    );
    assert_eq!(closed(&snapshot, 2).iter().map(whole).collect::<Vec<_>>(), [(60.0, true)]);
    assert_eq!(closed(&snapshot, 2)[0].close, 159.0);
    let hour = &open(&snapshot, 2)[0];
    assert_eq!((hour.open, hour.high, hour.close, hour.volume), (160.0, 163.0, 163.0, 4.0));
    let five = &closed(&snapshot, 1)[11];
    assert_eq!((five.ts, five.volume), (MONDAY + 55 * MINUTE, 5.0));
}

#[test]
fn a_larger_bar_that_knows_more_than_its_parts_is_left_alone() {
    let engine = engine(&["1m", "1h"]);
    put(&engine, 1, vec![Bar { trades: 60, ..bar(MONDAY, 100.0, 60.0) }], false);
    put(&engine, 0, minutes(40..60), false);
    let hours = closed(&engine.snapshot(ID), 1);
    assert_eq!((hours.len(), hours[0].volume), (1, 60.0), "twenty minutes are not the hour");
}

#[test]
fn a_larger_bar_outlives_the_parts_that_retention_dropped() {
    let engine = engine_of(vec![spec("ES")], &["1s", "1h"], 100);
    push(&engine, (0..3_000).map(|second| live(MONDAY + 2 * second * SECOND, 100.0, 1.0)));
    let hour = || closed(&engine.snapshot(ID), 1)[0].volume;
    let held = || open(&engine.snapshot(ID), 1)[0].volume;
    assert_eq!((hour(), held()), (1_800.0, 1_200.0));
    let oldest = labels(&engine, 0)[0];
    put(&engine, 0, vec![bar(oldest + SECOND, 100.0, 1.0)], false);
    assert_eq!((hour(), held()), (1_800.0, 1_200.0), "the seconds at hand are not the hour");
}

#[test]
fn several_calls_of_one_session_build_on_each_other() {
    let engine = engine(&["1m", "1h"]);
    let mut session = engine.session();
    for minute in 0..60 {
        let bars = minutes(minute..minute + 1);
        session.push_bars(ID, Source::Trade, 0, bars, false).unwrap();
        // Fills tails between the calls.
        for tick in 0..10 {
            let ts = MONDAY + 100 * HOUR + (minute * 10 + tick) * MINUTE;
            let _ = session.push_trade(ID, &live(ts, 1.0, 1.0));
        }
        session.mark_gap(ID, Some(MONDAY + 200 * HOUR), MONDAY + 201 * HOUR).unwrap();
    }
    drop(session);
    let all = closed(&engine.snapshot(ID), 0);
    let history: Vec<_> = all.iter().filter(|row| row.ts < MONDAY + HOUR).collect();
    assert_eq!((history.len(), all.len()), (60, 60 + 599));
    assert_eq!(closed(&engine.snapshot(ID), 1)[0].volume, 60.0);
}

#[test]
fn timeframes_that_are_not_rolled_up_from_it_stay_as_they_are() {
    let engine = engine(&["2m", "3m", "6m"]);
    let bars: Vec<Bar> = (0..30).map(|row| bar(MONDAY + row * 2 * MINUTE, 100.0, 1.0)).collect();
    put(&engine, 0, bars, false);
    assert_eq!((labels(&engine, 0).len(), labels(&engine, 1).len()), (30, 0));
    // 6m is rolled up from 3m, the largest that nests.
    assert_eq!(labels(&engine, 2).len(), 0);
    let bars: Vec<Bar> = (0..20).map(|row| bar(MONDAY + row * 3 * MINUTE, 100.0, 1.0)).collect();
    put(&engine, 1, bars, false);
    assert_eq!(labels(&engine, 2).len(), 10);
}

#[test]
fn subscribers_hear_of_revisions_and_not_of_history() {
    let engine = engine(&["1m", "1h"]);
    put(&engine, 0, minutes(0..60), false);
    let interest = Interest {
        instruments: vec![ID],
        levels: vec![0, 1],
        source: Source::Trade,
        trades: false,
        quotes: false,
        capacity: 100,
        hours: vec![],
    };
    let mut subscription = Subscription::new(&engine, &interest);
    put(&engine, 0, minutes(60..70), false);
    assert_eq!(subscription.poll(), []);
    put(&engine, 0, vec![bar(MONDAY + 3 * MINUTE, 500.0, 2.0)], true);
    let told: Vec<_> = subscription
        .poll()
        .into_iter()
        .map(|item| match item {
            Item::Bar(_, timeframe, _, bar) => (timeframe.to_string(), bar.high, bar.revision),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [("1m".to_owned(), 500.0, 1), ("1h".to_owned(), 500.0, 1)]);
    put(&engine, 0, vec![bar(MONDAY + 3 * MINUTE, 500.0, 2.0)], true);
    let revisions = subscription.poll().into_iter().map(|item| match item {
        Item::Bar(_, _, _, bar) => bar.revision,
        other => panic!("{other:?}"),
    });
    assert_eq!(revisions.collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn history_of_quotes_leaves_trades_alone() {
    let sources = vec![Source::Trade, Source::Mid, Source::Bid];
    let engine = engine_of(vec![Spec { sources, ..spec("ES") }], &["1m", "1h"], 1_000);
    push(&engine, [live(MONDAY, 100.0, 1.0)]);
    engine.session().push_bars(ID, Source::Mid, 0, minutes(0..90), false).unwrap();
    let snapshot = engine.snapshot(ID);
    let count =
        |source, level| rows(&snapshot.batches(source, level, None, None, false).unwrap()).len();
    assert_eq!((count(Source::Mid, 0), count(Source::Mid, 1)), (90, 1));
    assert_eq!((count(Source::Bid, 0), count(Source::Trade, 0)), (0, 0));
    assert_eq!(snapshot.closing_time(Source::Trade), Some(MONDAY));
    let late = engine.session().push_quote(ID, &quote(MONDAY + 90 * MINUTE - 1, 1.0, 2.0));
    assert_eq!(late, Err(Reason::Late));
}

#[test]
fn a_gap_revises_closed_bars_once() {
    let engine = engine(&["1m", "1h"]);
    put(&engine, 0, minutes(0..120), false);
    for _ in 0..2 {
        engine.session().mark_gap(ID, Some(MONDAY + 30 * SECOND), MONDAY + 90 * SECOND).unwrap();
        let snapshot = engine.snapshot(ID);
        let broken = |level| closed(&snapshot, level).iter().filter(|row| !row.complete).count();
        assert_eq!((broken(0), broken(1)), (2, 1));
    }
    let newest = put(&engine, 0, minutes(0..2), true);
    assert_eq!(newest.replaced, 2);
    assert!(closed(&engine.snapshot(ID), 1).iter().all(|row| row.complete), "mended");
}

/// Complete or not, of each closed bar.
fn whole(engine: &Engine, level: usize) -> Vec<bool> {
    closed(&engine.snapshot(ID), level).iter().map(|row| row.complete).collect()
}

fn fill(engine: &Engine, level: usize, bars: Vec<Bar>, span: (i64, i64)) -> (History, Revised) {
    engine.session().push_history(ID, Source::Trade, level, bars, true, Some(span)).unwrap()
}

#[test]
fn a_larger_bar_that_is_filled_before_it_closes_closes_complete() {
    let engine = engine(&["1s", "1m", "1h"]);
    let second = |second: i64| MONDAY + second * SECOND;
    push(&engine, (0..10).map(|at| live(second(at), 100.0, 1.0)));
    engine.session().mark_gap(ID, Some(second(9) + 1), second(20) + 1).unwrap();
    push(&engine, (20..30).map(|at| live(second(at) + 2, 100.0, 1.0)));
    fill(
        &engine,
        0,
        (9..21).map(|at| bar(second(at), 100.0, 1.0)).collect(),
        (second(9), second(21)),
    );
    push(&engine, (30..7_200).map(|at| live(second(at), 100.0, 1.0)));
    assert!(whole(&engine, 0).iter().all(|whole| *whole));
    assert!(whole(&engine, 1).iter().all(|whole| *whole));
    assert_eq!(whole(&engine, 2), [true]);
    assert_eq!(closed(&engine.snapshot(ID), 2)[0].volume, 3_600.0);
}

#[test]
fn a_gap_without_trades_is_filled_by_saying_so() {
    let engine = engine(&["1m", "5m", "1h"]);
    let at = |minute: i64| live(MONDAY + minute * MINUTE, 100.0, 1.0);
    push(&engine, [at(0), at(3), at(59), at(60), at(63)]);
    // Cuts no minute that has trades, and is in an hour that is closed and one that is not.
    let gap = (MONDAY + 50 * MINUTE, MONDAY + 52 * MINUTE);
    engine.session().mark_gap(ID, Some(gap.0), gap.1).unwrap();
    engine.session().mark_gap(ID, Some(gap.0 + 11 * MINUTE), gap.1 + 10 * MINUTE).unwrap();
    assert_eq!(whole(&engine, 0), [true; 4]);
    assert_eq!(whole(&engine, 2), [false]);
    let (outcome, revised) = fill(&engine, 0, vec![], gap);
    assert_eq!(outcome, History::default());
    let told: Vec<_> = revised.iter().map(|(tf, bar)| (tf.to_string(), bar.complete)).collect();
    assert_eq!(told, [("1h".to_owned(), true)]);
    let (_, again) = fill(&engine, 0, vec![], gap);
    assert_eq!(again, [], "nothing was missing any more");
    fill(&engine, 0, vec![], (gap.0 + 11 * MINUTE, gap.1 + 10 * MINUTE));
    advance(&engine, MONDAY + 2 * HOUR);
    assert_eq!((whole(&engine, 1), whole(&engine, 2)), (vec![true; 3], vec![true; 2]));
}

#[test]
fn half_a_gap_filled_leaves_the_larger_bar_incomplete() {
    let engine = engine(&["1m", "1h"]);
    push(&engine, (0..20).map(|minute| live(MONDAY + minute * MINUTE, 100.0, 1.0)));
    engine.session().mark_gap(ID, Some(MONDAY + 20 * MINUTE), MONDAY + 40 * MINUTE).unwrap();
    push(&engine, (40..61).map(|minute| live(MONDAY + minute * MINUTE, 100.0, 1.0)));
    put(&engine, 0, minutes(20..30), true);
    assert_eq!(whole(&engine, 1), [false]);
    put(&engine, 0, minutes(30..40), true);
    assert_eq!(whole(&engine, 1), [true]);
}

#[test]
fn a_gap_that_is_filled_in_larger_timeframes_stays_in_smaller_ones() {
    let engine = engine(&["1s", "1m", "1h"]);
    push(&engine, [live(MONDAY, 100.0, 1.0)]);
    engine.session().mark_gap(ID, Some(MONDAY + SECOND / 2), MONDAY + 59 * SECOND + 1).unwrap();
    push(&engine, [live(MONDAY + MINUTE - 1, 100.0, 1.0), live(MONDAY + MINUTE, 100.0, 1.0)]);
    put(&engine, 1, minutes(0..1), true);
    advance(&engine, MONDAY + HOUR);
    assert_eq!(whole(&engine, 0), [false, false, true]);
    assert_eq!((whole(&engine, 1), whole(&engine, 2)), (vec![true; 2], vec![true]));
}

#[test]
fn what_is_still_collected_stays_missing() {
    let engine = engine(&["1s", "1m"]);
    push(&engine, [live(MONDAY, 100.0, 1.0)]);
    engine.session().mark_gap(ID, Some(MONDAY + 1), MONDAY + 2 * SECOND + 1).unwrap();
    push(&engine, [live(MONDAY + 2 * SECOND + 2, 100.0, 1.0)]);
    fill(&engine, 0, vec![], (MONDAY + SECOND, MONDAY + MINUTE));
    advance(&engine, MONDAY + HOUR);
    assert_eq!(whole(&engine, 0), [false, false], "one was not in the span, one not closed");
    assert_eq!(whole(&engine, 1), [false]);
}

#[test]
fn joining_again_is_a_gap_since_the_first_time() {
    let engine = engine(&["1m", "1h"]);
    engine.session().mark_gap(ID, None, MONDAY + 30 * MINUTE).unwrap();
    fill(&engine, 0, minutes(0..30), (MONDAY, MONDAY + 30 * MINUTE));
    push(&engine, [live(MONDAY + 30 * MINUTE, 100.0, 1.0), live(MONDAY + 31 * MINUTE, 100.0, 1.0)]);
    engine.session().mark_gap(ID, None, MONDAY + 31 * MINUTE).unwrap();
    assert_eq!(whole(&engine, 0)[29..], [true, false]);
    fill(&engine, 0, minutes(30..31), (MONDAY + 30 * MINUTE, MONDAY + 31 * MINUTE));
    advance(&engine, MONDAY + HOUR);
    assert_eq!(whole(&engine, 1), [true]);
}
