//! A revision under every interleaving that loom explores (`make loom`): closed bars are replaced by a new
//! view with a cell of its own, while bars go on being appended.
//!
//! The pointer to the view is an index here, since loom cannot look into `arc-swap`.
#![cfg(tickwire_loom)]

mod loom_support;

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loom_support::model;
use tickwire_core::bars::{Bar, Timeframe};
use tickwire_core::cell::Cell;
use tickwire_core::model::Tail;

/// Closed bars, and the words that say how many there are and what their volumes add up to, as those of
/// a larger bar would.
struct View {
    tail: Tail,
    cell: Cell,
}

fn timeframe() -> Timeframe {
    "1s".parse().expect("a timeframe")
}

fn bar(second: i64, volume: f64, revision: u32) -> Bar {
    let (ts, ts_end) = timeframe().bucket(second * 1_000_000_000);
    let price = volume + 0.5;
    Bar {
        ts,
        ts_end,
        open: price,
        high: price,
        low: price,
        close: price,
        volume,
        vwap: price,
        trades: 1,
        complete: true,
        revision,
    }
}

impl View {
    fn publish(&self, count: u64, volume: u64) {
        let mut update = self.cell.update();
        update.set(0, count);
        update.set(1, volume);
    }
}

/// A cut never combines bars from before a revision with sums from after it, or the other way.
#[test]
fn a_cut_is_from_before_a_revision_or_from_after_it() {
    model(3, || {
        let views: Arc<[View; 2]> =
            Arc::new([0, 1].map(|_| View { tail: Tail::new(2), cell: Cell::new(2) }));
        let current = Arc::new(AtomicUsize::new(0));
        let (shared, pointer) = (Arc::clone(&views), Arc::clone(&current));
        let reading = thread::spawn(move || {
            let mut words = Vec::new();
            let view = &shared[pointer.load(Ordering::Acquire)];
            view.cell.read(&mut words);
            let bars = view.tail.bars(timeframe());
            let counted = &bars[..words[0] as usize];
            let volume: f64 = counted.iter().map(|bar| bar.volume).sum();
            assert_eq!(volume as u64, words[1], "{counted:?}");
        });
        let [before, after] = &*views;
        before.tail.push(&bar(0, 1.0, 0));
        before.publish(1, 1);
        // A late tick changes the first bar.
        after.tail.push(&bar(0, 4.0, 1));
        after.publish(1, 4);
        current.store(1, Ordering::Release);
        after.tail.push(&bar(1, 2.0, 0));
        after.publish(2, 6);
        reading.join().expect("the reader does not panic");
    });
}
