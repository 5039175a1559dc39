//! The seqlock under every interleaving that loom explores (`make loom`).
#![cfg(tickwire_loom)]
#![allow(missing_docs)]

use loom::sync::Arc;
use loom::thread;
use tickwire_core::cell::Cell;

/// A reader gets both words of one update, and never goes back to an older one.
#[test]
fn copies_are_of_one_update() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let cell = Arc::new(Cell::new(2));
        let shared = Arc::clone(&cell);
        let writing = thread::spawn(move || {
            for value in 1..=2 {
                let mut update = shared.update();
                update.set(0, value);
                update.set(1, value);
            }
        });
        let mut latest = 0;
        for _ in 0..2 {
            let mut words = Vec::new();
            cell.read(&mut words);
            assert_eq!(words[0], words[1], "words of two updates");
            assert!(words[0] >= latest, "the cell went back");
            latest = words[0];
        }
        writing.join().expect("the writer does not panic");
    });
}
