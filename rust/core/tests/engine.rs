//! The engine's contract by example: what is counted, what closes a bar, what is late, and what each
//! source of bars takes from a tick. Random ticks are in `prop_bars.rs`.
#![allow(clippy::unwrap_used)]

mod engine_support;

use engine_support::*;
use tickwire_core::Spec;
use tickwire_core::bars::Source;
use tickwire_core::decode::Sink;
use tickwire_core::engine::{Engine, Receipt};
use tickwire_core::reason::Reason;
use tickwire_core::record::{Depth, DepthKind, InstrumentId, NO_TIME, Quote, Trade};
use tickwire_core::validate::{Action, Rules};

const OTHER: InstrumentId = InstrumentId(1);

fn prices(engine: &Engine, level: usize) -> Vec<[f64; 4]> {
    let rows = closed(&engine.snapshot(ID), level);
    rows.iter().map(|row| [row.open, row.high, row.low, row.close]).collect()
}

fn of_source(engine: &Engine, source: Source) -> Vec<(i64, [f64; 4], i64)> {
    let snapshot = engine.snapshot(ID);
    let rows = rows(&snapshot.batches(source, 0, None, None, false).unwrap());
    rows.iter().map(|row| (row.ts, [row.open, row.high, row.low, row.close], row.trades)).collect()
}

#[test]
fn timeframes_are_sorted_and_each_is_kept_once() {
    let engine = engine(&["1h", "1s", "5m", "1s"]);
    let names: Vec<_> = engine.timeframes().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["1s", "5m", "1h"]);
}

#[test]
fn instruments_are_found_by_their_full_id() {
    let engine = engine_of(vec![spec("ESZ5"), spec("ESH6")], &["1m"], 100);
    assert_eq!(engine.find("ESZ5"), Some(ID));
    assert_eq!(engine.find("ESH6"), Some(OTHER));
    assert_eq!(engine.find("ES"), None);
    assert_eq!(engine.spec(OTHER).symbol, "ESH6");
    assert_eq!(engine.ids().collect::<Vec<_>>(), [ID, OTHER]);
}

#[test]
fn two_expiries_never_mix() {
    let engine = engine_of(vec![spec("ESZ5"), spec("ESH6")], &["1s"], 100);
    let mut session = engine.session();
    for second in 0..3 {
        let ts = MONDAY + second * SECOND;
        session.push_trade(ID, &live(ts, 100.0, 1.0)).unwrap();
        session.push_trade(OTHER, &live(ts, 200.0, 2.0)).unwrap();
    }
    drop(session);
    assert_eq!(prices(&engine, 0), [[100.0; 4]; 2]);
    let other = closed(&engine.snapshot(OTHER), 0);
    assert!(other.iter().all(|row| row.open == 200.0 && row.volume == 2.0));
    assert_eq!(engine.snapshot(OTHER).counters().trades, 3);
}

#[test]
fn every_tick_is_accepted_or_rejected_with_its_reason() {
    let rules = Rules { grid: Action::Flag, ..Rules::default() };
    let engine = engine_of(vec![Spec { rules, ..spec("ES") }], &["1s"], 100);
    let mut session = engine.session();
    assert_eq!(session.push_trade(ID, &live(MONDAY, 100.1, 1.0)), Ok(()));
    assert_eq!(session.push_trade(ID, &live(MONDAY + SECOND, 100.0, 1.0)), Ok(()));
    assert_eq!(session.push_trade(ID, &live(MONDAY, 100.0, 1.0)), Err(Reason::Late));
    assert_eq!(session.push_trade(ID, &live(MONDAY + SECOND, -1.0, 1.0)), Err(Reason::NotPositive));
    assert_eq!(session.push_quote(ID, &quote(MONDAY, f64::NAN, f64::NAN)), Err(Reason::NotFinite));
    assert_eq!(session.push_quote(ID, &quote(MONDAY, 100.0, 100.25)), Ok(()));
    let depth =
        Depth { ts_event: MONDAY, ts_recv: NO_TIME, price: 1.0, size: 1.0, kind: DepthKind::Bid };
    assert_eq!(session.push_depth(ID, &depth), Ok(()));
    session.refuse(Some(ID), Reason::Malformed);
    session.refuse(None, Reason::UnknownInstrument);
    session.oversize();
    session.control(b"{}");
    let receipt = session.finish();
    let expected = Receipt {
        received: 10,
        accepted: 4,
        rejected: 6,
        duplicates: 0,
        control: vec![(*b"{}").into()],
    };
    assert_eq!(receipt, expected);

    let own = engine.snapshot(ID).counters();
    assert_eq!((own.received, own.accepted, own.rejected_total()), (8, 4, 4));
    assert_eq!((own.trades, own.quotes, own.depth), (2, 1, 1));
    assert_eq!(own.flagged[Reason::Grid as usize], 1);
    let all = engine.counters();
    assert_eq!((all.received, all.accepted, all.rejected_total()), (10, 4, 6));
    for reason in [
        Reason::Late,
        Reason::NotPositive,
        Reason::NotFinite,
        Reason::Malformed,
        Reason::UnknownInstrument,
        Reason::Oversize,
    ] {
        assert_eq!(all.rejected[reason as usize], 1, "{}", reason.name());
    }
}

#[test]
fn a_receipt_counts_over_all_instruments_of_a_session() {
    let engine = engine_of(vec![spec("ESZ5"), spec("ESH6")], &["1s"], 100);
    push(&engine, [live(MONDAY, 100.0, 1.0)]);
    let mut session = engine.session();
    for second in 0..10 {
        let trade = live(MONDAY + second * SECOND, 100.0, 1.0);
        session.push_trade(if second % 2 == 0 { ID } else { OTHER }, &trade).unwrap();
    }
    let _ = session.push_trade(OTHER, &trade(MONDAY, f64::NAN, 1.0));
    let receipt = session.finish();
    assert_eq!((receipt.received, receipt.accepted, receipt.rejected), (11, 10, 1));
}

#[test]
fn readers_see_a_session_when_it_ends() {
    let engine = engine(&["1s"]);
    let mut session = engine.session();
    session.push_trade(ID, &live(MONDAY, 100.0, 1.0)).unwrap();
    assert_eq!(engine.snapshot(ID).trade(), None);
    assert_eq!(engine.trades(ID, 10).1, []);
    assert!(engine.try_session(ID).is_none());
    drop(session);
    assert!(engine.try_session(ID).is_some());
    assert_eq!(engine.snapshot(ID).trade(), Some(live(MONDAY, 100.0, 1.0)));
    assert_eq!(engine.trades(ID, 10), (0, vec![live(MONDAY, 100.0, 1.0)]));
}

#[test]
fn the_newest_ticks_come_back_as_they_were_given() {
    let engine = engine_of(vec![Spec { capacity: 16, ..spec("ES") }], &["1s"], 100);
    let trades: Vec<Trade> = (0..40).map(|tick| live(MONDAY + tick, 100.0, tick as f64)).collect();
    let quotes: Vec<Quote> = (0..40)
        .map(|tick| Quote { ask_size: f64::from(tick), ..quote(MONDAY, 100.0, 100.25) })
        .collect();
    let mut session = engine.session();
    trades.iter().for_each(|trade| session.push_trade(ID, trade).unwrap());
    quotes.iter().for_each(|quote| session.push_quote(ID, quote).unwrap());
    drop(session);
    assert_eq!(engine.trades(ID, 3), (37, trades[37..].to_vec()));
    assert_eq!(engine.trades(ID, 99), (24, trades[24..].to_vec()), "as many as the ring holds");
    let (first, newest) = engine.quotes(ID, 2);
    let sizes: Vec<f64> = newest.iter().map(|quote| quote.ask_size).collect();
    assert_eq!((first, sizes), (38, vec![38.0, 39.0]));
    let batch = engine.trade_batch(ID, 5).unwrap();
    assert_eq!((batch.num_rows(), batch.num_columns()), (5, 5));
    assert_eq!(engine.quote_batch(ID, 0).unwrap().num_rows(), 0);
}

#[test]
fn a_bar_holds_its_start_and_not_its_end() {
    let engine = engine(&["1m"]);
    let times = [MONDAY, MONDAY + MINUTE - 1, MONDAY + MINUTE];
    push(&engine, times.map(|ts| live(ts, 100.0, 1.0)));
    let rows = closed(&engine.snapshot(ID), 0);
    assert_eq!((rows.len(), rows[0].ts, rows[0].trades), (1, MONDAY, 2));
    assert_eq!(open(&engine.snapshot(ID), 0)[0].ts, MONDAY + MINUTE);
}

#[test]
fn open_and_close_are_first_and_last_by_event_time_then_arrival() {
    let engine = engine(&["1m"]);
    let at = |nanos, price| live(MONDAY + nanos, price, 1.0);
    push(
        &engine,
        [at(5, 101.0), at(9, 102.0), at(5, 103.0), at(9, 104.0), at(7, 105.0), at(3, 106.0)],
    );
    push(&engine, [at(3, 107.0)]);
    advance(&engine, MONDAY + MINUTE);
    assert_eq!(prices(&engine, 0), [[106.0, 107.0, 101.0, 104.0]]);
}

#[test]
fn volume_and_vwap() {
    let engine = engine(&["1m"]);
    push(&engine, [live(MONDAY, 100.0, 3.0), live(MONDAY, 101.0, 1.0), live(MONDAY, 120.0, 0.0)]);
    push(&engine, [live(MONDAY + MINUTE, 100.0, 0.0)]);
    advance(&engine, MONDAY + 2 * MINUTE);
    let rows = closed(&engine.snapshot(ID), 0);
    assert_eq!((rows[0].volume, rows[0].vwap, rows[0].trades), (4.0, Some(100.25), 3));
    assert_eq!((rows[1].volume, rows[1].vwap), (0.0, None), "zero-size prints make no average");
}

#[test]
fn sums_stay_exact_over_many_terms() {
    let engine = engine(&["1d"]);
    // Plain addition of these is off in the eleventh digit.
    push(&engine, (0..1_000_000).map(|tick| live(MONDAY + tick, 100.25, 0.1)));
    let volume = || engine.snapshot(ID).open_bars(Source::Trade, 0)[0].volume;
    assert!((volume() - 100_000.0).abs() < 1e-10, "{}", volume());
    push(&engine, [live(MONDAY + SECOND, 100.25, 9e15), live(MONDAY + SECOND, 100.25, 1.0)]);
    assert_eq!(volume(), 9e15 + 100_001.0);
}

#[test]
fn no_bar_is_made_where_nothing_traded() {
    let engine = engine(&["1s", "1m"]);
    push(&engine, [live(MONDAY, 100.0, 1.0), live(MONDAY + 10 * MINUTE, 100.0, 1.0)]);
    assert_eq!(labels(&engine, 0), [MONDAY]);
    assert_eq!(labels(&engine, 1), [MONDAY]);
}

#[test]
fn advance_closes_what_ended_and_makes_it_final() {
    let engine = engine(&["1s", "1m"]);
    push(&engine, [trade(MONDAY, 100.0, 1.0)]);
    advance(&engine, MONDAY + SECOND - 1);
    assert!(labels(&engine, 0).is_empty());
    advance(&engine, MONDAY + SECOND);
    assert_eq!((labels(&engine, 0), labels(&engine, 1)), (vec![MONDAY], vec![]));
    advance(&engine, MONDAY);
    assert_eq!(engine.snapshot(ID).closing_time(Source::Trade), Some(MONDAY + SECOND));
    let late = engine.session().push_trade(ID, &trade(MONDAY + SECOND - 1, 100.0, 1.0));
    assert_eq!(late, Err(Reason::Late));
    assert_eq!(engine.session().push_trade(ID, &trade(MONDAY + SECOND, 100.0, 1.0)), Ok(()));
}

#[test]
fn lateness_keeps_bars_open() {
    let lateness_ns = 2 * SECOND;
    let engine = engine_of(vec![Spec { lateness_ns, ..spec("ES") }], &["1s", "1m"], 100);
    push(&engine, (0..5).map(|second| live(MONDAY + second * SECOND, 100.0, 1.0)));
    assert_eq!(labels(&engine, 0), [MONDAY, MONDAY + SECOND]);
    assert_eq!(open(&engine.snapshot(ID), 0).len(), 3);
    push(&engine, [live(MONDAY + 2 * SECOND, 101.0, 1.0)]);
    let late = engine.session().push_trade(ID, &live(MONDAY + SECOND, 101.0, 1.0));
    assert_eq!(late, Err(Reason::Late));
    push(&engine, [live(MONDAY + 5 * SECOND, 100.0, 1.0)]);
    assert_eq!(prices(&engine, 0)[2], [100.0, 101.0, 100.0, 101.0]);
}

#[test]
fn one_stamp_from_the_future_closes_nothing() {
    let engine = engine(&["1s"]);
    push(&engine, [trade(MONDAY, 100.0, 1.0), trade(MONDAY + 1, 100.0, 1.0)]);
    push(&engine, [trade(MONDAY + 5 * HOUR, 100.0, 1.0)]);
    assert_eq!(engine.snapshot(ID).closing_time(Source::Trade), Some(MONDAY + 1));
    push(&engine, [trade(MONDAY + 2, 100.0, 1.0)]);
    assert!(labels(&engine, 0).is_empty());
    assert_eq!(open(&engine.snapshot(ID), 0).len(), 2);
    push(&engine, [trade(MONDAY + 5 * HOUR + 1, 100.0, 1.0), trade(MONDAY + 3, 100.0, 1.0)]);
    assert!(labels(&engine, 0).is_empty(), "nor does another one, by itself");
    push(&engine, [5, 6].map(|tick| trade(MONDAY + 5 * HOUR + tick, 100.0, 1.0)));
    assert_eq!(labels(&engine, 0), [MONDAY], "two in a row are believed");
}

#[test]
fn the_first_stamp_of_all_is_doubted_too() {
    let engine = engine(&["1s"]);
    push(&engine, [trade(MONDAY + 9 * HOUR, 100.0, 1.0)]);
    assert_eq!(engine.snapshot(ID).closing_time(Source::Trade), None);
    push(&engine, [trade(MONDAY, 100.0, 1.0), trade(MONDAY + 1, 100.0, 1.0)]);
    assert_eq!(engine.snapshot(ID).counters().accepted, 3, "the honest ones are not late");
}

#[test]
fn a_tick_that_confirms_a_jump_is_in_the_bar_that_it_closes() {
    let engine = engine(&["1s"]);
    push(&engine, [trade(MONDAY, 100.0, 1.0), trade(MONDAY + 1, 100.0, 1.0)]);
    let far = MONDAY + 5 * HOUR;
    push(&engine, [trade(far + 30 * MINUTE, 102.0, 1.0), trade(far, 101.0, 1.0)]);
    assert_eq!(labels(&engine, 0), [MONDAY, far]);
    assert_eq!(open(&engine.snapshot(ID), 0)[0].ts, far + 30 * MINUTE);
}

#[test]
fn a_tick_ahead_of_its_arrival_never_moves_the_watermark() {
    let engine = engine(&["1s"]);
    push(&engine, [live(MONDAY, 100.0, 1.0)]);
    push(&engine, [Trade { ts_recv: MONDAY, ..live(MONDAY + 3 * SECOND, 100.0, 1.0) }]);
    assert!(labels(&engine, 0).is_empty());
    push(&engine, [live(MONDAY + 5 * HOUR, 100.0, 1.0)]);
    assert_eq!(labels(&engine, 0), [MONDAY, MONDAY + 3 * SECOND], "an arrival is proof enough");
}

#[test]
fn a_tick_is_late_if_any_bar_that_it_would_enter_is_closed() {
    let engine = engine(&["2m", "3m"]);
    push(&engine, [live(MONDAY, 100.0, 1.0), live(MONDAY + 3 * MINUTE, 100.0, 1.0)]);
    // Its 3m bar is closed, its 2m bar is not.
    let late = engine.session().push_trade(ID, &live(MONDAY + 2 * MINUTE, 100.0, 1.0));
    assert_eq!(late, Err(Reason::Late));
    push(&engine, [live(MONDAY + 4 * MINUTE, 100.0, 1.0)]);
    // Its 2m bar is closed, its 3m bar is not.
    let late = engine.session().push_trade(ID, &live(MONDAY + 3 * MINUTE, 100.0, 1.0));
    assert_eq!(late, Err(Reason::Late));
}

#[test]
fn quotes_never_move_the_watermark_of_trades() {
    let sources = vec![Source::Trade, Source::Bid];
    let engine = engine_of(vec![Spec { sources, ..spec("ES") }], &["1s"], 100);
    push(&engine, [live(MONDAY, 100.0, 1.0)]);
    let mut session = engine.session();
    session.push_quote(ID, &quote(MONDAY, 100.0, 100.25)).unwrap();
    session.push_quote(ID, &quote(MONDAY + HOUR, 100.0, 100.25)).unwrap();
    drop(session);
    assert!(labels(&engine, 0).is_empty());
    assert_eq!(of_source(&engine, Source::Bid).len(), 1);
    advance(&engine, MONDAY + SECOND);
    assert_eq!(labels(&engine, 0), [MONDAY], "what advance says holds for both");
}

#[test]
fn each_source_takes_its_price() {
    let engine =
        engine_of(vec![Spec { sources: Source::ALL.to_vec(), ..spec("ES") }], &["1s"], 100);
    let nan = f64::NAN;
    let mut session = engine.session();
    for quote in [
        Quote { last: 100.0, ..quote(MONDAY, 99.0, 101.0) },
        quote(MONDAY + 1, 99.5, nan),
        quote(MONDAY + 2, nan, 102.0),
        Quote { last: 98.0, ..quote(MONDAY + 3, nan, nan) },
        quote(MONDAY + 4, 99.25, 99.5),
    ] {
        session.push_quote(ID, &quote).unwrap();
    }
    session.push_trade(ID, &live(MONDAY, 500.0, 7.0)).unwrap();
    session.advance(MONDAY + SECOND);
    drop(session);
    assert_eq!(of_source(&engine, Source::Trade), [(MONDAY, [500.0; 4], 1)]);
    assert_eq!(of_source(&engine, Source::Bid), [(MONDAY, [99.0, 99.5, 99.0, 99.25], 3)]);
    assert_eq!(of_source(&engine, Source::Ask), [(MONDAY, [101.0, 102.0, 99.5, 99.5], 3)]);
    assert_eq!(of_source(&engine, Source::Mid), [(MONDAY, [100.0, 100.0, 99.375, 99.375], 2)]);
    assert_eq!(of_source(&engine, Source::Last), [(MONDAY, [100.0, 100.0, 98.0, 98.0], 2)]);
    let bid = engine.snapshot(ID).closed_bar(Source::Bid, 0).unwrap();
    assert_eq!(bid.volume, 0.0, "a quote trades nothing");
    assert!(bid.vwap.is_nan());
}

#[test]
fn a_source_that_an_instrument_does_not_have_has_no_bars() {
    let engine = engine(&["1s"]);
    push(&engine, [live(MONDAY, 100.0, 1.0), live(MONDAY + SECOND, 100.0, 1.0)]);
    let snapshot = engine.snapshot(ID);
    assert_eq!(snapshot.closed_bar(Source::Mid, 0), None);
    assert_eq!(snapshot.open_bars(Source::Mid, 0), []);
    assert!(snapshot.batches(Source::Mid, 0, None, None, true).unwrap().is_empty());
}

#[test]
fn without_bars_of_trades_no_trade_is_late() {
    let sources = vec![Source::Bid];
    let engine = engine_of(vec![Spec { sources, ..spec("ES") }], &["1s"], 100);
    push(&engine, [live(MONDAY + HOUR, 100.0, 1.0), live(MONDAY, 100.0, 1.0)]);
    advance(&engine, MONDAY + DAY);
    push(&engine, [live(MONDAY, 100.0, 1.0)]);
    assert_eq!(engine.snapshot(ID).trade_count(), 3);
}

#[test]
fn a_tick_without_event_time_is_stamped_only_where_that_is_wanted() {
    let undated = Trade { ts_event: NO_TIME, ..live(MONDAY, 100.0, 1.0) };
    let quote = Quote { ts_event: NO_TIME, ..quote(MONDAY, 100.0, 100.25) };
    let depth =
        Depth { ts_event: NO_TIME, ts_recv: MONDAY, price: 1.0, size: 1.0, kind: DepthKind::Bid };
    let engine =
        engine_of(vec![spec("ESZ5"), Spec { stamp_arrival: true, ..spec("ESH6") }], &["1s"], 100);
    let mut session = engine.session();
    assert_eq!(session.push_trade(ID, &undated), Err(Reason::NoTime));
    assert_eq!(session.push_quote(ID, &quote), Err(Reason::NoTime));
    assert_eq!(session.push_depth(ID, &depth), Err(Reason::NoTime));
    assert_eq!(session.push_trade(OTHER, &undated), Ok(()));
    assert_eq!(session.push_quote(OTHER, &quote), Ok(()));
    assert_eq!(session.push_depth(OTHER, &depth), Ok(()));
    let never = Trade { ts_recv: NO_TIME, ..undated };
    assert_eq!(
        session.push_trade(OTHER, &never),
        Err(Reason::NoTime),
        "there is nothing to stamp with"
    );
    drop(session);
    assert_eq!(engine.snapshot(OTHER).trade(), Some(live(MONDAY, 100.0, 1.0)));
    assert_eq!(engine.snapshot(OTHER).quote().unwrap().ts_event, MONDAY);
}

#[test]
fn a_bar_that_spans_a_gap_is_not_complete() {
    let engine = engine(&["1s", "1m"]);
    push(&engine, (0..10).map(|second| live(MONDAY + second * SECOND, 100.0, 1.0)));
    engine.session().mark_gap(ID, Some(MONDAY + 3 * SECOND + 1), MONDAY + 5 * SECOND).unwrap();
    push(&engine, (10..120).map(|second| live(MONDAY + second * SECOND, 100.0, 1.0)));
    let complete = |level: usize| -> Vec<bool> {
        closed(&engine.snapshot(ID), level).iter().map(|row| row.complete).collect()
    };
    let expected: Vec<bool> = (0..119).map(|second| second != 3 && second != 4).collect();
    assert_eq!(complete(0), expected);
    assert_eq!(complete(1), [false]);
}

#[test]
fn the_bar_that_was_joined_in_its_middle_is_not_complete() {
    let engine = engine(&["1s", "1m"]);
    engine.session().mark_gap(ID, None, MONDAY + SECOND / 2).unwrap();
    push(&engine, (0..180).map(|second| live(MONDAY + second * SECOND + SECOND / 2, 100.0, 1.0)));
    let snapshot = engine.snapshot(ID);
    let incomplete = |level| closed(&snapshot, level).iter().filter(|row| !row.complete).count();
    assert_eq!((incomplete(0), incomplete(1)), (1, 1));
    assert!(!closed(&snapshot, 1)[0].complete && closed(&snapshot, 1)[1].complete);
}

#[test]
fn several_gaps_of_one_session_all_count() {
    let engine = engine(&["1s"]);
    push(&engine, (0..10).map(|second| live(MONDAY + second * SECOND, 100.0, 1.0)));
    let mut session = engine.session();
    for second in [2, 4] {
        let start = MONDAY + second * SECOND;
        session.mark_gap(ID, Some(start), start + 1).unwrap();
    }
    drop(session);
    let rows = closed(&engine.snapshot(ID), 0);
    let broken: Vec<usize> = (0..rows.len()).filter(|&row| !rows[row].complete).collect();
    assert_eq!(broken, [2, 4]);
}

#[test]
fn an_engine_without_timeframes_still_takes_ticks() {
    let engine = engine(&[]);
    push(&engine, [live(MONDAY + HOUR, 100.0, 1.0), live(MONDAY, 100.0, 1.0)]);
    advance(&engine, MONDAY + DAY);
    assert_eq!(engine.snapshot(ID).trade_count(), 2);
}

#[test]
fn memory_is_taken_when_it_is_used() {
    let engine = engine_of(vec![Spec { capacity: 1 << 16, ..spec("ES") }], &["1s"], 1_000);
    assert_eq!((engine.memory().rings, engine.memory().bars), (0, 0));
    push(&engine, (0..100).map(|second| live(MONDAY + second * SECOND, 100.0, 1.0)));
    assert_eq!(engine.memory().rings, 100 * 5 * 8);
    assert_eq!(engine.memory().bars, 99 * 9 * 8);
    assert!(engine.memory().fixed > 0);
}
