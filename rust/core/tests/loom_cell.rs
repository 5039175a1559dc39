//! The seqlock under every interleaving that loom explores (`make loom`).
#![cfg(tickwire_loom)]

mod loom_support;

use std::sync::Arc;

use loom::thread;
use loom_support::model;
use tickwire_core::cell::Cell;

/// A reader gets both words of one update, and never goes back to an older one.
#[test]
fn copies_are_of_one_update() {
    model(3, || {
        let cell = Arc::new(Cell::new(2));
        let shared = Arc::clone(&cell);
        let reading = thread::spawn(move || {
            let mut latest = 0;
            for _ in 0..2 {
                let mut words = Vec::new();
                shared.read(&mut words);
                assert_eq!(words[0], words[1], "words of two updates");
                assert!(words[0] >= latest, "the cell went back");
                latest = words[0];
            }
        });
        for value in 1..=2 {
            cell.update().set_all(0, &[value, value]);
        }
        reading.join().expect("the reader does not panic");
        let mut words = Vec::new();
        cell.read(&mut words);
        assert_eq!(words, [2, 2]);
    });
}

/// An update need not touch every word: the others stay as they were.
#[test]
fn words_that_are_left_alone_belong_to_the_update_too() {
    model(3, || {
        let cell = Arc::new(Cell::new(2));
        let shared = Arc::clone(&cell);
        let reading = thread::spawn(move || {
            let mut words = Vec::new();
            shared.read(&mut words);
            assert!([[0, 0], [1, 1], [1, 2]].iter().any(|state| *state == words[..]), "{words:?}");
        });
        cell.update().set_all(0, &[1, 1]);
        cell.update().set(1, 2);
        reading.join().expect("the reader does not panic");
    });
}
