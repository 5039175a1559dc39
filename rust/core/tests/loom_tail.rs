//! The tail of a series under every interleaving that loom explores (`make loom`).
#![cfg(tickwire_loom)]

mod loom_support;

use std::sync::Arc;

use loom::thread;
use loom_support::model;
use tickwire_core::bars::{Bar, Timeframe};
use tickwire_core::cell::Cell;
use tickwire_core::model::Tail;

fn timeframe() -> Timeframe {
    "1s".parse().expect("a timeframe")
}

/// A bar all of whose words follow from its number.
fn bar(number: u32) -> Bar {
    let ts = i64::from(number) * 1_000_000_000;
    let value = f64::from(number);
    Bar {
        ts,
        ts_end: timeframe().bucket(ts).1,
        open: value,
        high: value + 3.0,
        low: value - 3.0,
        close: value + 1.0,
        volume: value * 2.0,
        vwap: value + 0.5,
        trades: u64::from(number) + 7,
        complete: number % 2 == 0,
        revision: 0,
    }
}

/// Every row that is counted is whole.
#[test]
fn rows_below_the_length_are_whole() {
    model(3, || {
        let tail = Arc::new(Tail::new(2));
        let shared = Arc::clone(&tail);
        let reading = thread::spawn(move || {
            let mut seen = 0;
            for _ in 0..2 {
                let bars = shared.bars(timeframe());
                assert!(bars.len() >= seen, "a row has gone");
                seen = bars.len();
                for (row, copy) in bars.iter().enumerate() {
                    assert_eq!(*copy, bar(row as u32 + 1));
                }
            }
        });
        (1..=2).for_each(|number| tail.push(&bar(number)));
        reading.join().expect("the reader does not panic");
        assert_eq!(tail.bars(timeframe()).len(), 2);
    });
}

/// The cell is written after the tail: the bars that it counts are there.
#[test]
fn what_a_cell_counts_is_in_the_tail() {
    model(3, || {
        let tail = Arc::new(Tail::new(2));
        let cell = Arc::new(Cell::new(1));
        let (shared, counter) = (Arc::clone(&tail), Arc::clone(&cell));
        let reading = thread::spawn(move || {
            let mut words = Vec::new();
            counter.read(&mut words);
            assert!(shared.bars(timeframe()).len() as u64 >= words[0]);
        });
        for number in 1..=2 {
            tail.push(&bar(number));
            cell.update().set(0, u64::from(number));
        }
        reading.join().expect("the reader does not panic");
    });
}
