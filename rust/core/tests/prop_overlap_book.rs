//! The order book through an overlap: whatever the two connections lag behind each other, the engine's
//! book is that of the old one's deltas up to the end, and that of the new one's from there on.
#![allow(clippy::unwrap_used)]

mod overlap_support;

use overlap_support::{BASE, MS, SYMBOLS, apart, engine, join, merge};
use proptest::prelude::*;
use tickwire_core::book::{Book, Level};
use tickwire_core::engine::Engine;
use tickwire_core::feed::Feed;
use tickwire_core::overlap::Leg;
use tickwire_core::record::{Depth, DepthKind, InstrumentId, NO_TIME};

const ID: InstrumentId = InstrumentId(0);

type Delta = (u8, i64, u8);

fn kind(code: u8) -> DepthKind {
    [DepthKind::Ask, DepthKind::Bid, DepthKind::BestAsk, DepthKind::BestBid][usize::from(code) - 1]
}

fn price(ticks: i64) -> f64 {
    100.0 + ticks as f64 * 0.25
}

/// The book that the first of the deltas make.
fn reference(deltas: &[Delta]) -> Book {
    let mut book = Book::new(0.25);
    let reset = DepthKind::Reset;
    book.apply(&Depth { ts_event: BASE, ts_recv: NO_TIME, price: 0.0, size: 0.0, kind: reset });
    for (number, &(code, ticks, size)) in deltas.iter().enumerate() {
        let (ts_event, size) = (BASE + number as i64 * MS, f64::from(size));
        let (price, kind) = (price(ticks), kind(code));
        book.apply(&Depth { ts_event, ts_recv: NO_TIME, price, size, kind });
    }
    book
}

fn levels(book: &Book) -> (Vec<Level>, Vec<Level>) {
    (book.bids().collect(), book.asks().collect())
}

fn element(number: usize, code: u8, price: f64, size: f64) -> String {
    let when = format!("2024-07-21T13:45:{:02}.{:03}Z", number / 1_000, number % 1_000);
    format!(r#"{{"timestamp":"{when}","type":{code},"price":{price},"volume":{size}}}"#)
}

fn push(feed: &mut Feed, elements: &[String]) {
    let data = elements.join(",");
    let symbol = SYMBOLS[0];
    let record = format!(
        "{{\"type\":1,\"target\":\"GatewayDepth\",\"arguments\":[\"{symbol}\",[{data}]]}}\u{1e}"
    );
    assert_eq!(feed.push(record.as_bytes(), NO_TIME).rejected, 0);
}

/// What a hub says first: everything that rests after so many deltas, behind a reset.
fn snapshot(number: usize, book: &Book) -> Vec<String> {
    let mut elements = vec![element(number, 6, 0.0, 0.0)];
    elements.extend(book.bids().map(|level| element(number, 2, level.price, level.size)));
    elements.extend(book.asks().map(|level| element(number, 1, level.price, level.size)));
    elements
}

fn shown(engine: &Engine) -> (Vec<Level>, Vec<Level>, bool) {
    let book = engine.snapshot(ID).book().unwrap();
    (book.bids, book.asks, book.complete)
}

proptest! {
    #[test]
    fn the_book_follows_one_connection_at_a_time(
        deltas in prop::collection::vec((1_u8..5, -4_i64..4, 0_u8..3), 1..80),
        begin in any::<prop::sample::Index>(),
        over in any::<prop::sample::Index>(),
        choice in prop::collection::vec(any::<bool>(), 0..160),
    ) {
        let engine = engine();
        let (mut old, mut new) = apart(&engine);
        let begin = begin.index(deltas.len() + 1);
        let one = |number: usize| {
            let (code, ticks, size) = deltas[number];
            [element(number, code, price(ticks), f64::from(size))]
        };
        push(&mut old, &snapshot(0, &reference(&[])));
        (0..begin).for_each(|number| push(&mut old, &one(number)));
        let _overlap = join(&engine, &mut old, &mut new, 1_000);
        push(&mut new, &snapshot(begin, &reference(&deltas[..begin])));

        let rest: Vec<usize> = (begin..deltas.len()).collect();
        let turns = merge(&rest, &rest, choice);
        let over = over.index(turns.len() + 1);
        let mut delivered = [begin, begin];
        for (turn, &(leg, number)) in turns.iter().enumerate() {
            if turn == over {
                old.leave(Leg::New);
                new.leave(Leg::New);
            }
            if leg == Leg::Old && turn >= over {
                continue;
            }
            push(if leg == Leg::Old { &mut old } else { &mut new }, &one(number));
            delivered[leg as usize] = number + 1;
            let seen = delivered[usize::from(turn >= over)];
            let (bids, asks) = levels(&reference(&deltas[..seen]));
            prop_assert_eq!(shown(&engine), (bids, asks, true));
        }
        if over == turns.len() {
            old.leave(Leg::New);
            new.leave(Leg::New);
        }
        let (bids, asks) = levels(&reference(&deltas[..delivered[1]]));
        prop_assert_eq!(shown(&engine), (bids, asks, true));

        // The loser's later end says nothing of a book that it does not feed any more.
        old.reset();
        prop_assert!(shown(&engine).2);
        new.reset();
        prop_assert!(!shown(&engine).2);
    }
}
