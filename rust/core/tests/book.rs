//! The order book alone: what each delta does to it, and what it says of itself.

use tickwire_core::book::{Book, BookCounts, LEAST_SNAPSHOT, MOST_LEVELS, WITHIN_NS};
use tickwire_core::record::{Depth, DepthKind, NO_TIME, Quote};

const TICK: f64 = 0.25;

fn delta(kind: DepthKind, price: f64, size: f64) -> Depth {
    at(0, kind, price, size)
}

fn at(ts_event: i64, kind: DepthKind, price: f64, size: f64) -> Depth {
    Depth { ts_event, ts_recv: NO_TIME, price, size, kind }
}

fn quote(ts_event: i64, bid: f64, ask: f64) -> Quote {
    let absent = f64::NAN;
    let (bid_size, ask_size, last) = (absent, absent, absent);
    Quote { ts_event, ts_recv: NO_TIME, bid, ask, bid_size, ask_size, last }
}

/// A complete book with these bids and asks, best first.
fn book(bids: &[(f64, f64)], asks: &[(f64, f64)]) -> Book {
    let mut book = Book::new(TICK);
    book.apply(&delta(DepthKind::Reset, f64::NAN, f64::NAN));
    bids.iter().for_each(|&(price, size)| book.apply(&delta(DepthKind::Bid, price, size)));
    asks.iter().for_each(|&(price, size)| book.apply(&delta(DepthKind::Ask, price, size)));
    book
}

fn bids(book: &Book) -> Vec<(f64, f64)> {
    book.bids().map(|level| (level.price, level.size)).collect()
}

fn asks(book: &Book) -> Vec<(f64, f64)> {
    book.asks().map(|level| (level.price, level.size)).collect()
}

#[test]
fn levels_are_replaced_taken_out_and_kept_in_order() {
    let mut book = book(&[(99.75, 2.0), (100.0, 1.0)], &[(100.5, 4.0), (100.25, 3.0)]);
    assert_eq!(bids(&book), [(100.0, 1.0), (99.75, 2.0)]);
    assert_eq!(asks(&book), [(100.25, 3.0), (100.5, 4.0)]);

    book.apply(&delta(DepthKind::Bid, 100.0, 7.0));
    book.apply(&delta(DepthKind::Ask, 100.25, 0.0));
    book.apply(&delta(DepthKind::Ask, 105.0, 0.0));
    assert_eq!(bids(&book), [(100.0, 7.0), (99.75, 2.0)]);
    assert_eq!(asks(&book), [(100.5, 4.0)]);
    assert_eq!(book.counts(), BookCounts { updates: 8, resets: 1, ..BookCounts::default() });
}

#[test]
fn nothing_better_rests_than_the_best() {
    let mut book = book(&[(100.0, 1.0), (99.75, 2.0), (99.5, 3.0)], &[(100.25, 1.0)]);
    book.apply(&delta(DepthKind::BestBid, 99.5, 9.0));
    assert_eq!(bids(&book), [(99.5, 9.0)]);
    assert_eq!(book.counts().pruned, 2);

    // A better one is news; none at all says nothing of the others.
    book.apply(&delta(DepthKind::BestBid, 99.75, 1.0));
    book.apply(&delta(DepthKind::BestBid, 99.75, 0.0));
    assert_eq!(bids(&book), [(99.5, 9.0)]);
    assert_eq!(book.counts().pruned, 2);
}

#[test]
fn the_book_never_stands_crossed() {
    let mut book =
        book(&[(100.0, 1.0), (99.75, 2.0)], &[(100.25, 1.0), (100.5, 2.0), (100.75, 3.0)]);
    book.apply(&delta(DepthKind::Bid, 100.5, 5.0));
    assert_eq!(bids(&book)[0], (100.5, 5.0));
    assert_eq!(asks(&book), [(100.5, 2.0), (100.75, 3.0)], "locked, not crossed");
    book.apply(&delta(DepthKind::BestAsk, 99.75, 1.0));
    assert_eq!(bids(&book), [(99.75, 2.0)]);
    assert_eq!(asks(&book)[0], (99.75, 1.0));
    assert_eq!(book.counts().crossed, 3);
}

#[test]
fn prices_are_told_apart_by_more_than_a_rounding() {
    let mut book = Book::new(0.1);
    let computed = 0.1 + 0.2;
    assert!(computed != 0.3);
    book.apply(&delta(DepthKind::Bid, 0.3, 1.0));
    book.apply(&delta(DepthKind::Bid, computed, 2.0));
    assert_eq!(bids(&book), [(computed, 2.0)]);
    book.apply(&delta(DepthKind::Bid, 0.35, 5.0));
    book.apply(&delta(DepthKind::Bid, -0.1, 6.0));
    assert_eq!(bids(&book), [(0.35, 5.0), (computed, 2.0), (-0.1, 6.0)]);
    book.apply(&delta(DepthKind::Bid, 0.35, 0.0));
    assert_eq!(bids(&book), [(computed, 2.0), (-0.1, 6.0)]);
}

#[test]
fn what_is_no_level_is_counted_and_changes_nothing() {
    let mut book = book(&[(100.0, 1.0)], &[(100.25, 1.0)]);
    let before = (bids(&book), asks(&book));
    for (price, size) in
        [(f64::NAN, 1.0), (1e300, 1.0), (100.0, f64::NAN), (100.0, -1.0), (100.0, f64::INFINITY)]
    {
        book.apply(&delta(DepthKind::Bid, price, size));
    }
    book.apply(&delta(DepthKind::Other(5), 90.0, 3.0));
    book.miss(&delta(DepthKind::Bid, 99.0, 1.0));
    book.miss(&delta(DepthKind::Other(7), 99.0, 1.0));
    assert_eq!((bids(&book), asks(&book)), before);
    assert!(book.is_complete());
    let counts = book.counts();
    assert_eq!((counts.missed, counts.other, counts.gaps), (6, 1, 0));

    book.miss(&delta(DepthKind::Reset, f64::NAN, f64::NAN));
    assert!(!book.is_complete() && bids(&book).is_empty() && asks(&book).is_empty());
    assert_eq!(book.counts().gaps, 1);
}

#[test]
fn a_side_keeps_what_is_nearest_to_the_market() {
    let mut book = book(&[], &[]);
    let price = |place: usize| 1_000.0 - place as f64 * TICK;
    for place in 0..MOST_LEVELS {
        book.apply(&delta(DepthKind::Bid, price(place + 1), 1.0));
    }
    book.apply(&delta(DepthKind::Bid, price(MOST_LEVELS + 1), 1.0));
    book.apply(&delta(DepthKind::Bid, price(0), 1.0));
    let held = bids(&book);
    assert_eq!(held.len(), MOST_LEVELS);
    assert_eq!((held[0].0, held[MOST_LEVELS - 1].0), (price(0), price(MOST_LEVELS - 1)));
    assert_eq!(book.counts().dropped, 2);
    // What replaces a level takes no room, and neither does one that is not there.
    book.apply(&delta(DepthKind::Bid, price(5), 8.0));
    book.apply(&delta(DepthKind::Bid, price(5_000), 0.0));
    assert_eq!((book.bids().len(), book.counts().dropped), (MOST_LEVELS, 2));
}

#[test]
fn a_book_is_complete_from_its_beginning_to_a_gap() {
    let mut book = Book::new(TICK);
    book.apply(&at(1, DepthKind::Bid, 100.0, 1.0));
    assert!(!book.is_complete());
    book.apply(&at(2, DepthKind::Reset, f64::NAN, f64::NAN));
    assert!(book.is_complete() && bids(&book).is_empty());
    book.apply(&at(3, DepthKind::Bid, 100.0, 1.0));

    // A gap that ended before the book was whole is over.
    book.gap(Some(2));
    assert!(book.is_complete());
    book.gap(Some(3));
    assert!(!book.is_complete() && bids(&book).is_empty());
    book.gap(None);
    assert_eq!(book.counts().gaps, 1, "there was nothing more to lose");
}

/// A message with so many levels of each side.
fn whole(levels: usize) -> Vec<Depth> {
    let level = |place: usize| {
        let away = place as f64 * TICK;
        [at(5, DepthKind::Bid, 100.0 - away, 1.0), at(5, DepthKind::Ask, 100.25 + away, 1.0)]
    };
    (0..levels).flat_map(level).collect()
}

#[test]
fn a_large_message_begins_an_incomplete_book() {
    let half = LEAST_SNAPSHOT / 2;
    let mut book = Book::new(TICK);
    for place in 0..LEAST_SNAPSHOT + 1 {
        book.apply(&delta(DepthKind::Bid, 90.0 - place as f64, 1.0));
    }
    book.snapshot(&whole(half));
    assert!(!book.is_complete(), "fewer levels than are known already");
    book.snapshot(&whole(half + 1));
    assert!(book.is_complete() && bids(&book).is_empty());

    // A complete one takes it as any other deltas.
    book.apply(&at(5, DepthKind::Bid, 100.0, 1.0));
    book.snapshot(&whole(half + 1));
    assert_eq!((bids(&book).len(), book.counts().snapshots), (1, 1));
}

#[test]
fn what_cannot_be_a_whole_book_begins_none() {
    let good = whole(LEAST_SNAPSHOT);
    let with = |number: usize, kind, price, size| {
        let mut message = good.clone();
        message[number] = at(5, kind, price, size);
        message
    };
    let one_side = good.iter().filter(|delta| delta.kind == DepthKind::Bid).copied().collect();
    for message in [
        good[..LEAST_SNAPSHOT - 1].to_vec(),
        one_side,
        with(3, DepthKind::Bid, 90.0, 0.0),
        with(3, DepthKind::Other(5), 90.0, 1.0),
        with(3, DepthKind::Reset, 0.0, 0.0),
        with(3, DepthKind::Bid, 100.0, 2.0),
        with(3, DepthKind::Bid, 100.5, 2.0),
        Vec::new(),
    ] {
        let mut book = Book::new(TICK);
        book.snapshot(&message);
        assert!(!book.is_complete(), "{message:?}");
    }
    let mut book = Book::new(TICK);
    book.snapshot(&with(0, DepthKind::BestBid, 100.25, 1.0));
    assert!(book.is_complete(), "locked, with its best marked");
}

#[test]
fn a_difference_to_the_quotes_counts_once_it_has_lasted() {
    let mut book = book(&[(100.0, 1.0)], &[(100.25, 1.0)]);
    book.quote(&quote(0, 100.0, 100.25));
    // The quotes are ahead, and the book follows in time.
    book.quote(&quote(10, 100.25, 100.5));
    book.apply(&at(10 + WITHIN_NS, DepthKind::BestBid, 100.25, 1.0));
    book.apply(&at(10 + WITHIN_NS, DepthKind::BestAsk, 100.5, 1.0));
    assert_eq!(book.counts().disagreements, 0);
    // Now it does not.
    let start = 20 + WITHIN_NS;
    book.quote(&quote(start, 100.0, 100.5));
    book.apply(&at(start + WITHIN_NS, DepthKind::Bid, 99.0, 1.0));
    assert_eq!(book.counts().disagreements, 0);
    for later in 1..4 {
        book.quote(&quote(start + WITHIN_NS * later + 1, 100.0, 100.5));
        assert_eq!(book.counts().disagreements, 1, "one for as long as it stands");
    }
    // A side that the quote lacks is not compared; agreement ends the difference.
    book.quote(&quote(start + 5 * WITHIN_NS, f64::NAN, 100.5));
    book.quote(&quote(start + 6 * WITHIN_NS, 99.0, 100.5));
    book.quote(&quote(start + 7 * WITHIN_NS + 1, 99.0, 100.5));
    assert_eq!(book.counts().disagreements, 2);
}

#[test]
fn an_incomplete_book_is_not_compared() {
    let mut book = Book::new(TICK);
    book.apply(&at(0, DepthKind::Bid, 99.0, 1.0));
    book.quote(&quote(0, 100.0, 100.25));
    book.quote(&quote(10 * WITHIN_NS, 100.0, 100.25));
    book.apply(&at(20 * WITHIN_NS, DepthKind::BestBid, 98.0, 1.0));
    assert_eq!((book.counts().disagreements, book.counts().pruned), (0, 1));
}

#[test]
fn the_book_takes_as_much_memory_as_it_says() {
    // Two sides of price, size and rank for each level, and a little besides.
    let levels = 2 * MOST_LEVELS * 3 * 8;
    assert!((levels..levels + 1_024).contains(&Book::bytes()));
}
