//! The book as readers see it: what an engine shows of it, when, and through which path it came.
#![allow(clippy::unwrap_used)]

mod engine_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine_support::{ID, MONDAY, engine, engine_of, quote, spec, trade};
use tickwire_core::Spec;
use tickwire_core::book::{Book, BookView, Level};
use tickwire_core::decode::{Decoder, Protocol};
use tickwire_core::engine::Engine;
use tickwire_core::feed::Feed;
use tickwire_core::record::{Depth, DepthKind, NO_TIME, Side, Trade};

fn delta(kind: DepthKind, price: f64, size: f64) -> Depth {
    Depth { ts_event: MONDAY, ts_recv: NO_TIME, price, size, kind }
}

const RESET: DepthKind = DepthKind::Reset;

fn push(engine: &Engine, deltas: &[(DepthKind, f64, f64)]) {
    let mut session = engine.session();
    for &(kind, price, size) in deltas {
        session.push_depth(ID, &delta(kind, price, size)).unwrap();
    }
}

fn view(engine: &Engine) -> BookView {
    engine.snapshot(ID).book().unwrap()
}

fn prices(levels: &[Level]) -> Vec<f64> {
    levels.iter().map(|level| level.price).collect()
}

#[test]
fn there_is_no_book_before_depth_comes() {
    let engine = engine(&["1s"]);
    engine.session().push_quote(ID, &quote(MONDAY, 100.0, 100.25)).unwrap();
    assert_eq!(engine.snapshot(ID).book(), None);
    let before = engine.memory();
    push(&engine, &[(DepthKind::Bid, 100.0, 1.0)]);
    assert_eq!((before.books, engine.memory().books), (0, Book::bytes()));
}

#[test]
fn readers_are_shown_the_best_levels() {
    let engine = engine_of(vec![Spec { book_levels: 3, ..spec("ES") }], &["1s"], 100);
    push(&engine, &[(RESET, f64::NAN, f64::NAN)]);
    for place in 0..5_u8 {
        let away = f64::from(place) * 0.25;
        push(
            &engine,
            &[
                (DepthKind::Bid, 100.0 - away, f64::from(place) + 1.0),
                (DepthKind::Ask, 100.25 + away, f64::from(place) + 2.0),
            ],
        );
    }
    let shown = view(&engine);
    assert_eq!(prices(&shown.bids), [100.0, 99.75, 99.5]);
    assert_eq!(prices(&shown.asks), [100.25, 100.5, 100.75]);
    assert_eq!((shown.bid_levels, shown.ask_levels), (5, 5));
    assert_eq!((shown.complete, shown.ts_event), (true, Some(MONDAY)));

    // What was below comes into sight, whichever level goes.
    push(&engine, &[(DepthKind::Bid, 99.75, 0.0), (DepthKind::Ask, 100.25, 0.0)]);
    let shown = view(&engine);
    assert_eq!(prices(&shown.bids), [100.0, 99.5, 99.25]);
    assert_eq!(prices(&shown.asks), [100.5, 100.75, 101.0]);
    assert_eq!(shown.bids[2].size, 4.0);

    // More open bars than there was room for make a new cell, which shows all of it again.
    push(&engine, &[(DepthKind::Bid, 98.0, 1.0)]);
    for second in 0..8 {
        let ts_event = MONDAY + second * 1_000_000_000;
        engine.session().push_trade(ID, &trade(ts_event, 100.0, 1.0)).unwrap();
    }
    assert_eq!(view(&engine), BookView { bid_levels: 5, counts: view(&engine).counts, ..shown });
}

#[test]
fn figures_of_a_book() {
    let engine = engine(&["1s"]);
    push(
        &engine,
        &[
            (RESET, f64::NAN, f64::NAN),
            (DepthKind::Bid, 100.0, 30.0),
            (DepthKind::Bid, 99.75, 10.0),
        ],
    );
    let half = view(&engine);
    assert_eq!((half.mid(), half.spread(), half.microprice()), (None, None, None));
    assert_eq!(half.imbalance(10), Some(1.0));

    push(&engine, &[(DepthKind::Ask, 101.0, 10.0)]);
    engine
        .session()
        .push_trade(ID, &Trade { side: Side::Sell, ..trade(MONDAY, 100.0, 1.0) })
        .unwrap();
    let shown = view(&engine);
    assert_eq!((shown.mid(), shown.spread()), (Some(100.5), Some(1.0)));
    assert_eq!(shown.microprice(), Some((100.0 * 10.0 + 101.0 * 30.0) / 40.0));
    assert_eq!((shown.imbalance(1), shown.imbalance(2)), (Some(0.5), Some(0.6)));
    assert_eq!(shown.last_side, Side::Sell);
    assert_eq!(shown.clone().truncated(1).imbalance(9), Some(0.5));

    let batch = shown.batch(2).unwrap();
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(
        names,
        [
            "ts_event",
            "bid_px_00",
            "ask_px_00",
            "bid_sz_00",
            "ask_sz_00",
            "bid_px_01",
            "ask_px_01",
            "bid_sz_01",
            "ask_sz_01",
        ]
    );
    let nulls: Vec<_> = batch.columns().iter().map(|column| column.null_count()).collect();
    assert_eq!(nulls, [0, 0, 0, 0, 0, 0, 1, 0, 1]);
}

#[test]
fn a_refused_delta_is_missed_by_the_book() {
    let engine = engine(&["1s"]);
    push(&engine, &[(RESET, f64::NAN, f64::NAN), (DepthKind::Bid, 100.0, 1.0)]);
    let mut session = engine.session();
    session.push_depth(ID, &delta(DepthKind::Bid, 99.0, -1.0)).unwrap_err();
    drop(session);
    let shown = view(&engine);
    assert_eq!((shown.counts.missed, shown.complete, shown.bids.len()), (1, true, 1));
    let undated = Depth { ts_event: NO_TIME, ..delta(RESET, f64::NAN, f64::NAN) };
    engine.session().push_depth(ID, &undated).unwrap_err();
    let shown = view(&engine);
    assert_eq!((shown.counts.gaps, shown.complete, shown.bids.len()), (1, false, 0));
    let counters = engine.counters();
    assert_eq!(counters.received, counters.accepted + counters.rejected_total());
}

#[test]
fn disagreements_are_among_the_counters() {
    let engine = engine(&["1s"]);
    push(
        &engine,
        &[
            (RESET, f64::NAN, f64::NAN),
            (DepthKind::Bid, 100.0, 1.0),
            (DepthKind::BestBid, 99.0, 1.0),
        ],
    );
    assert_eq!((view(&engine).counts.pruned, engine.counters().book_disagreements), (1, 0));
    let mut session = engine.session();
    session.push_quote(ID, &quote(MONDAY, 98.0, 100.25)).unwrap();
    session.push_quote(ID, &quote(MONDAY + 600_000_000, 98.0, 100.25)).unwrap();
    drop(session);
    assert_eq!(engine.counters().book_disagreements, 1);
}

fn event(elements: &[String]) -> Vec<u8> {
    let data = elements.join(",");
    format!(r#"{{"type":1,"target":"GatewayDepth","arguments":["ES",[{data}]]}}"#).into_bytes()
}

fn element(code: u8, price: f64, size: f64) -> String {
    format!(
        r#"{{"timestamp":"2024-02-26T00:00:00Z","type":{code},"price":{price},"volume":{size}}}"#
    )
}

/// A message with so many levels of each side.
fn whole(levels: u8) -> Vec<u8> {
    let level = |place: u8| {
        let away = f64::from(place) * 0.25;
        [element(2, 100.0 - away, 1.0), element(1, 100.25 + away, 1.0)]
    };
    event(&(0..levels).flat_map(level).collect::<Vec<_>>())
}

fn feed(engine: &Arc<Engine>) -> Feed {
    Feed::new(Arc::clone(engine), Decoder::new(Protocol::Json, 1 << 20))
}

fn receive(feed: &mut Feed, mut record: Vec<u8>) {
    record.push(0x1e);
    assert_eq!(feed.push(&record, NO_TIME).rejected, 0);
}

#[test]
fn a_connection_begins_with_a_whole_book_and_takes_it_along() {
    let engine = engine_of(vec![spec("ES"), spec("NQ")], &["1s"], 100);
    let (mut one, mut other) = (feed(&engine), feed(&engine));
    receive(&mut one, event(&[element(2, 99.0, 1.0)]));
    assert!(!view(&engine).complete);
    receive(&mut one, whole(5));
    assert!(view(&engine).complete);
    assert_eq!(view(&engine).bid_levels, 5, "what was known before is not part of it");
    receive(&mut one, event(&[element(4, 99.5, 2.0)]));
    assert_eq!(prices(&view(&engine).bids), [99.5, 99.25, 99.0]);

    // Another connection's end says nothing of this one's books.
    receive(&mut other, event(&[]));
    other.reset();
    assert!(view(&engine).complete);
    one.reset();
    assert!(!view(&engine).complete && view(&engine).bids.is_empty());

    receive(&mut one, event(&[element(6, 0.0, 0.0), element(2, 98.0, 1.0)]));
    let shown = view(&engine);
    assert!(shown.complete);
    assert_eq!(prices(&shown.bids), [98.0]);
    assert_eq!((shown.counts.gaps, shown.counts.resets, shown.counts.snapshots), (1, 1, 1));
}

#[test]
fn a_marked_gap_voids_a_book_from_before_it() {
    let engine = engine(&["1s"]);
    push(&engine, &[(RESET, f64::NAN, f64::NAN), (DepthKind::Bid, 100.0, 1.0)]);
    let mut session = engine.session();
    session.mark_gap(ID, None, MONDAY + 1).unwrap();
    session.mark_gap(ID, Some(MONDAY), MONDAY + 1).unwrap();
    drop(session);
    assert!(view(&engine).complete, "it was whole within the gap, at its end or after");
    engine.session().mark_gap(ID, Some(MONDAY + 1), MONDAY + 2).unwrap();
    assert!(!view(&engine).complete);
}

/// A writer moves the whole book to and fro; no reader ever sees parts of two of them.
#[test]
fn readers_never_see_a_torn_book() {
    let engine = engine_of(vec![Spec { book_levels: 8, ..spec("ES") }], &["1s"], 100);
    let done = AtomicBool::new(false);
    let write = |round: u32| {
        // All levels of a round have its number as their size, and hang on its middle.
        let (middle, size) = (1_000.0 + f64::from(round % 64), f64::from(round));
        let mut session = engine.session();
        session.push_depth(ID, &delta(RESET, f64::NAN, f64::NAN)).unwrap();
        for place in 1..=8_u8 {
            let away = f64::from(place) * 0.25;
            session.push_depth(ID, &delta(DepthKind::Bid, middle - away, size)).unwrap();
            session.push_depth(ID, &delta(DepthKind::Ask, middle + away, size)).unwrap();
        }
        let ts_event = MONDAY + i64::from(round);
        session.push_trade(ID, &trade(ts_event, middle, size)).unwrap();
    };
    write(1);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0_u32;
                    while !done.load(Ordering::Relaxed) || seen == 0 {
                        let cut = engine.snapshot(ID);
                        let (shown, last) = (cut.book().unwrap(), cut.trade().unwrap());
                        assert_eq!((shown.bids.len(), shown.asks.len()), (8, 8));
                        let middle = last.price;
                        for (place, (bid, ask)) in shown.bids.iter().zip(&shown.asks).enumerate() {
                            let away = (place + 1) as f64 * 0.25;
                            assert_eq!((bid.price, ask.price), (middle - away, middle + away));
                            assert_eq!((bid.size, ask.size), (last.size, last.size));
                        }
                        seen += 1;
                    }
                })
            })
            .collect();
        (2..20_000).for_each(write);
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}
