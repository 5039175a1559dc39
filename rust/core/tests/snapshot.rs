//! A snapshot is one cut: everything in it agrees, and nothing that happens later changes it.
#![allow(clippy::unwrap_used)]

mod engine_support;

use engine_support::*;
use tickwire_core::Spec;
use tickwire_core::bars::{Bar, Source};
use tickwire_core::engine::Engine;
use tickwire_core::record::Trade;
use tickwire_core::snapshot::Snapshot;

/// Everything that a snapshot tells of one instrument.
fn everything(snapshot: &Snapshot) -> String {
    let mut told = format!(
        "{:?} {:?} {:?} {:?}",
        snapshot.counters(),
        snapshot.trade(),
        snapshot.quote(),
        snapshot.closing_time(Source::Trade)
    );
    for level in 0..snapshot.buckets().len() {
        told += &format!("{:?} {:?}", closed(snapshot, level), open(snapshot, level));
        told += &format!("{:?}", snapshot.closed_bar(Source::Trade, level));
    }
    told
}

fn seconds(engine: &Engine, range: std::ops::Range<i64>) {
    push(engine, range.map(|second| live(MONDAY + second * SECOND, 100.0, second as f64)));
}

/// A trade that opens a bar and moves no watermark.
fn ahead(second: i64) -> Trade {
    let ts = MONDAY + second * SECOND;
    Trade { ts_recv: ts - SECOND, ..live(ts, 100.0, 1.0) }
}

fn bar(ts: i64) -> Bar {
    let (price, size) = (1.0, 1.0);
    Bar {
        ts,
        ts_end: ts,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: size,
        vwap: price,
        trades: 1,
        complete: true,
        revision: 0,
    }
}

#[test]
fn of_nothing() {
    let snapshot = engine(&["1s", "1m"]).snapshot(ID);
    assert_eq!((snapshot.trade(), snapshot.quote()), (None, None));
    assert_eq!((snapshot.trade_count(), snapshot.quote_count()), (0, 0));
    assert_eq!(snapshot.closing_time(Source::Trade), None);
    assert_eq!(snapshot.closed_bar(Source::Trade, 0), None);
    assert_eq!(snapshot.open_bars(Source::Trade, 1), []);
    assert_eq!(snapshot.sources(), [Source::Trade]);
    assert_eq!(snapshot.buckets().len(), 2);
    assert_eq!(snapshot.counters(), tickwire_core::snapshot::Counters::default());
}

#[test]
fn of_every_kind_of_tick() {
    let engine = engine(&["1s"]);
    let mut session = engine.session();
    session.push_trade(ID, &trade(MONDAY, 100.0, 1.0)).unwrap();
    session.push_quote(ID, &quote(MONDAY, 99.75, 100.25)).unwrap();
    session.push_quote(ID, &quote(MONDAY + 1, 99.5, 100.0)).unwrap();
    drop(session);
    let snapshot = engine.snapshot(ID);
    assert_eq!(snapshot.trade(), Some(trade(MONDAY, 100.0, 1.0)));
    let newest = snapshot.quote().unwrap();
    assert_eq!((newest.bid, newest.ask, newest.ts_event), (99.5, 100.0, MONDAY + 1));
    assert!(newest.bid_size.is_nan() && newest.last.is_nan());
    assert_eq!((snapshot.trade_count(), snapshot.quote_count()), (1, 2));
}

#[test]
fn open_bars_are_put_together_from_all_timeframes_below() {
    let engine = engine(&["1s", "5s", "1m", "1h"]);
    // 17 s into an hour: one second, two seconds in 5s, three 5s bars in 1m, nothing in 1h.
    seconds(&engine, 0..18);
    let snapshot = engine.snapshot(ID);
    let expected = [(17, 1, 17.0), (15, 3, 48.0), (0, 18, 153.0), (0, 18, 153.0)];
    for (level, (start, trades, volume)) in expected.into_iter().enumerate() {
        let bars = snapshot.open_bars(Source::Trade, level);
        assert_eq!(bars.len(), 1);
        assert_eq!(bars[0].ts, MONDAY + start * SECOND);
        assert_eq!((bars[0].trades, bars[0].volume), (trades, volume));
        assert!(!bars[0].complete, "what is open is never complete");
        assert_eq!(bars[0].ts_end, snapshot.buckets()[level].bucket(bars[0].ts).1);
    }
}

#[test]
fn what_happens_later_changes_nothing() {
    // As little room as possible: tails fill, parts are dropped and copied together all the time.
    for retain in [1, 300, 5_000] {
        let lateness_ns = 2 * SECOND;
        let engine =
            engine_of(vec![Spec { lateness_ns, ..spec("ES") }], &["1s", "5s", "1m"], retain);
        let mut kept: Vec<(Snapshot, String)> = Vec::new();
        for round in 0..12 {
            let start = round * 700;
            seconds(&engine, start..start + 700);
            let keep = |kept: &mut Vec<(Snapshot, String)>| {
                let snapshot = engine.snapshot(ID);
                let told = everything(&snapshot);
                kept.push((snapshot, told));
            };
            keep(&mut kept);
            let _ = engine.bars(ID, Source::Trade, 0, None, None, false).unwrap();
            keep(&mut kept);
            let gap = MONDAY + (start + 650) * SECOND;
            engine.session().mark_gap(ID, Some(gap), gap + 5 * SECOND).unwrap();
            keep(&mut kept);
            // Makes more open bars than there was room for. Between honest ticks, or they would be
            // taken for a sign that the clock of the arrivals is behind.
            let honest = live(MONDAY + (start + 699) * SECOND, 100.0, 1.0);
            push(&engine, (0..9).flat_map(|offset| [ahead(start + 710 + offset), honest]));
            keep(&mut kept);
            let bar = bar(MONDAY - (round + 1) * SECOND);
            engine.session().push_bars(ID, Source::Trade, 0, vec![bar], false).unwrap();
            keep(&mut kept);
        }
        for (snapshot, told) in &kept {
            assert_eq!(&everything(snapshot), told);
        }
    }
}

#[test]
fn many_open_bars_find_room() {
    let engine = engine_of(vec![Spec { lateness_ns: HOUR, ..spec("ES") }], &["1s", "1m"], 100);
    for count in [1, 2, 3, 4, 5, 100, 1_000] {
        seconds(&engine, 0..count);
        let bars = engine.snapshot(ID).open_bars(Source::Trade, 0);
        assert_eq!(bars.len(), count as usize);
        assert!(bars.is_sorted_by_key(|bar| bar.ts));
        let minutes = engine.snapshot(ID).open_bars(Source::Trade, 1);
        assert_eq!(minutes.len(), (count as usize).div_ceil(60));
    }
}

#[test]
fn only_the_bars_that_changed_are_shown_anew_and_still_all_are_right() {
    let engine = engine_of(vec![Spec { lateness_ns: 3 * SECOND, ..spec("ES") }], &["1s"], 100);
    let mut volume = std::collections::BTreeMap::new();
    for (tick, second) in
        [0, 1, 2, 3, 1, 3, 3, 2, 0, 3, 3, 4, 4, 2, 5, 3, 6].into_iter().enumerate()
    {
        if engine
            .session()
            .push_trade(ID, &live(MONDAY + second * SECOND, 100.0, tick as f64))
            .is_ok()
        {
            *volume.entry(MONDAY + second * SECOND).or_insert(0.0) += tick as f64;
        }
        let snapshot = engine.snapshot(ID);
        let mut rows = closed(&snapshot, 0);
        rows.extend(open(&snapshot, 0));
        let shown: Vec<_> = rows.iter().map(|row| (row.ts, row.volume)).collect();
        assert_eq!(shown, volume.clone().into_iter().collect::<Vec<_>>());
    }
}

/// A long batch is shown in parts. In all of them readers find as many bars as are to be retained.
#[test]
fn retention_never_takes_what_a_reader_was_promised() {
    let retain = 100;
    let engine = engine_of(vec![spec("ES")], &["1s"], retain);
    let mut session = engine.session();
    for second in 0..30_000 {
        session.push_trade(ID, &live(MONDAY + second * SECOND, 100.0, 1.0)).unwrap();
        if second % 97 == 0 {
            let snapshot = engine.snapshot(ID);
            let rows = closed(&snapshot, 0);
            let closed = snapshot.trade_count().saturating_sub(1) as usize;
            assert!(rows.len() >= retain.min(closed), "{} of {closed}", rows.len());
            let last = rows.last().map(|row| row.ts);
            assert_eq!(last, closed.checked_sub(1).map(|second| MONDAY + second as i64 * SECOND));
        }
    }
    drop(session);
    assert_eq!(engine.snapshot(ID).trade_count(), 30_000);
}
