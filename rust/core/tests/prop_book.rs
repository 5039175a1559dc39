//! The book against a naive one: two maps from price to size, and the rules in words of one line each.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tickwire_core::book::Book;
use tickwire_core::record::{Depth, DepthKind, NO_TIME};

const TICK: f64 = 0.25;
/// Prices come in eighths of a tick, so that some are off the grid and every one is exact.
const STEP: f64 = TICK / 8.0;

#[derive(Default)]
struct Naive {
    bids: BTreeMap<i64, f64>,
    asks: BTreeMap<i64, f64>,
    pruned: usize,
    crossed: usize,
}

impl Naive {
    fn apply(&mut self, kind: DepthKind, price: i64, size: f64) {
        let held = self.bids.len() + self.asks.len();
        match kind {
            DepthKind::Reset => {
                self.bids.clear();
                self.asks.clear();
                return;
            }
            DepthKind::BestBid if size > 0.0 => self.bids.retain(|&other, _| other <= price),
            DepthKind::BestAsk if size > 0.0 => self.asks.retain(|&other, _| other >= price),
            DepthKind::Other(_) => return,
            _ => {}
        }
        self.pruned += held - self.bids.len() - self.asks.len();
        let is_bid = matches!(kind, DepthKind::Bid | DepthKind::BestBid);
        let held = self.bids.len() + self.asks.len();
        if size > 0.0 {
            match is_bid {
                true => self.asks.retain(|&other, _| other >= price),
                false => self.bids.retain(|&other, _| other <= price),
            }
        }
        self.crossed += held - self.bids.len() - self.asks.len();
        let side = if is_bid { &mut self.bids } else { &mut self.asks };
        side.insert(price, size);
        side.retain(|_, size| *size > 0.0);
    }
}

fn kind() -> impl Strategy<Value = DepthKind> {
    prop_oneof![
        8 => Just(DepthKind::Bid),
        8 => Just(DepthKind::Ask),
        2 => Just(DepthKind::BestBid),
        2 => Just(DepthKind::BestAsk),
        1 => Just(DepthKind::Other(5)),
    ]
}

fn deltas() -> impl Strategy<Value = Vec<(DepthKind, i64, u8)>> {
    let price = prop_oneof![(-40_i64..40).prop_map(|ticks| ticks * 8), -320_i64..320];
    let any = prop_oneof![
        60 => (kind(), price, 0_u8..6),
        1 => Just((DepthKind::Reset, 0, 0)),
    ];
    prop::collection::vec(any, 0..400)
}

proptest! {
    #[test]
    fn the_book_is_that_of_a_naive_model(deltas in deltas()) {
        let (mut book, mut naive) = (Book::new(TICK), Naive::default());
        for (number, (kind, price, size)) in deltas.into_iter().enumerate() {
            let (at, size) = (price as f64 * STEP, f64::from(size));
            let ts_event = number as i64;
            book.apply(&Depth { ts_event, ts_recv: NO_TIME, price: at, size, kind });
            naive.apply(kind, price, size);

            let bids: Vec<_> = book.bids().map(|level| (level.price, level.size)).collect();
            let asks: Vec<_> = book.asks().map(|level| (level.price, level.size)).collect();
            let level = |(price, size): (&i64, &f64)| (*price as f64 * STEP, *size);
            prop_assert_eq!(&bids, &naive.bids.iter().rev().map(level).collect::<Vec<_>>());
            prop_assert_eq!(&asks, &naive.asks.iter().map(level).collect::<Vec<_>>());
            if let (Some(bid), Some(ask)) = (bids.first(), asks.first()) {
                prop_assert!(bid.0 <= ask.0);
            }
        }
        let counts = book.counts();
        prop_assert_eq!(counts.pruned as usize, naive.pruned);
        prop_assert_eq!(counts.crossed as usize, naive.crossed);
        prop_assert_eq!(counts.missed, 0);
    }
}
